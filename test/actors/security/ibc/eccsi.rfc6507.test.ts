import { p256 } from '@noble/curves/nist.js';
import { expect } from 'chai';
import {
  eccsiPublicKey,
  eccsiSign,
  eccsiVerify,
  extractEccsiKey,
  generateEccsiMaster,
  hashHs,
  isAnswered,
  isEccsiPoint,
  ORDER,
  validateEccsiKey,
  verificationPoint,
} from '../../../../actors/security/ibc/eccsi.ts';
import {
  EccsiVerifier,
  nativeEccsiSign,
  nativeExtractEccsiKey,
  nativeValidateEccsiKey,
  nativeVerificationPoint,
} from '../../../../actors/security/ibc/eccsi-native.ts';
import { concat, toHex, toOctets } from '../../../../actors/security/ibc/octets.ts';
import { keySetOf, vector, vectorsOf } from './vectors.ts';

const appendix = vector('RFC6507 Appendix A');
const ksak = toOctets(appendix.integer('KSAK'), 32);
const kpak = appendix.hex('KPAK');
const id = appendix.hex('ID');
const message = appendix.hex('M');
const signature = appendix.hex('signature');
const key = { ssk: appendix.hex('SSK'), pvt: appendix.hex('PVT') };

/** One bit of one octet flipped. */
function flip(octets: Uint8Array, at: number): Uint8Array {
  const changed = octets.slice();
  changed[at]! ^= 1;
  return changed;
}

