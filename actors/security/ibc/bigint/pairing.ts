import { IbcError } from '../errors.ts';
import { SAKKE_P, SAKKE_Q } from '../parameters.ts';
import { type Affine, addAffine, double, type Jacobian } from './curve.ts';
import { invertAll, invertSecret, mod } from './field.ts';
import { type Element, representatives, square } from './projective.ts';

/**
 * The lines of the Miller loop of RFC 6508 section 3.2 for one first argument R. The line through C (and R) with gradient
 * l, evaluated at the distorted image (-x, iy) of the second argument, is l(x + C_x) + iy - C_y. Divided by y, which lies in
 * F_p and therefore changes nothing in PF_p, it is a + i with
 *
 *     a = l (x/y) + m (1/y),   m = l C_x - C_y
 *
 * so a line is the pair (l, m), and evaluating it costs two multiplications.
 */
export interface Lines {
  readonly l: bigint[];
  readonly m: bigint[];
}

/** The bits of q - 1 below the highest, as the loop of RFC 6508 section 3.2 reads them. */
const LOOP = Array.from((SAKKE_Q - 1n).toString(2).slice(1), (bit) => bit === '1');

/** `bad-point` unless R is of order q. */
export function millerLines(R: Affine): Lines {
  const numeratorsL: bigint[] = [];
  const numeratorsM: bigint[] = [];
  const denominators: bigint[] = [];
  let C: Jacobian = { X: R.x, Y: R.y, Z: 1n };
  for (const bit of LOOP) {
    // Tangent at C: l = 3(C_x^2 - 1) / 2C_y, both sides brought over 2 Y Z^3
    const zz = (C.Z * C.Z) % SAKKE_P;
    const slope = (3n * (C.X - zz) * (C.X + zz)) % SAKKE_P;
    numeratorsL.push(slope * zz);
    numeratorsM.push(slope * C.X - 2n * C.Y * C.Y);
    denominators.push((2n * ((C.Y * C.Z) % SAKKE_P) * zz) % SAKKE_P);
    C = double(C);
    if (!bit) continue;
    // Chord through C and R: l = (C_y - R_y) / (C_x - R_x), taken at R
    const z2 = (C.Z * C.Z) % SAKKE_P;
    const dy = mod(C.Y - ((R.y * z2) % SAKKE_P) * C.Z);
    const dx = (mod(C.X - R.x * z2) * C.Z) % SAKKE_P;
    numeratorsL.push(dy);
    numeratorsM.push(dy * R.x - dx * R.y);
    denominators.push(dx);
    C = addAffine(C, R);
  }
  const inverses = invertAll(denominators);
  if (inverses === undefined || !isNegative(C, R)) {
    throw new IbcError('bad-point', 'the first argument of the pairing is not a point of order q');
  }
  return {
    l: numeratorsL.map((numerator, index) => mod(numerator * inverses[index]!)),
    m: numeratorsM.map((numerator, index) => mod(numerator * inverses[index]!)),
  };
}

/** After the loop C = [q - 1]R, which is -R exactly when [q]R = O. */
function isNegative(C: Jacobian, R: Affine): boolean {
  const zz = (C.Z * C.Z) % SAKKE_P;
  return C.Z !== 0n && mod(C.X - R.x * zz) === 0n && mod(C.Y + ((R.y * zz) % SAKKE_P) * C.Z) === 0n;
}

/** <R, Q> with the lines of R, as the F_p representative. `bad-point` when Q_y = 0. */
export function pair({ l, m }: Lines, Q: Affine): bigint {
  if (Q.y === 0n) throw new IbcError('bad-point', 'the second argument of the pairing is a point of order 2');
  const overY = invertSecret(Q.y, SAKKE_P);
  const xOverY = (Q.x * overY) % SAKKE_P;
  let v: Element = [1n, 0n];
  let line = 0;
  const timesNextLine = () => {
    const a = (l[line]! * xOverY + m[line]! * overY) % SAKKE_P;
    line++;
    v = [mod(v[0] * a - v[1]), (v[0] + v[1] * a) % SAKKE_P];
  };
  for (const bit of LOOP) {
    v = square(v);
    timesNextLine();
    if (bit) timesNextLine();
  }
  // v^c with c = (p + 1) / q = 4
  return representatives([square(square(v))])[0]!;
}
