import { randomBytes } from 'node:crypto';
import { toInteger } from '../octets.ts';
import { SAKKE_P } from '../parameters.ts';

/** a modulo p, in 0..p-1. */
export function mod(a: bigint): bigint {
  const remainder = a % SAKKE_P;
  return remainder < 0n ? remainder + SAKKE_P : remainder;
}

/** The inverse of a modulo a prime; a must not be a multiple of it. Extended Euclid: variable time, so blind secrets. */
export function invertModulo(a: bigint, prime: bigint): bigint {
  let [r0, r1] = [prime, ((a % prime) + prime) % prime];
  let [t0, t1] = [0n, 1n];
  while (r1 > 0n) {
    const quotient = r0 / r1;
    [r0, r1] = [r1, r0 - quotient * r1];
    [t0, t1] = [t1, t0 - quotient * t1];
  }
  return t0 < 0n ? t0 + prime : t0;
}

/** The inverse of a secret modulo a prime, the Euclidean steps hidden behind a fresh random factor. */
export function invertSecret(a: bigint, prime: bigint): bigint {
  const blind = randomBelow(prime);
  return (invertModulo((a * blind) % prime, prime) * blind) % prime;
}

/** Uniform in 1..bound-1 (64 bits more than the bound has are drawn, so the bias is below 2^-64). */
export function randomBelow(bound: bigint): bigint {
  const octets = Math.ceil(bound.toString(16).length / 2) + 8;
  return (toInteger(randomBytes(octets)) % (bound - 1n)) + 1n;
}

/**
 * The inverses of many elements for the price of one inversion and three multiplications each (Montgomery's trick).
 * Undefined when one of them is zero.
 */
export function invertAll(elements: readonly bigint[]): bigint[] | undefined {
  const products: bigint[] = [];
  let product = 1n;
  for (const element of elements) {
    products.push(product);
    product = (product * element) % SAKKE_P;
  }
  if (product === 0n) return undefined;
  let inverse = invertSecret(product, SAKKE_P);
  const inverses = new Array<bigint>(elements.length);
  for (let index = elements.length - 1; index >= 0; index--) {
    inverses[index] = mod(inverse * products[index]!);
    inverse = mod(inverse * elements[index]!);
  }
  return inverses;
}
