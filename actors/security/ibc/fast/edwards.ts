import { fromHex } from '../octets.ts';
import type { Machine } from './machine.ts';

/**
 * E: y^2 = x^3 - 3x is, over F_p, the twisted Edwards curve -X^2 + Y^2 = 1 + X^2 Y^2:
 *
 *     X = c x / y,   Y = (s x - 1) / (s x + 1),      s^2 = -1/3,  c^2 = -2/s
 *
 * by way of the Montgomery curve s v^2 = u^3 + u, u = s x, v = s y (Bernstein, Birkner, Joye, Lange, Peters, "Twisted
 * Edwards curves", Africacrypt 2008, theorem 3.2). Of the two roots s the one is taken for which c exists. The map takes O
 * to (0, 1); it is undefined for the point of order 2, which never enters here, and the addition is without special cases
 * in the subgroup of order q, which is odd.
 */
export const EDWARDS_S = fromHex(
  '748f63aa4bcea843bceb1a61f8e9037efc80080c763a11e7ad4f7ded18f77225' +
    '1004eaeae9b13a8eb348cf8b011b6014a99fdb0fbc3dd96b1051793d8eedf098' +
    '9b07b015e63973bfa3e9fdc2ece44d2b4ae58b84fbba70721f70847d801ad3a3' +
    '8b68d8c8657e62ce1107e711630f9e9b66ffd16ad1aa78b52d6bb428ea6da230',
);
export const EDWARDS_C = fromHex(
  '4c32f1884ee6e53a303dc4c051913488681786e7a1b210f72ae8bcf61aa8f77c' +
    '55a3c3e4a46edebf8abecb3f862d7f143d847f48d5c56d9cb40e3aa87a8f7ff6' +
    'f7c89627aed1adf6a97d1ad7408170a84c58d51b3a7a2f0aeb21b5d78a245104' +
    'b788ac3736dc1ed20a838a8fd5aa89fcb4bb9515a3c86a84d17b5f5d6e2609fe',
);

/** A point with its coordinates in two pairs: (X, Y) and (Z, T), XY = ZT. */
export interface Point {
  readonly xy: number;
  readonly zt: number;
}

