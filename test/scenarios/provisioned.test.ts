import { expect } from 'chai';
import { writeSqn } from '../../actors/security/aka/sqn.ts';
import { generateVector, makeAuts } from '../../actors/security/aka/vector.ts';
import { milenage } from '../../actors/security/milenage.ts';
import { loadFixtures } from '../../fixtures/load.ts';
import { expectResynchronised } from '../../scenarios/checks/provisioned.ts';

describe('TS 33.102 6.3.5: what a resynchronisation shows to whoever knows K', () => {
  const t = { provisioned: loadFixtures() };
  const { imsi, k, opc, amf } = t.provisioned.subscribers[0]!;
  const functions = milenage(Buffer.from(k, 'hex'), Buffer.from(opc, 'hex'));
  const vector = (seq: number, of = functions) =>
    generateVector(of, writeSqn({ seq, ind: 2 }), Buffer.from(amf, 'hex'));
  const stale = vector(5);
  const failed = { rand: stale.rand, auts: makeAuts(functions, writeSqn({ seq: 1_000, ind: 4 }), stale.rand) };

  it('a vector that counts on from SQN_MS is one of a network that has taken up AUTS', () => {
    for (const seq of [1_001, 2_000]) expectResynchronised(t, imsi, failed, vector(seq));
  });

  it('a vector of before is one of a network that has not', () => {
    for (const seq of [6, 999, 1_000]) {
      expect(() => expectResynchronised(t, imsi, failed, vector(seq)), String(seq)).to.throw(/SEQ of the challenge/);
    }
  });

  it('of a subscriber with other keys nothing is seen', () => {
    const other = milenage(Buffer.alloc(16, 1), Buffer.alloc(16, 2));
    const auts = makeAuts(other, writeSqn({ seq: 1_000, ind: 4 }), stale.rand);
    expectResynchronised(t, imsi, { rand: stale.rand, auts }, vector(6, other));
    expectResynchronised(t, '001019999999999', failed, vector(6));
  });
});
