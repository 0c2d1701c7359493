import { pairOctets, type Radix, singleOctets } from './radix.ts';
import { BLOCKS, WINDOW_STEPS } from './schedule.ts';

/** The comb: a scalar is 6 rows of 176 bits, cut into 16 blocks of 11 columns (Lim and Lee, Crypto '94). */
export const TEETH = 6;
export const BLOCKS_OF_COMB = 16;
export const COLUMNS = 11;
/** Entries of one block: the sign of the top tooth is taken out, the other five choose. */
export const ENTRIES = 1 << (TEETH - 1);
/** Digits of a recoded scalar: digit of block j and column c stands at 16 c + j. Bit 5 says minus, bits 0 to 4 choose. */
export const DIGITS = BLOCKS_OF_COMB * COLUMNS;

/** Pairs of merged lines in a receiver's table, and pairs in each: coefficients of x^0/y to x^3/y, then beta. */
export const LINE_PAIRS = Math.ceil(BLOCKS.length / 2);
export const PAIRS_PER_LINE = 5;
/** Pairs of an odd multiple of a point met once: (x, y), then its Miller function A + iB as (A, A) and (B, B). */
export const ODD_MULTIPLE_PAIRS = 3;

/** Addresses in the module's memory, in octets. Both sides, generator and run time, take them from here. */
export interface Layout {
  /** p in both lanes. */
  readonly modulus: number;
  /** 0, R mod p, R^2 mod p and 1 in both lanes. */
  readonly zero: number;
  readonly one: number;
  readonly rSquared: number;
  readonly unit: number;
  /** p and R^2 mod p in the limbs of an inversion. */
  readonly inverse: { readonly modulus: number; readonly start: number };
  /** Columns of a product, within one multiplication. */
  readonly columns: number;
  /** Octets of an element on their way in and out, least significant first, and room for shifts beyond them. */
  readonly octets: number;
  /** Squarings and flags of each pair of lines; see miller.ts of the generator. */
  readonly schedule: number;
  /** Steps of the Miller loop of a point met once; see direct.ts of the generator. */
  readonly windows: number;
  /** Digits of up to two recoded scalars. */
  readonly digits: number;
  /** Element of F_p^2: result of the power comb and of the Miller loop. */
  readonly f: number;
  /** Extended coordinates X, Y, Z, T of two points: the accumulators of the point comb. */
  readonly point: readonly [number, number, number, number];
  /** x^0/y, x/y, x^2/y, x^3/y and x of the second argument of the pairing, in both lanes. */
  readonly powers: readonly [number, number, number, number, number];
  /** Miller loop of a point met once: (X, Y) and (Z, Z) of the running multiple. */
  readonly multiple: readonly [number, number];
  /** (x, y) of that loop's second argument. */
  readonly second: number;
  /** Scratch of the module's functions. */
  readonly scratch: number;
  /** Pairs for the run time: `registers` of them. */
  readonly registers: number;
  /** Where tables begin; a multiple of 64 KiB pages is not needed. */
  readonly heap: number;
}

export const SCRATCH_PAIRS = 48;
export const REGISTERS = 96;

export function layoutOf(radix: Radix): Layout {
  const pair = pairOctets(radix);
  let next = 0;
  const take = (octets: number): number => {
    const address = next;
    next += Math.ceil(octets / 16) * 16;
    return address;
  };
  const pairs = (): number => take(pair);
  take(256); // a multiplication points a few digits before an operand
  return {
    modulus: pairs(),
    zero: pairs(),
    one: pairs(),
    rSquared: pairs(),
    unit: pairs(),
    inverse: { modulus: take(8 * 35), start: take(8 * 35) },
    columns: take(2 * pair),
    octets: take(256),
    schedule: take(LINE_PAIRS * 32),
    windows: take(WINDOW_STEPS.length),
    digits: take(2 * DIGITS),
    f: pairs(),
    point: [pairs(), pairs(), pairs(), pairs()],
    powers: [pairs(), pairs(), pairs(), pairs(), pairs()],
    multiple: [pairs(), pairs()],
    second: pairs(),
    scratch: take(SCRATCH_PAIRS * pair),
    registers: take(REGISTERS * pair),
    heap: take(0),
  };
}

/** Octets of the comb table of a point: (Y - X, Y + X, 2XY) of each entry. */
export const pointCombOctets = (radix: Radix): number => BLOCKS_OF_COMB * ENTRIES * 3 * singleOctets(radix);
/** Octets of the comb table of g: t of 1 + ti of each entry. */
export const powerCombOctets = (radix: Radix): number => BLOCKS_OF_COMB * ENTRIES * singleOctets(radix);
/** Octets of a receiver's table of merged lines. */
export const lineTableOctets = (radix: Radix): number => LINE_PAIRS * PAIRS_PER_LINE * pairOctets(radix);
