/**
 * One MCPTT user's dealings with the KMS on HTTP-1: key material (checked before anything is done with it), the CEK of a SIP
 * session, updates, ends, and the event stream by which the KMS changes keys of its own accord. CEKs go into the UE's key store.
 */
import type { Log, TlsIdentity } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import { recordingFetch } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import type { BodyProtection } from '../messages/body-protection.ts';
import { type Deviation, deviateFields } from '../messages/deviation.ts';
import { CEK_END_REASONS, type Cek, type CekEndReason, type CekNews } from '../messages/kms/cek.ts';
import { type HttpsClient, httpsClient } from '../messages/kms/https.ts';
import { KMS_PATHS } from '../messages/kms/namespaces.ts';
import type { KmsRequest } from '../messages/kms/request.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import type { EccsiVerifier } from '../security/ibc/eccsi-native.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import type { IdentitySigner } from '../security/ibc/signer.ts';
import { KmsClientError } from '../security/kms-client/errors.ts';
import { KmsExchange } from '../security/kms-client/exchange.ts';
import { IdentityMaterial } from '../security/kms-client/material.ts';
import type { Profile } from '../security/smime/profiles.ts';
import { deviateToken, type OtherTokens } from './jwt-deviation.ts';
import { KmsEvents, type KmsEventsState } from './kms-events.ts';
import type { KmsPort } from './ports.ts';

export interface UeKmsClientOptions {
  /** The KMS's `https` endpoint. */
  readonly baseUrl: string;
  readonly kmsUri: string;
  /** The user's MCPTT ID, as the IdM has authenticated it. */
  readonly mcpttId: string;
  /** The MCPTT client id, `urn:uuid:…`. */
  readonly clientId: string;
  /** The user's KMS access token. */
  readonly token: () => string;
  /** The same, renewed at the IdM when it has run out: the event stream outlives a token. Absent: as `token`. */
  readonly renewedToken?: () => Promise<string>;
  /** Other tokens, for requests that are wrong on purpose. */
  readonly otherTokens?: OtherTokens;
  readonly ceks: CekKeyStore;
  readonly engine: SakkeEngine;
  /** Shared by the users of a UE, so that a known sender is known to all of them. */
  readonly verifier?: EccsiVerifier;
  /** The form of protected bodies now; it may change with the provider's policy. */
  readonly profile: () => Profile;
  /** How bodies are protected in a profile with the user's key material. */
  readonly protection: (profile: Profile, material: IdentityMaterial, signer: () => IdentitySigner) => BodyProtection;
  readonly tls: Pick<TlsIdentity, 'ca'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
}

/** @see KmsPort in ports.ts */
export function createUeKmsClient(options: UeKmsClientOptions): UeKmsClient {
  return new UeKmsClient(options);
}

export class UeKmsClient implements KmsPort {
  readonly material: IdentityMaterial;
  readonly protection: BodyProtection;
  readonly outdated: BodyProtection;
  readonly #options: UeKmsClientOptions;
  readonly #https: HttpsClient;
  readonly #exchange: KmsExchange;
  #events: KmsEvents | undefined;
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(options: UeKmsClientOptions) {
    const { baseUrl, kmsUri, mcpttId: userUri, clientId, engine, verifier, tls, clock, report } = options;
    const now = (): number => clock.now();
    this.#options = options;
    this.#https = httpsClient({ ca: tls.ca });
    const fetch = recordingFetch(this.#https.fetch, report, { interface: 'HTTP-1', peer: 'kms' });
    this.#exchange = new KmsExchange({ baseUrl, kmsUri, userUri, clientId, fetch, now });
    this.material = new IdentityMaterial({
      engine,
      kmsUri,
      userUri,
      now,
      onDeviation: (deviation) =>
        options.log.warn({ deviation }, 'the KMS sent an I_MESSAGE that deviates from the specifications'),
      ...(verifier === undefined ? {} : { verifier }),
    });
    const inProfile = byProfile((profile) => options.protection(profile, this.material, () => this.material.signer()));
    this.protection = {
      protect: async (...body) => {
        await this.#keepMaterial();
        return inProfile(this.profile).protect(...body);
      },
      open: (...body) => inProfile(this.profile).open(...body),
    };
    const outdated = byProfile((profile) =>
      options.protection(profile, this.material, () => this.material.signer(this.material.periods[0])),
    );
    this.outdated = {
      protect: (...body) => outdated(this.profile).protect(...body),
      open: (...body) => outdated(this.profile).open(...body),
    };
  }

  get ready(): boolean {
    return this.material.periods.length > 0;
  }

  get profile(): Profile {
    return this.#options.profile();
  }

  /** What the event stream is doing; undefined before the first key was asked for. */
  get eventsState(): KmsEventsState | undefined {
    return this.#events?.state;
  }

  get deviations(): Readonly<Partial<Record<string, number>>> {
    return this.material.deviations;
  }

  async requestKey(
    sipSession: string,
    deviations: readonly Deviation[] = [],
  ): Promise<{ keyId: string | undefined; state?: Cek['state'] }> {
    if (this.material.periods.length === 0) await this.#init();
    const answer = await this.#exchange.ask({
      path: KMS_PATHS.keyProv,
      ...this.#authorization(deviations),
      cekRequests: [{ sipSession }],
      change: (request) => deviate(request, deviations),
    });
    if (answer.type !== 'key-prov') throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered without a KmsKeyProv');
    await this.material.takeKeySets(answer.keySets);
    const [cek] = answer.ceks;
    if (cek === undefined) return { keyId: undefined };
    if (cek.sipSession !== sipSession) throw new KmsClientError('KMS_BAD_ANSWER', 'the CEK is of another SIP session');
    await this.#take(cek);
    this.#events ??= this.#openEvents();
    if (this.#events.state === 'lost') this.#events.reconnect();
    return { keyId: cek.keyId, state: cek.state };
  }

