import { expect } from 'chai';
import { bounds } from '../../../../../actors/security/ibc/fast/generator/multiply.ts';
import { Machine } from '../../../../../actors/security/ibc/fast/machine.ts';
import { compiledModules } from '../../../../../actors/security/ibc/fast/modules.ts';
import {
  fromDigits,
  montgomeryFactor,
  PLAIN_SIMD,
  type Radix,
  RELAXED_SIMD,
  toDigits,
} from '../../../../../actors/security/ibc/fast/radix.ts';
import { toInteger, toOctets } from '../../../../../actors/security/ibc/octets.ts';
import { SAKKE_P } from '../../../../../actors/security/ibc/parameters.ts';
import { SeededRandom } from '../differential.ts';

const SEED = 'field';
const LANES = [0, 1] as const;
const mod = (value: bigint): bigint => ((value % SAKKE_P) + SAKKE_P) % SAKKE_P;

/** Reads and writes pairs of a machine as digits. */
class Bench {
  readonly machine: Machine;
  readonly radix: Radix;
  readonly limit: number;
  readonly random = new SeededRandom(SEED);

  constructor(machine: Machine) {
    this.machine = machine;
    this.radix = machine.radix;
    this.limit = 2 ** (this.radix.bits - 1) + 64;
  }

  write(pair: number, lane: 0 | 1, digits: readonly number[]): void {
    const view = new Float64Array(this.machine.octets.buffer);
    digits.forEach((digit, index) => {
      view[pair / 8 + 2 * index + lane] = digit;
    });
  }

  digits(pair: number, lane: 0 | 1): number[] {
    const view = new Float64Array(this.machine.octets.buffer);
    return Array.from({ length: this.radix.limbs }, (_, index) => view[pair / 8 + 2 * index + lane]!);
  }

  value(pair: number, lane: 0 | 1): bigint {
    return fromDigits(this.digits(pair, lane), this.radix);
  }

  /** Digits of a normal element: random values, and those that stress carries and the exactness of sums. */
  operand(): number[] {
    const { radix, limit, random } = this;
    const sign = () => (random.below(2) === 0 ? 1 : -1);
    // the top digit is small, for a value is below a few p
    const filled = (digit: () => number) => [
      ...Array.from({ length: radix.limbs - 1 }, digit),
      sign() * random.below(2 ** (1026 - radix.bits * (radix.limbs - 1))),
    ];
    const s = sign();
    return random.pick<() => number[]>([
      () => toDigits(toInteger(random.octets(128)) % SAKKE_P, radix),
      () => toDigits(toInteger(random.octets(128)) % SAKKE_P, radix),
      () => toDigits(-(toInteger(random.octets(128)) % SAKKE_P), radix),
      () => toDigits(random.pick([0n, 1n, -1n, SAKKE_P - 1n, 1n - SAKKE_P, SAKKE_P, 2n ** 1024n - 1n]), radix),
      () => filled(() => s * limit),
      () => filled(() => sign() * limit),
      () => filled(() => sign() * (2 ** (radix.bits - 1) - random.below(3))),
      () => filled(() => sign() * 2 ** random.below(radix.bits)),
    ])();
  }

  expectNormal(pair: number, what: string): void {
    for (const lane of LANES) {
      const digits = this.digits(pair, lane);
      const value = fromDigits(digits, this.radix);
      expect(
        digits.every((digit) => Number.isInteger(digit) && Math.abs(digit) <= this.limit),
        `${what}: digits ${digits.join(' ')}`,
      ).to.equal(true);
      expect(value > -16n * SAKKE_P && value < 16n * SAKKE_P, `${what}: value`).to.equal(true);
    }
  }
}

