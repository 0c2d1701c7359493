/**
 * The CEKs that one endpoint holds. One key of a user and SIP session seals; the one before it opens for a bounded overlap;
 * Key IDs of keys that ended are remembered, so that "retired" and "unknown" are told apart. Keys are zeroed when dropped.
 */

import { cekFingerprint } from '../fingerprint.ts';
import { CekError } from './errors.ts';
import { type HeldCekEvent, type HeldCekState, nextHeldState } from './held-state.ts';
import { keyIdOctets } from './key-id.ts';

/** CEK-1 of the requirements: 256 bits. */
export const CEK_OCTETS = 32;

/** As many Key IDs of ended keys are remembered, the oldest dropped first. */
const REMEMBERED = 10_000;

/** What the store needs of a clock: wall time in milliseconds, and a timer that can be cancelled. */
export interface CekClock {
  now(): number;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
}

/** A CEK as it arrived and was opened. Times are milliseconds since 1970. */
export interface ArrivedCek {
  readonly keyId: string;
  /** 32 octets; the store makes its own copy. */
  readonly key: Uint8Array;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly state: 'active' | 'pending-ack';
  readonly supersedes?: { readonly keyId: string; readonly notAfter: number };
}

/** What a holder is told of a key; the octets belong to the store and are zeroed when it drops the key: do not keep them. */
export interface UsableCek {
  readonly keyId: string;
  readonly key: Uint8Array;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly state: HeldCekState;
}

/** A held key without its octets, JSON-safe. */
export interface HeldCekView {
  readonly keyId: string;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly state: HeldCekState;
  readonly cekFingerprint: string;
  readonly notAfter: number;
  readonly messages: number;
}

/** Whose key: a user's SIP session, and client where one user has several. */
export interface CekSlot {
  readonly userUri: string;
  readonly sipSession: string;
  readonly clientId?: string;
}

/** Which keys end: by Key ID, or all of a SIP session, or those of one user of it. */
export interface EndedCeks {
  readonly keyId?: string;
  readonly userUri?: string;
  readonly clientId?: string;
  readonly sipSession?: string;
}

interface Held {
  readonly keyId: string;
  readonly key: Uint8Array;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly notBefore: number;
  supersedes: ArrivedCek['supersedes'];
  state: HeldCekState;
  notAfter: number;
  messages: number;
  timer?: { cancel(): void };
}

export type CekChangeListener = (change: { keyId: string; state: HeldCekState; reason?: string }) => void;

export class CekKeyStore {
  readonly #clock: CekClock;
  readonly #held = new Map<string, Held>();
  readonly #retired = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<CekChangeListener>();

  constructor(clock: CekClock) {
    this.#clock = clock;
  }

