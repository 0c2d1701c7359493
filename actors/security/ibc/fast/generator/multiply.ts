import { SAKKE_P } from '../../parameters.ts';
import type { Layout } from '../layout.ts';
import { type Radix, toDigits } from '../radix.ts';
import {
  type Code,
  doWhile,
  type FunctionBuilder,
  f64x2,
  i32,
  ifThen,
  type Local,
  repeat,
  seq,
  v128,
} from './assembler.ts';

/**
 * Montgomery multiplication of pairs: dst = (a1 b1 + a2 b2 + ... + am bm) / R mod p, lane by lane, with one reduction.
 *
 * Product scanning: column k collects a_i b_(k-i) and q_i p_(k-i), where q_k is chosen in column k so that the sum of the
 * columns 0 to k is a multiple of 2^(bits (k+1)) (P. Montgomery, Math. Comp. 44 (1985); "FIPS" of Koc, Acar, Kaliski, IEEE
 * Micro 16 (1996)). Columns limbs to 2 limbs - 1 are the result. `block` columns are worked on together so that each digit
 * loaded serves as many products.
 *
 * With fused multiply-add each product a b (92 bits) is split exactly into two doubles. T starts as M = 1.5 2^(bits + 52),
 * whose last place is worth 2^bits:
 *
 *     t = fma(a, b, T)         T + a b rounded to a multiple of 2^bits
 *     L = L + fma(a, b, T - t) what was rounded off, at most 2^(bits-1); T - t is exact
 *     T = t
 *
 * so that T - M + L is the sum of the products (the two-product by FMA of Ogita, Rump, Oishi, SIAM J. Sci. Comput. 26
 * (2005), with the sum kept in T). Without it the digits are so short that the products themselves are summed in L.
 *
 * Bounds, asserted by {@link bounds} for every kernel at generation:
 *   T:  limbs B^2 <= 2^(bits+51), else T would leave the binade of M. Each of the m + 1 sums begins anew.
 *   L:  every sum of integers kept in a double stays below 2^53.
 *   S:  sum of T's, multiples of 2^bits below 2^(bits+53).
 */
export interface Bounds {
  /** Largest digit of an operand. */
  readonly digit: number;
  /** Largest |T - M|, in units of which 2^(bits+51) is the limit. */
  readonly upper: number;
  /** Largest |L| within a column, before the carry comes in. */
  readonly lower: number;
  /** Largest carry into a column. */
  readonly carry: number;
  /** Whether the carry must be split before it is added, because lower + carry is beyond 2^53. */
  readonly splitCarry: boolean;
  /** Largest carry into a digit of the result, which must stay normal. */
  readonly last: number;
}

/** The worst case of a multiplication with m products, for normal operands; throws when a double would not be exact. */
export function bounds({ limbs, bits, fma }: Radix, m: number): Bounds {
  const balanced = 2 ** (bits - 1);
  const digit = balanced + 64;
  const products = m * limbs * digit ** 2;
  const reductions = limbs * balanced ** 2;
  const lower = fma ? (m + 1) * limbs * balanced : products + reductions;
  const carry = (products + reductions + balanced ** 2) / 2 ** bits + 64;
  const upper = fma ? limbs * digit ** 2 : 0;
  const splitCarry = lower + carry > 2 ** 53;
  const column = fma ? lower + (splitCarry ? balanced : carry) : balanced + carry;
  const last = column / 2 ** bits + 0.5;
  if (upper > 2 ** (bits + 51) || lower + 2 * balanced > 2 ** 53 || (splitCarry && !fma) || last > 64) {
    throw new Error(`${m} products of ${limbs} digits of ${bits} bits do not fit a double`);
  }
  return { digit, upper, lower, carry, splitCarry, last };
}

