import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { deriveKasme } from '../../../actors/security/aka/eps-keys.ts';
import { generateVector, makeAuts, openAuts } from '../../../actors/security/aka/vector.ts';
import { deriveOpc, milenage, xor } from '../../../actors/security/milenage.ts';

interface Vectors {
  sets: (Record<'clause' | 'K' | 'RAND' | 'SQN' | 'AMF' | 'OP' | 'OPc' | 'f1' | 'f1star', string> &
    Record<'f2' | 'f3' | 'f4' | 'f5' | 'f5star', string> & { derived: { AUTN: string; AUTS_amf0000: string } })[];
  kasme: Record<'ck' | 'ik' | 'sn_id' | 'sqn' | 'ak' | 'kasme', string>;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../fixtures/vectors/milenage.json', import.meta.url), 'utf8'),
) as Vectors;
const octets = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const hex = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('hex');

describe('TS 35.208: MILENAGE conformance sets', () => {
  it('has all sets', () => expect(vectors.sets).to.have.length.at.least(20));

  for (const set of vectors.sets) {
    const k = octets(set.K);
    const [rand, sqn, amf] = [octets(set.RAND), octets(set.SQN), octets(set.AMF)];

    it(`${set.clause}: OPc, f1, f1*, f2 to f5, f5*`, () => {
      const opc = deriveOpc(k, octets(set.OP));
      expect(hex(opc)).to.equal(set.OPc);
      const functions = milenage(k, opc);
      const { res, ck, ik, ak } = functions.f2345(rand);
      expect({
        f1: hex(functions.f1({ rand, sqn, amf })),
        f1star: hex(functions.f1star({ rand, sqn, amf })),
        f2: hex(res),
        f3: hex(ck),
        f4: hex(ik),
        f5: hex(ak),
        f5star: hex(functions.f5star(rand)),
      }).to.deep.equal({
        f1: set.f1,
        f1star: set.f1star,
        f2: set.f2,
        f3: set.f3,
        f4: set.f4,
        f5: set.f5,
        f5star: set.f5star,
      });
    });

    it(`${set.clause}: AUTN and AUTS (TS 33.102 6.3.2, 6.3.3)`, () => {
      const functions = milenage(k, octets(set.OPc));
      expect(hex(generateVector(functions, sqn, amf, rand).autn)).to.equal(set.derived.AUTN);
      expect(hex(makeAuts(functions, sqn, rand))).to.equal(set.derived.AUTS_amf0000);
      expect(hex(openAuts(functions, rand, octets(set.derived.AUTS_amf0000)))).to.equal(set.SQN);
    });
  }

  it('refuses parameters of another length and does not repeat them', () => {
    expect(() => milenage(octets('00'), octets('00'.repeat(16)))).to.throw(RangeError, 'K must be 16 octets, not 1');
    const functions = milenage(octets('11'.repeat(16)), octets('22'.repeat(16)));
    expect(() => functions.f2345(octets('33'))).to.throw(RangeError, 'RAND');
  });
});

describe('TS 33.401 A.2: K_ASME', () => {
  it('is what an independent implementation derives', () => {
    const { ck, ik, sn_id, sqn, ak, kasme } = vectors.kasme;
    const derived = deriveKasme({ ck: octets(ck), ik: octets(ik) }, octets(sn_id), xor(octets(sqn), octets(ak)));
    expect(hex(derived)).to.equal(kasme);
  });
});
