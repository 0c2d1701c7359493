/**
 * The life of every CEK at the KMS (pCR 7.x.2, 7.x.3): made, pushed, acknowledged, updated, superseded, ended. States and
 * transitions are those of security/cek/issued-state.ts; each is one atomic change of the store together with what must be
 * told because of it, so that a KMS that is killed anywhere goes on where it was.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import type { CekEndReason } from '../messages/kms/cek.ts';
import { type IssuedCekState, nextIssuedState } from '../security/cek/issued-state.ts';
import { randomKeyId } from '../security/cek/key-id.ts';
import { CEK_OCTETS } from '../security/cek/key-store.ts';
import type { Audit } from './audit.ts';
import { DueTimer } from './due-timer.ts';
import { KeyedLock } from './keyed-lock.ts';
import type { KmsPolicy } from './policy.ts';
import { KmsRefusal } from './refusal.ts';
import type { CekChange, CekFilter, CekRecord, CekSlot, Effects, KmsStore, QueuedPush } from './store.ts';

export interface CekServiceParts {
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly policy: () => KmsPolicy;
  readonly audit: Audit;
  readonly log: Log;
  /** Called when pushes have been queued. */
  readonly onPush: () => void;
  /** Called when there are new events for a user. */
  readonly onEvents: (userUri: string) => void;
  /** Source of keys and Key IDs: `crypto.randomBytes` but in tests of collisions. */
  readonly random?: (octets: number) => Uint8Array;
}

/** Who wants something of a CEK. */
export type Asker = { readonly kind: 'user'; readonly userUri: string } | { readonly kind: 'server' };

export interface UpdateRequest {
  readonly asker: Asker;
  /** The Key ID held; needed of the server, for a user its slot is enough. */
  readonly keyId?: string;
  readonly clientId?: string;
  readonly sipSession: string;
  /** Messages that the asker has counted under the CEK it holds. */
  readonly messages?: number;
}

const LIVING: readonly IssuedCekState[] = ['pending-ack', 'active', 'superseded'];
const SERVING: readonly IssuedCekState[] = ['pending-ack', 'active'];
/** A Key ID is taken with probability (issued ever) / 2^28: this many in a row means that the source is broken. */
const KEY_ID_ATTEMPTS = 64;

export class CekService {
  readonly #parts: CekServiceParts;
  readonly #random: (octets: number) => Uint8Array;
  readonly #locks = new KeyedLock();
  readonly #settling = new Map<string, Set<() => void>>();
  readonly #due: DueTimer;
  #stopped = false;