/** Emits the body of a function (dst, a1, b1, ..., am, bm: addresses of pairs); dst may be any of the operands. */
export function emitMultiply(f: FunctionBuilder, radix: Radix, layout: Layout, m: number): void {
  const { limbs, bits, block, fma } = radix;
  const { splitCarry } = bounds(radix, m);
  const both = (value: number): Code => v128.const(value, value);
  const magic = 1.5 * 2 ** (bits + 52);
  const plus = both(magic);
  const shift = both(2 ** -bits);
  const size = 1n << BigInt(bits);
  const negInverse = both(Number(BigInt.asIntN(bits, -inverseModulo(SAKKE_P, size))));
  const p0 = both(toDigits(SAKKE_P, radix)[0]!);

  const dst = f.parameter(0);
  const operands = Array.from({ length: m }, (_, index) => ({
    a: f.parameter(1 + 2 * index).get,
    b: f.parameter(2 + 2 * index).get,
  }));
  const reduction = { a: i32.const(layout.quotient), b: i32.const(layout.modulus) };
  const columns = Array.from({ length: block }, (_, index) => index);
  const T = f.locals('v128', block);
  const L = f.locals('v128', block);
  const S = f.locals('v128', block);
  const window = f.locals('v128', block);
  const [digit, t, h, carry, low, high, q] = f.locals('v128', 7) as [Local, Local, Local, Local, Local, Local, Local];
  const [group, pa, pb, end] = f.locals('i32', 4) as [Local, Local, Local, Local];
  const stride = i32.const(16 * block);

  /** `rounded` becomes the multiple of 2^bits nearest to `sum`, and `rest` what is left. */
  const split = (rounded: Local, rest: Local, sum: Code): Code =>
    seq(rounded.set(f64x2.sub(f64x2.add(sum, plus), plus)), rest.set(f64x2.sub(sum, rounded.get)));

  /** One product into column k of the block. */
  const product = (a: Code, b: Code, k: number): Code =>
    fma
      ? seq(
          t.set(f64x2.relaxedMadd(a, b, T[k]!.get)),
          L[k]!.set(f64x2.add(L[k]!.get, f64x2.relaxedMadd(a, b, f64x2.sub(T[k]!.get, t.get)))),
          T[k]!.set(t.get),
        )
      : L[k]!.set(f64x2.add(L[k]!.get, f64x2.mul(a, b)));

  /**
   * Digit s of a, times the digits of b that meet it in the chosen columns. `pa` points to a digit i, `pb` to digit
   * j - (block - 1), i + j being column 0 of the block; the window holds digits of b by their index modulo block.
   */
  const slot = (offset: number): Local => window[((offset % block) + block) % block]!;
  const digitOf = (s: number, chosen: (column: number) => boolean): Code =>
    seq(
      slot(-s).set(v128.load(pb.get, 16 * (block - 1 - s))),
      digit.set(v128.load(pa.get, 16 * s)),
      ...columns
        .filter(chosen)
        .reverse()
        .map((k) => product(digit.get, slot(k - s).get, k)),
    );
  const wholeBlocks = ifThen(
    i32.ne(pa.get, end.get),
    doWhile(
      i32.ne(pa.tee(i32.add(pa.get, stride)), end.get),
      ...columns.map((s) => digitOf(s, () => true)),
      pb.set(i32.sub(pb.get, stride)),
    ),
  );
  // The first sum T begins at M and the second at -M, so that adding them cancels it; from the others M is taken.
  const open = (index: number): Code =>
    seq(
      ...columns.map((k) =>
        seq(fma ? T[k]!.set(both(index === 1 ? -magic : magic)) : [], index === 0 ? L[k]!.set(both(0)) : []),
      ),
    );
  const close = (index: number, k: number): Code => {
    if (!fma) return [];
    if (index === 0) return S[k]!.set(T[k]!.get);
    return S[k]!.set(f64x2.add(S[k]!.get, index === 1 ? T[k]!.get : f64x2.sub(T[k]!.get, plus)));
  };
  const takeCarry = (k: number): Code =>
    seq(
      splitCarry ? seq(split(high, h, h.get), S[k]!.set(f64x2.add(S[k]!.get, high.get))) : [],
      L[k]!.set(f64x2.add(L[k]!.get, h.get)),
    );

  // columns 0 .. limbs - 1: i from 0 up to the block's own first digit, then the triangle where j would become negative
  const upTo = ({ a, b }: { a: Code; b: Code }): Code =>
    seq(
      pa.set(a),
      end.set(i32.add(a, group.get)),
      pb.set(i32.sub(i32.add(b, group.get), i32.const(16 * (block - 1)))),
      ...columns.slice(1).map((j) => slot(j).set(v128.load(pb.get, 16 * (block - 1 + j)))),
      wholeBlocks,
    );
  const quotientDigit = (k: number): Code =>
    seq(
      close(m, k),
      takeCarry(k),
      split(high, low, L[k]!.get),
      fma
        ? seq(
            // q = low * (-1/p) mod 2^bits, balanced: the part of the product that is rounded off
            t.set(f64x2.relaxedMadd(low.get, negInverse, plus)),
            q.set(f64x2.relaxedMadd(low.get, negInverse, f64x2.sub(plus, t.get))),
            // the column plus q p_0 is a multiple of 2^bits; its parts are summed smallest first
            t.set(f64x2.sub(plus, f64x2.relaxedMadd(q.get, p0, plus))),
            low.set(f64x2.add(low.get, f64x2.relaxedMadd(q.get, p0, t.get))),
            h.set(f64x2.sub(low.get, t.get)),
            h.set(f64x2.mul(f64x2.add(h.get, f64x2.add(S[k]!.get, high.get)), shift)),
          )
        : seq(
            t.set(f64x2.mul(low.get, negInverse)),
            q.set(f64x2.sub(t.get, f64x2.sub(f64x2.add(t.get, plus), plus))),
            h.set(f64x2.mul(f64x2.add(L[k]!.get, f64x2.mul(q.get, p0)), shift)),
          ),
      v128.store(group.get, q.get, layout.quotient + 16 * k),
      ...columns
        .filter((later) => later > k)
        .map((later) => product(q.get, v128.load(i32.const(layout.modulus), 16 * (later - k)), later)),
    );
  f.emit(
    h.set(both(0)),
    repeat(
      group,
      limbs / block,
      16 * block,
      ...operands.map((operand, index) =>
        seq(
          open(index),
          upTo(operand),
          ...columns.map((s) => digitOf(s, (k) => k >= s)),
          ...columns.map((k) => close(index, k)),
        ),
      ),
      open(m),
      upTo(reduction),
      ...columns.map(quotientDigit),
    ),
  );

  // columns limbs .. 2 limbs - 1: first the triangle where j would be beyond the last digit
  const fromThere = ({ a, b }: { a: Code; b: Code }): Code =>
    seq(
      pa.set(i32.add(a, group.get)),
      end.set(i32.add(a, i32.const(16 * limbs))),
      pb.set(i32.add(b, i32.const(16 * (limbs - block + 1)))),
      ...columns.slice(1).map((s) => digitOf(s, (k) => k < s)),
      pa.set(i32.add(pa.get, stride)),
      pb.set(i32.sub(pb.get, stride)),
      wholeBlocks,
    );
  // The large part of the carry, S, goes into the next column; what is then split off goes to the next digit of the
  // result, at most 64, so that no column waits for the one before.
  const resultDigit = (k: number): Code =>
    seq(
      fma ? close(m, k) : split(S[k]!, L[k]!, L[k]!.get),
      takeCarry(k),
      h.set(f64x2.mul(S[k]!.get, shift)),
      split(high, low, L[k]!.get),
      v128.store(i32.add(dst.get, group.get), f64x2.add(low.get, carry.get), 16 * k),
      carry.set(f64x2.mul(high.get, shift)),
    );
  f.emit(
    carry.set(both(0)),
    repeat(
      group,
      limbs / block,
      16 * block,
      ...[...operands, reduction].map((operand, index) =>
        seq(open(index), fromThere(operand), index < m ? seq(...columns.map((k) => close(index, k))) : []),
      ),
      ...columns.map(resultDigit),
    ),
  );
}

/** 1/value modulo a power of two, by Newton's iteration. */
function inverseModulo(value: bigint, powerOfTwo: bigint): bigint {
  let inverse = 1n;
  for (let known = 1n; known < 64n; known *= 2n) inverse = (inverse * (2n - value * inverse)) % powerOfTwo;
  return inverse;
}
