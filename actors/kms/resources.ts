/** What each resource of HTTP-1 answers (TS 33.180 clause D.1; docs/interfaces.md for those under `/keymanagement/cek`). */
import type { Clock } from '../../sim/engine/clock.ts';
import type { Cek } from '../messages/kms/cek.ts';
import type { KmsRequest } from '../messages/kms/request.ts';
import type { KmsMessage } from '../messages/kms/response.ts';
import { fromNtp } from '../security/ibc/mikey/timestamp.ts';
import type { Audit } from './audit.ts';
import type { Principal } from './authorize.ts';
import type { CekService } from './cek-service.ts';
import type { Receiver } from './compose.ts';
import type { IdentityKeys } from './identity-keys.ts';
import { type KmsPolicy, refusalByPolicy } from './policy.ts';
import { KmsRefusal } from './refusal.ts';
import type { CekRecord } from './store.ts';

export interface ResourceParts {
  readonly ceks: CekService;
  readonly keys: IdentityKeys;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly policy: () => KmsPolicy;
  /** A CEK as this receiver is to get it; undefined when it has ended meanwhile. */
  readonly compose: (record: CekRecord, receiver: Receiver) => Promise<Cek | undefined>;
}

/** The one version of this KMS's certificate: `certcache` has nothing newer for whoever holds it. */
const CACHE_NUMBER = 1;

export class Resources {
  readonly #parts: ResourceParts;

  constructor(parts: ResourceParts) {
    this.#parts = parts;
  }

