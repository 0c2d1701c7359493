import { SAKKE_P } from '../../parameters.ts';
import { type Layout, SCRATCH_PAIRS } from '../layout.ts';
import { montgomeryFactor, pairOctets, type Radix, toDigits } from '../radix.ts';
import {
  type Code,
  type FunctionBuilder,
  f64,
  f64x2,
  i32,
  i64,
  type Local,
  type ModuleBuilder,
  repeat,
  seq,
  v128,
} from './assembler.ts';
import { emitMultiply } from './multiply.ts';

/** Address of a pair: a fixed one, or code that computes it. */
export type Address = number | Code;
const at = (address: Address): Code => (typeof address === 'number' ? i32.const(address) : address);

/**
 * The operations on pairs as functions of the module, and as code that calls them. All operands and results are normal
 * (radix.ts), so any order of operations is within the bounds of multiply.ts; the destination may be an operand.
 */
export class Field {
  readonly radix: Radix;
  readonly layout: Layout;
  readonly module: ModuleBuilder;
  readonly #products: readonly FunctionBuilder[];
  readonly #add: FunctionBuilder;
  readonly #sub: FunctionBuilder;
  readonly #picks: readonly FunctionBuilder[];
  readonly #timesI: FunctionBuilder;
  readonly fromOctets: FunctionBuilder;
  readonly toOctets: FunctionBuilder;
  #scratch = 0;

