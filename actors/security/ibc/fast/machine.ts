import { FIELD_OCTETS } from '../arithmetic.ts';
import { type Layout, layoutOf, REGISTERS } from './layout.ts';
import { pairOctets, type Radix, singleOctets } from './radix.ts';
import { type WasmMemory, type WasmModule, WebAssembly } from './webassembly.ts';

/** What generator/ exports; each function's contract stands beside its emitter. Arguments are addresses unless named. */
interface Functions {
  readonly memory: WasmMemory;
  multiply1(dst: number, a: number, b: number): void;
  multiply2(dst: number, a1: number, b1: number, a2: number, b2: number): void;
  add(dst: number, a: number, b: number): void;
  subtract(dst: number, a: number, b: number): void;
  pick00(dst: number, a: number, b: number): void;
  pick01(dst: number, a: number, b: number): void;
  pick10(dst: number, a: number, b: number): void;
  pick11(dst: number, a: number, b: number): void;
  timesI(dst: number, a: number, unused: number): void;
  gather(dst: number, a: number, b: number): void;
  scatter(src: number, lane: number, dst: number): void;
  fromOctets(dst: number, lane: number): void;
  toOctets(src: number, lane: number): void;
  invert(dst: number, a: number): void;
  squareF(): void;
  doublePoint(): void;
  addPoint(niels: number): void;
  pointComb(
    table0: number,
    table1: number,
    digits0: number,
    digits1: number,
    steps: number,
    tableStride: number,
    digitStride: number,
  ): void;
  powerComb(table: number, digits: number): void;
  miller(table: number): void;
  doubleMultiple(): void;
  addMultiple(entry: number): void;
  timesMultiple(entry: number): void;
  millerDirect(table: number): void;
}

const PAGE = 65536;

/**
 * One instance of the WebAssembly module with its memory: registers and heap blocks hold pairs of field elements, and the
 * methods name what the module's functions do with them. Formulas elsewhere are written in these terms.
 */
export class Machine {
  readonly radix: Radix;
  readonly layout: Layout;
  readonly run: Functions;
  /** Octets of a pair, and of an element alone in a table. */
  readonly pair: number;
  readonly single: number;
  /** Freed heap blocks by size; blocks of one size are tables of one kind, so exact fits are the rule. */
  readonly #free = new Map<number, number[]>();
  #end: number;
  #registers = 0;
  readonly #t: number;

  constructor(module: WasmModule, radix: Radix) {
    this.radix = radix;
    this.layout = layoutOf(radix);
    this.run = new WebAssembly.Instance(module).exports as unknown as Functions;
    this.pair = pairOctets(radix);
    this.single = singleOctets(radix);
    this.#end = this.layout.heap;
    this.#t = this.register();
  }

  /** Memory as octets; a new view each time, since growing the memory detaches the old one. */
  get octets(): Uint8Array {
    return new Uint8Array(this.run.memory.buffer);
  }

