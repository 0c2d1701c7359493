import { SAKKE_P } from '../../parameters.ts';
import type { Layout } from '../layout.ts';
import { type Radix, toDigits } from '../radix.ts';
import { type Code, type FunctionBuilder, f64x2, i32, type Local, repeat, repeatFrom, seq, v128 } from './assembler.ts';

/**
 * Montgomery multiplication of pairs: dst = (a1 b1 + ... + am bm) / R mod p, lane by lane, m = 1 or 2, with one reduction
 * (P. Montgomery, Math. Comp. 44 (1985); "finely integrated operand scanning" of Koc, Acar, Kaliski, IEEE Micro 16 (1996)).
 *
 * Rows of `block` digits of the a's are worked off one after another: to the columns of the sum are added the row's products
 * with the b's, and multiples q of p chosen so that the lowest columns become multiples of 2^bits and drop out as a carry.
 * The quotients q of the next row are computed as soon as its lowest columns are known, in the shadow of the others.
 *
 * With fused multiply-add each product a b (92 bits) is split exactly into two doubles. T starts as M = 1.5 2^(bits + 52),
 * whose last place is worth 2^bits:
 *
 *     t = fma(a, b, T)           T + a b rounded to a multiple of 2^bits
 *     L = L + fma(a, b, T - t)   what was rounded off, at most 2^(bits-1); T - t is exact
 *     T = t
 *
 * so that T - M + L is the sum of the products (the two-product by FMA of Ogita, Rump, Oishi, SIAM J. Sci. Comput. 26
 * (2005), with the sum kept in T). Without it the digits are so short that the products themselves are summed in L.
 */
export interface Bounds {
  /** Largest digit of an operand. */
  readonly digit: number;
  /** Largest sum of products in a column; with FMA it must not leave the binade of M: at most 2^(bits+51). */
  readonly sum: number;
  /** Largest sum of integers kept in one double, L and the carry: at most 2^53. */
  readonly exact: number;
  /** Largest carry into a digit of the result: at most 64, so that it is normal. */
  readonly last: number;
}

/** The worst case of a multiplication with m products, for normal operands; throws when a double would not be exact. */
export function bounds(radix: Radix, m: number): Bounds {
  const { limbs, bits, fma } = radix;
  const balanced = 2 ** (bits - 1); // of a quotient digit, and of what is rounded off
  const digit = balanced + 64;
  const modulus = toDigits(SAKKE_P, radix).reduce((total, p) => total + Math.abs(p), 0);
  const sum = m * limbs * digit ** 2 + balanced * modulus;
  const lower = fma ? (m + 1) * limbs * balanced : sum;
  const carry = sum / 2 ** bits + 64;
  const exact = lower + carry;
  const last = (fma ? exact : balanced + carry) / 2 ** bits + 0.5;
  if ((fma && sum > 2 ** (bits + 51)) || exact > 2 ** 53 || last > 64) {
    throw new Error(`${m} products of ${limbs} digits of ${bits} bits do not fit a double`);
  }
  return { digit, sum, exact, last };
}

