import { createECDH, createPublicKey, ECDH, type KeyObject, verify } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { invertModulo } from './bigint/field.ts';
import {
  decode,
  ECCSI_POINT_OCTETS,
  type EccsiKey,
  type EccsiMaster,
  eccsiVerify,
  hashHs,
  ORDER,
  type Point,
  SIGNATURE_OCTETS,
  SSK_OCTETS,
  secondHalf,
  verificationPoint,
} from './eccsi.ts';
import { concat, equal, expectLength, toHex, toInteger, toOctets, zero } from './octets.ts';

/**
 * ECCSI with node:crypto. With Y = [HS]PVT + KPAK and HE = SHA-256(HS || r || M), RFC 6507's J = [s]([HE]G + [r]Y) is what
 * ECDSA computes for public key Y, message HS || r || M and signature (r, s^-1): verification *is* a native ECDSA verification.
 * Signing is a native key generation for J = [j]G and one inverse modulo q. Validation of an SSK, KPAK = [SSK]G - [HS]PVT, is
 * [SSK]G = Y. Every secret multiplication is OpenSSL's.
 */

const CURVE = 'prime256v1';

/** SSK and PVT for an identifier, as {@link extractEccsiKey} of eccsi.ts. */
export function nativeExtractEccsiKey(master: EccsiMaster, id: Uint8Array): EccsiKey {
  expectLength(master.ksak, SSK_OCTETS, 'the KSAK');
  for (;;) {
    const token = createECDH(CURVE);
    const pvt = new Uint8Array(token.generateKeys());
    const v = token.getPrivateKey();
    const HS = toInteger(hashHs(master.kpak, id, pvt)) % ORDER;
    const ssk = (toInteger(master.ksak) + HS * toInteger(v)) % ORDER;
    zero(v); // RFC 6507 section 5.1.1: v is erased
    if (ssk !== 0n && HS !== 0n) return { ssk: toOctets(ssk, SSK_OCTETS), pvt };
  }
}

/** The check on receipt, as {@link validateEccsiKey} of eccsi.ts. */
export function nativeValidateEccsiKey(kpak: Uint8Array, id: Uint8Array, key: EccsiKey): boolean {
  const ssk = toInteger(key.ssk);
  if (key.ssk.length !== SSK_OCTETS || ssk === 0n || ssk >= ORDER) return false;
  const Y = nativeVerificationPoint(kpak, id, key.pvt);
  return Y !== undefined && equal(publicOf(key.ssk), Y.toBytes(false));
}

/** Signs as {@link eccsiSign} of eccsi.ts does; 129 octets. */
export function nativeEccsiSign(kpak: Uint8Array, id: Uint8Array, key: EccsiKey, message: Uint8Array): Uint8Array {
  return signWithHs(hashHs(kpak, id, key.pvt), key, message);
}

/** The part of signing after HS, which a signer computes once for its key. */
export function signWithHs(HS: Uint8Array, key: EccsiKey, message: Uint8Array): Uint8Array {
  expectLength(key.ssk, SSK_OCTETS, 'the SSK');
  expectLength(key.pvt, ECCSI_POINT_OCTETS, 'the PVT');
  for (;;) {
    const ephemeral = createECDH(CURVE);
    const r = new Uint8Array(ephemeral.generateKeys().subarray(1, 33));
    const jOctets = ephemeral.getPrivateKey();
    const s = secondHalf(HS, r, message, key.ssk, toInteger(jOctets));
    zero(jOctets);
    if (s !== undefined) return concat(r, toOctets(s, SSK_OCTETS), key.pvt);
  }
}

/**
 * Verifies signatures and remembers Y by KPAK, identifier and PVT, least recently used dropped first: a known sender in the
 * same key period costs one native ECDSA verification. Everything it holds is public.
 */
export class EccsiVerifier {
  readonly #capacity: number;
  readonly #known = new Map<string, KeyObject>();

  /** `capacity`: how many senders are remembered, about 1 kB each. */
  constructor(capacity = 4096) {
    this.#capacity = capacity;
  }

