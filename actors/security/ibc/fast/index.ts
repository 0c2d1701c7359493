import { FIELD_OCTETS, type KmsTable, type PairingTable, POINT_OCTETS, type SakkeArithmetic } from '../arithmetic.ts';
import { IbcError } from '../errors.ts';
import { toInteger, toOctets } from '../octets.ts';
import { SAKKE_G, SAKKE_P, SAKKE_PX, SAKKE_PY, SAKKE_Q } from '../parameters.ts';
import { buildPointComb, buildPowerComb, writeDigits } from './combs.ts';
import { DirectMiller } from './direct.ts';
import { Edwards } from './edwards.ts';
import { BLOCKS_OF_COMB, DIGITS, ENTRIES, lineTableOctets, pointCombOctets } from './layout.ts';
import { LineBuilder } from './lines.ts';
import { Machine } from './machine.ts';
import { compiledModules } from './modules.ts';
import type { Radix } from './radix.ts';
import type { WasmModule } from './webassembly.ts';

/**
 * The fast backend, or undefined where this machine or this Node has no WebAssembly SIMD. With fused multiply-add in
 * relaxed SIMD it is `wasm-relaxed-simd`, else `wasm-simd`. The combs of P and g are built on first use.
 */
export function createFastArithmetic(): SakkeArithmetic | undefined {
  const [best] = compiledModules();
  return best === undefined ? undefined : new FastArithmetic(best.module, best.radix);
}

const NOT_OF_ORDER_Q = 'the point is not of order q: it is no user secret key';
const NO_SENDER = 'the point has y = 0: no sender makes it';
const P_OCTETS = toOctets(SAKKE_P, FIELD_OCTETS);

/** SAKKE's arithmetic on one instance of the WebAssembly module. Every operation wipes what it leaves in memory. */
export class FastArithmetic implements SakkeArithmetic {
  readonly name: string;
  readonly #machine: Machine;
  readonly #edwards: Edwards;
  readonly #lines: LineBuilder;
  readonly #direct: DirectMiller;
  readonly #affine: number;
  #combOfP: number | undefined;
  #combOfG: number | undefined;
  #disposed = false;

  constructor(module: WasmModule, radix: Radix) {
    this.name = radix.name;
    this.#machine = new Machine(module, radix);
    this.#edwards = new Edwards(this.#machine);
    this.#lines = new LineBuilder(this.#machine);
    this.#direct = new DirectMiller(this.#machine);
    this.#affine = this.#machine.register();
  }

