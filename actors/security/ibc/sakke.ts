import { createHash, randomBytes } from 'node:crypto';
import { FIELD_OCTETS, type KmsTable, type PairingTable, POINT_OCTETS, type SakkeArithmetic } from './arithmetic.ts';
import { invertSecret, randomBelow } from './bigint/field.ts';
import { IbcError } from './errors.ts';
import { concat, equal, expectLength, toInteger, toOctets, xor, zero } from './octets.ts';
import { SAKKE_G, SAKKE_Q, SED_OCTETS, SSV_OCTETS } from './parameters.ts';

/**
 * SAKKE (RFC 6508) with parameter set 1 (RFC 6509 appendix A): n = 128, SHA-256. Identifiers are octet strings of any length
 * but 0, `bad-identity` otherwise; TS 33.180 F.2.1 makes them 32 octets (uid.ts). Hashes take all of their octets, the curve
 * their value modulo q.
 */

/** The KMS's secret and public key: z_T in 2..q-1, 128 octets, and Z_T = [z_T]P, 257 octets (RFC 6508 section 2.3.1). */
export interface SakkeMaster {
  readonly zT: Uint8Array;
  readonly ZT: Uint8Array;
}

/** Draws a KMS master secret. Zero `zT` when it is no longer needed. */
export function generateSakkeMaster(arithmetic: SakkeArithmetic): SakkeMaster {
  const zT = toOctets(randomBelow(SAKKE_Q - 1n) + 1n, 128);
  return { zT, ZT: arithmetic.mulBase(zT) };
}

/** Z_T for a master secret read from a store. `bad-scalar` unless z_T is in 2..q-1. */
export function sakkePublicKey(arithmetic: SakkeArithmetic, zT: Uint8Array): Uint8Array {
  const z = toInteger(zT);
  if (z < 2n || z >= SAKKE_Q)
    throw new IbcError('bad-scalar', 'z_T must lie in 2..q-1; check the file of master secrets');
  return arithmetic.mulBase(zT);
}

/**
 * The Receiver Secret Key [(a + z_T)^-1]P of identifier a, 257 octets (RFC 6508 section 6.1.1). `bad-scalar` when
 * a + z_T = 0 modulo q: no key exists for that identifier under this master secret.
 */
export function extractRsk(arithmetic: SakkeArithmetic, zT: Uint8Array, id: Uint8Array): Uint8Array {
  const sum = (toInteger(identifier(id)) + toInteger(zT)) % SAKKE_Q;
  if (sum === 0n) throw new IbcError('bad-scalar', 'no RSK exists for this identifier under this master secret');
  const k = toOctets(invertSecret(sum, SAKKE_Q), 128);
  try {
    return arithmetic.mulBase(k);
  } finally {
    zero(k);
  }
}

/**
 * The check a receiver must make before it uses an RSK: <[a]P + Z_T, RSK> = g (RFC 6508 section 6.1.2). The RSK's own table,
 * when it exists already, makes it cheaper. False when the RSK is no point of order q or not this identifier's.
 */
export function validateRsk(
  arithmetic: SakkeArithmetic,
  kms: KmsTable,
  id: Uint8Array,
  rsk: Uint8Array | PairingTable,
): boolean {
  const a = identifier(id);
  try {
    const K = arithmetic.encapsulationPoint(kms, a, ONE);
    const w = rsk instanceof Uint8Array ? arithmetic.pair(rsk, K) : arithmetic.pairPrepared(rsk, K);
    return equal(w, G);
  } catch (error) {
    if (error instanceof IbcError && (error.code === 'bad-point' || error.code === 'point-at-infinity')) return false;
    throw error;
  }
}

/**
 * Seals an SSV (16 octets) to identifier b: the SAKKE encapsulated data 04 || Rx || Ry || H, 273 octets (RFC 6508 section
 * 6.2.1). The SSV stays the caller's to zero.
 */
export function encapsulate(arithmetic: SakkeArithmetic, kms: KmsTable, b: Uint8Array, ssv: Uint8Array): Uint8Array {
  expectLength(ssv, SSV_OCTETS, 'the SSV');
  const r = randomizer(ssv, b);
  const gr = arithmetic.gPow(r);
  const hidden = mask(gr);
  try {
    return concat(arithmetic.encapsulationPoint(kms, identifier(b), r), xor(ssv, hidden));
  } finally {
    zero(r, gr, hidden);
  }
}

/** A fresh SSV: 16 random octets. */
export function generateSsv(): Uint8Array {
  return new Uint8Array(randomBytes(SSV_OCTETS));
}