  constructor(module: ModuleBuilder, radix: Radix, layout: Layout) {
    this.module = module;
    this.radix = radix;
    this.layout = layout;
    this.#constants();
    this.#products = [1, 2].map((m) => {
      const f = module.function(
        Array.from({ length: 1 + 2 * m }, () => 'i32' as const),
        undefined,
        `multiply${m}`,
      );
      emitMultiply(f, radix, layout, m);
      return f;
    });
    this.#add = this.#carrying('add', (a, b) => f64x2.add(a, b));
    this.#sub = this.#carrying('subtract', (a, b) => f64x2.sub(a, b));
    this.#picks = [0, 1, 2, 3].map((lanes) => {
      const [l0, l1] = [lanes >> 1, lanes & 1];
      return this.digitwise(`pick${l0}${l1}`, (a, b) => v128.shuffle64(a, b, l0, 2 + l1));
    });
    // (x + iy) i = -y + ix
    this.#timesI = this.digitwise('timesI', (a) => v128.xor(v128.shuffle64(a, a, 1, 0), v128.const(-0, 0)));
    this.fromOctets = module.function(['i32', 'i32'], undefined, 'fromOctets');
    this.toOctets = module.function(['i32', 'i32'], undefined, 'toOctets');
    this.#octets();
    this.#singles();
    if (radix.fma) this.#multiplyAdd();
  }

  /** A pair of scratch memory for good. */
  scratch(): number {
    if (this.#scratch === SCRATCH_PAIRS) throw new Error('no scratch pair left');
    return this.layout.scratch + pairOctets(this.radix) * this.#scratch++;
  }

  /** dst = a b, or with more operands dst = a1 b1 + a2 b2 + ... */
  mul(dst: Address, ...operands: readonly Address[]): Code {
    return this.#products[operands.length / 2 - 1]!.call(at(dst), ...operands.map(at));
  }

  add(dst: Address, a: Address, b: Address): Code {
    return this.#add.call(at(dst), at(a), at(b));
  }

  sub(dst: Address, a: Address, b: Address): Code {
    return this.#sub.call(at(dst), at(a), at(b));
  }

  /** dst = (lane la of a, lane lb of b). */
  pick(dst: Address, a: Address, la: 0 | 1, b: Address, lb: 0 | 1): Code {
    return this.#picks[2 * la + lb]!.call(at(dst), at(a), at(b));
  }

  copy(dst: Address, a: Address): Code {
    return this.pick(dst, a, 0, a, 1);
  }

  /** The pair as an element x + iy of F_p^2, times i. */
  timesI(dst: Address, a: Address): Code {
    return this.#timesI.call(at(dst), at(a), at(a));
  }

  /** A function (dst, a, b) that maps digit by digit and makes no carries. */
  digitwise(name: string, map: (a: Code, b: Code) => Code): FunctionBuilder {
    const f = this.module.function(['i32', 'i32', 'i32'], undefined, name);
    const [dst, a, b] = [0, 1, 2].map((index) => f.parameter(index).get) as [Code, Code, Code];
    const index = f.local('i32');
    const digit = (pointer: Code): Code => v128.load(i32.add(pointer, index.get));
    f.emit(repeat(index, this.radix.limbs, 16, v128.store(i32.add(dst, index.get), map(digit(a), digit(b)))));
    return f;
  }

  /** Code that makes `value` normal and stores it as a digit: the rest of it plus the carry of the digit before. */
  storeNormal(address: Code, value: Local, high: Local, carry: Local): Code {
    const magic = 1.5 * 2 ** (this.radix.bits + 52);
    const plus = v128.const(magic, magic);
    const shift = 2 ** -this.radix.bits;
    return seq(
      high.set(f64x2.sub(f64x2.add(value.get, plus), plus)),
      v128.store(address, f64x2.add(f64x2.sub(value.get, high.get), carry.get)),
      carry.set(f64x2.mul(high.get, v128.const(shift, shift))),
    );
  }

  /** A function (dst, a, b) that maps digit by digit to at most a few times a normal digit, and passes carries on once. */
  #carrying(name: string, map: (a: Code, b: Code) => Code): FunctionBuilder {
    const f = this.module.function(['i32', 'i32', 'i32'], undefined, name);
    const [dst, a, b] = [0, 1, 2].map((index) => f.parameter(index).get) as [Code, Code, Code];
    const index = f.local('i32');
    const [value, high, carry] = f.locals('v128', 3) as [Local, Local, Local];
    const digit = (pointer: Code): Code => v128.load(i32.add(pointer, index.get));
    f.emit(
      carry.set(v128.const(0, 0)),
      repeat(
        index,
        this.radix.limbs,
        16,
        value.set(map(digit(a), digit(b))),
        this.storeNormal(i32.add(dst, index.get), value, high, carry),
      ),
    );
    return f;
  }

  #constants(): void {
    const { layout, radix } = this;
    const R = montgomeryFactor(radix);
    const values: [number, bigint][] = [
      [layout.modulus, SAKKE_P],
      [layout.one, R % SAKKE_P],
      [layout.rSquared, (R * R) % SAKKE_P],
      [layout.unit, 1n],
    ];
    for (const [address, value] of values) {
      const doubles = new Float64Array(toDigits(value, radix).flatMap((digit) => [digit, digit]));
      this.module.data(address, new Uint8Array(doubles.buffer));
    }
  }

  /**
   * fromOctets(dst, lane): 128 octets at layout.octets, least significant first, become one lane of dst (not in Montgomery
   * form, digits 0 to 2^bits - 1: add the zero pair to make it normal).
   * toOctets(src, lane): the reverse, for src not in Montgomery form, to the one representative in 0..p-1.
   */
  #octets(): void {
    const { radix, layout } = this;
    const { limbs, bits } = radix;
    const places = Array.from({ length: limbs }, (_, index) => ({
      octet: layout.octets + Math.floor((index * bits) / 8),
      bit: BigInt((index * bits) % 8),
      limb: 16 * index,
    }));
    const mask = i64.const((1n << BigInt(bits)) - 1n);
    const from = this.fromOctets;
    const dst = i32.add(from.parameter(0).get, i32.mul(from.parameter(1).get, i32.const(8)));
    from.emit(
      ...places.map(({ octet, bit, limb }) =>
        f64.store(dst, f64.fromI64S(i64.and(i64.shrU(i64.load(i32.const(0), octet), i64.const(bit)), mask)), limb),
      ),
    );

    const to = this.toOctets;
    const src = to.local('i32');
    const [carry, borrow, choose] = to.locals('i64', 3) as [Local, Local, Local];
    const x = to.locals('i64', limbs);
    const y = to.locals('i64', limbs);
    const p = toDigits(SAKKE_P, radix).map((digit) => i64.const(BigInt(digit)));
    const ripple = (digits: Local[], pass: Local, term: (index: number) => Code): Code =>
      seq(
        pass.set(i64.const(0n)),
        ...digits.map((digit, index) =>
          seq(
            pass.set(i64.add(pass.get, term(index))),
            digit.set(index === limbs - 1 ? pass.get : i64.and(pass.get, mask)),
            pass.set(i64.shrS(pass.get, i64.const(BigInt(bits)))),
          ),
        ),
      );
    to.emit(
      src.set(i32.add(to.parameter(0).get, i32.mul(to.parameter(1).get, i32.const(8)))),
      // |value| < p: x = value + p is in 0 .. 2p, y = x - p; the one that is in 0 .. p-1 is chosen without a branch
      ripple(x, carry, (index) => i64.add(i64.fromF64(f64.load(src.get, places[index]!.limb)), p[index]!)),
      ripple(y, borrow, (index) => i64.sub(x[index]!.get, p[index]!)),
      choose.set(i64.shrS(y[limbs - 1]!.get, i64.const(63n))),
      ...Array.from({ length: 20 }, (_, index) => i64.store(i32.const(layout.octets), i64.const(0n), 8 * index)),
      ...places.map(({ octet, bit }, index) =>
        i64.store(
          i32.const(0),
          i64.or(
            i64.load(i32.const(0), octet),
            i64.shl(
              i64.or(i64.and(x[index]!.get, choose.get), i64.and(y[index]!.get, i64.xor(choose.get, i64.const(-1n)))),
              i64.const(bit),
            ),
          ),
          octet,
        ),
      ),
    );
  }

  /** multiplyAdd(a, b, c) of doubles by the instruction that the products use, to find out how it rounds here. */
  #multiplyAdd(): void {
    const f = this.module.function(['f64', 'f64', 'f64'], 'f64', 'multiplyAdd');
    const [a, b, c] = [0, 1, 2].map((index) => f64x2.splat(f.parameter(index).get)) as [Code, Code, Code];
    f.emit(f64x2.extractLane0(f64x2.relaxedMadd(a, b, c)));
  }

  /** gather(dst, a, b): dst = (element alone at a, element alone at b). scatter(src, lane, a): one lane to an element alone. */
  #singles(): void {
    const { limbs } = this.radix;
    const gather = this.module.function(['i32', 'i32', 'i32'], undefined, 'gather');
    const scatter = this.module.function(['i32', 'i32', 'i32'], undefined, 'scatter');
    for (const [f, body] of [
      [
        gather,
        (single: Code, pair: Code): Code =>
          v128.store(
            i32.add(gather.parameter(0).get, pair),
            v128.load64Lane(
              i32.add(gather.parameter(2).get, single),
              v128.load64Zero(i32.add(gather.parameter(1).get, single)),
              1,
            ),
          ),
      ],
      [
        scatter,
        (single: Code, pair: Code): Code =>
          f64.store(
            i32.add(scatter.parameter(2).get, single),
            f64.load(i32.add(i32.add(scatter.parameter(0).get, pair), i32.mul(scatter.parameter(1).get, i32.const(8)))),
          ),
      ],
    ] as const) {
      const index = f.local('i32');
      f.emit(repeat(index, limbs, 8, body(index.get, i32.mul(index.get, i32.const(2)))));
    }
  }
}
