import { expect } from 'chai';
import { cekFingerprint } from '../../../actors/security/fingerprint.ts';

describe('fingerprint of a CEK', () => {
  it('is 8 octets of HMAC-SHA-256 in hex', () => {
    // printf 'mcptt-testbed fingerprint' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0000…00
    expect(cekFingerprint(new Uint8Array(32))).equal('2696750c0783bc05');
  });

  it('differs with every bit of the key', () => {
    const seen = new Set<string>();
    for (let bit = 0; bit < 256; bit++) {
      const cek = new Uint8Array(32);
      cek[bit >> 3] = 1 << (bit & 7);
      seen.add(cekFingerprint(cek));
    }
    expect(seen.size).equal(256);
  });
});
