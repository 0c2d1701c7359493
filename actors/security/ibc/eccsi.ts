import { createHash } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { invertSecret, randomBelow } from './bigint/field.ts';
import { IbcError } from './errors.ts';
import { concat, equal, expectLength, toInteger, toOctets } from './octets.ts';

/**
 * ECCSI (RFC 6507) with P-256, SHA-256 and N = 32 (RFC 6509 section 2.1.1): the portable path, to be read beside the RFC.
 * eccsi-native.ts does the same with node:crypto and is what the rest of the project uses; each is tested against the other.
 */

export const SSK_OCTETS = 32;
/** KPAK and PVT: 04 || x || y. */
export const ECCSI_POINT_OCTETS = 65;
/** r || s || PVT. */
export const SIGNATURE_OCTETS = 129;

/** The KMS's secret KSAK, 32 octets in 1..q-1, and public key KPAK = [KSAK]G, 65 octets (RFC 6507 section 4.2). */
export interface EccsiMaster {
  readonly ksak: Uint8Array;
  readonly kpak: Uint8Array;
}

/** A user's signing key: SSK, secret, and PVT, public (RFC 6507 section 5.1.1). */
export interface EccsiKey {
  /** 32 octets. */
  readonly ssk: Uint8Array;
  /** 65 octets. */
  readonly pvt: Uint8Array;
}

/** A point of P-256. */
export type Point = InstanceType<typeof p256.Point>;

/** The curve's group order, q of RFC 6507. */
export const ORDER = p256.Point.Fn.ORDER;
const FIELD_PRIME = p256.Point.Fp.ORDER;
const G = p256.Point.BASE;
const G_OCTETS = new Uint8Array(G.toBytes(false));

/** Draws a KMS master secret. Zero `ksak` when it is no longer needed. */
export function generateEccsiMaster(): EccsiMaster {
  const ksak = toOctets(randomBelow(ORDER), SSK_OCTETS);
  return { ksak, kpak: eccsiPublicKey(ksak) };
}

/** KPAK of a KSAK read from a store. `bad-scalar` unless it is in 1..q-1. */
export function eccsiPublicKey(ksak: Uint8Array): Uint8Array {
  return encode(G.multiply(inRange(toInteger(ksak), 'KSAK')));
}

/**
 * SSK and PVT for an identifier (RFC 6507 section 5.1.1): v fresh, PVT = [v]G, HS = hash(G || KPAK || ID || PVT),
 * SSK = (KSAK + HS v) mod q; another v when SSK or HS is 0.
 */
export function extractEccsiKey(
  master: EccsiMaster,
  id: Uint8Array,
  drawV: () => bigint = () => randomBelow(ORDER),
): EccsiKey {
  const ksak = inRange(toInteger(master.ksak), 'KSAK');
  for (;;) {
    const v = drawV();
    const pvt = encode(G.multiply(v));
    const HS = toInteger(hashHs(master.kpak, id, pvt)) % ORDER;
    const ssk = (ksak + HS * v) % ORDER;
    if (ssk !== 0n && HS !== 0n) return { ssk: toOctets(ssk, SSK_OCTETS), pvt };
  }
}

/**
 * The check a user must make on receipt (RFC 6507 section 5.1.2): PVT is on the curve and KPAK = [SSK]G - [HS]PVT.
 * False otherwise.
 */
export function validateEccsiKey(kpak: Uint8Array, id: Uint8Array, key: EccsiKey): boolean {
  const ssk = toInteger(key.ssk);
  const PVT = decode(key.pvt);
  if (key.ssk.length !== SSK_OCTETS || ssk === 0n || ssk >= ORDER || PVT === undefined) return false;
  const HS = toInteger(hashHs(kpak, id, key.pvt)) % ORDER;
  const expected = G.multiply(ssk).subtract(PVT.multiplyUnsafe(HS));
  return !expected.is0() && equal(encode(expected), kpak);
}

/**
 * Signs M (RFC 6507 section 5.2.1): J = [j]G, r = J_x, HE = hash(HS || r || M), s = (HE + r SSK)^-1 j mod q; another j when
 * HE + r SSK is 0. The signature is r || s || PVT, 129 octets.
 */
