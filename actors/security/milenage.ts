/**
 * MILENAGE, the 3GPP authentication and key generation functions f1, f1*, f2, f3, f4, f5 and f5* (TS 35.205, TS 35.206).
 * The block cipher is AES-128 from node:crypto; everything here takes and gives octets.
 */
import { createCipheriv } from 'node:crypto';

/** What f1 and f1* take beside the keys (TS 33.102 6.3.2). */
export interface MacInput {
  /** Random challenge, 16 octets. */
  readonly rand: Uint8Array;
  /** Sequence number, 6 octets. */
  readonly sqn: Uint8Array;
  /** Authentication management field, 2 octets. */
  readonly amf: Uint8Array;
}

/** The output of f2, f3, f4 and f5 for one RAND. */
export interface MilenageKeys {
  /** f2: expected response, 8 octets. */
  readonly res: Uint8Array;
  /** f3: confidentiality key, 16 octets. */
  readonly ck: Uint8Array;
  /** f4: integrity key, 16 octets. */
  readonly ik: Uint8Array;
  /** f5: anonymity key, 6 octets. */
  readonly ak: Uint8Array;
}

/** One subscriber's MILENAGE instance. */
export interface Milenage {
  /** Network authentication code MAC-A, 8 octets. */
  f1(input: MacInput): Uint8Array;
  /** Resynchronisation authentication code MAC-S, 8 octets. */
  f1star(input: MacInput): Uint8Array;
  /** RES, CK, IK and AK for a 16-octet `rand`. */
  f2345(rand: Uint8Array): MilenageKeys;
  /** Anonymity key for resynchronisation, 6 octets. */
  f5star(rand: Uint8Array): Uint8Array;
}

/** Rotation r_i in octets and constant c_i (only the last octet differs from zero), TS 35.206 clause 4.1. */
const F1 = { rotation: 8, constant: 0 } as const;
const F2_F5 = { rotation: 0, constant: 1 } as const;
const F3 = { rotation: 4, constant: 2 } as const;
const F4 = { rotation: 8, constant: 4 } as const;
const F5_STAR = { rotation: 12, constant: 8 } as const;

/** Throws a RangeError unless `value` has `octets` octets; the message holds the name, never the value. */
export function requireOctets(name: string, value: Uint8Array, octets: number): void {
  if (value.length !== octets) throw new RangeError(`${name} must be ${octets} octets, not ${value.length}`);
}

/** Octet-wise exclusive or of two strings of the same length. */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  requireOctets('second operand', b, a.length);
  return a.map((octet, i) => octet ^ b[i]!);
}

function rotateLeft(block: Uint8Array, octets: number): Uint8Array {
  return Buffer.concat([block.subarray(octets), block.subarray(0, octets)]);
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/**
 * OPc = OP xor E_K(OP) (TS 35.206 clause 4.1): what a USIM holds instead of the operator's OP.
 *
 * @param k subscriber key, 16 octets
 * @param op operator variant algorithm configuration field, 16 octets
 * @returns 16 octets
 */
export function deriveOpc(k: Uint8Array, op: Uint8Array): Uint8Array {
  requireOctets('K', k, 16);
  requireOctets('OP', op, 16);
  return xor(op, encryptBlock(k, op));
}

/**
 * The MILENAGE functions of one subscriber.
 *
 * @param k subscriber key, 16 octets
 * @param opc OPc, 16 octets (see {@link deriveOpc})
 * @throws RangeError when a parameter has the wrong length
 */
export function milenage(k: Uint8Array, opc: Uint8Array): Milenage {
  requireOctets('K', k, 16);
  requireOctets('OPc', opc, 16);

  const temp = (rand: Uint8Array): Uint8Array => {
    requireOctets('RAND', rand, 16);
    return encryptBlock(k, xor(rand, opc));
  };
  /** E_K(rot(input, r) xor c [xor other]) xor OPc: what OUT1 to OUT5 have in common. */
  const out = (
    input: Uint8Array,
    step: { rotation: number; constant: number },
    other: Uint8Array = new Uint8Array(16),
  ): Uint8Array => {
    const block = xor(rotateLeft(input, step.rotation), other);
    block[15]! ^= step.constant;
    return xor(encryptBlock(k, block), opc);
  };
  const out1 = ({ rand, sqn, amf }: MacInput): Uint8Array => {
    requireOctets('SQN', sqn, 6);
    requireOctets('AMF', amf, 2);
    const in1 = Buffer.concat([sqn, amf, sqn, amf]);
    return out(xor(in1, opc), F1, temp(rand));
  };

  return {
    f1: (input) => out1(input).subarray(0, 8),
    f1star: (input) => out1(input).subarray(8),
    f2345(rand) {
      const masked = xor(temp(rand), opc);
      const out2 = out(masked, F2_F5);
      return { ak: out2.subarray(0, 6), res: out2.subarray(8), ck: out(masked, F3), ik: out(masked, F4) };
    },
    f5star: (rand) => out(xor(temp(rand), opc), F5_STAR).subarray(0, 6),
  };
}