  constructor(parts: CekServiceParts) {
    this.#parts = parts;
    this.#random = parts.random ?? randomBytes;
    this.#due = new DueTimer({
      clock: parts.clock,
      log: parts.log,
      work: () => this.#sweep(),
      failure: 'the lifetimes of CEKs could not be looked after',
    });
  }

  /** Takes up where an earlier run left off: what fell due meanwhile happens now. */
  async start(): Promise<void> {
    await this.#sweep();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const waiting of this.#settling.values()) for (const done of [...waiting]) done();
    await this.#due.stop();
  }

  /** Lifetimes or ages have changed with the policy. */
  policyChanged(): void {
    this.#due.by(this.#parts.clock.now());
  }

  /**
   * The CEK of a slot: the one there is, or a new one. A client that comes with another SIP session has started over: what it
   * had before ends.
   * @param limit the moment at which the CEK must end at the latest, milliseconds since 1970
   * @returns undefined when policy requires no protection
   */
  async obtain(slot: CekSlot, limit = Number.POSITIVE_INFINITY): Promise<CekRecord | undefined> {
    if (!this.#parts.policy().protectionRequired) return undefined;
    const record = await this.#locks.run(slotName(slot), async () => {
      const existing = await this.#serving(slot);
      if (existing === undefined) return this.#issue(slot, undefined, limit);
      this.#audit('cek-given-again', existing);
      return existing;
    });
    // For one that is given again too: a KMS that was killed after the issue had not come to this.
    await this.#endBefore(record);
    return record;
  }

  /**
   * Decides about an update by the rule in policy.ts. The answer goes to the asker; the other end is told the same.
   * @throws KmsRefusal `KMS_UNKNOWN_CEK`, `KMS_OTHER_IDENTITY`, `KMS_CONFLICT`, `KMS_BAD_REQUEST`
   */
  async update(request: UpdateRequest): Promise<{ record: CekRecord; decision: 'same' | 'new' }> {
    const slot = await this.#slotOf(request);
    return this.#locks.run(slotName(slot), async () => {
      const current = await this.#serving(slot);
      if (current === undefined) {
        throw new KmsRefusal('KMS_CONFLICT', 'the CEK of this SIP session has ended: ask for a new one with keyprov');
      }
      const holdsCurrent = request.keyId === undefined || request.keyId === current.keyId;
      const counted = holdsCurrent ? await this.#count(current, request.messages ?? 0) : current;
      const decision = this.#renewalDue(counted, holdsCurrent) ? 'new' : 'same';
      const record = decision === 'new' ? await this.#issue(slot, counted) : counted;
      if (decision === 'same') await this.#tellOtherEnd(record, request.asker);
      this.#audit('update-decided', record, { decision, by: request.asker.kind });
      return { record, decision };
    });
  }

  /**
   * New CEKs for those that match and are active; none where policy requires no protection.
   * @returns the Key IDs that are to be superseded
   */
  async rotate(filter: CekFilter, by: string): Promise<string[]> {
    const rotated: string[] = [];
    if (!this.#parts.policy().protectionRequired) return rotated;
    for (const found of await this.#parts.store.ceks({ ...filter, states: ['active'] })) {
      await this.#locks.run(slotName(found), async () => {
        const current = await this.#serving(found);
        if (current?.keyId !== found.keyId || current.state !== 'active') return;
        await this.#issue(found, current, undefined, by);
        rotated.push(found.keyId);
      });
    }
    return rotated;
  }

  /**
   * Ends those that match and live, and those that take their place meanwhile.
   * @returns the Key IDs that ended by it
   */
  async end(filter: CekFilter, reason: CekEndReason, by: Asker | { kind: 'operator' | 'kms' }): Promise<string[]> {
    const ended: string[] = [];
    for (;;) {
      const before = ended.length;
      for (const found of await this.#parts.store.ceks({ ...filter, states: LIVING })) {
        const done = await this.#locks.run(slotName(found), async () => {
          const record = await this.#parts.store.cek(found.keyId);
          return record !== undefined && (await this.#end(record, reason, by.kind));
        });
        if (done) ended.push(found.keyId);
      }
      // Whoever was making a successor had the lock, so that one is there by now and is found the next time.
      if (ended.length === before) return ended;
    }
  }

  /** What the MCPTT server needs to go on with these SIP sessions, or with all when none is named. */
  async sessions(sipSessions: readonly string[]): Promise<CekRecord[]> {
    const { store } = this.#parts;
    const filters: CekFilter[] = sipSessions.length === 0 ? [{}] : sipSessions.map((sipSession) => ({ sipSession }));
    const found = await Promise.all(filters.map((filter) => store.ceks({ ...filter, states: LIVING })));
    for (const record of found.flat()) this.#audit('cek-given-again', record, { by: 'server' });
    return found.flat();
  }

  list(filter: CekFilter = {}): Promise<CekRecord[]> {
    return this.#parts.store.ceks(filter);
  }

  /** The MCPTT server has acknowledged a push: the CEK serves from now on, and the one before it runs out. */
  async delivered(push: QueuedPush): Promise<void> {
    const { store } = this.#parts;
    const found = push.what === 'cek' ? await store.cek(push.keyId) : undefined;
    if (found === undefined) {
      await store.change([], { pushed: [push.id] });
      return;
    }
    await this.#locks.run(slotName(found), async () => {
      const record = (await store.cek(push.keyId)) ?? found;
      if (record.state === 'pending-ack') await this.#activate(record, push.id);
      else await store.change([], { pushed: [push.id] });
    });
  }

  /** The record once it is no longer `pending-ack`, or as it is after `boundMs`. */
  async settled(record: CekRecord, boundMs: number): Promise<CekRecord> {
    const { store, clock } = this.#parts;
    const waiting = this.#settling.get(record.keyId) ?? new Set();
    this.#settling.set(record.keyId, waiting);
    let wake = (): void => undefined;
    const told = new Promise<void>((resolve) => {
      wake = resolve;
    });
    waiting.add(wake);
    const timer = clock.setTimer(boundMs, wake);
    try {
      const now = await store.cek(record.keyId);
      if (now?.state === 'pending-ack' && !this.#stopped) await told;
      return (await store.cek(record.keyId)) ?? record;
    } finally {
      timer.cancel();
      waiting.delete(wake);
      if (waiting.size === 0) this.#settling.delete(record.keyId);
    }
  }

  /** Ends what the same client had on other SIP sessions before this CEK was made. */
  async #endBefore(record: CekRecord): Promise<void> {
    const { userUri, clientId, sipSession, keyId } = record;
    const living = await this.#parts.store.ceks({ userUri, clientId, states: LIVING });
    const older = living.slice(
      0,
      Math.max(
        0,
        living.findIndex((found) => found.keyId === keyId),
      ),
    );
    for (const old of older) {
      if (old.sipSession !== sipSession) await this.end({ keyId: old.keyId }, 'superseded', { kind: 'kms' });
    }
  }

  /** The newest CEK that serves the slot: one under way before the active one. */
  async #serving(slot: CekSlot): Promise<CekRecord | undefined> {
    const { userUri, clientId, sipSession } = slot;
    return (await this.#parts.store.ceks({ userUri, clientId, sipSession, states: SERVING })).at(-1);
  }

  async #issue(slot: CekSlot, before?: CekRecord, limit = Number.POSITIVE_INFINITY, by?: string): Promise<CekRecord> {
    const { store, clock, policy } = this.#parts;
    const notBefore = Math.max(clock.now(), (before?.notBefore ?? 0) + 1);
    // A successor inherits the bound of a CEK that was to end with its token.
    const bound = policy().cek.endsWithToken && before !== undefined ? before.notAfter : limit;
    const cek = this.#random(CEK_OCTETS);
    try {
      for (let attempt = 0; attempt < KEY_ID_ATTEMPTS; attempt += 1) {
        const record: CekRecord = {
          keyId: randomKeyId(this.#random),
          userUri: slot.userUri,
          clientId: slot.clientId,
          sipSession: slot.sipSession,
          state: 'pending-ack',
          notBefore,
          notAfter: Math.min(notBefore + policy().cek.lifetime, bound),
          messages: 0,
          ...(before === undefined ? {} : { supersedes: before.keyId }),
        };
        const outcome = await store.insertCek(record, cek, { pushes: [{ keyId: record.keyId, what: 'cek' }] });
        if (outcome === 'key-id-taken') continue;
        // Another replica was faster: its CEK is the answer.
        if (outcome === 'slot-taken') return (await this.#serving(slot)) ?? record;
        this.#audit('cek-issued', record, by === undefined ? {} : { by });
        this.#due.by(record.notAfter);
        this.#parts.onPush();
        return record;
      }
    } finally {
      cek.fill(0);
    }
    throw new KmsRefusal('KMS_UNAVAILABLE', 'no free Key ID was found', 60);
  }

  async #activate(record: CekRecord, pushId: number): Promise<void> {
    const { clock, policy } = this.#parts;
    const { userUri, clientId, sipSession, keyId } = record;
    const changes: CekChange[] = [];
    for (const old of await this.#parts.store.ceks({ userUri, clientId, sipSession, states: ['active'] })) {
      const notAfter = Math.min(old.notAfter, clock.now() + policy().cek.overlap);
      changes.push({ ...transition(old, 'superseded'), notAfter });
      this.#due.by(notAfter);
    }
    changes.push(transition(record, 'acknowledged'));
    const events = [{ keyId, userUri, clientId, what: 'cek' as const }];
    if (!(await this.#change(changes, { events, pushed: [pushId] }, userUri))) return;
    for (const change of changes) {
      this.#audit(change.to === 'active' ? 'cek-active' : 'cek-superseded', { ...record, keyId: change.keyId });
    }
    this.#settle(keyId);
    this.#due.by(record.notBefore + policy().cek.rotateAfter);
  }

  async #end(record: CekRecord, reason: CekEndReason, by?: string): Promise<boolean> {
    if (record.state === 'ended') return false;
    const { keyId, userUri, clientId } = record;
    const change = { ...transition(record, 'ended'), endReason: reason, notAfter: this.#parts.clock.now() };
    // At the end of an overlap both ends have dropped the key by themselves; but a client that was away has not heard of it. A
    // server that says what has ended may yet be pushed a key that it has not acknowledged.
    const overlapOver = record.state === 'superseded' && reason === 'superseded';
    const serverKnows = overlapOver || (by === 'server' && record.state !== 'pending-ack');
    const effects: Effects = {
      pushes: serverKnows ? [] : [{ keyId, what: 'end' }],
      events: [{ keyId, userUri, clientId, what: 'end' }],
    };
    if (!(await this.#change([change], effects, userUri))) return false;
    this.#audit('cek-ended', record, { reason, ...(by === undefined ? {} : { by }) });
    this.#settle(keyId);
    return true;
  }

  /** Rule 3 of policy.ts; rules 1 and 2 are that it is not asked otherwise. */
  #renewalDue(current: CekRecord, holdsCurrent: boolean): boolean {
    const { protectionRequired, cek } = this.#parts.policy();
    const { renewAfter, renewAfterMessages, rotateAfterMessages } = cek;
    // POL-1: without protection no CEK is made; one from before serves on until it ends.
    if (!protectionRequired || !holdsCurrent || current.state === 'pending-ack') return false;
    const age = this.#parts.clock.now() - current.notBefore;
    return age >= renewAfter || current.messages >= Math.min(renewAfterMessages, rotateAfterMessages);
  }

  async #count(record: CekRecord, messages: number): Promise<CekRecord> {
    if (messages <= record.messages) return record;
    await this.#parts.store.change([{ keyId: record.keyId, from: record.state, to: record.state, messages }], {});
    return { ...record, messages };
  }

  async #tellOtherEnd(record: CekRecord, asker: Asker): Promise<void> {
    const { keyId, userUri, clientId } = record;
    // A CEK under way is being pushed already, and its event follows from the acknowledgement.
    if (record.state === 'pending-ack') return;
    if (asker.kind === 'server')
      await this.#change([], { events: [{ keyId, userUri, clientId, what: 'cek' }] }, userUri);
    else await this.#change([], { pushes: [{ keyId, what: 'cek' }] }, userUri);
  }

  async #slotOf(request: UpdateRequest): Promise<CekSlot> {
    const { asker, keyId, clientId, sipSession } = request;
    if (keyId === undefined) {
      if (asker.kind === 'server') {
        throw new KmsRefusal('KMS_BAD_REQUEST', 'the MCPTT server names the Key ID it wants updated in <CekRequest>');
      }
      if (clientId === undefined) throw new KmsRefusal('KMS_BAD_REQUEST', '<ClientId> is needed to find the CEK');
      return { userUri: asker.userUri, clientId, sipSession };
    }
    const record = await this.#parts.store.cek(keyId);
    if (record === undefined) throw new KmsRefusal('KMS_UNKNOWN_CEK', `no CEK with Key ID ${keyId} was ever issued`);
    if (asker.kind === 'user' && record.userUri !== asker.userUri) {
      throw new KmsRefusal('KMS_OTHER_IDENTITY', `the CEK with Key ID ${keyId} is another user's`);
    }
    if (record.sipSession !== sipSession) {
      throw new KmsRefusal('KMS_CONFLICT', `the CEK with Key ID ${keyId} belongs to another SIP session`);
    }
    return record;
  }

  /** A change, and those who wait for what it queued told of it. */
  async #change(changes: readonly CekChange[], effects: Effects, userUri: string): Promise<boolean> {
    const done = await this.#parts.store.change(changes, effects);
    if (done && (effects.pushes?.length ?? 0) > 0) this.#parts.onPush();
    if (done && (effects.events?.length ?? 0) > 0) this.#parts.onEvents(userUri);
    return done;
  }

  #settle(keyId: string): void {
    for (const done of [...(this.#settling.get(keyId) ?? [])]) done();
  }

  /** Lifetimes and overlaps that are over, CEKs that have served long enough; then the timer for the next of these. */
  async #sweep(): Promise<void> {
    if (this.#stopped) return;
    const { store, clock, policy } = this.#parts;
    const now = clock.now();
    for (const found of await store.ceks({ states: LIVING, endingBy: now })) {
      await this.#locks.run(slotName(found), async () => {
        const record = await store.cek(found.keyId);
        if (record === undefined || record.notAfter > now) return;
        await this.#end(record, record.state === 'superseded' ? 'superseded' : 'expired');
      });
    }
    for (const old of await store.ceks({ states: ['active'], begunBy: now - policy().cek.rotateAfter })) {
      await this.rotate({ keyId: old.keyId }, 'age');
    }
    // Whoever was away for longer has dropped what ended before that, by its NotAfter.
    await store.prune({ time: now - policy().cek.lifetime });
    const due = await store.nextDue();
    if (due.notAfter !== undefined) this.#due.by(due.notAfter);
    if (due.activeSince !== undefined && policy().protectionRequired)
      this.#due.by(due.activeSince + policy().cek.rotateAfter);
  }

  #audit(event: Parameters<Audit['write']>[0], record: CekRecord, more: Record<string, string> = {}): void {
    const { keyId, userUri, clientId, sipSession } = record;
    this.#parts.audit.write(event, { keyId, userUri, clientId, sipSession, ...more });
  }
}

const slotName = (slot: CekSlot): string => JSON.stringify([slot.userUri, slot.clientId, slot.sipSession]);

const transition = (record: CekRecord, event: 'acknowledged' | 'superseded' | 'ended'): CekChange => ({
  keyId: record.keyId,
  from: record.state,
  to: nextIssuedState(record.state, event, record.keyId),
});
