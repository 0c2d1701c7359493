import { expect } from 'chai';
import { createBigintArithmetic } from '../../../../../actors/security/ibc/bigint/index.ts';
import { IbcError } from '../../../../../actors/security/ibc/errors.ts';
import { writeDigits } from '../../../../../actors/security/ibc/fast/combs.ts';
import { EDWARDS_C, EDWARDS_S } from '../../../../../actors/security/ibc/fast/edwards.ts';
import { FastArithmetic } from '../../../../../actors/security/ibc/fast/index.ts';
import { BLOCKS_OF_COMB, COLUMNS, DIGITS, layoutOf, TEETH } from '../../../../../actors/security/ibc/fast/layout.ts';
import { compiledModules } from '../../../../../actors/security/ibc/fast/modules.ts';
import {
  BLOCKS,
  FIRST_ENTRY,
  LAST_DIGIT,
  LAST_ENTRY,
  nonAdjacentForm,
  ODD_MULTIPLES,
  WINDOW_STEPS,
} from '../../../../../actors/security/ibc/fast/schedule.ts';
import { WebAssembly } from '../../../../../actors/security/ibc/fast/webassembly.ts';
import { toHex, toInteger, toOctets } from '../../../../../actors/security/ibc/octets.ts';
import { SAKKE_P, SAKKE_Q } from '../../../../../actors/security/ibc/parameters.ts';
import { SeededRandom } from '../differential.ts';
import { vector } from '../vectors.ts';

describe('SAKKE fast path: what the tables are built on', () => {
  it('s^2 = -1/3 and c^2 = -2/s, the constants of the map to the Edwards curve', () => {
    const [s, c] = [toInteger(EDWARDS_S), toInteger(EDWARDS_C)];
    expect((3n * s * s + 1n) % SAKKE_P).to.equal(0n);
    expect((c * c * s + 2n) % SAKKE_P).to.equal(0n);
  });

  it('the blocks of the Miller loop count up to q, but for the last digit', () => {
    const total = BLOCKS.reduce((sum, { doublings, addend }) => (sum << BigInt(doublings)) + BigInt(addend), 1n);
    expect(total + BigInt(LAST_DIGIT!)).to.equal(SAKKE_Q);
    expect(BLOCKS.every(({ doublings, addend }) => addend === 0 || doublings === 2)).to.equal(true);
    expect(BLOCKS.length % 2, 'two blocks are evaluated at once').to.equal(0);
  });

  it('the steps of the loop without a table count up to q, but for the entry left out', () => {
    const digitOf = (entry: number): bigint => BigInt(entry % 2 === 0 ? entry + 1 : -entry);
    const total = WINDOW_STEPS.reduce(
      (sum, step) => 2n * sum + (step === 0 ? 0n : digitOf(step - 1)),
      digitOf(FIRST_ENTRY),
    );
    expect(total + digitOf(LAST_ENTRY)).to.equal(SAKKE_Q);
    expect(Math.max(...WINDOW_STEPS)).to.be.at.most(2 * ODD_MULTIPLES);
  });

  for (const width of [2, 5]) {
    it(`non-adjacent form of width ${width}`, () => {
      for (let value = 1n; value < 400n; value++) {
        const digits = nonAdjacentForm(value, width);
        expect(digits.reduceRight((sum, digit) => 2n * sum + BigInt(digit), 0n)).to.equal(value);
        digits.forEach((digit, index) => {
          if (digit === 0) return;
          expect(Math.abs(digit)).to.be.below(2 ** (width - 1));
          expect(digits.slice(index + 1, index + width).every((next) => next === 0)).to.equal(true);
        });
      }
    });
  }

  it('digits of the combs add up to the scalar modulo q, and none is empty', () => {
    const random = new SeededRandom('digits');
    for (const k of [
      0n,
      1n,
      2n,
      SAKKE_Q - 1n,
      SAKKE_Q,
      ...Array.from({ length: 20 }, () => toInteger(random.octets(128))),
    ]) {
      const digits = new Uint8Array(DIGITS);
      writeDigits(digits, k);
      let sum = 0n;
      for (let block = 0; block < BLOCKS_OF_COMB; block++) {
        for (let column = 0; column < COLUMNS; column++) {
          const digit = digits[column * BLOCKS_OF_COMB + block]!;
          const position = BigInt(block * COLUMNS + column);
          let chosen = 2n ** BigInt((TEETH - 1) * DIGITS);
          for (let tooth = 0; tooth < TEETH - 1; tooth++) {
            const term = 2n ** BigInt(tooth * DIGITS);
            chosen += (digit >> tooth) % 2 === 1 ? term : -term;
          }
          sum += (digit >> (TEETH - 1) === 1 ? -chosen : chosen) << position;
        }
      }
      expect((sum - k) % SAKKE_Q).to.equal(0n);
    }
  });
});

