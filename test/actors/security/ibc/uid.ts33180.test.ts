import { expect } from 'chai';
import { toHex } from '../../../../actors/security/ibc/octets.ts';
import { acceptedKeyPeriods, computeUid, keyPeriodBounds, keyPeriodNoAt } from '../../../../actors/security/ibc/uid.ts';
import { vectorsOf } from './vectors.ts';

describe('UID and key periods, TS 33.180 F.2.1', () => {
  for (const source of vectorsOf('MIKEY-SAKKE-UID')) {
    const periods = {
      kmsUri: source.text('kmsUri'),
      userKeyPeriod: source.number('keyPeriod'),
      userKeyOffset: source.number('keyPeriodOffset'),
    };
    it(`${source.name}: period ${periods.userKeyPeriod}, offset ${periods.userKeyOffset}`, () => {
      expect(toHex(computeUid(source.text('uri'), periods, source.number('keyPeriodNo')))).to.equal(source.text('uid'));
    });
  }

  for (const vendor of ['Streamwide v5', 'Alea v3']) {
    it(`every UserID of ${vendor}`, () => {
      const [certificate] = vectorsOf(`${vendor} KMS certificate`);
      const periods = {
        kmsUri: certificate!.text('KmsUri'),
        userKeyPeriod: certificate!.number('UserKeyPeriod'),
        userKeyOffset: certificate!.number('UserKeyOffset'),
      };
      for (const user of vectorsOf(`${vendor} KmsKeySet`)) {
        const uid = computeUid(user.text('UserUri'), periods, user.number('KeyPeriodNo'));
        expect(toHex(uid), user.name).to.equal(user.text('UserID'));
      }
    });
  }

  const monthly = { kmsUri: 'kms.example.org', userKeyPeriod: 2_592_000, userKeyOffset: 86_400 };

  it('a period begins at its first second and ends before the next begins', () => {
    const no = keyPeriodNoAt(monthly, Date.UTC(2026, 10, 23));
    const { validFrom, validTo } = keyPeriodBounds(monthly, no);
    expect(keyPeriodNoAt(monthly, validFrom)).to.equal(no);
    expect(keyPeriodNoAt(monthly, validFrom - 1)).to.equal(no - 1);
    expect(keyPeriodNoAt(monthly, validTo - 1)).to.equal(no);
    expect(keyPeriodNoAt(monthly, validTo)).to.equal(no + 1);
    expect(validTo - validFrom).to.equal(2_592_000_000);
  });

  it('counts NTP seconds: number 0 begins at 1900-01-01 plus the offset', () => {
    expect(keyPeriodBounds(monthly, 0).validFrom).to.equal(Date.UTC(1900, 0, 2));
  });

  it('accepts the neighbours, the message’s own period first', () => {
    const at = Date.UTC(2026, 10, 23);
    const no = keyPeriodNoAt(monthly, at);
    expect(acceptedKeyPeriods(monthly, at)).to.deep.equal([no, no - 1, no + 1]);
  });

  it('refuses numbers that are not whole, or below 0', () => {
    for (const wrong of [-1, 0.5, Number.NaN]) {
      expect(() => computeUid('sip:a@b', monthly, wrong))
        .to.throw()
        .with.property('code', 'bad-key-period');
    }
  });
});
