import { createHmac } from 'node:crypto';

/**
 * Shows that two ends hold the same CEK without showing it: the first 8 octets, in hexadecimal, of
 * HMAC-SHA-256(key = CEK, "mcptt-testbed fingerprint").
 */
export function cekFingerprint(cek: Uint8Array): string {
  return createHmac('sha256', cek).update('mcptt-testbed fingerprint').digest('hex').slice(0, 16);
}