  /**
   * Takes a CEK that has been opened. Repeating it changes nothing; `active` confirms one taken as `pending-ack`. The
   * current key of the same user, client and SIP session then only opens, until the end of the overlap.
   * @returns `retired` for a key that has already ended here: it is not taken up again
   * @throws CekError `CEK_BAD_KEY_ID`, `CEK_WEAK`, `CEK_REPEATED`
   */
  take(cek: ArrivedCek): 'taken' | 'held' | 'retired' {
    keyIdOctets(cek.keyId);
    if (cek.key.length !== CEK_OCTETS || isWeak(cek.key)) {
      throw new CekError('CEK_WEAK', `the key under Key ID ${cek.keyId} is not a 256-bit key`);
    }
    if (this.#retired.has(cek.keyId)) return 'retired';
    const held = this.#held.get(cek.keyId);
    if (held === undefined) this.#refuseRepeated(cek);
    else if (!Buffer.from(held.key).equals(cek.key)) {
      throw new CekError('CEK_REPEATED', `Key ID ${cek.keyId} arrived with another key than before`);
    }
    const entry = held ?? this.#add(cek);
    entry.notAfter = entry.state === 'overlap' ? Math.min(entry.notAfter, cek.notAfter) : cek.notAfter;
    entry.supersedes = cek.supersedes ?? entry.supersedes;
    this.#arm(entry);
    if (cek.state === 'active' && entry.state === 'pending-ack') this.#becomeCurrent(entry, cek);
    return held === undefined ? 'taken' : 'held';
  }

  /**
   * Ends keys and zeroes them. A Key ID that is named is remembered as retired where it is not held too: its key may be on the
   * way, by another connection.
   * @returns the Key IDs that ended by it, none when nothing matched
   */
  end(which: EndedCeks, reason: string): string[] {
    const ended = [...this.#held.values()].filter(
      (held) =>
        (which.keyId === undefined || held.keyId === which.keyId) &&
        (which.userUri === undefined || held.userUri === which.userUri) &&
        (which.clientId === undefined || held.clientId === which.clientId) &&
        (which.sipSession === undefined || held.sipSession === which.sipSession),
    );
    for (const held of ended) this.#retire(held, reason);
    if (which.keyId !== undefined && !this.#retired.has(which.keyId)) this.#remember(which.keyId, reason);
    return ended.map((held) => held.keyId);
  }

  /**
   * The key to seal with for a user's SIP session (and client, where one user has several).
   * @throws CekError `CEK_NONE`, `CEK_PENDING`
   */
  sealing(whose: CekSlot): UsableCek {
    const mine = this.#of(whose);
    const current = mine.find((held) => held.state === 'current');
    if (current !== undefined) return this.#use(current);
    if (mine.some((held) => held.state === 'pending-ack')) {
      throw new CekError(
        'CEK_PENDING',
        'the MCPTT server has not acknowledged the CEK yet: wait for the KMS to say so',
      );
    }
    throw new CekError('CEK_NONE', 'there is no CEK for this user and SIP session: ask the KMS for one');
  }

  /**
   * The key that a Key ID names.
   * @throws CekError `CEK_UNKNOWN`, `CEK_RETIRED`
   */
  opening(keyId: string): UsableCek {
    const held = this.#held.get(keyId);
    if (held !== undefined && this.#alive(held)) return this.#use(held);
    const reason = this.#retired.get(keyId);
    if (reason !== undefined) {
      throw new CekError('CEK_RETIRED', `the CEK with Key ID ${keyId} has ended: ${reason}`, keyId);
    }
    throw new CekError('CEK_UNKNOWN', `no CEK with Key ID ${keyId} was ever held here`, keyId);
  }

  /**
   * As {@link opening}, but waits up to `boundMs` for a key that is still unknown: during a change one end holds the new
   * key a moment before the other, and a message sealed with it must not be lost for that.
   */
  async awaitOpening(keyId: string, boundMs: number): Promise<UsableCek> {
    await this.#until(() => this.#held.has(keyId) || this.#retired.has(keyId), boundMs);
    return this.opening(keyId);
  }

  /**
   * Whether another key than `keyId` seals now, or will within `boundMs`: what was refused because its key had just been
   * retired can then be sealed anew. False at once when there is no key at all.
   */
  async awaitSuccessor(keyId: string, whose: CekSlot, boundMs: number): Promise<boolean> {
    const sealing = (): string | undefined => this.#of(whose).find((held) => held.state === 'current')?.keyId;
    await this.#until(() => sealing() !== keyId, boundMs);
    const next = sealing();
    return next !== undefined && next !== keyId;
  }

  /** Whether a key seals for this user and SIP session, or will once the MCPTT server has acknowledged it. */
  serves(whose: CekSlot): boolean {
    return this.#of(whose).some(({ state }) => state !== 'overlap');
  }

  /** Keys held, none of their octets. */
  list(): HeldCekView[] {
    return [...this.#held.values()]
      .filter((held) => this.#alive(held))
      .map((held) => ({
        keyId: held.keyId,
        userUri: held.userUri,
        clientId: held.clientId,
        sipSession: held.sipSession,
        state: held.state,
        cekFingerprint: cekFingerprint(held.key),
        notAfter: held.notAfter,
        messages: held.messages,
      }));
  }

  /** Calls `listener` at each change of a key's state; returns the function that ends it. */
  onChange(listener: CekChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Zeroes and forgets everything, Key IDs too. */
  close(): void {
    for (const held of this.#held.values()) {
      held.timer?.cancel();
      held.key.fill(0);
    }
    this.#held.clear();
    this.#retired.clear();
    for (const done of [...this.#waiting]) done();
    this.#listeners.clear();
  }

  #of(whose: CekSlot): Held[] {
    return [...this.#held.values()].filter(
      (held) =>
        this.#alive(held) &&
        held.userUri === whose.userUri &&
        held.sipSession === whose.sipSession &&
        (whose.clientId === undefined || held.clientId === whose.clientId),
    );
  }

  /** Resolves when `holds`, looked at after each change, or when the bound is over or the store closed. */
  async #until(holds: () => boolean, boundMs: number): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        stop();
        this.#waiting.delete(done);
        resolve();
      };
      const stop = this.onChange(() => {
        if (holds()) done();
      });
      const timer = this.#clock.setTimer(boundMs, done);
      this.#waiting.add(done);
    });
  }

  #refuseRepeated(cek: ArrivedCek): void {
    for (const held of this.#held.values()) {
      if (Buffer.from(held.key).equals(cek.key)) {
        throw new CekError('CEK_REPEATED', `Key ID ${cek.keyId} arrived with the key of Key ID ${held.keyId}`);
      }
    }
  }

  #add(cek: ArrivedCek): Held {
    const entry: Held = {
      keyId: cek.keyId,
      key: Uint8Array.from(cek.key),
      userUri: cek.userUri,
      clientId: cek.clientId,
      sipSession: cek.sipSession,
      notBefore: cek.notBefore,
      supersedes: cek.supersedes,
      state: 'pending-ack',
      notAfter: cek.notAfter,
      messages: 0,
    };
    this.#held.set(cek.keyId, entry);
    if (cek.state === 'pending-ack') this.#tell(entry);
    return entry;
  }

  #becomeCurrent(entry: Held, cek: ArrivedCek): void {
    this.#change(entry, 'confirmed');
    for (const other of this.#held.values()) {
      const sameSlot =
        other.userUri === entry.userUri && other.clientId === entry.clientId && other.sipSession === entry.sipSession;
      if (other === entry || !sameSlot || other.state !== 'current') continue;
      if (other.notBefore > entry.notBefore || other.supersedes?.keyId === entry.keyId) {
        // An older key that arrives late only opens, until the end of the overlap that its successor came with.
        this.#supersede(entry, other.supersedes?.notAfter ?? entry.notAfter);
        return;
      }
      // A key that was superseded while this end was away goes the same way as the one that is named.
      this.#supersede(other, cek.supersedes?.notAfter ?? this.#clock.now());
    }
  }

