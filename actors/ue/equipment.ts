/**
 * The UE put together: USIM, SIP access, registration, MCPTT users, keys, messages and calls. What lies beyond SIP (IdM,
 * KMS) comes in as ports, see ports.ts.
 */
import { randomUUID } from 'node:crypto';
import type { ActorContext, JsonObject, Peers } from '../../sim/control/actor.ts';
import { type Deviation, deviateOctets, parseDeviations } from '../messages/deviation.ts';
import { goesInClear, type ServiceProtection } from '../messages/service-protection.ts';
import { CekKeyStore } from '../security/cek/key-store.ts';
import { attach, type EpsAttachment } from './attach.ts';
import { Calls } from './calls.ts';
import type { UeConfig } from './config.ts';
import { UeError } from './errors.ts';
import type { LoginDeviations } from './idm-client.ts';
import { McpttClient } from './mcptt-client.ts';
import { type ReceivingContext, receiveMessage, sendMessage } from './messaging.ts';
import type { IdmPort, KmsPort, LoggedIn } from './ports.ts';
import { type PublishContext, publish, publishLogOff, refusal } from './publish.ts';
import { Registration } from './registration.ts';
import { SipAccess } from './sip/access.ts';
import type { SipRequest, SipResponse } from './sip/user-agent.ts';
import { Usim } from './usim.ts';

export interface UePorts {
  readonly idm: IdmPort;
  /** A user's way to the KMS. CEKs that it gets go into `ceks`. */
  readonly kmsFor: (login: LoggedIn, client: McpttClient, ceks: CekKeyStore) => KmsPort;
}

const DEFAULT_EXPIRES = 600_000;
const ALL_PROTECTED: ServiceProtection = { required: true };

export class UserEquipment {
  readonly #config: UeConfig;
  readonly #ctx: ActorContext;
  readonly #ports: () => UePorts;
  readonly #instanceId: string;
  readonly #clients: ReadonlyMap<string, McpttClient>;
  /** What the provider says of the services; as configured until it changes its mind. */
  protection: ServiceProtection;
  #usim: Usim;
  #ceks: CekKeyStore;
  #access: SipAccess;
  #registration: Registration;
  #calls: Calls;
  #peers: Peers = {};
  #attachment: EpsAttachment | undefined;
  #attaching: Promise<void> = Promise.resolve();
  #registering: Promise<void> = Promise.resolve();

