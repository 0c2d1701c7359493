import { ODD_MULTIPLE_PAIRS } from './layout.ts';
import type { Machine } from './machine.ts';
import { FIRST_ENTRY, LAST_ENTRY, ODD_MULTIPLES } from './schedule.ts';

/** Pairs that hold the loop's state between two steps: (X, Y), (Z, Z), f. */
const STATE_PAIRS = 3;

/**
 * The Miller function f_q (RFC 6508 section 3.2) of a point met once, as when an RSK is validated: lines.ts would spend
 * most of its time on lines that are evaluated a single time. Here every line is evaluated where it arises
 * (generator/direct.ts). What is made ready are the odd multiples [d]A, affine, with their functions f_d: in a step
 * that adds [d]A, f_(n+d) is f_n f_d times a line, and f_(-d) is the conjugate of f_d up to a factor in F_p.
 */
export class DirectMiller {
  readonly #m: Machine;
  readonly #r: readonly [number, number, number, number];

  constructor(machine: Machine) {
    this.#m = machine;
    this.#r = [machine.register(), machine.register(), machine.register(), machine.register()];
  }

  /**
   * layout.f becomes f_q of the point of E in the lanes of `affine` at the image (-x, iy) of the point in layout.second, up
   * to a factor in F_p. False when the point does not have order q; f is then nothing.
   */
  run(affine: number): boolean {
    const m = this.#m;
    const { f, multiple, one, zero } = m.layout;
    const [XY, ZZ] = multiple;
    const entryOctets = ODD_MULTIPLE_PAIRS * m.pair;
    const tableOctets = 2 * ODD_MULTIPLES * entryOctets;
    const stateOctets = 2 * ODD_MULTIPLES * STATE_PAIRS * m.pair;
    const table = m.allocate(tableOctets);
    const states = m.allocate(stateOctets);
    try {
      m.copy(XY, affine);
      m.copy(ZZ, one);
      m.pick(f, one, 0, zero, 0);
      this.#oddMultiples(affine, states, table);
      const first = table + FIRST_ENTRY * entryOctets;
      m.copy(XY, first);
      m.copy(ZZ, one);
      m.pick(f, first + m.pair, 0, first + 2 * m.pair, 0);
      m.run.millerDirect(table);
      const last = table + LAST_ENTRY * entryOctets;
      m.run.timesMultiple(last);
      return this.#isMinus(last);
    } finally {
      m.release(table, tableOctets);
      m.release(states, stateOctets);
    }
  }

  /** The table of [1]A, -[1]A, [3]A, -[3]A, ... with their functions; the loop stands at A. */
  #oddMultiples(affine: number, states: number, table: number): void {
    const m = this.#m;
    const { f, multiple, zero } = m.layout;
    const [inverse, square, point, factor] = this.#r;
    const registers = [...multiple, f];
    const state = (n: number): number => states + n * STATE_PAIRS * m.pair;
    const save = (n: number): void => {
      for (const [index, register] of registers.entries()) m.copy(state(n) + index * m.pair, register);
    };
    const restore = (n: number): void => {
      for (const [index, register] of registers.entries()) m.copy(register, state(n) + index * m.pair);
    };
    const largest = 2 * ODD_MULTIPLES - 1;
    save(1);
    for (let n = 1; 2 * n < largest; n++) {
      restore(n);
      m.run.doubleMultiple();
      save(2 * n);
      m.run.addMultiple(affine);
      save(2 * n + 1);
    }
    const Z = (n: number): number => table + n * m.pair; // the table is not begun yet
    for (let d = 1; d <= largest; d += 2) m.copy(Z((d - 1) / 2), state(d) + m.pair);
    m.invertAll(Z(0), ODD_MULTIPLES, Z(ODD_MULTIPLES));
    for (let d = 1; d <= largest; d += 2) m.copy(state(d) + m.pair, Z((d - 1) / 2)); // 1/Z in place of Z
    for (let d = 1; d <= largest; d += 2) {
      m.copy(inverse, state(d) + m.pair);
      m.mul(square, inverse, inverse);
      m.pick(square, inverse, 0, square, 0);
      m.mul(point, state(d), square); // (X / Z, Y / Z^2)
      m.copy(factor, state(d) + 2 * m.pair);
      for (const sign of [0, 1]) {
        const entry = table + (d - 1 + sign) * ODD_MULTIPLE_PAIRS * m.pair;
        m.copy(entry, point);
        m.pick(entry + m.pair, factor, 0, factor, 0);
        m.pick(entry + 2 * m.pair, factor, 1, factor, 1);
        m.sub(square, zero, point);
        m.pick(point, point, 0, square, 1);
        m.sub(square, zero, factor);
        m.pick(factor, factor, 0, square, 1);
      }
    }
  }

  /** Whether the running multiple is minus the point of an entry, and so A of order q: x Z = X, -y Z^2 = Y, Z not zero. */
  #isMinus(entry: number): boolean {
    const m = this.#m;
    const [XY, ZZ] = m.layout.multiple;
    const [t, u] = this.#r;
    m.mul(t, ZZ, ZZ);
    m.pick(t, ZZ, 0, t, 0);
    m.mul(t, t, entry);
    m.sub(u, XY, t);
    m.add(t, XY, t);
    return m.isZero(u, 0) && m.isZero(t, 1) && !m.isZero(ZZ, 0);
  }
}