export function eccsiSign(
  kpak: Uint8Array,
  id: Uint8Array,
  key: EccsiKey,
  message: Uint8Array,
  drawJ: () => bigint = () => randomBelow(ORDER),
): Uint8Array {
  expectLength(key.ssk, SSK_OCTETS, 'the SSK');
  expectLength(key.pvt, ECCSI_POINT_OCTETS, 'the PVT');
  const HS = hashHs(kpak, id, key.pvt);
  for (;;) {
    const j = drawJ();
    const r = encode(G.multiply(j)).subarray(1, 33);
    const s = secondHalf(HS, r, message, key.ssk, j);
    if (s !== undefined) return concat(r, toOctets(s, SSK_OCTETS), key.pvt);
  }
}

/** s = (HE + r SSK)^-1 j mod q; undefined when there is no inverse. Shared by both paths. */
export function secondHalf(
  HS: Uint8Array,
  r: Uint8Array,
  message: Uint8Array,
  ssk: Uint8Array,
  j: bigint,
): bigint | undefined {
  const HE = toInteger(sha256(HS, r, message));
  const sum = (HE + toInteger(r) * toInteger(ssk)) % ORDER;
  return sum === 0n ? undefined : (invertSecret(sum, ORDER) * j) % ORDER;
}

/**
 * Verifies a signature of identifier ID over M (RFC 6507 section 5.2.2): PVT on the curve, Y = [HS]PVT + KPAK,
 * J = [s]([HE]G + [r]Y), J not O, J_x = r modulo p and not 0. False when any of it fails; nothing is thrown.
 */
export function eccsiVerify(kpak: Uint8Array, id: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_OCTETS) return false;
  const r = signature.subarray(0, 32);
  const s = toInteger(signature.subarray(32, 64));
  const pvt = signature.subarray(64);
  if (s === 0n || s >= ORDER) return false;
  const Y = verificationPoint(kpak, id, pvt);
  if (Y === undefined) return false;
  const HE = toInteger(sha256(hashHs(kpak, id, pvt), r, message)) % ORDER;
  const J = G.multiplyUnsafe(HE)
    .add(Y.multiplyUnsafe(toInteger(r) % ORDER))
    .multiplyUnsafe(s);
  return isAnswered(J, r);
}

/**
 * The last step of verification (RFC 6507 section 5.2.2): J is not O, J_x = r modulo p, and J_x is not 0. A function of its own
 * because nobody knows how to sign such that it is O or 0, and the test must.
 */
export function isAnswered(J: Point, r: Uint8Array): boolean {
  if (J.is0()) return false;
  const Jx = J.toAffine().x % FIELD_PRIME;
  return Jx !== 0n && Jx === toInteger(r) % FIELD_PRIME;
}

/** Y = [HS]PVT + KPAK; undefined when PVT or KPAK is not on the curve or Y is O. */
export function verificationPoint(kpak: Uint8Array, id: Uint8Array, pvt: Uint8Array): Point | undefined {
  const PVT = decode(pvt);
  const KPAK = decode(kpak);
  if (PVT === undefined || KPAK === undefined) return undefined;
  const HS = toInteger(hashHs(kpak, id, pvt)) % ORDER;
  const Y = PVT.multiplyUnsafe(HS).add(KPAK);
  return Y.is0() ? undefined : Y;
}

/** HS = hash(G || KPAK || ID || PVT), 32 octets (RFC 6507 section 5.1.1). */
export function hashHs(kpak: Uint8Array, id: Uint8Array, pvt: Uint8Array): Uint8Array {
  return sha256(G_OCTETS, kpak, id, pvt);
}

/** True when the 65 octets are 04 || x || y, a point of P-256 other than O. */
export function isEccsiPoint(octets: Uint8Array): boolean {
  return decode(octets) !== undefined;
}

/** The point of 04 || x || y; undefined unless it is on the curve and not O. */
export function decode(octets: Uint8Array): Point | undefined {
  if (octets.length !== ECCSI_POINT_OCTETS || octets[0] !== 4) return undefined;
  try {
    return p256.Point.fromBytes(octets);
  } catch {
    return undefined;
  }
}

function encode(point: Point): Uint8Array {
  return new Uint8Array(point.toBytes(false));
}

function inRange(scalar: bigint, what: string): bigint {
  if (scalar === 0n || scalar >= ORDER) {
    throw new IbcError('bad-scalar', `${what} must lie in 1..q-1; check the file of master secrets`);
  }
  return scalar;
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
