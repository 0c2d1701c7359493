/**
 * The authentication centre: makes vectors with ever newer SQN, and takes up the USIM's SQN after a synchronisation
 * failure (TS 33.102 6.3.2, 6.3.5, annex C).
 */
import { type Deviation, deviateOctets } from '../../messages/deviation.ts';
import { milenage } from '../milenage.ts';
import type { AucStore } from './auc-store.ts';
import { DELTA } from './sequence-array.ts';
import { IND_VALUES, readSqn, type SequenceNumber, writeSqn } from './sqn.ts';
import { type AuthenticationVector, generateVector, openAuts } from './vector.ts';

/** What the AuC knows of a subscriber; hex fields as the fixtures hold them. */
export interface AucKeys {
  /** K, 16 octets in hex. */
  readonly k: string;
  /** OPc, 16 octets in hex. */
  readonly opc: string;
  /** AMF, 2 octets in hex. */
  readonly amf: string;
  /** The SQN to count on from when the store holds none, 6 octets in hex. */
  readonly sqn: string;
}

export type AucErrorCode = 'AUC_UNKNOWN_SUBSCRIBER';

export class AucError extends Error {
  readonly code: AucErrorCode;

  constructor(code: AucErrorCode, message: string) {
    super(message);
    this.name = 'AucError';
    this.code = code;
  }
}

/**
 * Which half of the IND values an AuC uses. Access network and SIP core ask for vectors independently of each other; with
 * halves of their own neither makes the other's outstanding vectors stale (TS 33.102 C.1.1.2, C.3.4).
 */
export type IndParity = 'even' | 'odd';

export interface AucOptions {
  /** Finds a subscriber by the identity that vectors are asked for (IMSI or IMPI). */
  readonly keysOf: (identity: string) => AucKeys | undefined;
  readonly store: AucStore;
  readonly indParity: IndParity;
}

const octets = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

export class Auc {
  readonly #options: AucOptions;
  readonly #deviations = new Map<string, readonly Deviation[]>();

  constructor(options: AucOptions) {
    this.#options = options;
  }

  /** A fresh vector. @throws AucError AUC_UNKNOWN_SUBSCRIBER */
  async vector(identity: string): Promise<AuthenticationVector> {
    const keys = this.#keysOf(identity);
    const number = await this.#options.store.update(identity, (stored = readSqn(octets(keys.sqn))) => ({
      seq: stored.seq + 1,
      ind: this.#nextInd(stored.ind),
    }));
    const vector = generateVector(milenage(octets(keys.k), octets(keys.opc)), writeSqn(number), octets(keys.amf));
    return { ...vector, autn: deviateOctets(this.#deviations.get(identity) ?? [], 'autn', vector.autn) };
  }

  /** From now on a subscriber's vectors have these deviations at `autn`, for scenarios about false networks. */
  deviate(identity: string, deviations: readonly Deviation[]): void {
    this.#keysOf(identity);
    this.#deviations.set(identity, deviations);
  }

  /** Vectors are given out as they are again. */
  endDeviations(): void {
    this.#deviations.clear();
  }

  /**
   * Takes up SQN_MS if `auts` is genuine and SQN_HE is really out of range (TS 33.102 6.3.5 steps 2 to 4).
   *
   * @param rand the RAND of the challenge that was answered, 16 octets
   * @param auts 14 octets
   * @returns false when `auts` was not made by this subscriber's USIM for this RAND
   * @throws AucError AUC_UNKNOWN_SUBSCRIBER
   */
  async resynchronise(identity: string, rand: Uint8Array, auts: Uint8Array): Promise<boolean> {
    const keys = this.#keysOf(identity);
    const sqnMs = openAuts(milenage(octets(keys.k), octets(keys.opc)), rand, auts);
    if (sqnMs === undefined) return false;
    const { seq } = readSqn(sqnMs);
    await this.#options.store.update(identity, (stored = readSqn(octets(keys.sqn))) => {
      const nextIsAccepted = stored.seq >= seq && stored.seq + 1 - seq <= DELTA;
      return nextIsAccepted ? stored : { ...stored, seq };
    });
    return true;
  }

  /**
   * Sets the counter by hand, as an operator would.
   *
   * @param sqn 6 octets; the next vector is one SEQ newer
   * @throws AucError AUC_UNKNOWN_SUBSCRIBER
   */
  async setSqn(identity: string, sqn: Uint8Array): Promise<void> {
    this.#keysOf(identity);
    const number: SequenceNumber = readSqn(sqn);
    await this.#options.store.update(identity, () => number);
  }

  #keysOf(identity: string): AucKeys {
    const keys = this.#options.keysOf(identity);
    if (keys === undefined) {
      throw new AucError('AUC_UNKNOWN_SUBSCRIBER', `The AuC has no subscriber ${identity}; add it to the subscribers.`);
    }
    return keys;
  }

  /** IND goes round within its half, so that a few vectors may be used out of order (TS 33.102 C.1.1.2). */
  #nextInd(ind: number): number {
    const first = this.#options.indParity === 'even' ? 0 : 1;
    return ((ind - (ind % 2) + 2) % IND_VALUES) + first;
  }
}
