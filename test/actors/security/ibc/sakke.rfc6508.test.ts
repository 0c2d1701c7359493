import { expect } from 'chai';
import type { KmsTable } from '../../../../actors/security/ibc/arithmetic.ts';
import { availableBackends } from '../../../../actors/security/ibc/backend.ts';
import { createBigintArithmetic } from '../../../../actors/security/ibc/bigint/index.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import { concat, fromHex, toHex, toInteger, toOctets, xor } from '../../../../actors/security/ibc/octets.ts';
import { SAKKE_P, SAKKE_PX, SAKKE_PY, SAKKE_Q } from '../../../../actors/security/ibc/parameters.ts';
import {
  decapsulate,
  encapsulate,
  extractRsk,
  generateSakkeMaster,
  hashToIntegerRange,
  sakkePublicKey,
  validateRsk,
} from '../../../../actors/security/ibc/sakke.ts';
import { SeededRandom } from './differential.ts';
import { keySetOf, vector, vectorsOf } from './vectors.ts';

const appendix = vector('RFC6508 Appendix A');
const zT = appendix.hex('z_T');
const ZT = appendix.hex('Z_T');
const b = appendix.hex('b');
const rsk = appendix.hex('K_bT');
const ssv = appendix.hex('SSV');
const sed = appendix.hex('SED');

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof IbcError ? error.code : `not an IbcError: ${String(error)}`;
  }
};

const flip = (octets: Uint8Array, at: number) => {
  const changed = octets.slice();
  changed[at]! ^= 1;
  return changed;
};

describe('SAKKE parameter set 1, RFC 6509 appendix A', () => {
  it('p + 1 = 4q, P on the curve and of order q, <P,P> = g', () => {
    const parameters = vector('RFC6509 SAKKE parameter set 1');
    const arithmetic = createBigintArithmetic();
    const P = concat(Uint8Array.of(4), toOctets(SAKKE_PX, 128), toOctets(SAKKE_PY, 128));
    expect(SAKKE_P + 1n).to.equal(4n * SAKKE_Q);
    expect(SAKKE_Q.toString(16)).to.equal(parameters.text('q'));
    expect(arithmetic.isInSubgroup(P)).to.equal(true);
    expect(toHex(arithmetic.pair(P, P))).to.equal(parameters.text('g'));
    expect(toHex(arithmetic.mulBase(Uint8Array.of(1)))).to.equal(toHex(P));
  });
});

