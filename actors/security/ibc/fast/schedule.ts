import { SAKKE_Q } from '../parameters.ts';

/**
 * One step of the Miller loop for the function f_q (RFC 6508 section 3.2): f <- f^(2^doublings) times one merged line.
 * After the doublings the running multiple V of the fixed point A becomes [2^doublings]V + [addend]A.
 */
export interface Block {
  readonly doublings: 1 | 2;
  readonly addend: -1 | 0 | 1;
}

/**
 * The blocks of q, most significant first. q is written in non-adjacent form (353 digits that are not 0); an addition is
 * always merged with the two doublings before it, doublings left over are merged in twos, and an odd one stands alone.
 * The last addition is of two opposite points: its line is vertical, lies in F_p, and is left out.
 */
export const BLOCKS: readonly Block[] = blocksOf(nonAdjacentForm(SAKKE_Q));

/**
 * Digits of least weight, least significant first: 0 or odd and below 2^(width-1) in absolute value, of `width` neighbours
 * at most one different from 0. Of width 2 they are -1, 0, 1.
 */
export function nonAdjacentForm(value: bigint, width = 2): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 1n) {
    const digit = (rest & 1n) === 0n ? 0 : Number(BigInt.asIntN(width, rest));
    digits.push(digit);
    rest -= BigInt(digit);
  }
  return digits;
}

function blocksOf(digits: readonly number[]): Block[] {
  const blocks: Block[] = [];
  let pending = 0;
  const flush = (addend: -1 | 0 | 1): void => {
    const last = addend === 0 ? 0 : 2;
    if ((pending - last) % 2 === 1) {
      blocks.push({ doublings: 1, addend: 0 });
      pending -= 1;
    }
    for (; pending > last; pending -= 2) blocks.push({ doublings: 2, addend: 0 });
    if (addend !== 0) blocks.push({ doublings: 2, addend });
    pending = 0;
  };
  for (let index = digits.length - 2; index >= 0; index--) {
    pending += 1;
    const digit = digits[index];
    if (index > 0 && (digit === 1 || digit === -1)) flush(digit);
  }
  flush(0);
  return blocks;
}

/** The digit that the loop leaves out at its end: +1 when V is then -A, -1 when it is A. */
export const LAST_DIGIT = nonAdjacentForm(SAKKE_Q)[0];

/** A point met once has few multiples made ready, so its loop adds odd multiples up to 2^(WINDOW-1) - 1. */
const WINDOW = 5;
const WINDOWS = nonAdjacentForm(SAKKE_Q, WINDOW);
/** The odd multiples 1, 3, ... that the digits use, without their signs. */
export const ODD_MULTIPLES = 1 << (WINDOW - 2);
/** Entry of a digit in the table of such a point: 1, -1, 3, -3, ... */
const entryOf = (digit: number): number => Math.abs(digit) - (digit > 0 ? 1 : 0);
/** Where the loop starts and what it leaves out at its end, as entries: V is then minus that multiple, if A has order q. */
export const FIRST_ENTRY = entryOf(WINDOWS.at(-1)!);
export const LAST_ENTRY = entryOf(WINDOWS[0]!);
/** One number for each doubling: 0, or 1 and the entry that is added after it. */
export const WINDOW_STEPS: readonly number[] = WINDOWS.slice(0, -1)
  .map((digit, index) => (digit === 0 || index === 0 ? 0 : 1 + entryOf(digit)))
  .reverse();
