/**
 * Authentication vectors and tokens, both sides (TS 33.102 6.3): the AuC builds AUTN and opens AUTS, the USIM opens AUTN
 * and builds AUTS.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type Milenage, requireOctets, xor } from '../milenage.ts';
import type { SequenceArray } from './sequence-array.ts';

/** What the AuC gives for one authentication (TS 33.102 6.3.2). */
export interface AuthenticationVector {
  /** 16 octets. */
  readonly rand: Uint8Array;
  /** 8 octets. */
  readonly xres: Uint8Array;
  /** 16 octets. */
  readonly ck: Uint8Array;
  /** 16 octets. */
  readonly ik: Uint8Array;
  /** (SQN xor AK) || AMF || MAC-A, 16 octets; its first six octets also go into K_ASME. */
  readonly autn: Uint8Array;
}

/** The USIM's answer to RAND and AUTN (TS 33.102 6.3.3). */
export type UsimAnswer =
  | { readonly outcome: 'success'; readonly res: Uint8Array; readonly ck: Uint8Array; readonly ik: Uint8Array }
  /** MAC-A is not what K gives: the network does not know this subscriber. */
  | { readonly outcome: 'mac-failure' }
  /** The network is genuine but its SQN is not in the correct range. `auts`: 14 octets. */
  | { readonly outcome: 'synch-failure'; readonly auts: Uint8Array };

/** TS 33.102 6.3.3: MAC-S is made over an AMF of zeros, so that it need not be sent. */
const AMF_RESYNCH = new Uint8Array(2);

const sameOctets = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/**
 * @param sqn 6 octets
 * @param amf 2 octets
 * @param rand 16 octets; fresh random ones unless a test wants a published vector
 */
export function generateVector(
  functions: Milenage,
  sqn: Uint8Array,
  amf: Uint8Array,
  rand: Uint8Array = randomBytes(16),
): AuthenticationVector {
  const { res, ck, ik, ak } = functions.f2345(rand);
  const autn = Buffer.concat([xor(sqn, ak), amf, functions.f1({ rand, sqn, amf })]);
  return { rand, xres: res, ck, ik, autn };
}

/**
 * The USIM's side: checks MAC-A first, then SQN against `sequences`, as TS 33.102 6.3.3 orders it.
 *
 * @param rand 16 octets
 * @param autn 16 octets
 */
export function answerChallenge(
  functions: Milenage,
  sequences: SequenceArray,
  rand: Uint8Array,
  autn: Uint8Array,
): UsimAnswer {
  requireOctets('AUTN', autn, 16);
  const { res, ck, ik, ak } = functions.f2345(rand);
  const sqn = xor(autn.subarray(0, 6), ak);
  const amf = autn.subarray(6, 8);
  if (!sameOctets(functions.f1({ rand, sqn, amf }), autn.subarray(8))) return { outcome: 'mac-failure' };
  if (!sequences.accept(sqn)) {
    return { outcome: 'synch-failure', auts: makeAuts(functions, sequences.sqnMs, rand) };
  }
  return { outcome: 'success', res, ck, ik };
}

/**
 * AUTS = (SQN_MS xor AK*) || MAC-S, 14 octets (TS 33.102 6.3.3).
 *
 * @param sqnMs 6 octets
 * @param rand the RAND of the challenge that is out of range, 16 octets
 */
export function makeAuts(functions: Milenage, sqnMs: Uint8Array, rand: Uint8Array): Uint8Array {
  const macS = functions.f1star({ rand, sqn: sqnMs, amf: AMF_RESYNCH });
  return Buffer.concat([xor(sqnMs, functions.f5star(rand)), macS]);
}

/**
 * The AuC's side of AUTS (TS 33.102 6.3.5).
 *
 * @param rand the RAND that was challenged with, 16 octets
 * @param auts 14 octets
 * @returns SQN_MS, 6 octets, or undefined when MAC-S shows that no USIM with this K made it for this RAND
 */
export function openAuts(functions: Milenage, rand: Uint8Array, auts: Uint8Array): Uint8Array | undefined {
  if (auts.length !== 14) return undefined;
  const sqnMs = xor(auts.subarray(0, 6), functions.f5star(rand));
  const macS = functions.f1star({ rand, sqn: sqnMs, amf: AMF_RESYNCH });
  return sameOctets(macS, auts.subarray(6)) ? sqnMs : undefined;
}