  /** A register, a pair, for the life of the machine; `wipe` zeroes it. */
  register(): number {
    if (this.#registers === REGISTERS) throw new Error('no register left');
    return this.layout.registers + this.pair * this.#registers++;
  }

  /** Heap memory, not initialised. */
  allocate(octets: number): number {
    const reused = this.#free.get(octets)?.pop();
    if (reused !== undefined) return reused;
    const address = this.#end;
    this.#end += octets;
    const missing = this.#end - this.run.memory.buffer.byteLength;
    if (missing > 0) this.run.memory.grow(Math.ceil(missing / PAGE));
    return address;
  }

  /** A pair that `wipe` leaves alone, with its value. */
  constant(first: Uint8Array, second: Uint8Array): number {
    const address = this.allocate(this.pair);
    this.load(address, first, second);
    return address;
  }

  /** Zeroes a heap block and gives it back. */
  release(address: number, octets: number): void {
    this.octets.fill(0, address, address + octets);
    const blocks = this.#free.get(octets);
    if (blocks === undefined) this.#free.set(octets, [address]);
    else blocks.push(address);
  }

  /** Zeroes columns of products, digits of scalars, accumulators, scratch and registers: all that an operation leaves behind. */
  wipe(): void {
    const { columns, octets, schedule, digits, heap } = this.layout;
    const memory = this.octets;
    memory.fill(0, columns, octets);
    memory.fill(0, octets, schedule);
    memory.fill(0, digits, heap);
  }

  /** Zeroes everything, constants and tables included. */
  destroy(): void {
    this.octets.fill(0);
  }

  // dst = a b, or a sum of products; results modulo p, lane by lane
  mul(dst: number, a: number, b: number): void {
    this.run.multiply1(dst, a, b);
  }
  mul2(dst: number, a1: number, b1: number, a2: number, b2: number): void {
    this.run.multiply2(dst, a1, b1, a2, b2);
  }
  add(dst: number, a: number, b: number): void {
    this.run.add(dst, a, b);
  }
  sub(dst: number, a: number, b: number): void {
    this.run.subtract(dst, a, b);
  }
  copy(dst: number, a: number): void {
    this.run.pick01(dst, a, a);
  }
  /** dst = (a's lane la, b's lane lb). */
  pick(dst: number, a: number, la: 0 | 1, b: number, lb: 0 | 1): void {
    if (la === 0) {
      if (lb === 0) this.run.pick00(dst, a, b);
      else this.run.pick01(dst, a, b);
    } else if (lb === 0) this.run.pick10(dst, a, b);
    else this.run.pick11(dst, a, b);
  }

  /** Two elements, 128 octets big-endian each and below p, into a pair in Montgomery form. */
  load(dst: number, first: Uint8Array, second: Uint8Array): void {
    const { octets, zero, rSquared } = this.layout;
    const memory = this.octets;
    memory.fill(0, octets + FIELD_OCTETS, octets + FIELD_OCTETS + 8); // the last digits reach beyond the element
    for (const [lane, value] of [first, second].entries()) {
      memory.set(value, octets);
      memory.subarray(octets, octets + FIELD_OCTETS).reverse();
      this.run.fromOctets(dst, lane);
    }
    this.add(dst, dst, zero);
    this.mul(dst, dst, rSquared);
  }

  /** The two elements of a pair in Montgomery form as 128 octets each; */
  store(src: number): [Uint8Array, Uint8Array] {
    const { octets, unit } = this.layout;
    const lanes: Uint8Array[] = [];
    this.mul(this.#t, src, unit);
    for (const lane of [0, 1]) {
      this.run.toOctets(this.#t, lane);
      lanes.push(this.octets.slice(octets, octets + FIELD_OCTETS).reverse());
    }
    return lanes as [Uint8Array, Uint8Array];
  }

  /** Whether one lane of a pair is 0 modulo p. */
  isZero(src: number, lane: 0 | 1): boolean {
    const { octets, unit } = this.layout;
    this.mul(this.#t, src, unit);
    this.run.toOctets(this.#t, lane);
    return this.octets.subarray(octets, octets + FIELD_OCTETS).every((octet) => octet === 0);
  }

  /**
   * Replaces each of `count` pairs, one after another from `first`, by its inverse, with one inversion (Montgomery's
   * trick), lane by lane. A zero among them makes every result of its lane zero. `products` is memory for as many pairs.
   */
  invertAll(first: number, count: number, products: number): void {
    const pair = this.pair;
    this.copy(products, first);
    for (let index = 1; index < count; index++) {
      this.mul(products + index * pair, products + (index - 1) * pair, first + index * pair);
    }
    const running = products + (count - 1) * pair; // 1 / (e_0 ... e_index)
    this.run.invert(running, running);
    for (let index = count - 1; index > 0; index--) {
      const before = products + (index - 1) * pair; // e_0 ... e_(index-1)
      const element = first + index * pair;
      this.mul(before, before, running);
      this.mul(running, running, element);
      this.copy(element, before);
    }
    this.copy(first, running);
  }
}