for (const { name, create } of availableBackends()) {
  describe(`SAKKE, RFC 6508, on backend ${name}`, () => {
    const arithmetic = create();
    let kms: KmsTable;

    before(() => {
      kms = arithmetic.prepareKms(ZT);
    });

    after(() => {
      kms.dispose();
      arithmetic.dispose();
    });

    /** Opens SED with the table of an RSK that lives just as long. */
    const open = (key: Uint8Array, octets: Uint8Array, id = b, table = kms) => {
      const pairing = arithmetic.preparePairing(key);
      try {
        return decapsulate(arithmetic, table, id, pairing, octets);
      } finally {
        pairing.dispose();
      }
    };

    describe('appendix A, octet for octet', () => {
      it('Z_T from z_T and K_(b,T) from both', () => {
        expect(toHex(sakkePublicKey(arithmetic, zT))).to.equal(appendix.text('Z_T'));
        expect(toHex(extractRsk(arithmetic, zT, b))).to.equal(appendix.text('K_bT'));
      });

      it('r and g^r', () => {
        const r = hashToIntegerRange(concat(ssv, b), SAKKE_Q);
        expect(toHex(toOctets(r, 128))).to.equal(appendix.text('r').padStart(256, '0'));
        expect(toHex(arithmetic.gPow(toOctets(r, 128)))).to.equal(appendix.text('g_pow_r'));
      });

      it('the encapsulated data, and the SSV back out of it', () => {
        expect(toHex(encapsulate(arithmetic, kms, b, ssv))).to.equal(appendix.text('SED'));
        const opened = open(rsk, sed);
        expect(toHex(opened.ssv)).to.equal(appendix.text('SSV'));
        expect(opened.maskForm).to.equal('rfc6508');
      });
    });

    for (const source of vectorsOf('edge: ')) {
      it(`${source.name.slice(6)}: same data out, SSV back`, () => {
        expect(toHex(encapsulate(arithmetic, kms, b, source.hex('SSV')))).to.equal(source.text('SED'));
        expect(toHex(open(rsk, source.hex('SED')).ssv)).to.equal(source.text('SSV'));
      });
    }

    describe('section 6.1.2, validation of a received RSK', () => {
      it('accepts the right one, with and without its table', () => {
        expect(validateRsk(arithmetic, kms, b, rsk)).to.equal(true);
        const table = arithmetic.preparePairing(rsk);
        expect(validateRsk(arithmetic, kms, b, table)).to.equal(true);
        table.dispose();
      });

      it('refuses another identity, another KMS, another point of order q', () => {
        const other = generateSakkeMaster(arithmetic);
        const otherKms = arithmetic.prepareKms(other.ZT);
        expect(validateRsk(arithmetic, kms, flip(b, 12), rsk)).to.equal(false);
        expect(validateRsk(arithmetic, otherKms, b, rsk)).to.equal(false);
        expect(validateRsk(arithmetic, kms, b, ZT)).to.equal(false);
        otherKms.dispose();
      });

      it('refuses a point off the curve and a point of another order', () => {
        expect(validateRsk(arithmetic, kms, b, flip(rsk, 200))).to.equal(false);
        const order2 = new Uint8Array(257);
        order2[0] = 4; // (0, 0)
        expect(validateRsk(arithmetic, kms, b, order2)).to.equal(false);
        expect(validateRsk(arithmetic, kms, b, rsk.subarray(0, 256))).to.equal(false);
      });

      it('accepts the RSKs of four sources', () => {
        for (const vendor of ['Streamwide v5', 'Alea v3']) {
          const table = arithmetic.prepareKms(vector(`${vendor} KMS certificate`).hex('PubEncKey'));
          for (const source of vectorsOf(`${vendor} KmsKeySet`)) {
            const keySet = keySetOf(source);
            const valid = source.name !== 'Alea v3 KmsKeySet bob';
            expect(validateRsk(arithmetic, table, keySet.uid, keySet.rsk), source.name).to.equal(valid);
          }
          table.dispose();
        }
        const community = arithmetic.prepareKms(vector('jim-b demo-2 community').hex('PubEncKey'));
        for (const source of vectorsOf('jim-b demo-2 user')) {
          expect(
            validateRsk(arithmetic, community, source.hex('ID'), source.hex('UserDecryptKey')),
            source.name,
          ).to.equal(true);
        }
        community.dispose();
        for (const source of vectorsOf('eazon')) {
          const table = arithmetic.prepareKms(source.hex('PubEncKey'));
          expect(
            validateRsk(arithmetic, table, source.hex('UserID'), source.hex('UserDecryptKey')),
            source.name,
          ).to.equal(true);
          table.dispose();
        }
      });
    });

    describe('section 6.2.2, decapsulation', () => {
      it('TEST fails for a changed hint, another R of order q, another identity, another key, another KMS', () => {
        expect(codeOf(() => open(rsk, flip(sed, 272)))).to.equal('sakke-test-failed');
        expect(codeOf(() => open(rsk, concat(ZT, sed.subarray(257))))).to.equal('sakke-test-failed');
        expect(codeOf(() => open(rsk, sed, flip(b, 0)))).to.equal('sakke-test-failed');
        expect(codeOf(() => open(ZT, sed))).to.equal('sakke-test-failed');
        const otherKms = arithmetic.prepareKms(generateSakkeMaster(arithmetic).ZT);
        expect(codeOf(() => open(rsk, sed, b, otherKms))).to.equal('sakke-test-failed');
        otherKms.dispose();
      });

      it('R off the curve, of order 2, not uncompressed, or of another length never reaches the pairing’s result', () => {
        expect(codeOf(() => open(rsk, flip(sed, 100)))).to.equal('bad-point');
        expect(codeOf(() => open(rsk, concat(Uint8Array.of(4), new Uint8Array(256), sed.subarray(257))))).to.equal(
          'bad-point',
        );
        expect(codeOf(() => open(rsk, concat(Uint8Array.of(6), sed.subarray(1))))).to.equal('bad-point');
        expect(codeOf(() => open(rsk, sed.subarray(0, 272)))).to.equal('bad-length');
        expect(codeOf(() => open(rsk, concat(sed, Uint8Array.of(0))))).to.equal('bad-length');
      });

      it('a mask made from g^r without its leading zero octet opens on the second try, and says so', () => {
        const edge = vector('edge: g^r has a leading zero octet');
        const full = toOctets(hashToIntegerRange(edge.hex('g_pow_r'), 2n ** 128n), 16);
        const stripped = toOctets(hashToIntegerRange(edge.hex('g_pow_r').slice(1), 2n ** 128n), 16);
        const vendors = edge.hex('SED');
        vendors.set(xor(xor(vendors.subarray(257), full), stripped), 257);
        const opened = open(rsk, vendors);
        expect(toHex(opened.ssv)).to.equal(edge.text('SSV'));
        expect(opened.maskForm).to.equal('stripped');
      });

      it('no error holds the SSV or the mask', () => {
        try {
          open(rsk, flip(sed, 272));
        } catch (error) {
          expect(String(error)).to.not.match(/[0-9a-f]{16}/);
        }
      });
    });

    it('round trips random SSVs to random identities under a random master secret', () => {
      const master = generateSakkeMaster(arithmetic);
      const table = arithmetic.prepareKms(master.ZT);
      for (let round = 1; round <= 3; round++) {
        const id = new Uint8Array(32).map((_, index) => (index * round) & 0xff);
        const key = extractRsk(arithmetic, master.zT, id);
        expect(validateRsk(arithmetic, table, id, key)).to.equal(true);
        const sealed = encapsulate(arithmetic, table, id, ssv);
        expect(toHex(open(key, sealed, id, table).ssv)).to.equal(toHex(ssv));
      }
      table.dispose();
    });

    it('identifiers of any length: all octets are hashed, their value counts modulo q', () => {
      const { zT, ZT: own } = generateSakkeMaster(arithmetic);
      const table = arithmetic.prepareKms(own);
      const ids = [Uint8Array.of(0), new Uint8Array(32).fill(0xff), Buffer.from('sip:zoë@例え.example')];
      for (const id of [...ids, ...[128, 129, 300].map((length) => new Uint8Array(length).fill(0xa5))]) {
        const key = extractRsk(arithmetic, zT, id);
        expect(validateRsk(arithmetic, table, id, key), `${id.length} octets`).to.equal(true);
        const sealed = encapsulate(arithmetic, table, id, ssv);
        expect(toHex(open(key, sealed, id, table).ssv)).to.equal(toHex(ssv));
        const longer = concat(Uint8Array.of(0), id); // the same integer, another identifier
        expect(toHex(extractRsk(arithmetic, zT, longer))).to.equal(toHex(key));
        expect(codeOf(() => open(key, sealed, longer, table))).to.equal('sakke-test-failed');
      }
      table.dispose();
    });

    it('refuses master secrets out of range, identifiers and SSVs of a wrong length', () => {
      for (const z of [0n, 1n, SAKKE_Q])
        expect(codeOf(() => sakkePublicKey(arithmetic, toOctets(z, 128)))).to.equal('bad-scalar');
      const a = fromHex('01');
      expect(
        codeOf(() => extractRsk(arithmetic, toOctets(SAKKE_Q - 1n, 128), a)),
        'a + z_T = 0',
      ).to.equal('bad-scalar');
      expect(codeOf(() => encapsulate(arithmetic, kms, b, ssv.subarray(1)))).to.equal('bad-length');
      expect(codeOf(() => encapsulate(arithmetic, kms, new Uint8Array(), ssv))).to.equal('bad-identity');
    });

    it('only points of order q have a table: others of the curve, of orders 2, 4 and 2q, have none', () => {
      const random = new SeededRandom('points of other orders');
      const order2 = concat(Uint8Array.of(4), new Uint8Array(256));
      const order4 = pointsOfOrder4();
      expect(order4).to.have.length(2);
      const others = [order2, ...order4, plusOrder2(rsk)];
      while (others.length < 6) {
        const point = random.curvePoint();
        if (!arithmetic.isInSubgroup(point)) others.push(point);
      }
      for (const point of others) {
        expect(arithmetic.isOnCurve(point)).to.equal(true);
        expect(codeOf(() => arithmetic.preparePairing(point))).to.equal('bad-point');
        expect(codeOf(() => arithmetic.pair(point, ZT))).to.equal('bad-point');
      }
    });

    it('sums whose terms are equal or opposite: Z_T = P makes [r]([b]P + Z_T) = [r(b + 1)]P', () => {
      const P = arithmetic.mulBase(Uint8Array.of(1));
      const table = arithmetic.prepareKms(P);
      const r = appendix.hex('r');
      const twice = toOctets((2n * appendix.integer('r')) % SAKKE_Q, 128);
      const doubled = arithmetic.encapsulationPoint(table, Uint8Array.of(1), r);
      expect(toHex(doubled)).to.equal(toHex(arithmetic.mulBase(twice)));
      const minusOne = toOctets(SAKKE_Q - 1n, 128);
      expect(codeOf(() => arithmetic.encapsulationPoint(table, minusOne, r))).to.equal('point-at-infinity');
      table.dispose();
    });

    it('handles work no more after dispose', () => {
      const table = arithmetic.prepareKms(ZT);
      table.dispose();
      table.dispose();
      expect(codeOf(() => arithmetic.encapsulationPoint(table, b, ssv))).to.equal('disposed');
      const pairing = arithmetic.preparePairing(rsk);
      pairing.dispose();
      expect(codeOf(() => arithmetic.pairPrepared(pairing, ZT))).to.equal('disposed');
      const another = create();
      another.dispose();
      expect(codeOf(() => another.mulBase(b))).to.equal('disposed');
    });

    it('scalars: 0 and q give no point, lengths 0 and 129 are refused', () => {
      expect(codeOf(() => arithmetic.mulBase(Uint8Array.of(0)))).to.equal('point-at-infinity');
      expect(codeOf(() => arithmetic.mulBase(toOctets(SAKKE_Q, 128)))).to.equal('point-at-infinity');
      expect(codeOf(() => arithmetic.encapsulationPoint(kms, b, Uint8Array.of(0)))).to.equal('point-at-infinity');
      expect(toHex(arithmetic.gPow(Uint8Array.of(0)))).to.equal('00'.repeat(128));
      expect(codeOf(() => arithmetic.mulBase(new Uint8Array()))).to.equal('bad-length');
      expect(codeOf(() => arithmetic.mulBase(new Uint8Array(129)))).to.equal('bad-length');
    });
  });
}

const modulo = (value: bigint): bigint => ((value % SAKKE_P) + SAKKE_P) % SAKKE_P;

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

const pointOf = (x: bigint, y: bigint): Uint8Array =>
  concat(Uint8Array.of(4), toOctets(modulo(x), 128), toOctets(modulo(y), 128));

/** The points of E of order 4: the tangent there meets (0, 0), so x^2 = -3; p = 3 modulo 4, so roots are powers. */
function pointsOfOrder4(): Uint8Array[] {
  const s = power(modulo(-3n), (SAKKE_P + 1n) / 4n);
  return [s, modulo(-s)].flatMap((x) => {
    const y = power(modulo(-6n * x), (SAKKE_P + 1n) / 4n);
    return modulo(y * y + 6n * x) === 0n ? [pointOf(x, y), pointOf(x, -y)] : [];
  });
}

/** A point plus (0, 0): (-3/x, 3y/x^2). */
function plusOrder2(point: Uint8Array): Uint8Array {
  const [x, y] = [toInteger(point.subarray(1, 129)), toInteger(point.subarray(129))];
  const inverse = power(x, SAKKE_P - 2n);
  return pointOf(-3n * inverse, 3n * y * inverse * inverse);
}
