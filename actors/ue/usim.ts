/**
 * The UE's USIM and ISIM: holds K, answers challenges of both domains, keeps the sequence numbers it has accepted
 * (TS 31.102 7.1.2, TS 33.102 6.3.3). K never leaves it.
 */

import { SequenceArray } from '../security/aka/sequence-array.ts';
import { answerChallenge, type UsimAnswer } from '../security/aka/vector.ts';
import { type Milenage, milenage } from '../security/milenage.ts';

/** What the card is personalised with; a subset of the subscriber record, as JSON. */
export interface UsimCard {
  readonly imsi: string;
  readonly impi: string;
  /** The first is the one the UE registers. */
  readonly impus: readonly string[];
  /** K, 16 octets in hex. */
  readonly k: string;
  /** OPc, 16 octets in hex. */
  readonly opc: string;
}

export class Usim {
  readonly imsi: string;
  readonly impi: string;
  readonly impus: readonly string[];
  readonly #functions: Milenage;
  readonly #sequences: SequenceArray;

  /** @param sequences what {@link saveSequences} gave, when the UE starts again with the same card */
  constructor(card: UsimCard, sequences?: readonly number[]) {
    this.imsi = card.imsi;
    this.impi = card.impi;
    this.impus = card.impus;
    this.#functions = milenage(Buffer.from(card.k, 'hex'), Buffer.from(card.opc, 'hex'));
    this.#sequences = new SequenceArray(sequences);
  }

  /**
   * AUTHENTICATE: RES, CK and IK; or that the network's MAC is wrong; or AUTS.
   *
   * @param rand 16 octets
   * @param autn 16 octets
   * @throws RangeError when either has another length
   */
  authenticate(rand: Uint8Array, autn: Uint8Array): UsimAnswer {
    return answerChallenge(this.#functions, this.#sequences, rand, autn);
  }

  /** The highest SEQ accepted for each IND: what the card would keep without power. */
  saveSequences(): number[] {
    return this.#sequences.save();
  }
}
