import { SAKKE_Q } from '../parameters.ts';
import type { Edwards, Point } from './edwards.ts';
import { BLOCKS_OF_COMB, COLUMNS, DIGITS, ENTRIES, pointCombOctets, powerCombOctets, TEETH } from './layout.ts';
import type { Machine } from './machine.ts';

/** Bits of a recoded scalar. */
const BITS = TEETH * DIGITS;

/**
 * The digits of k for the combs. An odd k below 2^BITS is a sum of +-2^i with every i from 0 to BITS - 1; k mod q or, if
 * that is even, k + q is taken. So no digit is zero and all scalars run alike. Column c of block j takes its signs from the
 * bits 176 t + 11 j + c, tooth t = 0..5; when tooth 5 is negative, the digit is minus what the negated rest chooses.
 */
export function writeDigits(digits: Uint8Array, k: bigint): void {
  const reduced = k % SAKKE_Q;
  const odd = reduced + SAKKE_Q * (1n - (reduced & 1n));
  const signs = (odd + (1n << BigInt(BITS)) - 1n) >> 1n; // bit i set: +2^i, clear: -2^i
  const octets = Buffer.from(signs.toString(16).padStart(BITS / 4, '0'), 'hex').reverse();
  const bit = (index: number): number => (octets[index >> 3]! >> (index & 7)) & 1;
  for (let block = 0; block < BLOCKS_OF_COMB; block++) {
    for (let column = 0; column < COLUMNS; column++) {
      const position = block * COLUMNS + column;
      const minus = 1 - bit(position + (TEETH - 1) * DIGITS);
      let digit = minus << (TEETH - 1);
      for (let tooth = 0; tooth < TEETH - 1; tooth++) digit |= (bit(position + tooth * DIGITS) ^ minus) << tooth;
      digits[column * BLOCKS_OF_COMB + block] = digit;
    }
  }
  octets.fill(0);
}

/** The comb table of the point whose affine coordinates are the lanes of `affine`; give it back by its address. */
export function buildPointComb(machine: Machine, edwards: Edwards, affine: number): number {
  const m = machine;
  const { pair, single } = m;
  const [X, Y, Z, T] = m.layout.point;

  // powers[k] = [2^(11 k)]base: tooth t of block j is number j + 16 t
  const count = TEETH * BLOCKS_OF_COMB;
  const powersOctets = count * 2 * pair;
  const powers = m.allocate(powersOctets);
  const power = (k: number): Point => ({ xy: powers + 2 * k * pair, zt: powers + (2 * k + 1) * pair });
  edwards.enter(power(0), affine);
  for (let k = 1; k < count; k++) {
    const { xy, zt } = power(k);
    m.copy(xy, power(k - 1).xy);
    m.copy(zt, power(k - 1).zt);
    for (let column = 0; column < COLUMNS; column++) edwards.double(power(k));
  }

  // sums of teeth, blocks 2b and 2b + 1 in the two lanes; X, Y and Z each in an array, for one common inversion
  const entries = (BLOCKS_OF_COMB / 2) * ENTRIES;
  const arrayOctets = entries * pair;
  const [xs, ys, zs, ts] = [0, 1, 2, 3].map(() => m.allocate(arrayOctets)) as [number, number, number, number];
  const keep = (entry: number): void => {
    m.copy(xs + entry * pair, X);
    m.copy(ys + entry * pair, Y);
    m.copy(zs + entry * pair, Z);
    m.copy(ts + entry * pair, T);
  };
  const recall = (entry: number): void => {
    m.copy(X, xs + entry * pair);
    m.copy(Y, ys + entry * pair);
    m.copy(Z, zs + entry * pair);
    m.copy(T, ts + entry * pair);
  };
  for (let block = 0; block < BLOCKS_OF_COMB; block += 2) {
    const first = (block / 2) * ENTRIES;
    const tooth = (t: number): void =>
      edwards.accumulate(power(block + BLOCKS_OF_COMB * t), power(block + 1 + BLOCKS_OF_COMB * t));
    // entry 0: the top tooth minus all others
    tooth(TEETH - 1);
    keep(first);
    for (let t = 0; t < TEETH - 1; t++) {
      tooth(t);
      edwards.addend(true);
      recall(first);
      m.run.addPoint(edwards.niels);
      keep(first);
    }
    // a bit set in the entry's number: that tooth twice more
    for (let t = 0; t < TEETH - 1; t++) {
      tooth(t);
      m.run.doublePoint();
      edwards.addend(false);
      for (let entry = 0; entry < 1 << t; entry++) {
        recall(first + entry);
        m.run.addPoint(edwards.niels);
        keep(first + entry + (1 << t));
      }
    }
  }

  m.invertAll(zs, entries, ts);
  const table = m.allocate(pointCombOctets(m.radix));
  const t = edwards.niels;
  for (let entry = 0; entry < entries; entry++) {
    const [x, y, zInverse] = [xs + entry * pair, ys + entry * pair, zs + entry * pair];
    m.mul(x, x, zInverse);
    m.mul(y, y, zInverse);
    for (let coordinate = 0; coordinate < 3; coordinate++) {
      if (coordinate === 0) m.sub(t, y, x);
      else if (coordinate === 1) m.add(t, y, x);
      else {
        m.add(t, x, x);
        m.mul(t, t, y);
      }
      for (const lane of [0, 1] as const) {
        const block = 2 * Math.floor(entry / ENTRIES) + lane;
        const place = 3 * (block * ENTRIES + (entry % ENTRIES)) + coordinate;
        m.run.scatter(t, lane, table + place * single);
      }
    }
  }
  for (const array of [xs, ys, zs, ts]) m.release(array, arrayOctets);
  m.release(powers, powersOctets);
  return table;
}

