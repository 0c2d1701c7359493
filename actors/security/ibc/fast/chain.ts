import type { Machine } from './machine.ts';
import { BLOCKS } from './schedule.ts';

/** Steps of the loop: one for each doubling and each addition. */
export const STEPS = BLOCKS.reduce((sum, { doublings, addend }) => sum + doublings + Math.abs(addend), 0);
/** The first step of each block. */
export const FIRST_STEP = BLOCKS.map((_, index) =>
  BLOCKS.slice(0, index).reduce((sum, { doublings, addend }) => sum + doublings + Math.abs(addend), 0),
);

/** The multiples of a point that the Miller loop goes through, on the registers of one machine. */
export class Chain {
  readonly #m: Machine;
  readonly #r: readonly number[];

  constructor(machine: Machine) {
    this.#m = machine;
    this.#r = Array.from({ length: 9 }, () => machine.register());
  }

  /**
   * Runs V = A, ..., [q +- 1]A in Jacobian coordinates, x = X/Z^2, y = Y/Z^3, and calls `visit` after each step with the
   * numerator of lambda (lane 0 of `slope`), (X, Y), and Z (lane 0). In each step the new Z is also the denominator
   * of lambda. True when the chain ends where A of order q must end, at A or -A as the last digit says, that is at A: the
   * last digit of q is -1.
   */
  run(affine: number, visit: (step: number, slope: number, xy: number, z: number) => void): boolean {
    const m = this.#m;
    const { one, zero } = m.layout;
    const [xy, z, minusY, a, b, c, d, e, slope] = this.#r as [
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
    m.copy(xy, affine);
    m.copy(z, one);
    m.sub(minusY, zero, affine);
    let step = 0;
    const double = (): void => {
      m.pick(a, z, 0, xy, 1);
      m.mul(a, a, a); // (Z^2, Y^2)
      m.pick(b, xy, 0, xy, 0);
      m.pick(c, zero, 0, a, 0);
      m.sub(c, b, c); // (X, X - Z^2)
      m.pick(d, zero, 0, a, 0);
      m.add(d, b, d);
      m.pick(d, a, 1, d, 1); // (Y^2, X + Z^2)
      m.mul(b, c, d); // (beta = X Y^2, X^2 - Z^4)
      m.pick(c, b, 1, b, 1);
      m.add(slope, c, c);
      m.add(slope, slope, c); // alpha = 3 (X^2 - Z^4)
      m.pick(c, slope, 0, a, 1);
      m.mul(c, c, c); // (alpha^2, Y^4)
      m.add(b, b, b);
      m.add(b, b, b); // 4 beta
      m.add(d, b, b);
      m.sub(d, c, d); // lane 0: X' = alpha^2 - 8 beta
      m.sub(b, b, d); // lane 0: 4 beta - X'
      m.pick(b, b, 0, z, 0);
      m.add(e, xy, xy);
      m.pick(e, slope, 0, e, 1);
      m.mul(b, e, b); // (alpha (4 beta - X'), 2 Y Z)
      m.add(c, c, c);
      m.add(c, c, c);
      m.add(c, c, c);
      m.pick(c, c, 1, c, 1);
      m.sub(c, b, c); // lane 0: Y' = alpha (4 beta - X') - 8 Y^4
      m.pick(xy, d, 0, c, 0);
      m.pick(z, b, 1, b, 1);
    };
    const addA = (addend: -1 | 1): void => {
      m.pick(a, z, 0, addend === 1 ? affine : minusY, 1);
      m.pick(b, z, 0, z, 0);
      m.mul(a, a, b); // (Z^2, Z yA)
      m.pick(b, affine, 0, a, 1);
      m.pick(c, a, 0, a, 0);
      m.mul(b, b, c); // (U = xA Z^2, S = yA Z^3)
      m.sub(b, b, xy); // (H = U - X, r = S - Y)
      m.pick(slope, b, 1, b, 1);
      m.pick(c, b, 0, b, 0);
      m.pick(d, b, 0, z, 0);
      m.mul(c, c, d); // (H^2, Z' = H Z)
      m.pick(z, c, 1, c, 1);
      m.pick(c, c, 0, c, 0);
      m.pick(d, b, 0, xy, 0);
      m.mul(d, c, d); // (H^3, W = X H^2)
      m.pick(a, slope, 0, xy, 1);
      m.pick(c, slope, 0, d, 0);
      m.mul(a, a, c); // (r^2, Y H^3)
      m.pick(c, d, 1, d, 1);
      m.sub(b, a, d);
      m.sub(b, b, c);
      m.sub(b, b, c); // lane 0: X' = r^2 - H^3 - 2 W
      m.sub(c, c, b);
      m.mul(c, c, slope);
      m.pick(d, a, 1, a, 1);
      m.sub(c, c, d); // lane 0: Y' = r (W - X') - Y H^3
      m.pick(xy, b, 0, c, 0);
    };
    for (const { doublings, addend } of BLOCKS) {
      for (let count = 0; count < doublings; count++) {
        double();
        visit(step++, slope, xy, z);
      }
      if (addend !== 0) {
        addA(addend);
        visit(step++, slope, xy, z);
      }
    }
    // X = xA Z^2 and Y = yA Z^3, with Z not zero
    m.mul(a, z, z);
    m.pick(b, one, 0, z, 0);
    m.mul(a, a, b);
    m.mul(a, a, affine);
    m.sub(a, a, xy);
    return m.isZero(a, 0) && m.isZero(a, 1) && !m.isZero(z, 0);
  }
}
