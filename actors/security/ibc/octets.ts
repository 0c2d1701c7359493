import { timingSafeEqual } from 'node:crypto';
import { IbcError } from './errors.ts';

/** Big-endian octets to an unsigned integer; no octets are zero. */
export function toInteger(octets: Uint8Array): bigint {
  return octets.length === 0 ? 0n : BigInt(`0x${toHex(octets)}`);
}

/** An unsigned integer to exactly `length` octets, big-endian, leading zeroes kept. */
export function toOctets(value: bigint, length: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * length, '0'));
}

/** Lower-case hexadecimal. */
export function toHex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex');
}

/** Octets in memory of their own, never of Node's shared buffer pool: they can be zeroed and transferred. */
export function fromHex(hex: string): Uint8Array {
  const octets = new Uint8Array(hex.length / 2);
  octets.set(Buffer.from(hex, 'hex'));
  return octets;
}

/** All parts in one new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Equality that takes the same time wherever the first difference lies. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** a xor b, of equal length. */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((octet, index) => octet ^ b[index]!);
}

/** Overwrites secrets that are no longer needed. */
export function zero(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Throws `bad-length` unless the octets have the length the specification fixes; `what` names them for the reader. */
export function expectLength(octets: Uint8Array, length: number, what: string): void {
  if (octets.length !== length) {
    throw new IbcError('bad-length', `${what} has ${octets.length} octets instead of ${length}`);
  }
}