/** The comb table of the element 1 + ti of F_p^2, t in both lanes of `element`. */
export function buildPowerComb(machine: Machine, element: number): number {
  const m = machine;
  const { pair, single } = m;
  const { f, one } = m.layout;

  const count = TEETH * BLOCKS_OF_COMB;
  const powersOctets = count * pair;
  const powers = m.allocate(powersOctets);
  const power = (k: number): number => powers + k * pair;
  m.pick(f, one, 0, element, 0);
  m.copy(power(0), f);
  for (let k = 1; k < count; k++) {
    for (let column = 0; column < COLUMNS; column++) m.run.squareF();
    m.copy(power(k), f);
  }

  const entries = BLOCKS_OF_COMB * ENTRIES;
  const arrayOctets = entries * pair;
  const [elements, denominators, products] = [0, 1, 2].map(() => m.allocate(arrayOctets)) as [number, number, number];
  const [re, im, turned] = [m.register(), m.register(), m.register()];
  /** dst = a b, or a times the conjugate of b: its inverse but for a factor in F_p. */
  const times = (dst: number, a: number, b: number, conjugate: boolean): void => {
    m.pick(re, b, 0, b, 0);
    m.pick(im, b, 1, b, 1);
    if (conjugate) m.sub(im, m.layout.zero, im);
    m.run.timesI(turned, a, a);
    m.mul2(dst, a, re, turned, im);
  };
  const square = m.register();
  for (let block = 0; block < BLOCKS_OF_COMB; block++) {
    const first = elements + block * ENTRIES * pair;
    const tooth = (t: number): number => power(block + BLOCKS_OF_COMB * t);
    m.copy(first, tooth(TEETH - 1));
    for (let t = 0; t < TEETH - 1; t++) times(first, first, tooth(t), true);
    for (let t = 0; t < TEETH - 1; t++) {
      times(square, tooth(t), tooth(t), false);
      for (let entry = 0; entry < 1 << t; entry++)
        times(first + (entry + (1 << t)) * pair, first + entry * pair, square, false);
    }
  }
  // t = y / x of every x + iy, the x of entries 2k and 2k + 1 in the two lanes
  const table = m.allocate(powerCombOctets(m.radix));
  for (let entry = 0; entry < entries; entry += 2) {
    m.pick(denominators + (entry / 2) * pair, elements + entry * pair, 0, elements + (entry + 1) * pair, 0);
  }
  m.invertAll(denominators, entries / 2, products);
  for (let entry = 0; entry < entries; entry += 2) {
    m.pick(re, elements + entry * pair, 1, elements + (entry + 1) * pair, 1);
    m.mul(re, re, denominators + (entry / 2) * pair);
    m.run.scatter(re, 0, table + entry * single);
    m.run.scatter(re, 1, table + (entry + 1) * single);
  }
  for (const array of [elements, denominators, products]) m.release(array, arrayOctets);
  m.release(powers, powersOctets);
  return table;
}
