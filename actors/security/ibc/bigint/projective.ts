import { SAKKE_P } from '../parameters.ts';
import { invertAll, mod } from './field.ts';

/**
 * An element of PF_p, the multiplicative group of F_p^2 modulo that of F_p (RFC 6508 section 2.1): [x_1, x_2] stands for
 * x_1 + i x_2, i^2 = -1, up to a factor of F_p.
 */
export type Element = readonly [bigint, bigint];

export function square([x1, x2]: Element): Element {
  return [mod((x1 + x2) * (x1 - x2)), (2n * x1 * x2) % SAKKE_P];
}

/** (x_1 + i x_2)(1 + ai). */
export function timesLine([x1, x2]: Element, a: bigint): Element {
  return [mod(x1 - x2 * a), (x2 + x1 * a) % SAKKE_P];
}

/** x_2 / x_1 for each: the F_p representatives (RFC 6508 section 2.2). Elements of odd order always have one. */
export function representatives(elements: readonly Element[]): bigint[] {
  const inverses = invertAll(elements.map(([x1]) => x1))!;
  return elements.map(([, x2], index) => (x2 * inverses[index]!) % SAKKE_P);
}
