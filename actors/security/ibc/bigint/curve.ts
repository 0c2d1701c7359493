import { FIELD_OCTETS, POINT_OCTETS } from '../arithmetic.ts';
import { IbcError } from '../errors.ts';
import { concat, toInteger, toOctets } from '../octets.ts';
import { SAKKE_P } from '../parameters.ts';
import { invertAll, invertSecret, mod } from './field.ts';

/** A point of E: y^2 = x^3 - 3x other than O. */
export interface Affine {
  readonly x: bigint;
  readonly y: bigint;
}

/** x = X/Z^2, y = Y/Z^3; Z = 0 is O. Coordinates lie in 0..p-1. */
export interface Jacobian {
  readonly X: bigint;
  readonly Y: bigint;
  readonly Z: bigint;
}

export const INFINITY: Jacobian = { X: 1n, Y: 1n, Z: 0n };

/** 04 || x || y to a point; `bad-point` unless it is on the curve (RFC 6508 section 4, public parameters and R). */
export function decodePoint(octets: Uint8Array): Affine {
  const point = tryDecodePoint(octets);
  if (point === undefined) {
    throw new IbcError(
      'bad-point',
      'not a point of the SAKKE curve: 257 octets 04 || x || y with y^2 = x^3 - 3x are needed',
    );
  }
  return point;
}

/** As {@link decodePoint}, undefined instead of an error. */
export function tryDecodePoint(octets: Uint8Array): Affine | undefined {
  if (octets.length !== POINT_OCTETS || octets[0] !== 4) return undefined;
  const x = toInteger(octets.subarray(1, 1 + FIELD_OCTETS));
  const y = toInteger(octets.subarray(1 + FIELD_OCTETS));
  if (x >= SAKKE_P || y >= SAKKE_P) return undefined;
  return mod(x * (((x * x) % SAKKE_P) - 3n) - y * y) === 0n ? { x, y } : undefined;
}

/** A point to 04 || x || y. */
export function encodePoint({ x, y }: Affine): Uint8Array {
  return concat(Uint8Array.of(4), toOctets(x, FIELD_OCTETS), toOctets(y, FIELD_OCTETS));
}

export function double({ X, Y, Z }: Jacobian): Jacobian {
  const zz = (Z * Z) % SAKKE_P;
  const yy = (Y * Y) % SAKKE_P;
  const s = (4n * X * yy) % SAKKE_P;
  const m = (3n * (X - zz) * (X + zz)) % SAKKE_P; // 3X^2 - 3Z^4, because a = -3
  const x = mod(m * m - 2n * s);
  return { X: x, Y: mod(m * (s - x) - 8n * yy * yy), Z: (2n * Y * Z) % SAKKE_P };
}

/** a + b, b affine; every special case included. */
export function addAffine(a: Jacobian, b: Affine): Jacobian {
  if (a.Z === 0n) return { X: b.x, Y: b.y, Z: 1n };
  const zz = (a.Z * a.Z) % SAKKE_P;
  const h = mod(b.x * zz - a.X);
  const r = mod(((b.y * zz) % SAKKE_P) * a.Z - a.Y);
  if (h === 0n) return r === 0n ? double(a) : INFINITY;
  const hh = (h * h) % SAKKE_P;
  const hhh = (h * hh) % SAKKE_P;
  const v = (a.X * hh) % SAKKE_P;
  const x = mod(r * r - hhh - 2n * v);
  return { X: x, Y: mod(r * (v - x) - a.Y * hhh), Z: (a.Z * h) % SAKKE_P };
}

/** `point-at-infinity` for O, which has no x and y. */
export function toAffine({ X, Y, Z }: Jacobian): Affine {
  if (Z === 0n)
    throw new IbcError('point-at-infinity', 'the result is the point at infinity: the scalar is 0 modulo q');
  const inverse = invertSecret(Z, SAKKE_P);
  const square = (inverse * inverse) % SAKKE_P;
  return { x: (X * square) % SAKKE_P, y: (((Y * square) % SAKKE_P) * inverse) % SAKKE_P };
}

/** Many points at once, none of them O. */
export function allToAffine(points: readonly Jacobian[]): Affine[] {
  const inverses = invertAll(points.map((point) => point.Z));
  if (inverses === undefined) throw new IbcError('bad-point', 'the point is not of order q');
  return points.map(({ X, Y }, index) => {
    const inverse = inverses[index]!;
    const square = (inverse * inverse) % SAKKE_P;
    return { x: (X * square) % SAKKE_P, y: (((Y * square) % SAKKE_P) * inverse) % SAKKE_P };
  });
}

/** [k]point for a public scalar, by the bits of k from the top. */
export function multiply(point: Affine, k: bigint): Jacobian {
  let sum = INFINITY;
  for (const bit of k.toString(2)) {
    sum = double(sum);
    if (bit === '1') sum = addAffine(sum, point);
  }
  return sum;
}