  init(): KmsMessage {
    return { type: 'init', certificate: this.#parts.keys.certificate };
  }

  certCache(held: string | undefined): KmsMessage {
    if (held !== undefined && !/^\d{1,9}$/.test(held)) {
      throw new KmsRefusal('KMS_BAD_REQUEST', 'the cache number in the path is not a number');
    }
    const certificates = Number(held ?? 0) >= CACHE_NUMBER ? [] : [this.#parts.keys.certificate];
    return { type: 'cert-cache', cacheNum: CACHE_NUMBER, certificates };
  }

  /**
   * Key sets of the principal's identity for the current key period and the next, or for the one named; and the CEKs asked for.
   * @param time the path's NTP time, 16 hexadecimal digits
   */
  async keyProv(principal: Principal, request: KmsRequest, time?: string): Promise<KmsMessage> {
    this.#checkMayIssue(principal);
    const current = this.#parts.keys.periodAt();
    const periods = time === undefined ? [current, current + 1] : [this.#periodOf(time, current)];
    const { cekRequests, clientId } = request;
    if (cekRequests.length > 0 && principal.kind === 'server') {
      throw new KmsRefusal(
        'KMS_NOT_FOR_THIS_PARTY',
        'a CEK is made for a user; the MCPTT server asks at the resource sessions',
      );
    }
    if (cekRequests.length > 0 && clientId === undefined) {
      throw new KmsRefusal('KMS_BAD_REQUEST', 'a <CekRequest> needs the <ClientId> of the MCPTT client');
    }
    if (new Set(cekRequests.map(({ sipSession }) => sipSession)).size > 1) {
      throw new KmsRefusal('KMS_BAD_REQUEST', 'a client is on one SIP session at a time: name that in <CekRequest>');
    }
    const [keySets, ceks] = await Promise.all([
      Promise.all(periods.map((period) => this.#parts.keys.keySet(principal.uri, period))),
      Promise.all(cekRequests.map(({ sipSession }) => this.#obtain(principal, clientId ?? '', sipSession))),
    ]);
    this.#parts.audit.write('key-material-issued', { userUri: principal.uri, keyPeriods: periods });
    return { type: 'key-prov', keySets, ceks: ceks.filter((cek) => cek !== undefined) };
  }

  /** Decides about the update of each CEK that is named; the rule stands in policy.ts. */
  async update(principal: Principal, request: KmsRequest): Promise<KmsMessage> {
    this.#checkMayIssue(principal);
    if (request.cekRequests.length === 0) throw new KmsRefusal('KMS_BAD_REQUEST', 'an update needs a <CekRequest>');
    const asker =
      principal.kind === 'user' ? { kind: 'user' as const, userUri: principal.uri } : { kind: 'server' as const };
    const ceks: Cek[] = [];
    for (const cekRequest of request.cekRequests) {
      const { record } = await this.#parts.ceks.update({
        asker,
        ...cekRequest,
        ...clientOf(request),
      });
      ceks.push(await this.#given(record, principal));
    }
    return { type: 'key-prov', keySets: [], ceks };
  }

  /** Ends CEKs: a user its own, and of a SIP session those of the client that asks where it says which; the MCPTT server any. */
  async end(principal: Principal, request: KmsRequest): Promise<KmsMessage> {
    if (request.cekEnds.length === 0) throw new KmsRefusal('KMS_BAD_REQUEST', 'a <CekEnd> is needed here');
    const ended: string[] = [];
    for (const { reason, ...which } of request.cekEnds) {
      if (principal.kind === 'user') await this.#checkOwn(principal, which);
      const own = { userUri: principal.uri, ...(which.keyId === undefined ? clientOf(request) : {}) };
      const filter = principal.kind === 'user' ? { ...which, ...own } : which;
      const asker =
        principal.kind === 'user' ? { kind: 'user' as const, userUri: principal.uri } : { kind: 'server' as const };
      ended.push(...(await this.#parts.ceks.end(filter, reason, asker)));
    }
    return { type: 'cek-ack', keyIds: ended };
  }

  /** What a restarted MCPTT server needs to go on. */
  async sessions(principal: Principal, request: KmsRequest): Promise<KmsMessage> {
    if (principal.kind !== 'server') {
      throw new KmsRefusal('KMS_NOT_FOR_THIS_PARTY', 'the sessions are for MCPTT servers; a client asks at keyprov');
    }
    this.#parts.audit.check();
    const records = await this.#parts.ceks.sessions(request.cekRequests.map(({ sipSession }) => sipSession));
    const ceks = await Promise.all(records.map((record) => this.#parts.compose(record, principal)));
    return { type: 'key-prov', keySets: [], ceks: ceks.filter((cek) => cek !== undefined) };
  }

  /** Why policy allows this principal no key material; undefined when it may have it. */
  deniedByPolicy(principal: Principal): string | undefined {
    if (principal.kind !== 'user') return undefined;
    const who = { mcpttId: principal.uri, clientId: principal.oauthClientId ?? '' };
    return refusalByPolicy(this.#parts.policy(), who);
  }

  async #obtain(principal: Principal, clientId: string, sipSession: string): Promise<Cek | undefined> {
    const limit = this.#parts.policy().cek.endsWithToken ? principal.until : undefined;
    const record = await this.#parts.ceks.obtain({ userUri: principal.uri, clientId, sipSession }, limit);
    if (record === undefined) return undefined;
    // A user who was revoked meanwhile: the revocation may have come before there was anything to end.
    if (this.deniedByPolicy(principal) !== undefined) {
      await this.#parts.ceks.end({ keyId: record.keyId }, 'revoked', { kind: 'kms' });
    }
    this.#checkMayIssue(principal);
    return this.#given(record, principal);
  }

  /**
   * A CEK for whoever asked for it, acknowledged by the MCPTT server or `pending-ack` after the bound. An answer without one
   * would say that no protection is required.
   */
  async #given(record: CekRecord, receiver: Receiver): Promise<Cek> {
    const { ceks, policy, compose } = this.#parts;
    const settled = record.state === 'pending-ack' ? await ceks.settled(record, policy().pushWait) : record;
    const cek = await compose(settled, receiver);
    if (cek === undefined) throw new KmsRefusal('KMS_CONFLICT', 'the CEK ended while it was asked for: ask again');
    return cek;
  }

  async #checkOwn(principal: Principal, which: { keyId?: string; userUri?: string }): Promise<void> {
    const named = which.keyId === undefined ? undefined : (await this.#parts.ceks.list({ keyId: which.keyId }))[0];
    if (which.keyId !== undefined && named === undefined) {
      throw new KmsRefusal('KMS_UNKNOWN_CEK', `no CEK with Key ID ${which.keyId} was ever issued`);
    }
    const owner = named?.userUri ?? which.userUri ?? principal.uri;
    if (owner !== principal.uri) throw new KmsRefusal('KMS_OTHER_IDENTITY', "another user's CEK is not yours to end");
  }

  #checkMayIssue(principal: Principal): void {
    const why = this.deniedByPolicy(principal);
    if (why !== undefined) throw new KmsRefusal('KMS_DENIED_BY_POLICY', why);
    this.#parts.audit.check();
  }

  #periodOf(time: string, current: number): number {
    if (!/^[0-9a-fA-F]{16}$/.test(time)) {
      throw new KmsRefusal('KMS_BAD_REQUEST', 'the time in the path is not 16 hexadecimal digits of NTP-UTC');
    }
    const period = this.#parts.keys.periodAt(fromNtp(Buffer.from(time, 'hex')));
    if (period !== current && period !== current + 1) {
      throw new KmsRefusal(
        'KMS_NO_SUCH_KEY_PERIOD',
        'this KMS gives out key material for the current key period and the next',
      );
    }
    return period;
  }
}

const clientOf = ({ clientId }: KmsRequest): { clientId?: string } => (clientId === undefined ? {} : { clientId });