/** How the sender hashed w: in full as RFC 6508 says, or without its leading zero octets as some vendors do. */
export type MaskForm = 'rfc6508' | 'stripped';

export interface Decapsulated {
  /** 16 octets; zero it when done. */
  readonly ssv: Uint8Array;
  /** `stripped` is a sender that breaks RFC 6508 section 4: the caller counts and reports it. */
  readonly maskForm: MaskForm;
}

/**
 * Opens SAKKE encapsulated data with the receiver's table (RFC 6508 section 6.2.2). `bad-length`; `bad-point` when R is not
 * on the curve; `sakke-test-failed` when [r]([b]P + Z_T) is not R: then the data was not sealed to this identifier under
 * this KMS, or was changed, and no SSV comes out.
 *
 * RFC 6508 section 4 fixes w at 128 octets, yet widespread implementations hash it without leading zero octets. Where w has
 * some, a failed TEST is tried once more in their form, and the answer says so.
 */
export function decapsulate(
  arithmetic: SakkeArithmetic,
  kms: KmsTable,
  b: Uint8Array,
  rsk: PairingTable,
  sed: Uint8Array,
): Decapsulated {
  expectLength(sed, SED_OCTETS, 'the SAKKE encapsulated data');
  const R = sed.slice(0, POINT_OCTETS);
  const H = sed.subarray(POINT_OCTETS);
  const w = arithmetic.pairPrepared(rsk, R);
  try {
    const ssv = tryMask(arithmetic, kms, b, R, H, w);
    if (ssv !== undefined) return { ssv, maskForm: 'rfc6508' };
    const stripped = w.subarray(w.findIndex((octet) => octet !== 0));
    if (stripped.length < w.length) {
      const second = tryMask(arithmetic, kms, b, R, H, stripped);
      if (second !== undefined) return { ssv: second, maskForm: 'stripped' };
    }
  } finally {
    zero(w);
  }
  throw new IbcError(
    'sakke-test-failed',
    'RFC 6508 section 6.2.2 TEST failed: sealed to another identity, key period or KMS, or changed on the way',
  );
}

/** SSV = H xor HashToIntegerRange(w, 2^n); undefined when TEST shows that it is not what the sender sealed. */
function tryMask(
  arithmetic: SakkeArithmetic,
  kms: KmsTable,
  b: Uint8Array,
  R: Uint8Array,
  H: Uint8Array,
  w: Uint8Array,
): Uint8Array | undefined {
  const hidden = mask(w);
  const ssv = xor(H, hidden);
  const r = randomizer(ssv, b);
  let passed = false;
  try {
    passed = equal(arithmetic.encapsulationPoint(kms, identifier(b), r), R);
  } finally {
    zero(hidden, r);
    if (!passed) zero(ssv);
  }
  return passed ? ssv : undefined;
}

/** r = HashToIntegerRange(SSV || b, q). */
function randomizer(ssv: Uint8Array, b: Uint8Array): Uint8Array {
  const seed = concat(ssv, b);
  try {
    return toOctets(hashToIntegerRange(seed, SAKKE_Q), 128);
  } finally {
    zero(seed);
  }
}

/** HashToIntegerRange(w, 2^n). */
function mask(w: Uint8Array): Uint8Array {
  return toOctets(hashToIntegerRange(w, 1n << BigInt(8 * SSV_OCTETS)), SSV_OCTETS);
}

/** RFC 6508 section 5.1 with SHA-256. */
export function hashToIntegerRange(s: Uint8Array, n: bigint): bigint {
  const A = sha256(s);
  let h: Uint8Array = new Uint8Array(A.length);
  const parts: Uint8Array[] = [];
  const blocks = Math.ceil((n - 1n).toString(2).length / (8 * A.length)); // Ceil(lg(n) / hashlen)
  for (let block = 0; block < blocks; block++) {
    h = sha256(h);
    parts.push(sha256(h, A));
  }
  const v = concat(...parts);
  try {
    return toInteger(v) % n;
  } finally {
    zero(A, v, ...parts);
  }
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The identifier as a scalar that the arithmetic takes: at most 128 octets, the same value modulo q. */
function identifier(id: Uint8Array): Uint8Array {
  if (id.length === 0) throw new IbcError('bad-identity', 'an identifier has at least one octet');
  return id.length <= FIELD_OCTETS ? id : toOctets(toInteger(id) % SAKKE_Q, FIELD_OCTETS);
}

const ONE = Uint8Array.of(1);
const G = toOctets(SAKKE_G, 128);
