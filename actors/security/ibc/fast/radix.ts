/**
 * How a field element stands in the memory of the WebAssembly module.
 *
 * An element x of F_p is a vector of `limbs` doubles d_0, d_1, ... with x = sum d_i 2^(bits i). The digits are integers and
 * signed; "normal" means |d_i| <= 2^(bits-1) + 64, a little more than balanced digits, because carries are passed on in
 * one parallel step and not in a ripple. The value itself is only known modulo p: |x| stays below a few p, and
 * 2^(limbs bits) is at least a thousand p, so nothing ever needs a final subtraction before it leaves the module.
 *
 * Elements are multiplied with Montgomery's factor: the vector of x holds x R mod p, R = 2^(limbs bits).
 *
 * Everything is computed on pairs: one v128 holds digit i of two elements, so that one instruction works on two independent
 * elements of F_p (the coordinates of an element of F_p^2, two points of a comb, two entries of a table).
 */
export interface Radix {
  readonly name: 'wasm-simd' | 'wasm-relaxed-simd';
  readonly limbs: number;
  readonly bits: number;
  /** Columns of a product that are worked on together; divides `limbs`. */
  readonly block: number;
  /** Whether products of digits are split by fused multiply-add, or must fit a double as they are. */
  readonly fma: boolean;
}

/** 22 digits of 47 bits. Digit products have 92 bits; fused multiply-add yields their two halves exactly. */
export const RELAXED_SIMD: Radix = { name: 'wasm-relaxed-simd', limbs: 22, bits: 47, block: 2, fma: true };

/** 45 digits of 23 bits. Sums of 90 digit products have less than 52 bits and are exact in a double. */
export const PLAIN_SIMD: Radix = { name: 'wasm-simd', limbs: 45, bits: 23, block: 3, fma: false };

/** Octets of a pair of elements. */
export const pairOctets = (radix: Radix): number => 16 * radix.limbs;

/** Octets of one element alone, as tables keep it: digits one after another, filled up to whole v128. */
export const singleOctets = (radix: Radix): number => 16 * Math.ceil(radix.limbs / 2);

/** The balanced digits of an integer, |x| < 2^(limbs bits - 1). */
export function toDigits(value: bigint, { limbs, bits }: Radix): number[] {
  const digits: number[] = [];
  let rest = value;
  for (let index = 0; index < limbs - 1; index++) {
    const digit = BigInt.asIntN(bits, rest);
    digits.push(Number(digit));
    rest = (rest - digit) >> BigInt(bits);
  }
  return [...digits, Number(rest)];
}

/** The integer that digits stand for. */
export function fromDigits(digits: ArrayLike<number>, { limbs, bits }: Radix): bigint {
  let value = 0n;
  for (let index = limbs - 1; index >= 0; index--) value = (value << BigInt(bits)) + BigInt(digits[index] ?? 0);
  return value;
}

/** Montgomery's factor R. */
export const montgomeryFactor = ({ limbs, bits }: Radix): bigint => 1n << BigInt(limbs * bits);