  mulBase(k: Uint8Array): Uint8Array {
    return this.#operation(() => {
      this.#multiplyBase(k);
      return this.#sumOfLanes();
    });
  }

  gPow(r: Uint8Array): Uint8Array {
    return this.#operation((m) => {
      const table = this.#tableOfG();
      const { digits } = m.layout;
      writeDigits(m.octets.subarray(digits, digits + DIGITS), scalar(r));
      m.run.powerComb(table, digits);
      return this.#representative();
    });
  }

  isOnCurve(point: Uint8Array): boolean {
    return this.#operation(() => this.#enter(point));
  }

  isInSubgroup(point: Uint8Array): boolean {
    return this.#operation(() => this.#enter(point) && this.#lines.hasOrderQ(this.#affine));
  }

  pair(a: Uint8Array, b: Uint8Array): Uint8Array {
    return this.#operation((m) => {
      this.#enterOrThrow(b);
      if (m.isZero(this.#affine, 1)) throw new IbcError('bad-point', NO_SENDER);
      m.copy(m.layout.second, this.#affine);
      this.#enterOrThrow(a);
      if (!this.#direct.run(this.#affine)) throw new IbcError('bad-point', NOT_OF_ORDER_Q);
      return this.#finalPower();
    });
  }

  prepareKms(zT: Uint8Array): KmsTable {
    return this.#operation((m) => {
      this.#enterOrThrow(zT);
      const address = buildPointComb(m, this.#edwards, this.#affine);
      return new FastTable(m, address, pointCombOctets(m.radix), zT.slice());
    });
  }

  encapsulationPoint(kms: KmsTable, b: Uint8Array, r: Uint8Array): Uint8Array {
    return this.#operation((m) => {
      const { address, point } = FastTable.of(kms, m);
      const base = this.#tableOfP(); // before registers are in use: it may have to be built
      const k = scalar(r);
      if (k === 1n && point !== undefined) {
        // [b]P + Z_T, as validating an RSK needs it: one comb, and Z_T as the affine point that it is
        this.#enterOrThrow(point);
        this.#edwards.accumulateOne(this.#affine);
        this.#edwards.addend(false);
        this.#multiplyBase(b);
        m.run.addPoint(this.#edwards.niels);
        return this.#sumOfLanes();
      }
      const { digits } = m.layout;
      writeDigits(m.octets.subarray(digits, digits + DIGITS), (k * scalar(b)) % SAKKE_Q);
      writeDigits(m.octets.subarray(digits + DIGITS, digits + 2 * DIGITS), k);
      const block = ENTRIES * 3 * m.single;
      this.#edwards.clear();
      m.run.pointComb(base, address, digits, digits + DIGITS, BLOCKS_OF_COMB, block, 1);
      return this.#sumOfLanes();
    });
  }

  preparePairing(rsk: Uint8Array): PairingTable {
    return this.#operation((m) => {
      this.#enterOrThrow(rsk);
      const address = this.#lines.build(this.#affine);
      if (address === undefined) throw new IbcError('bad-point', NOT_OF_ORDER_Q);
      return new FastTable(m, address, lineTableOctets(m.radix));
    });
  }

  pairPrepared(rsk: PairingTable, point: Uint8Array): Uint8Array {
    return this.#operation((m) => {
      const { address: table } = FastTable.of(rsk, m);
      this.#enterOrThrow(point);
      const [inverse, ratio, square, cube, x] = m.layout.powers;
      m.pick(inverse, this.#affine, 1, this.#affine, 1);
      if (m.isZero(inverse, 0)) throw new IbcError('bad-point', NO_SENDER);
      m.run.invert(inverse, inverse);
      m.pick(x, this.#affine, 0, this.#affine, 0);
      m.mul(ratio, x, inverse);
      m.mul(square, x, ratio);
      m.mul(cube, x, square);
      m.run.miller(table);
      return this.#finalPower();
    });
  }

  dispose(): void {
    this.#disposed = true;
    this.#machine.destroy();
  }

  /** Runs an operation and wipes the machine after it, whatever happens. */
  #operation<T>(run: (machine: Machine) => T): T {
    if (this.#disposed) throw new IbcError('disposed', 'this arithmetic has been disposed of: make another');
    try {
      return run(this.#machine);
    } finally {
      this.#machine.wipe();
    }
  }

  /** The sum of the accumulators' lanes becomes [k]P: blocks of even number in lane 0, of odd number in lane 1. */
  #multiplyBase(k: Uint8Array): void {
    const m = this.#machine;
    const table = this.#tableOfP();
    const { digits } = m.layout;
    writeDigits(m.octets.subarray(digits, digits + DIGITS), scalar(k));
    const block = ENTRIES * 3 * m.single;
    this.#edwards.clear();
    m.run.pointComb(table, table + block, digits, digits + 1, BLOCKS_OF_COMB / 2, 2 * block, 2);
  }

  #tableOfP(): number {
    if (this.#combOfP === undefined) {
      this.#machine.load(this.#affine, toOctets(SAKKE_PX, FIELD_OCTETS), toOctets(SAKKE_PY, FIELD_OCTETS));
      this.#combOfP = buildPointComb(this.#machine, this.#edwards, this.#affine);
    }
    return this.#combOfP;
  }

  #tableOfG(): number {
    if (this.#combOfG === undefined) {
      const g = toOctets(SAKKE_G, FIELD_OCTETS);
      this.#machine.load(this.#affine, g, g);
      this.#combOfG = buildPowerComb(this.#machine, this.#affine);
    }
    return this.#combOfG;
  }

  /** Loads a point into #affine; false when it is malformed or not on the curve. */
  #enter(point: Uint8Array): boolean {
    if (point.length !== POINT_OCTETS || point[0] !== 4) return false;
    const x = point.subarray(1, 1 + FIELD_OCTETS);
    const y = point.subarray(1 + FIELD_OCTETS);
    if (Buffer.compare(x, P_OCTETS) >= 0 || Buffer.compare(y, P_OCTETS) >= 0) return false;
    const m = this.#machine;
    const affine = this.#affine;
    const [t, u] = m.layout.point;
    m.load(affine, x, y);
    // y^2 - x (x^2 - 3)
    m.mul(t, affine, affine); // (x^2, y^2)
    for (let count = 0; count < 3; count++) m.sub(u, count === 0 ? t : u, m.layout.one);
    m.mul(u, u, affine);
    m.pick(t, t, 1, t, 1);
    m.sub(t, t, u);
    return m.isZero(t, 0);
  }

  #enterOrThrow(point: Uint8Array): void {
    if (!this.#enter(point)) {
      throw new IbcError('bad-point', `a point is 04 || x || y, ${POINT_OCTETS} octets, on y^2 = x^3 - 3x`);
    }
  }

  /** The sum of the two accumulated points as 04 || x || y. */
  #sumOfLanes(): Uint8Array {
    const m = this.#machine;
    this.#edwards.addLanes();
    this.#edwards.leave(this.#affine);
    if (m.isZero(this.#affine, 1)) throw new IbcError('point-at-infinity', 'the sum is O, which has no octets');
    const [x, y] = m.store(this.#affine);
    const point = new Uint8Array(POINT_OCTETS);
    point[0] = 4;
    point.set(x, 1);
    point.set(y, 1 + FIELD_OCTETS);
    return point;
  }

  /**
   * The representative of the Miller function in layout.f after the final power (p^2 - 1) / q = 4 (p - 1): p - 1 goes with
   * the choice of the representative, 4 is two squarings.
   */
  #finalPower(): Uint8Array {
    this.#machine.run.squareF();
    this.#machine.run.squareF();
    return this.#representative();
  }

  /** y/x of the element x + iy in layout.f. */
  #representative(): Uint8Array {
    const m = this.#machine;
    const { f } = m.layout;
    m.pick(this.#affine, f, 0, f, 0);
    m.run.invert(this.#affine, this.#affine);
    m.pick(f, f, 1, f, 1);
    m.mul(this.#affine, this.#affine, f);
    return m.store(this.#affine)[0];
  }
}

/** A table on the heap of one machine; with the point it belongs to, when that is public. */
class FastTable implements KmsTable, PairingTable {
  readonly #machine: Machine;
  readonly #octets: number;
  readonly #point: Uint8Array | undefined;
  #address: number | undefined;

  constructor(machine: Machine, address: number, octets: number, point?: Uint8Array) {
    this.#machine = machine;
    this.#address = address;
    this.#octets = octets;
    this.#point = point;
  }

  /** Where a table stands; `disposed` when it is another machine's or has been given back. */
  static of(table: KmsTable | PairingTable, machine: Machine): { address: number; point: Uint8Array | undefined } {
    if (!(table instanceof FastTable) || table.#machine !== machine || table.#address === undefined) {
      throw new IbcError('disposed', 'this table is not of this backend or has been disposed of');
    }
    return { address: table.#address, point: table.#point };
  }

  dispose(): void {
    if (this.#address === undefined) return;
    this.#machine.release(this.#address, this.#octets);
    this.#address = undefined;
  }
}

/** A scalar of the interface: 1 to 128 octets, reduced modulo q. */
function scalar(octets: Uint8Array): bigint {
  if (octets.length === 0 || octets.length > FIELD_OCTETS) {
    throw new IbcError('bad-length', `a scalar has 1 to ${FIELD_OCTETS} octets, not ${octets.length}`);
  }
  return toInteger(octets) % SAKKE_Q;
}