  constructor(config: UeConfig, ctx: ActorContext, ports: () => UePorts) {
    this.#config = config;
    this.#ctx = ctx;
    this.#ports = ports;
    this.protection = config.protection ?? ALL_PROTECTED;
    this.#instanceId = config.instanceId ?? `urn:uuid:${randomUUID()}`;
    this.#usim = new Usim(config.usim);
    this.#ceks = this.#newKeyStore();
    this.#clients = new Map(
      config.users.map(({ user, password, clientId }) => [
        user,
        new McpttClient(
          { user, password, clientId: clientId ?? `urn:uuid:${randomUUID()}` },
          () => this.#ceks,
          (service) => goesInClear(this.protection, service),
        ),
      ]),
    );
    this.#access = this.#newAccess();
    this.#registration = this.#newRegistration();
    this.#calls = this.#newCalls();
  }

  set peers(peers: Peers) {
    this.#peers = peers;
  }

  /** Contact URI of the present SIP session. */
  get sipSession(): string {
    return this.#access.contact;
  }

  get registration(): Registration {
    return this.#registration;
  }

  get attachment(): EpsAttachment | undefined {
    return this.#attachment;
  }

  get imsi(): string {
    return this.#usim.imsi;
  }

  get impu(): string {
    return this.#usim.impus[0]!;
  }

  get connected(): boolean {
    return this.#access.connected;
  }

  get clients(): readonly McpttClient[] {
    return [...this.#clients.values()];
  }

  /** Every key that this UE holds, of whichever user and SIP session; none of their octets. */
  get ceks(): JsonObject[] {
    return this.#ceks.list().map(({ keyId, userUri: user, clientId, sipSession, state, cekFingerprint }) => ({
      keyId,
      user,
      clientId,
      sipSession,
      state,
      cekFingerprint,
    }));
  }

  get calls(): Calls {
    return this.#calls;
  }

  /** @throws UeError `UE_UNKNOWN_USER` */
  readonly clientOf = (user: string): McpttClient => {
    const client = this.#clients.get(user);
    if (client === undefined) {
      throw new UeError(
        'UE_UNKNOWN_USER',
        `this UE has no user ${user}; it has: ${[...this.#clients.keys()].join(', ')}`,
      );
    }
    return client;
  };

  /** Step 0. @throws AttachError, UeError `UE_NO_PEER` */
  attach(deviations: readonly Deviation[] = []): Promise<void> {
    // One after the other: the first of two at once would be left with nobody who ends it.
    const turn = this.#attaching.then(() => this.#attachNow(deviations));
    this.#attaching = turn.catch(() => undefined);
    return turn;
  }

  async #attachNow(deviations: readonly Deviation[]): Promise<void> {
    const network = this.#peers['access-network']?.lte;
    if (network === undefined) throw new UeError('UE_NO_PEER', 'the UE was not told of an access network');
    await this.#attachment?.close();
    const { clock, report } = this.#ctx;
    let made: EpsAttachment | undefined;
    made = await attach({
      usim: this.#usim,
      network,
      clock,
      report,
      changeRes: (res) => deviateOctets(deviations, 'res', res),
      changeNas: (pdu) => deviateOctets(deviations, 'nas', pdu),
      onDetached: () => {
        // The network has let go of an earlier one, as it does when the UE attaches anew.
        if (this.#attachment !== made) return;
        // Without a bearer there is no way to the SIP core; the registration goes on until it expires.
        this.#attachment = undefined;
        this.#access.drop();
      },
    });
    this.#attachment = made;
  }

  async detach(): Promise<void> {
    const attachment = this.#attachment;
    if (attachment === undefined) throw new UeError('UE_CLIENT_STATE', 'the UE is not attached');
    this.#attachment = undefined;
    await attachment.detach();
    this.#access.drop();
  }

  /** Step 1. */
  register(deviations: readonly Deviation[]): Promise<void> {
    return this.#inTurn(() =>
      this.#registration.state === 'registered'
        ? this.#registration.refresh(deviations)
        : this.#registration.register(deviations),
    );
  }

  refresh(): Promise<void> {
    return this.#inTurn(() => this.#registration.refresh());
  }

  deregister(): Promise<void> {
    return this.#inTurn(() => this.#registration.deregister());
  }

  /** Step 3a. */
  async logIn(user: string, password?: string, deviations: LoginDeviations = {}): Promise<LoggedIn> {
    const client = this.clientOf(user);
    const { idm, kmsFor } = this.#ports();
    const login = await idm.logIn(user, password ?? client.password, deviations);
    await client.take(login, kmsFor(login, client, this.#ceks));
    return login;
  }

  /** Gets a user's access tokens afresh from the IdM, without a password. */
  async refreshTokens(user: string): Promise<LoggedIn> {
    const { login } = this.clientOf(user);
    await login.refresh();
    return login;
  }

  /** Step 3b. */
  async requestKey(user: string, deviations: readonly Deviation[]): Promise<JsonObject> {
    const client = this.clientOf(user);
    const { kms } = client;
    if (kms === undefined) throw new UeError('UE_NOT_LOGGED_IN', `${user} has no KMS token; do logIn first (step 3a)`);
    const { keyId } = await kms.requestKey(this.sipSession, deviations);
    client.unprotected = keyId === undefined;
    return keyId === undefined ? { protection: 'off' } : { protection: 'on', keyId };
  }

  /** LIFE-3. */
  async askUpdate(user: string): Promise<JsonObject> {
    const client = this.clientOf(user);
    const { kms } = client;
    if (kms === undefined) throw new UeError('UE_NOT_LOGGED_IN', `${user} has no KMS token; do logIn first (step 3a)`);
    return { ...(await kms.askUpdate(this.sipSession, client.sealingKey(this.sipSession).keyId)) };
  }

  /** Step 4. */
  async publish(user: string, deviations: readonly Deviation[]): Promise<JsonObject> {
    const client = this.clientOf(user);
    const response = await publish(client, deviations, this.#publishContext());
    return {
      status: response.status,
      etag: response.header('SIP-ETag') ?? '',
      expires: response.header('Expires') ?? '',
    };
  }

  /** Ends a user's service here, at the server, at the IdM and at the KMS. Others of this UE go on. */
  async logOff(user: string, deviations: readonly Deviation[]): Promise<void> {
    const client = this.clientOf(user);
    const { login } = client;
    const sipSession = this.sipSession;
    if (client.state === 'bound' && this.#registration.registered) await this.#publishLogOff(client, deviations);
    const whose = { userUri: login.mcpttId, sipSession, clientId: client.clientId };
    this.#ceks.end(whose, 'logged-off');
    await this.#tell(client, sipSession, 'logged-off');
    try {
      await login.revoke();
    } finally {
      await client.forget();
      // A new key may have come by the event stream until it was closed.
      this.#ceks.end(whose, 'logged-off');
    }
  }

  /** A user who logs off is off, even when the server has forgotten the user already; a scenario's wrong request is told. */
  async #publishLogOff(client: McpttClient, deviations: readonly Deviation[]): Promise<void> {
    try {
      await publishLogOff(client, deviations, this.#publishContext());
    } catch (error) {
      if (deviations.length > 0) throw error;
      this.#ctx.log.info({ error: (error as Error).message }, 'the MCPTT server did not take the log-off');
    }
  }

  async sendMessage(user: string, to: string, text: string, deviations: readonly Deviation[]): Promise<JsonObject> {
    const response = await sendMessage(this.clientOf(user), to, text, deviations, this.#publishContext());
    return { status: response.status };
  }

  /** STEP-2S: asks the MCPTT server for its default service. @throws UeError `UE_REQUEST_REFUSED` */
  async options(): Promise<JsonObject> {
    const response = await this.#send({ method: 'OPTIONS', requestUri: this.#config.participatingPsi });
    if (response.status >= 300) throw refusal('OPTIONS', response);
    return { status: response.status, allow: response.header('Allow') ?? '' };
  }

  dropConnection(): void {
    this.#access.drop();
  }

  /** The UE goes off and on: keys, tokens and the SIP session are gone, nobody was told. The USIM keeps its numbers. */
  async restart(): Promise<void> {
    this.protection = this.#config.protection ?? ALL_PROTECTED;
    this.#usim = new Usim(this.#config.usim, this.#usim.saveSequences());
    await this.#shutDown();
    for (const client of this.clients) client.emptyInbox();
    this.#ceks = this.#newKeyStore();
    this.#access = this.#newAccess();
    this.#registration = this.#newRegistration();
    this.#calls = this.#newCalls();
  }

  async stop(): Promise<void> {
    await this.#shutDown();
  }

  async #shutDown(): Promise<void> {
    this.#registration.stop();
    this.#calls.drop();
    await Promise.all(this.clients.map((client) => client.forget()));
    this.#ceks.close();
    this.#access.drop();
    await this.#access.close();
    // Taken first: another attach may come while this one ends.
    const attachment = this.#attachment;
    this.#attachment = undefined;
    await attachment?.close();
  }

  /** Registrations one after the other: two at once would answer each other's challenge. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#registering.then(run);
    this.#registering = turn.catch(() => undefined);
    return turn;
  }

  /** The SIP session has ended: what was bound to it is bound no more, and its keys end (LIFE-1). */
  #sessionEnded(sipSession: string): void {
    this.#calls.drop();
    this.#ceks.end({ sipSession }, 'deregistered');
    for (const client of this.clients) client.unbind();
  }

  /** The server tells the KMS too; the UE's word counts where the server cannot be reached. */
  async #tell(client: McpttClient, sipSession: string, reason: string): Promise<void> {
    try {
      await client.kms?.ended(sipSession, reason);
    } catch (error) {
      this.#ctx.log.info({ error: (error as Error).message }, 'the KMS could not be told that a CEK has ended');
    }
  }

  async #send(request: SipRequest): Promise<SipResponse> {
    if (!this.#access.connected && !this.#access.lost) await this.#reconnected();
    if (!this.#registration.registered) {
      throw new UeError('UE_NOT_REGISTERED', 'the UE is not registered; do register first (step 1)');
    }
    const route = request.route ?? this.#registration.serviceRoute;
    return this.#access.userAgent.request({ ...request, route });
  }

  /** The core closed the connection: the registration is coming back over a new one, or is brought back now. */
  async #reconnected(): Promise<void> {
    await this.#registration.settled();
    if (!this.#access.connected && this.#registration.state === 'registered') await this.refresh();
  }

  #publishContext(): PublishContext {
    return {
      psi: this.#config.participatingPsi,
      instanceId: this.#instanceId,
      sipSession: this.sipSession,
      ceks: this.#ceks,
      clientOf: this.clientOf,
      send: (request) => this.#send(request),
    };
  }

  #receiving(): ReceivingContext {
    return { clients: () => this.clients, ceks: () => this.#ceks, clock: this.#ctx.clock };
  }

  #newKeyStore(): CekKeyStore {
    const store = new CekKeyStore(this.#ctx.clock);
    store.onChange(({ state }) => {
      if (state !== 'retired') return;
      // Who has lost the key for good has no service any more, whether or not the server could say so.
      for (const client of this.clients) {
        const { loggedIn, clientId, unprotected } = client;
        if (loggedIn === undefined || unprotected) continue;
        if (!store.serves({ userUri: loggedIn.mcpttId, clientId, sipSession: this.sipSession })) client.unbind();
      }
    });
    return store;
  }

  #newAccess(): SipAccess {
    const { report, log, tls } = this.#ctx;
    return new SipAccess({
      impu: this.#usim.impus[0]!,
      coreUrl: () => this.#attachment?.sipCoreUrl ?? this.#peers['sip-core']?.wss,
      ca: tls.ca,
      report,
      log,
      onMessage: (request) => void receiveMessage(request, this.#receiving()),
      onInvite: (request) => void this.#calls.receive(request),
      onClosed: () => this.#registration.recover(),
    });
  }

  #newRegistration(): Registration {
    const { homeDomain, expires, autoRefresh } = this.#config;
    const access = this.#access;
    return new Registration({
      usim: this.#usim,
      access,
      instanceId: this.#instanceId,
      homeDomain,
      expires: expires ?? DEFAULT_EXPIRES,
      autoRefresh: autoRefresh ?? true,
      clock: this.#ctx.clock,
      log: this.#ctx.log,
      onEnded: (sipSession) => this.#sessionEnded(sipSession),
    });
  }

  #newCalls(): Calls {
    const context = () => ({
      ...this.#publishContext(),
      receiving: this.#receiving(),
      userAgent: this.#access.userAgent,
      contact: this.#access.contact,
      serviceRoute: this.#registration.serviceRoute,
    });
    return new Calls(context, this.#ctx.log);
  }
}

/** The `deviate` argument of a verb. */
export const deviationsOf = (args: JsonObject): readonly Deviation[] => parseDeviations(args.deviate);
