/**
 * The part of the EPS key hierarchy that step 0 needs (TS 33.401 annex A), and 128-EIA2 (annex B.2.3).
 */
import { createHmac } from 'node:crypto';
import { cmac } from '@noble/ciphers/aes.js';
import { requireOctets } from '../milenage.ts';

/**
 * The generic key derivation function: HMAC-SHA-256 over FC || P0 || L0 || P1 || L1 … (TS 33.220 B.2).
 *
 * @returns 32 octets
 */
export function deriveKey(key: Uint8Array, fc: number, ...parameters: Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key).update(Uint8Array.of(fc));
  for (const parameter of parameters) {
    hmac.update(parameter).update(Uint8Array.of(parameter.length >> 8, parameter.length & 0xff));
  }
  return hmac.digest();
}

/**
 * SN id: MCC and MNC as in a PLMN identity, 3 octets (TS 33.401 A.2, TS 24.301 9.9.3.32).
 *
 * @param mcc three digits
 * @param mnc two or three digits
 */
export function servingNetworkId(mcc: string, mnc: string): Uint8Array {
  if (!/^\d{3}$/.test(mcc)) throw new RangeError('MCC must be three digits');
  if (!/^\d{2,3}$/.test(mnc)) throw new RangeError('MNC must be two or three digits');
  const [c1, c2, c3] = mcc.split('').map(Number) as [number, number, number];
  const [n1, n2, n3 = 0xf] = mnc.split('').map(Number) as [number, number, number?];
  return Uint8Array.of((c2 << 4) | c1, (n3 << 4) | c3, (n2 << 4) | n1);
}

/**
 * K_ASME (TS 33.401 A.2).
 *
 * @param keys CK and IK of the vector, 16 octets each
 * @param snId serving network identity, 3 octets (see {@link servingNetworkId})
 * @param sqnXorAk the first 6 octets of AUTN
 * @returns 32 octets
 */
export function deriveKasme(
  keys: { readonly ck: Uint8Array; readonly ik: Uint8Array },
  snId: Uint8Array,
  sqnXorAk: Uint8Array,
): Uint8Array {
  requireOctets('CK', keys.ck, 16);
  requireOctets('IK', keys.ik, 16);
  requireOctets('SN id', snId, 3);
  requireOctets('SQN xor AK', sqnXorAk, 6);
  return deriveKey(Buffer.concat([keys.ck, keys.ik]), 0x10, snId, sqnXorAk);
}

const NAS_INTEGRITY_ALGORITHM = 0x02;
const EIA2_IDENTITY = 0x02;

/**
 * K_NASint for 128-EIA2 (TS 33.401 A.7): the last 128 bits of the derived key.
 *
 * @param kasme 32 octets
 * @returns 16 octets
 */
export function deriveKnasInt(kasme: Uint8Array): Uint8Array {
  requireOctets('K_ASME', kasme, 32);
  return deriveKey(kasme, 0x15, Uint8Array.of(NAS_INTEGRITY_ALGORITHM), Uint8Array.of(EIA2_IDENTITY)).subarray(16);
}

/** BEARER is 0 for NAS (TS 24.301 4.4.3.1); only the direction differs. */
export type NasDirection = 'uplink' | 'downlink';

/**
 * 128-EIA2: AES-128-CMAC over COUNT || BEARER || DIRECTION || 26 zero bits || message, cut to 32 bits (TS 33.401 B.2.3).
 *
 * @param key integrity key, 16 octets
 * @param header COUNT (32 bits), BEARER (5 bits) and DIRECTION
 * @returns 4 octets
 */
export function eia2(
  key: Uint8Array,
  header: { readonly count: number; readonly bearer: number; readonly direction: NasDirection },
  message: Uint8Array,
): Uint8Array {
  requireOctets('integrity key', key, 16);
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(header.count);
  prefix[4] = (header.bearer << 3) | (header.direction === 'downlink' ? 1 << 2 : 0);
  return cmac(Buffer.concat([prefix, message]), key).subarray(0, 4);
}

/**
 * What may be shown of a K_ASME: equal where the keys are equal, and useless for anything else.
 *
 * @returns 16 hex digits
 */
export function kasmeFingerprint(kasme: Uint8Array): string {
  return createHmac('sha256', kasme).update('mcptt-testbed fingerprint').digest('hex').slice(0, 16);
}