for (const { module, radix } of compiledModules()) {
  describe(`SAKKE fast path, ${radix.name}`, () => {
    const rfc = vector('RFC6508 Appendix A');

    it('RFC 6508 appendix A, and its memory holds nothing of it afterwards', () => {
      const memories: { buffer: ArrayBuffer }[] = [];
      const arithmetic = new FastArithmetic(watching(module, memories), radix);
      const [memory] = memories as [{ buffer: ArrayBuffer }];
      const { digits, heap, octets, schedule, columns } = layoutOf(radix);
      const traces = () => {
        const all = new Uint8Array(memory.buffer);
        return [all.subarray(digits, heap), all.subarray(octets, schedule), all.subarray(columns, octets)].some(
          (part) => part.some((octet) => octet !== 0),
        );
      };

      expect(toHex(arithmetic.mulBase(rfc.hex('z_T')))).to.equal(toHex(rfc.hex('Z_T')));
      expect(traces(), 'mulBase').to.equal(false);
      const kms = arithmetic.prepareKms(rfc.hex('Z_T'));
      expect(toHex(arithmetic.encapsulationPoint(kms, rfc.hex('b'), rfc.hex('r')))).to.equal(toHex(rfc.hex('R_b')));
      expect(traces(), 'encapsulationPoint').to.equal(false);
      const table = arithmetic.preparePairing(rfc.hex('K_bT'));
      expect(traces(), 'preparePairing').to.equal(false);
      expect(() => arithmetic.pairPrepared(table, new Uint8Array(257))).to.throw(IbcError);
      expect(toHex(arithmetic.pairPrepared(table, rfc.hex('R_b')))).to.equal(toHex(rfc.hex('g_pow_r')));
      expect(toHex(arithmetic.gPow(rfc.hex('r')))).to.equal(toHex(rfc.hex('g_pow_r')));
      expect(traces(), 'pairPrepared and gPow').to.equal(false);
      expect(toHex(arithmetic.pair(rfc.hex('K_bT'), rfc.hex('R_b')))).to.equal(toHex(rfc.hex('g_pow_r')));
      expect(traces(), 'pair').to.equal(false);
      table.dispose();
      table.dispose();
      expect(() => arithmetic.pairPrepared(table, rfc.hex('R_b')))
        .to.throw(IbcError)
        .with.property('code', 'disposed');
      kms.dispose();
      arithmetic.dispose();
      expect(new Uint8Array(memory.buffer).every((octet) => octet === 0)).to.equal(true);
      expect(() => arithmetic.gPow(Uint8Array.of(1)))
        .to.throw(IbcError)
        .with.property('code', 'disposed');
    });

    it('a table given back is zeroed, and its memory used again', () => {
      const memories: { buffer: ArrayBuffer }[] = [];
      const arithmetic = new FastArithmetic(watching(module, memories), radix);
      const [memory] = memories as [{ buffer: ArrayBuffer }];
      const nonZero = () => new Uint8Array(memory.buffer).reduce((sum, octet) => sum + (octet === 0 ? 0 : 1), 0);
      const point = arithmetic.mulBase(Uint8Array.of(7));
      const before = nonZero();
      arithmetic.preparePairing(point).dispose();
      expect(nonZero()).to.equal(before);
      const size = memory.buffer.byteLength;
      for (let count = 0; count < 3; count++) arithmetic.preparePairing(point).dispose();
      expect(memory.buffer.byteLength).to.equal(size);
      arithmetic.dispose();
    });

    it('a pairing without a table leaves nothing behind, also when it refuses the point', () => {
      const memories: { buffer: ArrayBuffer }[] = [];
      const arithmetic = new FastArithmetic(watching(module, memories), radix);
      const [memory] = memories as [{ buffer: ArrayBuffer }];
      const nonZero = () => new Uint8Array(memory.buffer).reduce((sum, octet) => sum + (octet === 0 ? 0 : 1), 0);
      const point = arithmetic.mulBase(Uint8Array.of(7));
      const order2 = Uint8Array.of(4, ...new Uint8Array(256));
      const before = nonZero();
      arithmetic.pair(point, point);
      expect(nonZero()).to.equal(before);
      expect(() => arithmetic.pair(order2, point)).to.throw(IbcError);
      expect(nonZero()).to.equal(before);
      const size = memory.buffer.byteLength;
      for (let count = 0; count < 3; count++) arithmetic.pair(point, point);
      expect(memory.buffer.byteLength).to.equal(size);
      arithmetic.dispose();
    });

    it('[b]P + Z_T, also by the first call of an instance, for b = 0, and where it is O', () => {
      const portable = createBigintArithmetic();
      const [zT, zTPoint] = [rfc.hex('z_T'), rfc.hex('Z_T')];
      const one = Uint8Array.of(0, 1);
      for (const b of [Uint8Array.of(0), rfc.hex('b')]) {
        const arithmetic = new FastArithmetic(module, radix);
        const sum = toOctets((toInteger(b) + toInteger(zT)) % SAKKE_Q, 128);
        const kms = arithmetic.prepareKms(zTPoint);
        expect(toHex(arithmetic.encapsulationPoint(kms, b, one))).to.equal(toHex(portable.mulBase(sum)));
        const opposite = toOctets(SAKKE_Q - toInteger(zT), 128);
        expect(() => arithmetic.encapsulationPoint(kms, opposite, one))
          .to.throw(IbcError)
          .with.property('code', 'point-at-infinity');
        arithmetic.dispose();
      }
    });

    it('a table of another instance is refused', () => {
      const [one, other] = [new FastArithmetic(module, radix), new FastArithmetic(module, radix)];
      const table = one.prepareKms(rfc.hex('Z_T'));
      expect(() => other.encapsulationPoint(table, rfc.hex('b'), rfc.hex('r')))
        .to.throw(IbcError)
        .with.property('code', 'disposed');
      one.dispose();
      other.dispose();
    });
  });
}

/** Instantiates the module as a FastArithmetic does, and keeps hold of the memory: the same instance, seen from outside. */
function watching(module: object, memories: { buffer: ArrayBuffer }[]): object {
  const { Instance } = WebAssembly;
  (WebAssembly as { Instance: unknown }).Instance = class {
    readonly exports: object;
    constructor(compiled: object) {
      this.exports = new Instance(compiled).exports;
      memories.push((this.exports as { memory: { buffer: ArrayBuffer } }).memory);
      (WebAssembly as { Instance: unknown }).Instance = Instance;
    }
  };
  return module;
}
