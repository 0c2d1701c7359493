import { Chain, FIRST_STEP, STEPS } from './chain.ts';
import { lineTableOctets, PAIRS_PER_LINE } from './layout.ts';
import type { Machine } from './machine.ts';
import { BLOCKS } from './schedule.ts';

/**
 * The receiver's table: merged lines of the Miller loop f_q (RFC 6508 section 3.2) for a fixed first argument A.
 *
 * The line through two points of E is Y - (lambda X + nu). The second argument enters as (X, Y) = (-x, iy), so a product of
 * lines is A + iyB with A and B in F_p, and any factor in F_p may be dropped, since the final power removes it. The lines of
 * one block of the schedule are multiplied out in the coordinate ring of E, Y^2 = X^3 - 3X, and divided by their vertical
 * lines, which lie in F_p:
 *
 *   one doubling             Y - s                             s = lambda1 X + nu1    tangent at V
 *   two doublings            (Y - s)^2 (Y - t) / (X - x2)^2    t = lambda2 X + nu2    tangent at 2V, x2 its x
 *                            = (a2 X^2 + a1 X + a0) + Y (X + b0)
 *   two and an addition      the same, times (Y - u) / (X - x4)  u = lambda3 X + nu3  through 4V and A, x4 of 4V
 *                            = (X^3 + A2 X^2 + A1 X + A0) + Y (B1 X + B0)
 *
 * By degrees of poles at O nothing else can remain. What is stored are the coefficients of x^0/y .. x^3/y and beta, after
 * division by y and, where B has degree 1, by its leading coefficient: A + i (beta + x), or A + i beta for one doubling.
 */

/** What the chain leaves: arrays of single elements, one for each step, in the order of the loop. */
interface Steps {
  /** Numerator of lambda; its denominator is z. */
  readonly slopes: number;
  readonly xs: number;
  readonly ys: number;
  readonly zs: number;
}

/** Two of a list at a time, for the two lanes; of an odd list the last twice. */
function inTwos(list: readonly number[], work: (first: number, second: number) => void): void {
  for (let at = 0; at < list.length; at += 2) work(list[at]!, list[at + 1] ?? list[at]!);
}

/** Builds tables of lines, and answers which points have order q, on one machine. */
export class LineBuilder {
  readonly #m: Machine;
  readonly #chain: Chain;
  readonly #r: readonly number[];
  readonly #three: number;

  constructor(machine: Machine) {
    this.#m = machine;
    this.#chain = new Chain(machine);
    this.#r = Array.from({ length: 24 }, () => machine.register());
    const three = new Uint8Array(128);
    three[127] = 3;
    this.#three = machine.constant(three, three);
  }

  /** Whether the point of E in the lanes of `affine` has order q. */
  hasOrderQ(affine: number): boolean {
    return this.#chain.run(affine, () => undefined);
  }

