import { SAKKE_P, SAKKE_Q } from '../parameters.ts';
import { type Affine, addAffine, allToAffine, double, INFINITY, type Jacobian } from './curve.ts';
import { randomBelow } from './field.ts';
import { type Element, representatives, square, timesLine } from './projective.ts';

/**
 * The fixed-base comb of Lim and Lee (Crypto '94). A scalar of 1024 bits is written as TEETH rows of COLUMNS bits; one
 * column is a digit. The columns are cut into BLOCKS, each with a table of its own, so that a multiplication costs
 * COLUMNS additions and COLUMNS / BLOCKS doublings.
 */
const TEETH = 8;
const BLOCKS = 4;
const COLUMNS = 1024 / TEETH;
const SPAN = COLUMNS / BLOCKS;

/** tables[block][digit] = the sum of [2^(COLUMNS tooth + SPAN block)]base over the teeth set in the digit; digit > 0. */
type Tables<T> = readonly (readonly T[])[];

export type PointComb = Tables<Affine>;
/** Elements of PF_p as a of 1 + ai. */
export type PowerComb = Tables<bigint>;

/** The digits of k, one for each column, column 0 the least significant. */
function digitsOf(k: bigint): Uint8Array {
  const digits = new Uint8Array(COLUMNS);
  const bits = k.toString(2);
  for (let position = 0; position < bits.length; position++) {
    if (bits[bits.length - 1 - position] === '1') digits[position % COLUMNS]! |= 1 << Math.floor(position / COLUMNS);
  }
  return digits;
}

/** Calls `double` and `add` in the order in which a comb needs them. */
function walk(double: () => void, add: (block: number, column: number) => void): void {
  for (let step = SPAN - 1; step >= 0; step--) {
    double();
    for (let block = 0; block < BLOCKS; block++) add(block, block * SPAN + step);
  }
}

/** The table of a base of order q. `bad-point` when a sum of its multiples is O, which cannot be for order q. */
export function pointComb(base: Affine): PointComb {
  const powers: Jacobian[] = [{ X: base.x, Y: base.y, Z: 1n }];
  for (let index = 1; index < TEETH * BLOCKS; index++) {
    let next = powers[index - 1]!;
    for (let count = 0; count < SPAN; count++) next = double(next);
    powers.push(next);
  }
  // powers[i] = [2^(SPAN i)]base: tooth t of block b is number t * BLOCKS + b
  const teeth = allToAffine(powers);
  const sums: Jacobian[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const first = sums.length - 1; // so that digit d of this block is sums[first + d]
    for (let digit = 1; digit < 1 << TEETH; digit++) {
      const tooth = 31 - Math.clz32(digit);
      const rest = digit ^ (1 << tooth);
      sums.push(addAffine(rest === 0 ? INFINITY : sums[first + rest]!, teeth[tooth * BLOCKS + block]!));
    }
  }
  return cut(allToAffine(sums));
}

/** The table of an element 1 + ai of PF_p[q], a = `base`. */
export function powerComb(base: bigint): PowerComb {
  const teeth: bigint[] = [base];
  for (let index = 1; index < TEETH * BLOCKS; index++) {
    let element: Element = [1n, teeth[index - 1]!];
    for (let count = 0; count < SPAN; count++) element = square(element);
    teeth.push(representatives([element])[0]!);
  }
  const products: Element[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const first = products.length - 1;
    for (let digit = 1; digit < 1 << TEETH; digit++) {
      const tooth = 31 - Math.clz32(digit);
      const rest = digit ^ (1 << tooth);
      products.push(timesLine(rest === 0 ? [1n, 0n] : products[first + rest]!, teeth[tooth * BLOCKS + block]!));
    }
  }
  return cut(representatives(products));
}

function cut<T>(flat: readonly T[]): T[][] {
  const perBlock = (1 << TEETH) - 1;
  return Array.from({ length: BLOCKS }, (_, block) => flat.slice(block * perBlock, (block + 1) * perBlock));
}

/** The same point with a random Z: hides the values that follow from it. */
function blinded({ x, y }: Affine): Jacobian {
  const Z = randomBelow(SAKKE_P);
  const zz = (Z * Z) % SAKKE_P;
  return { X: (x * zz) % SAKKE_P, Y: (((y * zz) % SAKKE_P) * Z) % SAKKE_P, Z };
}

/** The sum of [k]base over the pairs, doublings shared. The accumulator starts in random Jacobian coordinates. */
export function combMultiply(...pairs: readonly (readonly [PointComb, bigint])[]): Jacobian {
  const terms = pairs.map(([comb, k]) => ({ comb, digits: digitsOf(k) }));
  let sum = INFINITY;
  walk(
    () => {
      sum = double(sum);
    },
    (block, column) => {
      for (const { comb, digits } of terms) {
        const digit = digits[column]!;
        if (digit === 0) continue;
        const point = comb[block]![digit - 1]!;
        sum = sum.Z === 0n ? blinded(point) : addAffine(sum, point);
      }
    },
  );
  return sum;
}

/** [k]base for the KMS's secret k: as [k - s]base + [s]base, so that no table index depends on k alone. */
export function combMultiplySecret(comb: PointComb, k: bigint): Jacobian {
  const s = randomBelow(SAKKE_Q);
  return combMultiply([comb, (k + SAKKE_Q - s) % SAKKE_Q], [comb, s]);
}

/** base^k as the F_p representative. */
export function combPower(comb: PowerComb, k: bigint): bigint {
  const digits = digitsOf(k);
  // A random factor of F_p* changes no element of PF_p and hides the values that follow.
  let power: Element = [randomBelow(SAKKE_P), 0n];
  walk(
    () => {
      power = square(power);
    },
    (block, column) => {
      const digit = digits[column]!;
      if (digit !== 0) power = timesLine(power, comb[block]![digit - 1]!);
    },
  );
  return representatives([power])[0]!;
}
