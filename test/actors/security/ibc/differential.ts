import { createHash } from 'node:crypto';
import type { KmsTable, PairingTable, SakkeArithmetic } from '../../../../actors/security/ibc/arithmetic.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import { concat, toHex, toInteger, toOctets } from '../../../../actors/security/ibc/octets.ts';
import { SAKKE_P, SAKKE_Q } from '../../../../actors/security/ibc/parameters.ts';

/**
 * Two arithmetic backends on the same inputs: random ones and those that break carries, digits and special cases. A run is
 * named by its seed, so that a difference found at night can be seen again by day.
 */
export interface Differential {
  /** How many inputs were compared; one input goes through every operation. */
  readonly inputs: number;
  /** One line for each difference: operation, arguments, both outcomes. Empty is what one hopes for. */
  readonly differences: readonly string[];
}

/** New tables (Z_T and RSK) are drawn every so many inputs. */
const INPUTS_PER_TABLE = 50;

export function compareBackends(
  reference: SakkeArithmetic,
  candidate: SakkeArithmetic,
  inputs: number,
  seed: string,
  progress?: (done: number) => void,
): Differential {
  const random = new SeededRandom(seed);
  const differences: string[] = [];
  let tables: Tables | undefined;
  let other: Tables | undefined;
  for (let input = 0; input < inputs && differences.length < 20; input++) {
    if (input % INPUTS_PER_TABLE === 0) {
      tables?.dispose();
      other?.dispose();
      const [zT, rsk] = [reference.mulBase(random.octets(128)), reference.mulBase(random.octets(128))];
      [tables, other] = [new Tables(reference, zT, rsk), new Tables(candidate, zT, rsk)];
      check('pair', [rsk, zT], (arithmetic) => toHex(arithmetic.pair(rsk, zT)));
      check('isInSubgroup', [rsk], (arithmetic) => String(arithmetic.isInSubgroup(rsk)));
      const outside = random.curvePoint();
      check('isInSubgroup', [outside], (arithmetic) => String(arithmetic.isInSubgroup(outside)));
      check('pair', [outside, zT], (arithmetic) => toHex(arithmetic.pair(outside, zT)));
      check('pair', [rsk, outside], (arithmetic) => toHex(arithmetic.pair(rsk, outside)));
      const bad = random.badPoint();
      check('pair', [bad, zT], (arithmetic) => toHex(arithmetic.pair(bad, zT)));
      check('pair', [rsk, bad], (arithmetic) => toHex(arithmetic.pair(rsk, bad)));
      check('preparePairing', [outside], (arithmetic) => prepared(arithmetic.preparePairing(outside)));
    }
    const [k, b, r] = [random.scalar(), random.octets(32), random.scalar()];
    const point = random.pick([
      () => reference.mulBase(random.octets(128)),
      () => random.curvePoint(),
      () => random.badPoint(),
    ])();
    check('mulBase', [k], (arithmetic) => toHex(arithmetic.mulBase(k)));
    check('gPow', [r], (arithmetic) => toHex(arithmetic.gPow(r)));
    check('encapsulationPoint', [b, r], (arithmetic) =>
      toHex(arithmetic.encapsulationPoint(tablesOf(arithmetic).kms, b, r)),
    );
    check('pairPrepared', [point], (arithmetic) => toHex(arithmetic.pairPrepared(tablesOf(arithmetic).rsk, point)));
    check('isOnCurve', [point], (arithmetic) => String(arithmetic.isOnCurve(point)));
    progress?.(input + 1);
  }
  tables?.dispose();
  other?.dispose();
  return { inputs, differences };

  function tablesOf(arithmetic: SakkeArithmetic): Tables {
    return (arithmetic === reference ? tables : other)!;
  }

  function check(operation: string, args: readonly Uint8Array[], run: (arithmetic: SakkeArithmetic) => string): void {
    const [expected, actual] = [outcome(() => run(reference)), outcome(() => run(candidate))];
    if (expected !== actual) {
      differences.push(
        `${operation}(${args.map(toHex).join(', ')}): ${reference.name} ${expected}, ${candidate.name} ${actual}`,
      );
    }
  }
}

class Tables {
  readonly kms: KmsTable;
  readonly rsk: PairingTable;

  constructor(arithmetic: SakkeArithmetic, zT: Uint8Array, rsk: Uint8Array) {
    this.kms = arithmetic.prepareKms(zT);
    this.rsk = arithmetic.preparePairing(rsk);
  }

  dispose(): void {
    this.kms.dispose();
    this.rsk.dispose();
  }
}

function prepared(table: PairingTable): string {
  table.dispose();
  return 'prepared';
}

/** The value, or the code of the error: both must be equal. */
function outcome(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (error instanceof IbcError) return `error ${error.code}`;
    throw error;
  }
}

/** SHA-256 in counter mode: the same inputs for the same seed, everywhere. */
export class SeededRandom {
  readonly #seed: string;
  #counter = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  octets(length: number): Uint8Array {
    const blocks: Uint8Array[] = [];
    for (let produced = 0; produced < length; produced += 32) {
      blocks.push(
        createHash('sha256')
          .update(`${this.#seed}/${this.#counter++}`)
          .digest(),
      );
    }
    return concat(...blocks).slice(0, length);
  }

  below(bound: number): number {
    return Number(toInteger(this.octets(8)) % BigInt(bound));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** 1 to 128 octets: mostly uniform, now and then near 0, q, a power of two, or with long runs of one bit. */
  scalar(): Uint8Array {
    const near = (value: bigint) => toOctets((value + BigInt(this.below(5))) % 2n ** 1024n, 128);
    return this.pick([
      () => this.octets(128),
      () => this.octets(128),
      () => this.octets(1 + this.below(128)),
      () => near(0n),
      () => near(SAKKE_Q - 2n),
      () => near(3n * SAKKE_Q - 2n),
      () => near(2n ** BigInt(this.below(1024)) - 1n),
      () => new Uint8Array(128).map(() => this.pick([0, 0xff, 0xff, 0])),
    ])();
  }

  /** A point of the whole curve, of any order: almost never in the subgroup of order q. */
  curvePoint(): Uint8Array {
    for (;;) {
      const x = this.pick([() => toInteger(this.octets(128)) % SAKKE_P, () => BigInt(this.below(40))])();
      const square = (((x * x * x - 3n * x) % SAKKE_P) + SAKKE_P) % SAKKE_P;
      const y = modPow(square, SAKKE_Q); // p + 1 = 4q, so this is square^((p + 1) / 4)
      if ((y * y) % SAKKE_P === square) return concat(Uint8Array.of(4), toOctets(x, 128), toOctets(y, 128));
    }
  }

  /** Not a point: wrong length, wrong form, coordinates not below p, or not on the curve. */
  badPoint(): Uint8Array {
    const point = this.curvePoint();
    return this.pick([
      () => point.subarray(0, this.below(257)),
      () => concat(Uint8Array.of(this.pick([0, 2, 3, 5])), point.subarray(1)),
      () => concat(point, Uint8Array.of(0)),
      () =>
        concat(
          Uint8Array.of(4),
          toOctets(SAKKE_P + (toInteger(point.subarray(1, 129)) % 100n), 128),
          point.subarray(129),
        ),
      () => {
        const changed = point.slice();
        changed[1 + this.below(256)]! ^= 1 << this.below(8);
        return changed;
      },
      () => new Uint8Array(257),
    ])();
  }
}

function modPow(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % SAKKE_P;
    if (bit === '1') result = (result * base) % SAKKE_P;
  }
  return result;
}
