import type { KmsTable, PairingTable, SakkeArithmetic } from '../../../../actors/security/ibc/arithmetic.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import { concat, toInteger, toOctets } from '../../../../actors/security/ibc/octets.ts';
import { SAKKE_P as P, SAKKE_Q as Q, SAKKE_G, SAKKE_PX, SAKKE_PY } from '../../../../actors/security/ibc/parameters.ts';

/**
 * RFC 6508 section 3.2 and schoolbook affine curve arithmetic, line by line: no comb, no table, no trick. Slow (a division for each
 * step), independent of both backends, and what the portable one is measured against.
 */
type Point = { readonly x: bigint; readonly y: bigint } | undefined; // undefined is O

export function createTextbookArithmetic(): SakkeArithmetic {
  const base = { x: SAKKE_PX, y: SAKKE_PY };
  const scalar = (octets: Uint8Array) => toInteger(octets) % Q;
  return {
    name: 'textbook',
    mulBase: (k) => encode(multiply(base, scalar(k))),
    gPow: (r) => toOctets(power([1n, SAKKE_G], scalar(r)), 128),
    isOnCurve: (octets) => decode(octets) !== undefined,
    isInSubgroup: (octets) => {
      const point = decode(octets);
      return point !== undefined && multiply(point, Q) === undefined;
    },
    pair: (a, b) => toOctets(pair(ofOrderQ(a), onCurve(b)), 128),
    prepareKms: (zT) => new Held(zT),
    preparePairing: (rsk) => {
      ofOrderQ(rsk);
      return new Held(rsk);
    },
    encapsulationPoint: (kms, b, r) => encode(multiply(add(multiply(base, scalar(b)), onCurve(held(kms))), scalar(r))),
    pairPrepared: (rsk, point) => toOctets(pair(ofOrderQ(held(rsk)), onCurve(point)), 128),
    dispose: () => undefined,
  };
}

class Held implements KmsTable, PairingTable {
  readonly octets: Uint8Array;
  constructor(octets: Uint8Array) {
    this.octets = octets.slice();
  }
  dispose(): void {
    this.octets.fill(0);
  }
}

function held(table: KmsTable): Uint8Array {
  if (!(table instanceof Held)) throw new Error('a table of another backend');
  return table.octets;
}

const mod = (a: bigint) => ((a % P) + P) % P;

/** Extended Euclid, written again so that not even this is shared with the portable backend. */
function invert(a: bigint): bigint {
  let [u, v, x, y] = [mod(a), P, 1n, 0n];
  while (u > 1n) {
    const quotient = v / u;
    [u, v, x, y] = [v - quotient * u, u, y - quotient * x, x];
  }
  return mod(x);
}

function add(a: Point, b: Point): Point {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (a.x === b.x && mod(a.y + b.y) === 0n) return undefined;
  const l = a.x === b.x ? mod(3n * (a.x * a.x - 1n) * invert(2n * a.y)) : mod((b.y - a.y) * invert(mod(b.x - a.x)));
  const x = mod(l * l - a.x - b.x);
  return { x, y: mod(l * (a.x - x) - a.y) };
}

function multiply(point: Point, k: bigint): Point {
  let sum: Point;
  for (const bit of k.toString(2)) {
    sum = add(sum, sum);
    if (bit === '1') sum = add(sum, point);
  }
  return sum;
}

type Element = readonly [bigint, bigint];
const times = ([a, b]: Element, [c, d]: Element): Element => [mod(a * c - b * d), mod(a * d + b * c)];

function power(element: Element, k: bigint): bigint {
  let result: Element = [1n, 0n];
  for (const bit of k.toString(2)) {
    result = times(result, result);
    if (bit === '1') result = times(result, element);
  }
  return mod(result[1] * invert(result[0]));
}

/** The routine printed in RFC 6508 section 3.2. */
function pair(R: { x: bigint; y: bigint }, S: { x: bigint; y: bigint }): bigint {
  if (S.y === 0n) throw new IbcError('bad-point', 'order 2');
  let v: Element = [1n, 0n];
  let C: Point = R;
  for (const bit of (Q - 1n).toString(2).slice(1)) {
    let l = mod(3n * (C!.x * C!.x - 1n) * invert(2n * C!.y));
    v = times(times(v, v), [mod(l * (S.x + C!.x) - C!.y), S.y]);
    C = add(C, C);
    if (bit === '1') {
      l = mod((C!.y - R.y) * invert(mod(C!.x - R.x)));
      v = times(v, [mod(l * (S.x + C!.x) - C!.y), S.y]);
      C = add(C, R);
    }
  }
  const t = times(times(v, v), times(v, v));
  return mod(t[1] * invert(t[0]));
}

function decode(octets: Uint8Array): Point {
  if (octets.length !== 257 || octets[0] !== 4) return undefined;
  const [x, y] = [toInteger(octets.slice(1, 129)), toInteger(octets.slice(129))];
  return x < P && y < P && mod(y * y - x * x * x + 3n * x) === 0n ? { x, y } : undefined;
}

function onCurve(octets: Uint8Array): { x: bigint; y: bigint } {
  const point = decode(octets);
  if (point === undefined) throw new IbcError('bad-point', 'not on the curve');
  return point;
}

function ofOrderQ(octets: Uint8Array): { x: bigint; y: bigint } {
  const point = onCurve(octets);
  if (multiply(point, Q) !== undefined) throw new IbcError('bad-point', 'not of order q');
  return point;
}

function encode(point: Point): Uint8Array {
  if (point === undefined) throw new IbcError('point-at-infinity', 'O');
  return concat(Uint8Array.of(4), toOctets(point.x, 128), toOctets(point.y, 128));
}
