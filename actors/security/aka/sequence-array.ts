/**
 * The USIM's side of sequence number management: an array of the highest SEQ accepted for each IND
 * (TS 33.102 C.2.1 and C.2.2, profile 2 of C.3.2). One array serves EPS AKA and IMS AKA, because one USIM does; the two
 * domains use different IND values and so never make each other's vectors stale.
 */
import { IND_VALUES, readSqn, type SequenceNumber, writeSqn } from './sqn.ts';

/** Largest jump of SEQ that is accepted, against wrap-around by an attacker (TS 33.102 C.2.1; C.3.2 gives 2^28). */
export const DELTA = 2 ** 28;

export class SequenceArray {
  readonly #highest: number[];

  /** @param saved an earlier {@link save}; absent: a USIM that has never authenticated a network */
  constructor(saved: readonly number[] = []) {
    this.#highest = Array.from({ length: IND_VALUES }, (_, ind) => saved[ind] ?? 0);
  }

  /**
   * Takes `sqn` (6 octets) if it is in the correct range: newer than the last of its IND, and no further ahead of the
   * highest SEQ of all than {@link DELTA}.
   *
   * @returns whether it was accepted; only then is it remembered
   */
  accept(sqn: Uint8Array): boolean {
    const { seq, ind } = readSqn(sqn);
    if (seq <= this.#highest[ind]! || seq - this.#highestOfAll().seq > DELTA) return false;
    this.#highest[ind] = seq;
    return true;
  }

  /** SQN_MS, the highest number accepted so far, 6 octets: what AUTS carries (TS 33.102 6.3.3, C.2.1). */
  get sqnMs(): Uint8Array {
    return writeSqn(this.#highestOfAll());
  }

  /** The array as plain JSON. */
  save(): number[] {
    return [...this.#highest];
  }

  #highestOfAll(): SequenceNumber {
    const seq = Math.max(...this.#highest);
    return { seq, ind: this.#highest.indexOf(seq) };
  }
}