  #supersede(entry: Held, overlapEnd: number): void {
    entry.notAfter = Math.min(entry.notAfter, overlapEnd);
    this.#arm(entry);
    this.#change(entry, 'superseded');
  }

  #change(entry: Held, event: HeldCekEvent, reason?: string): void {
    entry.state = nextHeldState(entry.state, event, entry.keyId);
    this.#tell(entry, reason);
  }

  #tell(entry: Held, reason?: string): void {
    const change = { keyId: entry.keyId, state: entry.state, ...(reason === undefined ? {} : { reason }) };
    for (const listener of [...this.#listeners]) listener(change);
  }

  #arm(entry: Held): void {
    entry.timer?.cancel();
    entry.timer = this.#clock.setTimer(Math.max(0, entry.notAfter - this.#clock.now()), () => this.#expire(entry));
  }

  #expire(entry: Held): void {
    if (entry.state !== 'retired') this.#retire(entry, entry.state === 'overlap' ? 'superseded' : 'expired');
  }

  /** Looked at on every use, so that a late timer never lets an ended key work. */
  #alive(entry: Held): boolean {
    if (this.#clock.now() >= entry.notAfter) this.#expire(entry);
    return entry.state !== 'retired';
  }

  #retire(entry: Held, reason: string): void {
    entry.timer?.cancel();
    entry.key.fill(0);
    this.#held.delete(entry.keyId);
    this.#remember(entry.keyId, reason);
    this.#change(entry, 'ended', reason);
  }

  #remember(keyId: string, reason: string): void {
    this.#retired.set(keyId, reason);
    if (this.#retired.size > REMEMBERED) this.#retired.delete(this.#retired.keys().next().value!);
  }

  #use(entry: Held): UsableCek {
    entry.messages += 1;
    return {
      keyId: entry.keyId,
      key: entry.key,
      userUri: entry.userUri,
      clientId: entry.clientId,
      sipSession: entry.sipSession,
      state: entry.state,
    };
  }
}

/** A random key has as many equal octets in a row, or two equal halves, less often than once in 2^50. */
const EQUAL_IN_A_ROW = 8;

/** Whether 256 bits are plainly fewer: a shorter key filled up, or written twice. */
function isWeak(key: Uint8Array): boolean {
  const half = key.length / 2;
  if (Buffer.compare(key.subarray(0, half), key.subarray(half)) === 0) return true;
  let row = 0;
  return key.some((octet, i) => {
    row = octet === key[i - 1] ? row + 1 : 1;
    return row >= EQUAL_IN_A_ROW;
  });
}
