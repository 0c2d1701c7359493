import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { deriveKnasInt, eia2, kasmeFingerprint, servingNetworkId } from '../../../../actors/security/aka/eps-keys.ts';

const octets = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

describe('TS 33.401: EPS key hierarchy and 128-EIA2', () => {
  it('128-EIA2 gives the MAC of annex C.2, test set 2', () => {
    const header = { count: 0x398a59b4, bearer: 0x1a, direction: 'downlink' as const };
    expect(hex(eia2(octets('d3c5d592327fb11c4035c6680af8c6d1'), header, octets('484583d5afe082ae')))).to.equal(
      'b93787e6',
    );
  });

  it('128-EIA2 depends on COUNT, BEARER and DIRECTION', () => {
    const key = octets('00'.repeat(16));
    const base = { count: 1, bearer: 0, direction: 'uplink' as const };
    const macs = [base, { ...base, count: 2 }, { ...base, bearer: 1 }, { ...base, direction: 'downlink' as const }].map(
      (header) => hex(eia2(key, header, octets('0741'))),
    );
    expect(new Set(macs).size).to.equal(4);
  });

  it('K_NASint is the low half of KDF(K_ASME, 0x15 || 02 || 0001 || 02 || 0001) (A.7)', () => {
    const kasme = octets('238e457e0f758badbca8d34bb2612c10428d426757cb5553b2b184fa64bfc549');
    const whole = createHmac('sha256', kasme).update(octets('15020001020001')).digest('hex');
    expect(hex(deriveKnasInt(kasme))).to.equal(whole.slice(32));
  });

  it('SN id packs MCC and MNC as TS 24.301 does', () => {
    expect(hex(servingNetworkId('001', '01'))).to.equal('00f110');
    expect(hex(servingNetworkId('208', '93'))).to.equal('02f839');
    expect(hex(servingNetworkId('310', '410'))).to.equal('130014');
    expect(() => servingNetworkId('1', '01')).to.throw(RangeError);
  });

  it('a fingerprint shows equality and nothing of the key', () => {
    const kasme = octets('11'.repeat(32));
    expect(kasmeFingerprint(kasme))
      .to.match(/^[0-9a-f]{16}$/)
      .and.equal(kasmeFingerprint(octets('11'.repeat(32))));
    expect(kasmeFingerprint(kasme)).not.to.equal(kasmeFingerprint(octets('12'.repeat(32))));
  });
});
