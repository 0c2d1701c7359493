/**
 * Sequence numbers as TS 33.102 annex C.1.1.1 builds them: SQN = SEQ || IND, SEQ of 43 bits and IND of 5. Forty-eight bits
 * fit a JavaScript number exactly, so SEQ and SQN are numbers here and octets only on the way in and out.
 */
import { requireOctets } from '../milenage.ts';

export interface SequenceNumber {
  /** Counts the vectors, 0 to 2^43 - 1. */
  readonly seq: number;
  /** Which entry of the USIM's array this number is checked against, 0 to 31. */
  readonly ind: number;
}

/** The length a of the USIM's array: five bits of IND. */
export const IND_VALUES = 32;

const SEQ_VALUES = 2 ** 43;

/** @param octets SQN, 6 octets, big-endian */
export function readSqn(octets: Uint8Array): SequenceNumber {
  requireOctets('SQN', octets, 6);
  const sqn = Buffer.from(octets).readUIntBE(0, 6);
  return { seq: Math.floor(sqn / IND_VALUES), ind: sqn % IND_VALUES };
}

/** @returns SQN, 6 octets, big-endian */
export function writeSqn({ seq, ind }: SequenceNumber): Uint8Array {
  if (!Number.isInteger(seq) || seq < 0 || seq >= SEQ_VALUES) throw new RangeError('SEQ must fit 43 bits');
  if (!Number.isInteger(ind) || ind < 0 || ind >= IND_VALUES) throw new RangeError('IND must fit 5 bits');
  const octets = Buffer.alloc(6);
  octets.writeUIntBE(seq * IND_VALUES + ind, 0, 6);
  return octets;
}