  /** The table of a point of E, or undefined when the point does not have order q. */
  build(affine: number): number | undefined {
    const m = this.#m;
    const arrayOctets = STEPS * m.single;
    const [slopes, xs, ys, zs] = [0, 1, 2, 3].map(() => m.allocate(arrayOctets)) as [number, number, number, number];
    const chain: Steps = { slopes, xs, ys, zs };
    const ordered = this.#chain.run(affine, (step, slope, xy, z) => {
      const place = step * m.single;
      m.run.scatter(slope, 0, slopes + place);
      m.run.scatter(xy, 0, xs + place);
      m.run.scatter(xy, 1, ys + place);
      m.run.scatter(z, 0, zs + place);
    });
    let table: number | undefined;
    if (ordered) {
      this.#toAffine(chain);
      table = m.allocate(lineTableOctets(m.radix));
      this.#merge(chain, affine, table);
    }
    for (const array of [slopes, xs, ys, zs]) m.release(array, arrayOctets);
    return table;
  }

  /** Slopes become lambda, and xs and ys affine where a merged line needs them. */
  #toAffine({ slopes, xs, ys, zs }: Steps): void {
    const m = this.#m;
    const { pair, single } = m;
    const count = Math.ceil(STEPS / 2);
    const octets = count * pair;
    const inverses = m.allocate(octets);
    const products = m.allocate(octets);
    const [a, inverse, square] = this.#r as [number, number, number];
    const steps = Array.from({ length: STEPS }, (_, step) => step);
    inTwos(steps, (first, second) => {
      m.run.gather(inverses + (first / 2) * pair, zs + first * single, zs + second * single);
    });
    m.invertAll(inverses, count, products);
    inTwos(steps, (first, second) => {
      m.run.scatter(inverses + (first / 2) * pair, 0, zs + first * single);
      m.run.scatter(inverses + (first / 2) * pair, 1, zs + second * single);
    });
    m.release(inverses, octets);
    m.release(products, octets);

    /** Multiplies two elements of an array by the lanes of `factor`; they may be the same element. */
    const scale = (array: number, first: number, second: number, factor: number): void => {
      m.run.gather(a, array + first * single, array + second * single);
      m.mul(a, a, factor);
      m.run.scatter(a, 0, array + first * single);
      m.run.scatter(a, 1, array + second * single);
    };
    const read = (first: number, second: number): void =>
      m.run.gather(inverse, zs + first * single, zs + second * single);
    inTwos(steps, (first, second) => {
      read(first, second);
      scale(slopes, first, second, inverse);
    });
    // after the first doubling of a block x and y, after the second x if an addition follows
    inTwos(FIRST_STEP, (first, second) => {
      read(first, second);
      m.mul(square, inverse, inverse);
      scale(xs, first, second, square);
      m.mul(square, square, inverse);
      scale(ys, first, second, square);
    });
    const beforeAddition = BLOCKS.flatMap(({ addend }, index) => (addend === 0 ? [] : [FIRST_STEP[index]! + 1]));
    inTwos(beforeAddition, (first, second) => {
      read(first, second);
      m.mul(square, inverse, inverse);
      scale(xs, first, second, square);
    });
  }

  /** Multiplies the lines of each block out, two blocks of one kind at a time. */
  #merge(chain: Steps, affine: number, table: number): void {
    const m = this.#m;
    const { one, zero } = m.layout;
    const { pair, single } = m;
    const kinds = [1, 2, 3].map((steps) =>
      BLOCKS.flatMap(({ doublings, addend }, index) => (doublings + Math.abs(addend) === steps ? [index] : [])),
    ) as [number[], number[], number[]];
    const r = this.#r;
    const [l1, l2, l3, x2, y2, x4, nu1, nu2, nu3, square, w, u, a2, a1, a0, b0, t, v, A2, A1, B1, B0] = r as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const yA = r[22]!;
    const xA = r[23]!;
    m.pick(xA, affine, 0, affine, 0);

    const gather = (dst: number, array: number, first: number, second: number, offset: number): void =>
      m.run.gather(
        dst,
        array + (FIRST_STEP[first]! + offset) * single,
        array + (FIRST_STEP[second]! + offset) * single,
      );
    /** Where coefficient `index` of a block's line stands: a pair, and the block's lane in it. */
    const put = (first: number, second: number, index: number, value: number): void => {
      for (const [lane, block] of [
        [0, first],
        [1, second],
      ] as const) {
        const place = table + (Math.floor(block / 2) * PAIRS_PER_LINE + index) * pair;
        if (block % 2 === 0) m.pick(place, value, lane, place, 1);
        else m.pick(place, place, 0, value, lane);
      }
    };

    // one doubling: A = lambda (x/y) - nu (1/y), beta = 1; the tangent at V meets -2V = (x2, -y2)
    inTwos(kinds[0], (first, second) => {
      gather(l1, chain.slopes, first, second, 0);
      gather(x2, chain.xs, first, second, 0);
      gather(y2, chain.ys, first, second, 0);
      m.mul(t, l1, x2);
      m.add(t, t, y2); // -nu
      put(first, second, 0, t);
      put(first, second, 1, l1);
      put(first, second, 2, zero);
      put(first, second, 3, zero);
      put(first, second, 4, one);
    });

    /** a2, a1, a0 and b0 of the two doublings; leaves x2 doubled. */
    const twoDoublings = (first: number, second: number): void => {
      gather(l1, chain.slopes, first, second, 0);
      gather(l2, chain.slopes, first, second, 1);
      gather(x2, chain.xs, first, second, 0);
      gather(y2, chain.ys, first, second, 0);
      m.mul(nu1, l1, x2);
      m.add(nu1, nu1, y2);
      m.sub(nu1, zero, nu1); // -y2 - lambda1 x2
      m.mul(nu2, l2, x2);
      m.sub(nu2, y2, nu2); // y2 - lambda2 x2
      m.mul(square, l1, l1);
      m.mul(w, l1, l2);
      m.add(w, w, w); // 2 lambda1 lambda2
      m.add(b0, square, w);
      m.add(b0, b0, x2);
      m.add(b0, b0, x2);
      m.add(a2, l1, l1);
      m.add(a2, a2, l2);
      m.sub(a2, zero, a2); // -(lambda2 + 2 lambda1)
      m.mul(u, x2, a2);
      m.add(a1, u, u);
      m.mul(t, l2, square);
      m.sub(a1, a1, t);
      m.sub(a1, a1, nu2);
      m.sub(a1, a1, nu1);
      m.sub(a1, a1, nu1); // 2 x2 a2 - lambda2 lambda1^2 - nu2 - 2 nu1
      m.add(t, a1, a1);
      m.sub(t, t, u);
      m.sub(v, zero, nu1);
      m.sub(nu2, zero, nu2);
      m.mul2(a0, x2, t, v, w);
      m.mul(v, nu2, square);
      m.add(a0, a0, v);
      m.add(t, a2, a2);
      m.add(t, t, a2);
      m.sub(a0, a0, t); // x2 (2 a1 - x2 a2) - 2 lambda1 lambda2 nu1 - lambda1^2 nu2 - 3 a2
    };
    inTwos(kinds[1], (first, second) => {
      twoDoublings(first, second);
      // at X = -x: (a2 x^2 - a1 x + a0) + iy (b0 - x), times -1
      m.sub(a0, zero, a0);
      m.sub(a2, zero, a2);
      m.sub(b0, zero, b0);
      put(first, second, 0, a0);
      put(first, second, 1, a1);
      put(first, second, 2, a2);
      put(first, second, 3, zero);
      put(first, second, 4, b0);
    });

    // two doublings and an addition; divided by B1 in a second round, after one common inversion
    const count = Math.ceil(kinds[2].length / 2);
    const octets = count * pair;
    const leading = m.allocate(octets);
    const products = m.allocate(octets);
    let index = 0;
    inTwos(kinds[2], (first, second) => {
      twoDoublings(first, second);
      gather(l3, chain.slopes, first, second, 2);
      gather(x4, chain.xs, first, second, 1);
      m.sub(yA, zero, affine);
      m.pick(yA, BLOCKS[first]!.addend === 1 ? affine : yA, 1, BLOCKS[second]!.addend === 1 ? affine : yA, 1);
      m.mul(nu3, l3, xA);
      m.sub(nu3, yA, nu3);
      const [minusL3, minusNu3] = [l1, l2];
      m.sub(minusL3, zero, l3);
      m.sub(minusNu3, zero, nu3);
      m.mul(A2, a2, minusL3);
      m.add(A2, A2, b0);
      m.add(A2, A2, x4); // b0 - a2 lambda3 + x4
      m.mul2(A1, a2, minusNu3, a1, minusL3);
      m.mul(v, x4, A2);
      m.add(A1, A1, v);
      m.sub(A1, A1, this.#three); // -3 - a2 nu3 - a1 lambda3 + x4 A2
      m.mul2(t, a1, minusNu3, a0, minusL3);
      m.mul(v, x4, A1);
      m.add(t, t, v);
      m.sub(t, t, b0);
      m.sub(t, t, b0);
      m.sub(t, t, b0); // A0 = -3 b0 - a1 nu3 - a0 lambda3 + x4 A1
      m.sub(B1, a2, l3);
      m.mul2(B0, b0, minusL3, x4, B1);
      m.add(B0, B0, a1);
      m.sub(B0, B0, nu3); // a1 - nu3 - b0 lambda3 + x4 B1
      // at X = -x: (-x^3 + A2 x^2 - A1 x + A0) + iy (B0 - B1 x), times -1
      m.sub(t, zero, t);
      m.sub(A2, zero, A2);
      m.sub(B0, zero, B0);
      put(first, second, 0, t);
      put(first, second, 1, A1);
      put(first, second, 2, A2);
      put(first, second, 4, B0);
      m.copy(leading + index++ * pair, B1);
    });
    m.invertAll(leading, count, products);
    index = 0;
    inTwos(kinds[2], (first, second) => {
      const inverse = leading + index++ * pair;
      for (const coefficient of [0, 1, 2, 4]) {
        const place = (block: number): number => table + (Math.floor(block / 2) * PAIRS_PER_LINE + coefficient) * pair;
        m.pick(t, place(first), (first % 2) as 0 | 1, place(second), (second % 2) as 0 | 1);
        m.mul(t, t, inverse);
        put(first, second, coefficient, t);
      }
      put(first, second, 3, inverse);
    });
    m.release(leading, octets);
    m.release(products, octets);
  }
}
