import type { SakkeArithmetic } from './arithmetic.ts';
import { createBigintArithmetic } from './bigint/index.ts';

/** `auto`: the fastest backend that this Node runs; `bigint`: the portable one. */
export type BackendChoice = 'auto' | 'bigint';

/** A new arithmetic backend for this thread; the caller disposes of it. */
export function createArithmetic(_choice: BackendChoice = 'auto'): SakkeArithmetic {
  return createBigintArithmetic();
}