  async askUpdate(sipSession: string, keyId: string): Promise<{ keyId: string }> {
    const messages = this.#options.ceks.list().find((held) => held.keyId === keyId)?.messages ?? 0;
    const answer = await this.#exchange.ask({
      path: KMS_PATHS.cekUpdate,
      token: this.#options.token(),
      cekRequests: [{ sipSession, keyId, messages }],
    });
    const cek = answer.type === 'key-prov' ? answer.ceks[0] : undefined;
    if (cek === undefined) throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered an update without a CEK');
    await this.#take(cek);
    return { keyId: cek.keyId };
  }

  async ended(sipSession: string, reason: string): Promise<void> {
    const known: CekEndReason = CEK_END_REASONS.find((candidate) => candidate === reason) ?? 'expired';
    await this.#exchange.ask({
      path: KMS_PATHS.cekEnd,
      token: this.#options.token(),
      cekEnds: [{ sipSession, userUri: this.#options.mcpttId, reason: known }],
    });
  }

  /** Resolves once the event stream is open, or cannot be. */
  async eventsSettled(): Promise<KmsEventsState | undefined> {
    return this.#events?.settled();
  }

  /** The connection of the event stream is lost; it comes back by itself. */
  dropEvents(): void {
    this.#events?.drop();
  }

  /** As after a lost connection. */
  reconnectEvents(): void {
    this.#events?.reconnect();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#events?.close();
    await this.material.close();
    await this.#https.close();
  }

  async #init(): Promise<void> {
    const answer = await this.#exchange.ask({ path: KMS_PATHS.init, token: this.#options.token() });
    if (answer.type !== 'init') throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered init without a KmsInit');
    await this.material.takeCertificate(answer.certificate);
  }

  /** A key period may have begun since key material was given: then the KMS is asked for that of the new one. */
  async #keepMaterial(): Promise<void> {
    if (this.material.periods.length === 0 || (await this.material.ready())) return;
    this.#refreshing ??= this.#fetchKeySets().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  async #fetchKeySets(): Promise<void> {
    const answer = await this.#exchange.ask({ path: KMS_PATHS.keyProv, token: this.#options.token() });
    if (answer.type !== 'key-prov') throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered without a KmsKeyProv');
    await this.material.takeKeySets(answer.keySets);
  }

  #authorization(deviations: readonly Deviation[]): { token?: string } {
    const { token, otherTokens = { kms: undefined, ofUser: () => undefined } } = this.#options;
    const sent = deviateToken(deviations, token(), otherTokens);
    // A token that has been removed altogether is not sent as an empty one.
    return sent === '' ? {} : { token: sent };
  }

  #openEvents(): KmsEvents {
    const { baseUrl, clientId, token, renewedToken = token, clock, log, report } = this.#options;
    const query = new URLSearchParams({ client: clientId }).toString();
    return new KmsEvents({
      url: `${baseUrl}${KMS_PATHS.cekEvents}?${query}`,
      fetch: this.#https.fetch,
      token: renewedToken,
      take: (news) => this.#takeNews(news),
      clock,
      log,
      report,
    });
  }

  async #takeNews(news: CekNews): Promise<void> {
    if ('cek' in news) await this.#take(news.cek);
    else if (news.end.keyId !== undefined) this.#options.ceks.end({ keyId: news.end.keyId }, news.end.reason);
  }

  async #take(cek: Cek): Promise<void> {
    const { mcpttId, clientId, ceks } = this.#options;
    if (cek.userUri !== mcpttId || cek.clientId !== clientId) {
      throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS sent a CEK of another user or client');
    }
    await this.#keepMaterial();
    const arrived = await this.material.open(cek);
    try {
      ceks.take(arrived);
    } finally {
      arrived.key.fill(0);
    }
  }
}

/** One protection for each profile, made when it is first used: each remembers the senders that it has verified. */
function byProfile(make: (profile: Profile) => BodyProtection): (profile: Profile) => BodyProtection {
  const made = new Map<Profile, BodyProtection>();
  return (profile) => {
    const one = made.get(profile) ?? make(profile);
    made.set(profile, one);
    return one;
  };
}

/** Fields of a KmsRequest that a deviation may name; `time` is an ISO date, `sipSession` that of the CekRequest. */
function deviate(request: KmsRequest, deviations: readonly Deviation[]): KmsRequest {
  const { time, cekRequests, clientId, ...rest } = request;
  const fields = deviateFields(deviations, 'kms-request', {
    ...rest,
    time: new Date(time).toISOString(),
    ...(clientId === undefined ? {} : { clientId }),
    ...(cekRequests[0] === undefined ? {} : { sipSession: cekRequests[0].sipSession }),
  });
  const { sipSession, ...changed } = fields as typeof fields & { sipSession?: string };
  return {
    ...changed,
    time: Date.parse(fields.time),
    cekRequests: sipSession === undefined ? [] : [{ sipSession }],
  };
}