describe('SAKKE fast path: digits of a field element', () => {
  it('all sums stay exact in a double, in the worst case, for every kernel', () => {
    for (const radix of [RELAXED_SIMD, PLAIN_SIMD]) {
      for (const m of [1, 2]) {
        const { digit, sum, exact, last } = bounds(radix, m);
        // the largest column of products that operands, quotients and p can make, independently of the generator's sum
        const balanced = 2n ** BigInt(radix.bits - 1);
        const modulus = toDigits(SAKKE_P, radix).map((p) => BigInt(Math.abs(p)));
        let column = 0n;
        for (const p of modulus) column += BigInt(m) * BigInt(digit) ** 2n + balanced * p;
        const carry = Number(column >> BigInt(radix.bits)) + 1;
        if (radix.fma) {
          expect(Number(column)).to.be.at.most(2 ** (radix.bits + 51)); // T stays in the binade of M
          const roundedOff = (m + 1) * radix.limbs * Number(balanced);
          expect(roundedOff + carry).to.be.at.most(2 ** 53);
        } else {
          expect(Number(column) + carry).to.be.at.most(2 ** 53);
        }
        expect(sum).to.be.at.least(Number(column));
        expect(exact).to.be.within(carry, 2 ** 53);
        expect(last).to.be.at.most(64);
      }
    }
  });

  it('a representation that does not fit is refused by the generator', () => {
    expect(() => bounds({ ...RELAXED_SIMD, bits: 49 }, 1)).to.throw('do not fit a double');
    expect(() => bounds({ ...PLAIN_SIMD, bits: 25 }, 1)).to.throw('do not fit a double');
  });

  it('digits and integers convert both ways', () => {
    const random = new SeededRandom(SEED);
    for (const radix of [RELAXED_SIMD, PLAIN_SIMD]) {
      for (let count = 0; count < 50; count++) {
        const value = toInteger(random.octets(128)) - 2n ** 1023n;
        const digits = toDigits(value, radix);
        expect(fromDigits(digits, radix)).to.equal(value);
        expect(Math.max(...digits.map(Math.abs))).to.be.at.most(2 ** (radix.bits - 1));
      }
    }
  });
});

