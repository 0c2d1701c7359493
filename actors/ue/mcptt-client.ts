/** One MCPTT user on this UE: tokens, key material, the state of the service, messages. */
import type { JsonObject } from '../../sim/control/actor.ts';
import type { Service } from '../messages/service-protection.ts';
import type { UserProfile } from '../messages/user-profile.ts';
import type { CekKeyStore, UsableCek } from '../security/cek/key-store.ts';
import { type ClientEvent, type ClientState, nextClientState } from './client-state.ts';
import { UeError } from './errors.ts';
import type { KmsPort, LoggedIn } from './ports.ts';

/** A message that arrived for the user. */
export interface InboxMessage {
  readonly from: string;
  readonly text: string;
  /** Key ID of the CEK that opened it, undefined when it came in clear. */
  readonly keyId: string | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface Binding {
  readonly etag: string;
  readonly profile: UserProfile;
}

const LONGEST_INBOX = 10_000;

export class McpttClient {
  /** Name that the user logs in with. */
  readonly user: string;
  readonly password: string;
  /** `urn:uuid:`, for the life of the UE. */
  readonly clientId: string;
  readonly #inbox: InboxMessage[] = [];
  readonly #ceks: () => CekKeyStore;
  readonly #inClear: (service: Service) => boolean;
  #state: ClientState = 'logged-out';
  #login: LoggedIn | undefined;
  #kms: KmsPort | undefined;
  #binding: Binding | undefined;
  /** The KMS said that this service is not protected (POL-1). */
  unprotected = false;

  /** @param inClear which services the provider leaves unprotected while others are not */
  constructor(
    identity: { user: string; password: string; clientId: string },
    ceks: () => CekKeyStore,
    inClear: (service: Service) => boolean,
  ) {
    this.user = identity.user;
    this.password = identity.password;
    this.clientId = identity.clientId;
    this.#ceks = ceks;
    this.#inClear = inClear;
  }

  /** Messages that arrived, the newest last; as many as are kept. */
  get inbox(): readonly InboxMessage[] {
    return this.#inbox;
  }

  arrived(message: InboxMessage): void {
    this.#inbox.push(message);
    if (this.#inbox.length > LONGEST_INBOX) this.#inbox.shift();
  }

  /** As after a restart: messages are kept in memory only. */
  emptyInbox(): void {
    this.#inbox.length = 0;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The user's MCPTT ID. @throws UeError `UE_NOT_LOGGED_IN` */
  get mcpttId(): string {
    return this.login.mcpttId;
  }

  /** @throws UeError `UE_NOT_LOGGED_IN` */
  get login(): LoggedIn {
    if (this.#login === undefined)
      throw new UeError('UE_NOT_LOGGED_IN', `${this.user} is not logged in; do logIn first (step 3a)`);
    return this.#login;
  }

  get loggedIn(): LoggedIn | undefined {
    return this.#login;
  }

  get kms(): KmsPort | undefined {
    return this.#kms;
  }

  get binding(): Binding | undefined {
    return this.#binding;
  }

  /** Takes the tokens of step 3a, and with them a way to the KMS. */
  async take(login: LoggedIn, kms: KmsPort): Promise<void> {
    this.#move('logged-in');
    this.#binding = undefined;
    await this.#kms?.close();
    this.#login = login;
    this.#kms = kms;
  }

  /** POL-1: whether bodies of this service travel in clear, in both directions. */
  usesInClear(service: Service): boolean {
    return this.unprotected || this.#inClear(service);
  }

  bind(binding: Binding): void {
    this.#move('bound');
    this.#binding = binding;
  }

  /** The service has ended; the login has not. */
  unbind(): void {
    if (this.#state === 'bound') this.#move('unbound');
    this.#binding = undefined;
  }

  /** Forgets everything of the user but the name, the client id and the messages. */
  async forget(): Promise<void> {
    if (this.#state !== 'logged-out') this.#move('logged-off');
    const kms = this.#kms;
    this.#login = undefined;
    this.#kms = undefined;
    this.#binding = undefined;
    this.unprotected = false;
    await kms?.close();
  }

  /** The key to seal with. @throws UeError `UE_NO_KEY` */
  sealingKey(sipSession: string): UsableCek {
    try {
      return this.#ceks().sealing({ userUri: this.mcpttId, sipSession, clientId: this.clientId });
    } catch (error) {
      if (error instanceof UeError) throw error;
      throw new UeError('UE_NO_KEY', `${this.user} has no CEK to use: ${(error as Error).message}`, {
        cekCode: (error as { code?: string }).code ?? 'unknown',
      });
    }
  }

  /** What may be known of the client; no token, no key. */
  view(sipSession: string): JsonObject {
    const mcpttId = this.#login?.mcpttId;
    const keys = this.#ceks()
      .list()
      .filter((cek) => cek.userUri === mcpttId && cek.clientId === this.clientId && cek.sipSession === sipSession);
    const key = keys.find((cek) => cek.state !== 'overlap') ?? keys[0];
    const profile = this.#binding?.profile;
    const deviations = this.#kms?.deviations ?? {};
    return {
      user: this.user,
      state: this.#state,
      ...(mcpttId === undefined ? {} : { mcpttId }),
      clientId: this.clientId,
      loggedIn: this.#login !== undefined,
      bound: this.#state === 'bound',
      ...(key === undefined ? {} : { keyId: key.keyId, cekState: key.state, cekFingerprint: key.cekFingerprint }),
      ...(Object.keys(deviations).length === 0 ? {} : { kmsDeviations: { ...deviations } as JsonObject }),
      ...(this.#binding === undefined ? {} : { etag: this.#binding.etag }),
      ...(profile === undefined ? {} : { profile: { ...profile, groups: [...profile.groups] } }),
    };
  }

  #move(event: ClientEvent): void {
    this.#state = nextClientState(this.#state, event);
  }
}