/** Emits the body of a function (dst, a1, b1, ..., am, bm: addresses of pairs); dst may be any of the operands. */
export function emitMultiply(f: FunctionBuilder, radix: Radix, layout: Layout, m: number): void {
  const { limbs, bits, block, fma } = radix;
  bounds(radix, m);
  const both = (value: number): Code => v128.const(value, value);
  const magic = both(1.5 * 2 ** (bits + 52));
  const shift = both(2 ** -bits);
  const negInverse = both(Number(BigInt.asIntN(bits, -inverseModulo(SAKKE_P, 1n << BigInt(bits)))));
  const p0 = both(toDigits(SAKKE_P, radix)[0]!);

  const dst = f.parameter(0);
  const a = Array.from({ length: m }, (_, index) => f.parameter(1 + 2 * index).get);
  /** The factors that rows are multiplied with: the b's, and p for the quotients. */
  const factors = [...a.map((_, index) => f.parameter(2 + 2 * index).get), i32.const(layout.modulus)];
  const within = Array.from({ length: block }, (_, index) => index);
  /** rows[u][w]: digit w of the row of a_u, the last the quotients; and those of the row after. */
  const rows = factors.map(() => f.locals('v128', block));
  const next = factors.map(() => f.locals('v128', block));
  const windows = factors.map(() => f.locals('v128', block));
  const [lowT, lowL] = [f.locals('v128', block), f.locals('v128', block)];
  const [T, L, t, h, high, low, carry] = f.locals('v128', 7) as [Local, Local, Local, Local, Local, Local, Local];
  const [row, column] = f.locals('i32', 2) as [Local, Local];
  const columnsT = layout.columns;
  const columnsL = layout.columns + 16 * limbs;

  /** `rounded` becomes the multiple of 2^bits nearest to `sum`, and `rest` what is left. */
  const split = (rounded: Local, rest: Local, sum: Code): Code =>
    seq(rounded.set(f64x2.sub(f64x2.add(sum, magic), magic)), rest.set(f64x2.sub(sum, rounded.get)));
  const product = (upper: Local, lower: Local, x: Code, y: Code): Code =>
    fma
      ? seq(
          t.set(f64x2.relaxedMadd(x, y, upper.get)),
          lower.set(f64x2.add(lower.get, f64x2.relaxedMadd(x, y, f64x2.sub(upper.get, t.get)))),
          upper.set(t.get),
        )
      : lower.set(f64x2.add(lower.get, f64x2.mul(x, y)));

  const readRow = (into: readonly Local[][], offset: number): Code =>
    seq(
      ...a.map((operand, u) =>
        seq(...within.map((w) => into[u]![w]!.set(v128.load(i32.add(operand, row.get), offset + 16 * w)))),
      ),
    );

  /** Takes the lowest columns of a row off: its own products there, its quotients, the carry h. */
  const lowest = (digits: readonly Local[][]): Code =>
    seq(
      ...within.map((k) => {
        const [upper, lower, q] = [lowT[k]!, lowL[k]!, digits[m]![k]!];
        const before = digits.flatMap((row, u) =>
          within
            .filter((w) => (u < m ? w <= k : w < k))
            .map((w) => product(upper, lower, row[w]!.get, v128.load(factors[u]!, 16 * (k - w)))),
        );
        return seq(
          ...before,
          split(high, low, f64x2.add(lower.get, h.get)),
          fma
            ? seq(
                // q = low * (-1/p) mod 2^bits, balanced: what is rounded off from the product
                t.set(f64x2.relaxedMadd(low.get, negInverse, magic)),
                q.set(f64x2.relaxedMadd(low.get, negInverse, f64x2.sub(magic, t.get))),
                // the column plus q p_0 is a multiple of 2^bits; its parts are summed smallest first
                t.set(f64x2.sub(magic, f64x2.relaxedMadd(q.get, p0, magic))),
                low.set(f64x2.add(low.get, f64x2.relaxedMadd(q.get, p0, t.get))),
                h.set(f64x2.add(f64x2.sub(low.get, t.get), f64x2.add(f64x2.sub(upper.get, magic), high.get))),
                h.set(f64x2.mul(h.get, shift)),
              )
            : seq(
                t.set(f64x2.mul(low.get, negInverse)),
                q.set(f64x2.sub(t.get, f64x2.sub(f64x2.add(t.get, magic), magic))),
                h.set(f64x2.mul(f64x2.add(f64x2.add(high.get, low.get), f64x2.mul(q.get, p0)), shift)),
              ),
        );
      }),
    );

  // column k meets digit w of a row with digit k - w of its factor, which the window holds at (k - w) mod block
  const slot = (u: number, digit: number): Local => windows[u]![((digit % block) + block) % block]!;
  const products = (upper: Local, lower: Local, k: number, chosen: (w: number) => boolean): Code =>
    seq(
      ...rows.flatMap((row, u) =>
        within.filter(chosen).map((w) => product(upper, lower, row[w]!.get, slot(u, k - w).get)),
      ),
    );
  const fillWindow = (k: number, address: (factor: Code) => Code): Code =>
    seq(...factors.map((factor, u) => slot(u, k).set(v128.load(address(factor), 16 * k))));

  /** The columns of a row but the lowest; `meanwhile` is done when the next row's lowest are known. */
  const others = (meanwhile: Code): Code =>
    seq(
      ...within.slice(1).map((k) => fillWindow(k, (factor) => factor)),
      ...within.map((k) =>
        seq(
          fillWindow(block + k, (factor) => factor),
          fma ? lowT[k]!.set(v128.load(i32.const(0), columnsT + 16 * (block + k))) : [],
          lowL[k]!.set(v128.load(i32.const(0), columnsL + 16 * (block + k))),
          products(lowT[k]!, lowL[k]!, block + k, () => true),
        ),
      ),
      meanwhile,
      column.set(i32.const(32 * block)),
      // columns 2 block .. limbs - 1, each stored where the next row looks for it
      repeatFrom(
        column,
        16 * block,
        16 * limbs,
        ...within.map((k) =>
          seq(
            fillWindow(k, (factor) => i32.add(factor, column.get)),
            fma ? T.set(v128.load(column.get, columnsT + 16 * k)) : [],
            L.set(v128.load(column.get, columnsL + 16 * k)),
            products(T, L, k, () => true),
            fma ? v128.store(column.get, T.get, columnsT + 16 * k - 16 * block) : [],
            v128.store(column.get, L.get, columnsL + 16 * k - 16 * block),
          ),
        ),
      ),
      // columns limbs .. limbs + block - 1 are new
      ...within.map((k) =>
        seq(
          fma ? T.set(magic) : [],
          L.set(both(0)),
          products(T, L, k, (w) => w > k),
          fma ? v128.store(i32.const(0), T.get, columnsT + 16 * (limbs - block + k)) : [],
          v128.store(i32.const(0), L.get, columnsL + 16 * (limbs - block + k)),
        ),
      ),
    );

  f.emit(
    h.set(both(0)),
    repeat(
      column,
      limbs,
      16,
      fma ? v128.store(column.get, magic, columnsT) : [],
      v128.store(column.get, both(0), columnsL),
    ),
    ...within.map((k) => seq(fma ? lowT[k]!.set(magic) : [], lowL[k]!.set(both(0)))),
    row.set(i32.const(0)),
    readRow(rows, 0),
    lowest(rows),
    repeat(
      row,
      limbs / block - 1,
      16 * block,
      others(seq(readRow(next, 16 * block), lowest(next))),
      ...rows.flatMap((digits, u) => digits.map((digit, w) => digit.set(next[u]![w]!.get))),
    ),
    others([]),
  );

  // What is left is the result. The large part of a column goes into the next; what is then split off goes to the next
  // digit, at most 64, so that no column waits for the one before.
  const resultDigit = (upper: Local, lower: Local, address: Code, offset: number): Code =>
    seq(
      fma ? upper.set(f64x2.sub(upper.get, magic)) : split(upper, lower, lower.get),
      lower.set(f64x2.add(lower.get, h.get)),
      h.set(f64x2.mul(upper.get, shift)),
      split(high, low, lower.get),
      v128.store(address, f64x2.add(low.get, carry.get), offset),
      carry.set(f64x2.mul(high.get, shift)),
    );
  f.emit(
    carry.set(both(0)),
    fma ? [] : seq(lowL[0]!.set(f64x2.add(lowL[0]!.get, h.get)), h.set(both(0))),
    ...within.map((k) => resultDigit(lowT[k]!, lowL[k]!, dst.get, 16 * k)),
    column.set(i32.const(16 * block)),
    repeatFrom(
      column,
      16,
      16 * limbs,
      fma ? T.set(v128.load(column.get, columnsT)) : [],
      L.set(v128.load(column.get, columnsL)),
      resultDigit(T, L, i32.add(dst.get, column.get), 0),
    ),
  );
}

/** 1/value modulo a power of two, by Newton's iteration. */
function inverseModulo(value: bigint, powerOfTwo: bigint): bigint {
  let inverse = 1n;
  for (let known = 1n; known < 64n; known *= 2n) inverse = (inverse * (2n - value * inverse)) % powerOfTwo;
  return inverse;
}