/** The way to the Edwards curve and back, on the registers of one machine. */
export class Edwards {
  /** Four pairs one after another, the addend of the machine's addPoint: Y - X, Y + X, 2T, 2Z. */
  readonly niels: number;
  readonly #machine: Machine;
  readonly #s: number;
  readonly #c: number;
  /** (1/s, c/s) */
  readonly #back: number;
  readonly #t: readonly [number, number, number, number, number];

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#s = machine.constant(EDWARDS_S, EDWARDS_S);
    this.#c = machine.constant(EDWARDS_C, EDWARDS_C);
    this.#back = machine.allocate(machine.pair);
    const register = () => machine.register();
    this.#t = [register(), register(), register(), register(), register()];
    this.niels = register();
    for (let index = 1; index < 4; index++) register();
    const [inverse] = this.#t;
    machine.run.invert(inverse, this.#s);
    machine.mul(this.#back, inverse, this.#c);
    machine.pick(this.#back, inverse, 0, this.#back, 0);
  }

  /** The point of E whose affine coordinates are the lanes of `affine`: (c x (sx+1) : (sx-1) y : y (sx+1) : c x (sx-1)). */
  enter(point: Point, affine: number): void {
    const m = this.#machine;
    const { one } = m.layout;
    const [plus, minus, t] = this.#t;
    m.pick(t, affine, 0, affine, 0);
    m.mul(plus, t, this.#s);
    m.sub(minus, plus, one);
    m.add(plus, plus, one);
    m.mul(t, t, this.#c);
    m.pick(t, t, 0, affine, 1); // (c x, y)
    m.pick(point.xy, plus, 0, minus, 0);
    m.mul(point.xy, point.xy, t);
    m.pick(plus, minus, 0, plus, 0);
    m.mul(point.zt, plus, t);
    m.pick(point.zt, point.zt, 1, point.zt, 0);
  }

  /** A point doubled in place. As doublePoint of the machine, but one point in both lanes: four multiplications. */
  double({ xy, zt }: Point): void {
    const m = this.#machine;
    const [a, b, c, d, e] = this.#t;
    m.pick(a, xy, 1, xy, 0);
    m.add(a, a, xy);
    m.pick(a, zt, 0, a, 0);
    m.mul(a, a, a); // (Z^2, (X+Y)^2)
    m.mul(b, xy, xy); // (X^2, Y^2)
    m.pick(c, b, 0, b, 0);
    m.pick(d, b, 1, b, 1);
    m.sub(b, d, c); // G = Y^2 - X^2
    m.add(c, c, d);
    m.pick(d, a, 1, a, 1);
    m.sub(d, d, c); // E = (X+Y)^2 - X^2 - Y^2
    m.sub(c, m.layout.zero, c); // H = -X^2 - Y^2
    m.pick(a, a, 0, a, 0);
    m.add(a, a, a);
    m.sub(a, b, a); // F = G - 2 Z^2
    m.pick(e, d, 0, b, 0);
    m.pick(xy, a, 0, c, 0);
    m.mul(xy, e, xy); // (E F, G H)
    m.pick(e, a, 0, d, 0);
    m.pick(zt, b, 0, c, 0);
    m.mul(zt, e, zt); // (F G, E H)
  }

  /** The machine's accumulators become (first, second), one point in each lane. */
  accumulate(first: Point, second: Point): void {
    const m = this.#machine;
    const [X, Y, Z, T] = m.layout.point;
    m.pick(X, first.xy, 0, second.xy, 0);
    m.pick(Y, first.xy, 1, second.xy, 1);
    m.pick(Z, first.zt, 0, second.zt, 0);
    m.pick(T, first.zt, 1, second.zt, 1);
  }

  /** The machine's accumulators become (point, neutral point), the point of E in the lanes of `affine`. */
  accumulateOne(affine: number): void {
    const m = this.#machine;
    const { one, zero, point } = m.layout;
    const [X, Y, Z, T] = point;
    this.enter({ xy: X, zt: Z }, affine);
    m.pick(Y, X, 1, one, 1);
    m.pick(X, X, 0, zero, 1);
    m.pick(T, Z, 1, zero, 1);
    m.pick(Z, Z, 0, one, 1);
  }

  /** The machine's accumulators become the neutral point (0 : 1 : 1 : 0). */
  clear(): void {
    const m = this.#machine;
    const [X, Y, Z, T] = m.layout.point;
    m.copy(X, m.layout.zero);
    m.copy(Y, m.layout.one);
    m.copy(Z, m.layout.one);
    m.copy(T, m.layout.zero);
  }

  /** `niels` becomes the accumulated points as an addend, or what they are the negative of. */
  addend(negative: boolean): void {
    const m = this.#machine;
    const [X, Y, Z, T] = m.layout.point;
    const [minus, plus, t2, z2] = [0, 1, 2, 3].map((index) => this.niels + index * m.pair) as [
      number,
      number,
      number,
      number,
    ];
    m.sub(negative ? plus : minus, Y, X);
    m.add(negative ? minus : plus, Y, X);
    m.add(t2, T, T);
    if (negative) m.sub(t2, m.layout.zero, t2);
    m.add(z2, Z, Z);
  }

  /** The accumulated point of lane 1 is added to that of lane 0. */
  addLanes(): void {
    const m = this.#machine;
    this.addend(false);
    for (let index = 0; index < 4; index++) {
      const pair = this.niels + index * m.pair;
      m.pick(pair, pair, 1, pair, 1);
    }
    m.run.addPoint(this.niels);
  }

  /** (x, y) on E of the accumulated point in lane 0; (0, 0) when it is O. */
  leave(affine: number): void {
    const m = this.#machine;
    const [X, Y, Z] = m.layout.point;
    const [t, u] = this.#t;
    m.sub(t, Z, Y);
    m.mul(t, t, X);
    m.pick(t, t, 0, t, 0);
    m.run.invert(t, t);
    m.add(u, Z, Y);
    m.mul(t, t, u);
    m.pick(t, t, 0, t, 0); // (Z + Y) / (X (Z - Y))
    m.pick(u, X, 0, Z, 0);
    m.mul(t, t, u);
    m.mul(affine, t, this.#back); // x = (Z+Y) / (s (Z-Y)), y = c x Z / X
  }
}
