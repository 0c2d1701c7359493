import { FIELD_OCTETS, type KmsTable, type PairingTable, type SakkeArithmetic } from '../arithmetic.ts';
import { IbcError } from '../errors.ts';
import { toInteger, toOctets } from '../octets.ts';
import { SAKKE_G, SAKKE_PX, SAKKE_PY, SAKKE_Q } from '../parameters.ts';
import {
  combMultiply,
  combMultiplySecret,
  combPower,
  type PointComb,
  type PowerComb,
  pointComb,
  powerComb,
} from './comb.ts';
import { type Affine, decodePoint, encodePoint, multiply, toAffine, tryDecodePoint } from './curve.ts';
import { type Lines, millerLines, pair } from './pairing.ts';

const BASE: Affine = { x: SAKKE_PX, y: SAKKE_PY };

/**
 * The portable backend, and the one to read beside RFC 6508. BigInt arithmetic takes variable time: secrets are blinded
 * (a fresh random split of the KMS's scalars, random projective coordinates elsewhere), not constant-time.
 * The combs of P and g are built on first use, about 50 ms each.
 */
export function createBigintArithmetic(): SakkeArithmetic {
  let pointTable: PointComb | undefined;
  let powerTable: PowerComb | undefined;
  let disposed = false;

  const alive = () => {
    if (disposed) throw new IbcError('disposed', 'this arithmetic backend has been disposed of');
  };
  const combOfP = () => {
    alive();
    pointTable ??= pointComb(BASE);
    return pointTable;
  };
  const combOfG = () => {
    alive();
    powerTable ??= powerComb(SAKKE_G);
    return powerTable;
  };

  return {
    name: 'bigint',
    mulBase: (k) => encodePoint(toAffine(combMultiplySecret(combOfP(), scalar(k)))),
    gPow: (r) => toOctets(combPower(combOfG(), scalar(r)), FIELD_OCTETS),
    isOnCurve: (point) => tryDecodePoint(point) !== undefined,
    isInSubgroup: (octets) => {
      const point = tryDecodePoint(octets);
      return point !== undefined && multiply(point, SAKKE_Q).Z === 0n;
    },
    pair: (a, b) => {
      alive();
      return toOctets(pair(millerLines(decodePoint(a)), decodePoint(b)), FIELD_OCTETS);
    },
    prepareKms: (zT) => {
      alive();
      return new BigintKmsTable(pointComb(decodePoint(zT)));
    },
    encapsulationPoint: (kms, b, r) => {
      const k = scalar(r);
      const sum = combMultiply([combOfP(), (k * scalar(b)) % SAKKE_Q], [BigintKmsTable.combOf(kms), k]);
      return encodePoint(toAffine(sum));
    },
    preparePairing: (rsk) => {
      alive();
      return new BigintPairingTable(millerLines(decodePoint(rsk)));
    },
    pairPrepared: (rsk, point) => {
      alive();
      return toOctets(pair(BigintPairingTable.linesOf(rsk), decodePoint(point)), FIELD_OCTETS);
    },
    dispose: () => {
      disposed = true;
      pointTable = undefined;
      powerTable = undefined;
    },
  };
}

class BigintKmsTable implements KmsTable {
  #comb: PointComb | undefined;

  constructor(comb: PointComb) {
    this.#comb = comb;
  }

  static combOf(table: KmsTable): PointComb {
    if (!(table instanceof BigintKmsTable) || table.#comb === undefined) {
      throw new IbcError('disposed', 'this KMS table is not of this backend or has been disposed of');
    }
    return table.#comb;
  }

  dispose(): void {
    this.#comb = undefined;
  }
}

class BigintPairingTable implements PairingTable {
  #lines: Lines | undefined;

  constructor(lines: Lines) {
    this.#lines = lines;
  }

  static linesOf(table: PairingTable): Lines {
    if (!(table instanceof BigintPairingTable) || table.#lines === undefined) {
      throw new IbcError('disposed', 'this pairing table is not of this backend or has been disposed of');
    }
    return table.#lines;
  }

  /** BigInt values cannot be overwritten in place; dropping every reference to them is all there is. */
  dispose(): void {
    this.#lines?.l.fill(0n);
    this.#lines?.m.fill(0n);
    this.#lines = undefined;
  }
}

function scalar(octets: Uint8Array): bigint {
  if (octets.length === 0 || octets.length > FIELD_OCTETS) {
    throw new IbcError('bad-length', `a scalar has 1 to ${FIELD_OCTETS} octets, not ${octets.length}`);
  }
  return toInteger(octets) % SAKKE_Q;
}
