import { createHmac } from 'node:crypto';

/**
 * Names a CEK without giving it away: the first 8 octets, in hex, of HMAC-SHA-256 with the CEK as key over a fixed text.
 * Equal at both ends exactly when the keys are equal, useless for anything else (docs/interfaces.md).
 */
export const cekFingerprint = (cek: Uint8Array): string =>
  createHmac('sha256', cek).update('mcptt-testbed fingerprint').digest('hex').slice(0, 16);
