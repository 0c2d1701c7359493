import { expect } from 'chai';
import { withBrackets } from '../../../../sim/engine/core/headers.ts';

describe('sim/engine: From, To and Contact of applications (RFC 3261 20.10)', () => {
  for (const [given, written] of [
    ['sip:a@b', '<sip:a@b>'],
    ['sip:a@b;tag=1', '<sip:a@b>;tag=1'],
    ['sip:a@b ; q=0.5', '<sip:a@b> ; q=0.5'],
    ['tel:+12', '<tel:+12>'],
    ['sip:a@b, sip:c@d;expires=5', '<sip:a@b>, <sip:c@d>;expires=5'],
    ['sip:a@b, "C, D" <sip:c@d;lr>', '<sip:a@b>, "C, D" <sip:c@d;lr>'],
    ['"C, D" <sip:c@d;lr>;tag=1', '"C, D" <sip:c@d;lr>;tag=1'],
    ['*', '*'],
    ['', ''],
  ] as const) {
    it(`${given === '' ? 'nothing' : given} → ${written === '' ? 'nothing' : written}`, () => {
      expect(withBrackets(given)).to.equal(written);
    });
  }
});
