import type { SakkeArithmetic } from './arithmetic.ts';
import { createBigintArithmetic } from './bigint/index.ts';
import { createFastArithmetic, FastArithmetic } from './fast/index.ts';
import { compiledModules } from './fast/modules.ts';

/** `auto`: the fastest backend that this Node and processor run; `bigint`: the portable one. */
export type BackendChoice = 'auto' | 'bigint';

/** A new arithmetic backend for this thread; the caller disposes of it. */
export function createArithmetic(choice: BackendChoice = 'auto'): SakkeArithmetic {
  return (choice === 'auto' ? createFastArithmetic() : undefined) ?? createBigintArithmetic();
}

/** Every backend that runs here, the fastest first, the portable one last: what tests and benches go through. */
export function availableBackends(): { readonly name: string; readonly create: () => SakkeArithmetic }[] {
  const fast = compiledModules().map(({ module, radix }) => ({
    name: radix.name,
    create: () => new FastArithmetic(module, radix),
  }));
  return [...fast, { name: 'bigint', create: createBigintArithmetic }];
}