for (const { module, radix } of compiledModules()) {
  describe(`SAKKE fast path, ${radix.name}: F_p against BigInt`, () => {
    const bench = new Bench(new Machine(module, radix));
    const { machine } = bench;
    const R = montgomeryFactor(radix);
    const registers = Array.from({ length: 9 }, () => machine.register());
    const [dst, ...sources] = registers as [number, ...number[]];
    /** New operands in every source; their values by lane. */
    const draw = (): [bigint[], bigint[]] => {
      for (const source of sources) for (const lane of LANES) bench.write(source, lane, bench.operand());
      return [sources.map((source) => bench.value(source, 0)), sources.map((source) => bench.value(source, 1))];
    };

    for (const m of [1, 2] as const) {
      it(`multiply${m}: sum of ${m} products, one reduction`, () => {
        const multiply = (machine.run as unknown as Record<string, (...pairs: number[]) => void>)[`multiply${m}`]!;
        for (let count = 0; count < 150; count++) {
          const values = draw();
          multiply(dst, ...sources.slice(0, 2 * m));
          bench.expectNormal(dst, `multiply${m}`);
          for (const lane of LANES) {
            let expected = 0n;
            for (let index = 0; index < m; index++) expected += values[lane][2 * index]! * values[lane][2 * index + 1]!;
            expect(mod(bench.value(dst, lane) * R), `${count}`).to.equal(mod(expected));
          }
        }
      });
    }

    it('the destination of a multiplication may be an operand', () => {
      const [a, b] = sources as [number, number];
      const values = draw();
      machine.mul(a, a, b);
      machine.mul(b, a, b);
      for (const lane of LANES) {
        const [x, y] = values[lane] as [bigint, bigint];
        expect(mod(bench.value(a, lane) * R)).to.equal(mod(x * y));
        expect(mod(bench.value(b, lane) * R * R)).to.equal(mod(x * y * y));
      }
    });

    it('addition and subtraction give normal digits', () => {
      const [a, b] = sources as [number, number];
      for (let count = 0; count < 150; count++) {
        const values = draw();
        for (const [operation, sign] of [
          [machine.add.bind(machine), 1n],
          [machine.sub.bind(machine), -1n],
        ] as const) {
          operation(dst, a, b);
          bench.expectNormal(dst, 'sum');
          for (const lane of LANES) {
            expect(bench.value(dst, lane)).to.equal(values[lane][0]! + sign * values[lane][1]!);
          }
        }
      }
    });

    it('lanes are picked, turned by i, gathered and scattered', () => {
      const [a, b, c] = sources as [number, number, number];
      const values = draw();
      for (const la of LANES) {
        for (const lb of LANES) {
          machine.pick(dst, a, la, b, lb);
          expect(bench.value(dst, 0)).to.equal(values[la][0]);
          expect(bench.value(dst, 1)).to.equal(values[lb][1]);
        }
      }
      machine.run.timesI(dst, a, a);
      expect(bench.value(dst, 0)).to.equal(-values[1][0]!);
      expect(bench.value(dst, 1)).to.equal(values[0][0]);
      machine.run.scatter(a, 1, c);
      machine.run.scatter(b, 0, c + machine.single);
      machine.run.gather(dst, c, c + machine.single);
      expect(bench.value(dst, 0)).to.equal(values[1][0]);
      expect(bench.value(dst, 1)).to.equal(values[0][1]);
    });

    it('octets go in and come out as the representative in 0..p-1', () => {
      const edge = [0n, 1n, 2n, SAKKE_P - 1n, SAKKE_P - 2n, 2n ** 1023n, 2n ** 1023n - 1n, 2n ** 512n];
      const { random } = bench;
      for (let count = 0; count < 200; count++) {
        const [x, y] = [0, 1].map(() => random.pick([...edge, toInteger(random.octets(128)) % SAKKE_P])) as [
          bigint,
          bigint,
        ];
        machine.load(dst, toOctets(x, 128), toOctets(y, 128));
        expect(machine.store(dst).map(toInteger)).to.deep.equal([x, y]);
        expect([machine.isZero(dst, 0), machine.isZero(dst, 1)]).to.deep.equal([x === 0n, y === 0n]);
      }
    });

    it('inversion, also of 1 and p - 1; 0 has none', () => {
      const [a, inverse] = sources as [number, number];
      const { random } = bench;
      for (let count = 0; count < 100; count++) {
        const [x, y] = [0, 1].map(() =>
          random.pick([1n, 2n, SAKKE_P - 1n, 2n ** 1023n, 1n + (toInteger(random.octets(128)) % (SAKKE_P - 1n))]),
        ) as [bigint, bigint];
        machine.load(a, toOctets(x, 128), toOctets(y, 128));
        machine.run.invert(inverse, a);
        bench.expectNormal(inverse, 'inverse');
        machine.mul(dst, a, inverse);
        expect(machine.store(dst).map(toInteger)).to.deep.equal([1n, 1n]);
      }
      machine.load(a, toOctets(0n, 128), toOctets(5n, 128));
      machine.run.invert(inverse, a);
      expect(machine.store(inverse).map(toInteger)).to.deep.equal([0n, 0n]);
    });

    it('many inversions in one', () => {
      const count = 5;
      const [elements, products] = [0, 1].map(() => machine.allocate(count * machine.pair)) as [number, number];
      const values = Array.from({ length: count }, () =>
        [0, 1].map(() => 1n + (toInteger(bench.random.octets(128)) % (SAKKE_P - 1n))),
      );
      values.forEach(([x, y], index) => {
        machine.load(elements + index * machine.pair, toOctets(x!, 128), toOctets(y!, 128));
      });
      machine.invertAll(elements, count, products);
      values.forEach(([x, y], index) => {
        const [u, v] = machine.store(elements + index * machine.pair).map(toInteger);
        expect([mod(u! * x!), mod(v! * y!)]).to.deep.equal([1n, 1n]);
      });
    });

    it('F_p^2: squaring', () => {
      const { f } = machine.layout;
      for (let count = 0; count < 50; count++) {
        for (const lane of LANES) bench.write(f, lane, bench.operand());
        const [x, y] = [bench.value(f, 0), bench.value(f, 1)];
        machine.run.squareF();
        bench.expectNormal(f, 'square');
        expect(mod(bench.value(f, 0) * R)).to.equal(mod(x * x - y * y));
        expect(mod(bench.value(f, 1) * R)).to.equal(mod(2n * x * y));
      }
    });
  });
}
