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

/** Digits -1, 0, 1, least significant first, no two neighbours of them both different from 0. */
export function nonAdjacentForm(value: bigint): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 1n) {
    const digit = (rest & 1n) === 0n ? 0 : 2 - Number(rest & 3n);
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