  /** As {@link eccsiVerify} of eccsi.ts: true or false, nothing thrown. */
  verify(kpak: Uint8Array, id: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== SIGNATURE_OCTETS) return false;
    const r = signature.subarray(0, 32);
    const s = toInteger(signature.subarray(32, 64));
    if (s === 0n || s >= ORDER) return false;
    // ECDSA compares J_x modulo q and RFC 6507 modulo p: in the 1 case in 2^32 where that could differ, the reference decides.
    const rInteger = toInteger(r);
    if (rInteger >= ORDER || rInteger < P_MINUS_Q) return eccsiVerify(kpak, id, message, signature);
    const pvt = signature.slice(64);
    const HS = hashHs(kpak, id, pvt); // it binds KPAK, ID and PVT, so it names the sender
    const Y = this.#known.get(toHex(HS)) ?? verificationKey(kpak, id, pvt);
    if (Y === undefined) return false;
    const ecdsa = concat(r, toOctets(invertModulo(s, ORDER), 32));
    const valid = verify('sha256', concat(HS, r, message), { key: Y, dsaEncoding: 'ieee-p1363' }, ecdsa);
    if (valid) this.#remember(toHex(HS), Y);
    return valid;
  }

  /** How many senders are remembered at the moment. */
  get size(): number {
    return this.#known.size;
  }

  /** Only senders that have signed: forged tokens must not push others out. */
  #remember(name: string, Y: KeyObject): void {
    this.#known.delete(name);
    this.#known.set(name, Y);
    if (this.#known.size > this.#capacity) this.#known.delete(this.#known.keys().next().value!);
  }
}

/**
 * Y = [HS]PVT + KPAK, as {@link verificationPoint} of eccsi.ts. OpenSSL's Diffie-Hellman gives x of Q = [HS]PVT; of the two
 * points with that x, Q is the one for which Q + PVT has the x of [HS + 1]PVT.
 */
export function nativeVerificationPoint(kpak: Uint8Array, id: Uint8Array, pvt: Uint8Array): Point | undefined {
  const PVT = decode(pvt);
  const KPAK = decode(kpak);
  if (PVT === undefined || KPAK === undefined) return undefined;
  const HS = toInteger(hashHs(kpak, id, pvt)) % ORDER;
  // Where a sum below would be O or a doubling, the reference decides; no one finds such an HS.
  if (HS < 2n || HS > ORDER - 2n) return verificationPoint(kpak, id, pvt);
  const x = multiplyForX(HS, pvt);
  const Q = decode(ECDH.convertKey(concat(EVEN_Y, x), CURVE, undefined, undefined, 'uncompressed') as Uint8Array)!;
  const next = toInteger(multiplyForX(HS + 1n, pvt));
  const rightSign = sumHasX(Q, PVT, next) ? Q : Q.negate();
  const Y = rightSign.add(KPAK);
  return Y.is0() ? undefined : Y;
}

/** x of [k]point. */
function multiplyForX(k: bigint, point: Uint8Array): Uint8Array {
  const ecdh = createECDH(CURVE);
  ecdh.setPrivateKey(toOctets(k, 32));
  return ecdh.computeSecret(point);
}

/** Whether a + b has this x, checked without a division: x = ((b_y - a_y) / (b_x - a_x))^2 - a_x - b_x. */
function sumHasX(a: Point, b: Point, x: bigint): boolean {
  const Fp = p256.Point.Fp;
  const run = Fp.sub(b.x, a.x);
  const rise = Fp.sub(b.y, a.y);
  return Fp.eql(Fp.mul(Fp.add(x, Fp.add(a.x, b.x)), Fp.sqr(run)), Fp.sqr(rise));
}

/** [k]G for a secret k. */
function publicOf(k: Uint8Array): Uint8Array {
  const ecdh = createECDH(CURVE);
  ecdh.setPrivateKey(k);
  return ecdh.getPublicKey();
}

const EVEN_Y = Uint8Array.of(2);

/** SubjectPublicKeyInfo of a P-256 point up to the point itself (RFC 5480). */
const SPKI_P256 = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** Y as OpenSSL wants it; undefined when there is none. */
function verificationKey(kpak: Uint8Array, id: Uint8Array, pvt: Uint8Array): KeyObject | undefined {
  const Y = nativeVerificationPoint(kpak, id, pvt);
  if (Y === undefined) return undefined;
  return createPublicKey({ key: Buffer.concat([SPKI_P256, Y.toBytes(false)]), format: 'der', type: 'spki' });
}

const P256_P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const P_MINUS_Q = P256_P - ORDER;
