import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { availableBackends } from '../../../../actors/security/ibc/backend.ts';
import { createBigintArithmetic } from '../../../../actors/security/ibc/bigint/index.ts';
import { toHex } from '../../../../actors/security/ibc/octets.ts';
import { compareBackends } from './differential.ts';
import { createTextbookArithmetic } from './textbook.ts';

// The small runs; test/nightly/ibc-differential.ts makes the large one.
describe('SAKKE arithmetic backends agree', () => {
  const seed = toHex(randomBytes(8));

  it('the portable one with the schoolbook', () => {
    const { differences } = compareBackends(createBigintArithmetic(), createTextbookArithmetic(), 1, seed);
    expect(differences, `seed ${seed}`).to.deep.equal([]);
  }).timeout(60_000);

  for (const { name, create } of availableBackends()) {
    if (name === 'bigint') continue;
    it(`${name} with the portable one`, () => {
      const { differences } = compareBackends(createBigintArithmetic(), create(), 25, seed);
      expect(differences, `seed ${seed}`).to.deep.equal([]);
    });
  }

  it('and a difference would be seen', () => {
    const right = createBigintArithmetic();
    const wrong = { ...right, name: 'wrong', gPow: (r: Uint8Array) => right.gPow(Uint8Array.of(...r.subarray(1), 1)) };
    expect(compareBackends(right, wrong, 3, seed).differences).to.not.deep.equal([]);
  });
});
