import { createHmac } from 'node:crypto';
import { concat, zero } from '../octets.ts';

/** Constants of RFC 3830 section 4.1.4 (keys that protect a MIKEY message) and section 4.1.3 (keys for media). */
export const KEY_CONSTANT = {
  encryption: 0x150533e1,
  authentication: 0x2d22ac75,
  salt: 0x29b88916,
  tek: 0x2ad01c64,
  tekSalt: 0x39a2c14b,
} as const;

/**
 * PRF-HMAC-SHA-256 (RFC 6043 section 6.1): the construction of RFC 3830 section 4.1.2 with HMAC-SHA-256. P(s, label) is
 * HMAC(s, A_1 || label) || HMAC(s, A_2 || label) || ..., A_0 = label, A_i = HMAC(s, A_(i-1)). Keys of up to 512 bits are a
 * single block there, so no blocks are combined here; SSV, GMK and the like have 128.
 */
export function prf(inkey: Uint8Array, label: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  let a = label;
  for (let produced = 0; produced < length; produced += 32) {
    a = hmac(inkey, a);
    blocks.push(hmac(inkey, concat(a, label)));
  }
  const stream = concat(...blocks);
  try {
    return stream.slice(0, length);
  } finally {
    zero(stream, ...blocks);
  }
}

/** The label constant || cs_id || csb_id || RAND; cs_id is 0xff for keys that protect the message itself. */
export function keyLabel(constant: number, csId: number, csbId: Uint8Array, rand: Uint8Array): Uint8Array {
  const head = new Uint8Array(5);
  new DataView(head.buffer).setUint32(0, constant);
  head[4] = csId;
  return concat(head, csbId, rand);
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(data).digest();
}