describe('ECCSI, RFC 6507', () => {
  describe('appendix A, octet for octet', () => {
    it('KPAK from KSAK', () => {
      expect(toHex(eccsiPublicKey(ksak))).to.equal(appendix.text('KPAK'));
    });

    it('HS, PVT and SSK from v', () => {
      const extracted = extractEccsiKey({ ksak, kpak }, id, () => appendix.integer('v'));
      expect(toHex(extracted.pvt)).to.equal(appendix.text('PVT'));
      expect(toHex(extracted.ssk)).to.equal(appendix.text('SSK'));
      expect(toHex(hashHs(kpak, id, extracted.pvt))).to.equal(appendix.text('HS'));
    });

    it('the signature from j', () => {
      expect(toHex(eccsiSign(kpak, id, key, message, () => appendix.integer('j')))).to.equal(
        appendix.text('signature'),
      );
    });
  });

  const verifiers = {
    reference: (k: Uint8Array, i: Uint8Array, m: Uint8Array, s: Uint8Array) => eccsiVerify(k, i, m, s),
    native: (k: Uint8Array, i: Uint8Array, m: Uint8Array, s: Uint8Array) => new EccsiVerifier().verify(k, i, m, s),
  };
  for (const [path, verify] of Object.entries(verifiers)) {
    describe(`section 5.2.2, verification, ${path} path`, () => {
      it('accepts the signature of appendix A', () => {
        expect(verify(kpak, id, message, signature)).to.equal(true);
      });

      it('refuses another message, identity and KPAK', () => {
        expect(verify(kpak, id, flip(message, 0), signature)).to.equal(false);
        expect(verify(kpak, flip(id, 9), message, signature)).to.equal(false);
        expect(verify(generateEccsiMaster().kpak, id, message, signature)).to.equal(false);
      });

      it('refuses a flipped bit in r, in s and in PVT', () => {
        for (const at of [5, 40, 63])
          expect(verify(kpak, id, message, flip(signature, at)), `octet ${at}`).to.equal(false);
      });

      it('refuses a PVT that is not on the curve, and one not uncompressed', () => {
        expect(verify(kpak, id, message, flip(signature, 128))).to.equal(false);
        expect(verify(kpak, id, message, flip(signature, 64))).to.equal(false);
      });

      it('refuses a KPAK that is not on the curve', () => {
        expect(verify(flip(kpak, 64), id, message, signature)).to.equal(false);
      });

      it('refuses s = 0 and s not below the group order', () => {
        const withS = (s: bigint) => concat(signature.subarray(0, 32), toOctets(s, 32), signature.subarray(64));
        const s = BigInt(`0x${appendix.text('s')}`);
        expect(verify(kpak, id, message, withS(0n))).to.equal(false);
        expect(verify(kpak, id, message, withS(ORDER))).to.equal(false);
        expect(verify(kpak, id, message, withS(s))).to.equal(true);
      });

      it('refuses r = 0 and r not below the group order', () => {
        const withR = (r: bigint) => concat(toOctets(r, 32), signature.subarray(32));
        for (const r of [0n, ORDER, 2n ** 256n - 1n]) expect(verify(kpak, id, message, withR(r))).to.equal(false);
      });

      it('refuses any length but 129 octets', () => {
        expect(verify(kpak, id, message, signature.subarray(0, 128))).to.equal(false);
        expect(verify(kpak, id, message, concat(signature, Uint8Array.of(0)))).to.equal(false);
      });
    });
  }

  describe('section 5.1.2, validation of a received SSK', () => {
    for (const [path, validate] of Object.entries({ reference: validateEccsiKey, native: nativeValidateEccsiKey })) {
      it(`${path} path: accepts appendix A, refuses every part changed`, () => {
        expect(validate(kpak, id, key)).to.equal(true);
        expect(validate(kpak, id, { ...key, ssk: flip(key.ssk, 31) })).to.equal(false);
        expect(validate(kpak, id, { ...key, pvt: flip(key.pvt, 64) }), 'PVT off the curve').to.equal(false);
        expect(validate(kpak, id, { ...key, pvt: kpak }), 'PVT another point').to.equal(false);
        expect(validate(kpak, flip(id, 3), key)).to.equal(false);
        expect(validate(generateEccsiMaster().kpak, id, key)).to.equal(false);
        expect(validate(kpak, id, { ...key, ssk: new Uint8Array(32) }), 'SSK = 0').to.equal(false);
        expect(validate(kpak, id, { ...key, ssk: toOctets(ORDER, 32) }), 'SSK = q').to.equal(false);
        expect(validate(kpak, id, { ...key, ssk: concat(Uint8Array.of(0), key.ssk) }), '33 octets').to.equal(false);
      });
    }

    it('accepts the key sets of two vendors and refuses the one whose PVT is another user’s', () => {
      for (const vendor of ['Streamwide v5', 'Alea v3']) {
        const vendorKpak = vector(`${vendor} KMS certificate`).hex('PubAuthKey');
        for (const source of vectorsOf(`${vendor} KmsKeySet`)) {
          const keySet = keySetOf(source);
          const expected = source.name !== 'Alea v3 KmsKeySet bob';
          expect(nativeValidateEccsiKey(vendorKpak, keySet.uid, keySet), source.name).to.equal(expected);
          expect(validateEccsiKey(vendorKpak, keySet.uid, keySet), source.name).to.equal(expected);
        }
      }
    });

    it('accepts the demo users of jim-b', () => {
      const community = vector('jim-b demo-2 community').hex('PubAuthKey');
      for (const source of vectorsOf('jim-b demo-2 user')) {
        const user = { ssk: source.hex('UserSigningKeySSK'), pvt: source.hex('UserPubTokenPVT') };
        expect(nativeValidateEccsiKey(community, source.hex('ID'), user), source.name).to.equal(true);
      }
    });
  });

  describe('sections 5.1.1 and 5.2.1: what must be drawn again', () => {
    it('another v when SSK would be 0', () => {
      const first = appendix.integer('v');
      const HS = BigInt(`0x${appendix.text('HS')}`);
      const unlucky = toOctets((ORDER - ((HS * first) % ORDER)) % ORDER, 32); // KSAK = -HS v makes SSK = 0, PVT and KPAK as before
      const draws = [first, 5n];
      const extracted = extractEccsiKey({ ksak: unlucky, kpak }, id, () => draws.shift()!);
      expect(draws).to.have.length(0);
      expect(toHex(extracted.pvt)).to.equal(toHex(eccsiPublicKey(toOctets(5n, 32))));
    });

    it('another j when HE + r SSK would be 0', () => {
      const j = appendix.integer('j');
      const r = appendix.integer('r');
      const HE = appendix.integer('HE');
      const inverse = modPow(r, ORDER - 2n, ORDER);
      const unlucky = { ssk: toOctets(((ORDER - (HE % ORDER)) * inverse) % ORDER, 32), pvt: key.pvt };
      const draws = [j, 7n];
      const signed = eccsiSign(kpak, id, unlucky, message, () => draws.shift()!);
      expect(draws).to.have.length(0);
      expect(toHex(signed.subarray(0, 32))).to.equal(toHex(eccsiPublicKey(toOctets(7n, 32)).subarray(1, 33)));
    });
  });

  describe('native path against reference path', () => {
    it('each verifies what the other signs, with keys the other extracts', () => {
      const master = generateEccsiMaster();
      const verifier = new EccsiVerifier();
      for (let round = 0; round < 8; round++) {
        const user = Uint8Array.of(round, 1, 2);
        const keys = [extractEccsiKey(master, user), nativeExtractEccsiKey(master, user)];
        for (const one of keys) {
          expect(validateEccsiKey(master.kpak, user, one)).to.equal(true);
          expect(nativeValidateEccsiKey(master.kpak, user, one)).to.equal(true);
          expect(verifier.verify(master.kpak, user, message, eccsiSign(master.kpak, user, one, message))).to.equal(
            true,
          );
          expect(eccsiVerify(master.kpak, user, message, nativeEccsiSign(master.kpak, user, one, message))).to.equal(
            true,
          );
          const Y = verificationPoint(master.kpak, user, one.pvt)!;
          expect(nativeVerificationPoint(master.kpak, user, one.pvt)!.equals(Y)).to.equal(true);
        }
      }
    });

    it('identifiers may be empty, long, or not ASCII; an SSK or a PVT of another length signs nothing', () => {
      const master = generateEccsiMaster();
      for (const user of [new Uint8Array(), new Uint8Array(300).fill(0x61), Buffer.from('sip:zoë@例え.example')]) {
        const one = nativeExtractEccsiKey(master, user);
        expect(validateEccsiKey(master.kpak, user, one)).to.equal(true);
        expect(nativeValidateEccsiKey(master.kpak, user, one)).to.equal(true);
        const signed = nativeEccsiSign(master.kpak, user, one, message);
        expect(eccsiVerify(master.kpak, user, message, signed)).to.equal(true);
        expect(eccsiVerify(master.kpak, concat(user, Uint8Array.of(0)), message, signed)).to.equal(false);
      }
      for (const sign of [eccsiSign, nativeEccsiSign]) {
        for (const wrong of [{ pvt: key.pvt.subarray(1) }, { pvt: new Uint8Array(66) }, { ssk: key.ssk.subarray(1) }]) {
          expect(() => sign(kpak, id, { ...key, ...wrong }, message))
            .to.throw()
            .with.property('code', 'bad-length');
        }
      }
    });

    it('two signatures over one message differ: j is fresh', () => {
      const [a, b] = [nativeEccsiSign(kpak, id, key, message), nativeEccsiSign(kpak, id, key, message)];
      expect(toHex(a)).to.not.equal(toHex(b));
    });

    it('remembers senders up to its capacity, the least recently used going first', () => {
      const verifier = new EccsiVerifier(2);
      const master = generateEccsiMaster();
      for (let user = 0; user < 4; user++) {
        const name = Uint8Array.of(user);
        const signed = nativeEccsiSign(master.kpak, name, nativeExtractEccsiKey(master, name), message);
        expect(verifier.verify(master.kpak, name, message, signed)).to.equal(true);
        expect(verifier.verify(master.kpak, name, message, signed)).to.equal(true);
      }
      expect(verifier.size).to.equal(2);
    });

    it('a sender whose signature does not verify is not remembered', () => {
      const verifier = new EccsiVerifier();
      expect(verifier.verify(kpak, id, flip(message, 0), signature)).to.equal(false);
      expect(verifier.verify(kpak, id, message, flip(signature, 128))).to.equal(false);
      expect(verifier.size).to.equal(0);
      expect(verifier.verify(kpak, id, message, signature)).to.equal(true);
      expect(verifier.size).to.equal(1);
    });
  });

  it('section 5.2.2, last step: J is not O, and J_x is r and not 0', () => {
    const { BASE, ZERO, Fp } = p256.Point;
    const withoutX = p256.Point.fromAffine({ x: 0n, y: Fp.sqrt(p256.Point.CURVE().b) });
    const x = toOctets(BASE.toAffine().x, 32);
    expect(isAnswered(BASE, x)).to.equal(true);
    expect(isAnswered(BASE, toOctets(BASE.toAffine().x + 1n, 32))).to.equal(false);
    for (const J of [ZERO, withoutX]) expect(isAnswered(J, new Uint8Array(32))).to.equal(false);
  });

  it('a point is 65 octets, uncompressed, on the curve', () => {
    expect(isEccsiPoint(kpak)).to.equal(true);
    expect(isEccsiPoint(kpak.subarray(0, 64))).to.equal(false);
    expect(isEccsiPoint(new Uint8Array(65))).to.equal(false);
    expect(isEccsiPoint(Uint8Array.of(0))).to.equal(false);
  });

  it('KSAK = 0 and KSAK not below q are refused', () => {
    for (const bad of [0n, ORDER]) {
      expect(() => eccsiPublicKey(toOctets(bad, 32)))
        .to.throw()
        .with.property('code', 'bad-scalar');
    }
  });
});

function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, power] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * power) % modulus;
    power = (power * power) % modulus;
  }
  return result;
}
