/**
 * A WebAssembly assembler: just the instructions that the field arithmetic needs, as functions that put bytes together.
 *
 * An expression is the byte sequence that leaves its value on the stack, so `f64x2.add(a, b)` is a's bytes, b's bytes and
 * the opcode; a statement is a byte sequence that leaves nothing. Encodings: WebAssembly Core Specification 2.0
 * chapter 5; relaxed SIMD: https://github.com/WebAssembly/relaxed-simd (part of Core 3.0).
 */
export type Code = readonly number[];
export type ValueType = 'i32' | 'i64' | 'f64' | 'v128';

const TYPE_BYTE: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f64: 0x7c, v128: 0x7b };
/** The block type "no value". */
const EMPTY_BLOCK = 0x40;

/** Joins code without spreading it over the call stack: kernels have tens of thousands of bytes. */
export function seq(...parts: readonly Code[]): Code {
  const out: number[] = [];
  for (const part of parts) for (const byte of part) out.push(byte);
  return out;
}

function unsignedLeb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return out;
}

function signedLeb(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}

function doubleBytes(value: number): number[] {
  return [...new Uint8Array(new Float64Array([value]).buffer)];
}

const simd = (opcode: number): number[] => [0xfd, ...unsignedLeb(opcode)];
const unary =
  (opcode: readonly number[]) =>
  (a: Code): Code =>
    seq(a, opcode);
const binary =
  (opcode: readonly number[]) =>
  (a: Code, b: Code): Code =>
    seq(a, b, opcode);
const ternary =
  (opcode: readonly number[]) =>
  (a: Code, b: Code, c: Code): Code =>
    seq(a, b, c, opcode);
/** `align` is the exponent of the alignment hint. */
const load =
  (opcode: readonly number[], align: number) =>
  (address: Code, offset = 0): Code =>
    seq(address, opcode, [align], unsignedLeb(offset));
const store =
  (opcode: readonly number[], align: number) =>
  (address: Code, value: Code, offset = 0): Code =>
    seq(address, value, opcode, [align], unsignedLeb(offset));

export const i32 = {
  const: (value: number): Code => [0x41, ...signedLeb(BigInt(value))],
  load: load([0x28], 2),
  store: store([0x36], 2),
  load8: load([0x2d], 0),
  store8: store([0x3a], 0),
  add: binary([0x6a]),
  sub: binary([0x6b]),
  mul: binary([0x6c]),
  and: binary([0x71]),
  or: binary([0x72]),
  xor: binary([0x73]),
  shl: binary([0x74]),
  shrU: binary([0x76]),
  eqz: unary([0x45]),
  eq: binary([0x46]),
  ne: binary([0x47]),
  ltS: binary([0x48]),
  geS: binary([0x4e]),
  fromI64: unary([0xa7]),
};

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signedLeb(value)],
  load: load([0x29], 3),
  store: store([0x37], 3),
  load32S: load([0x34], 2),
  load32U: load([0x35], 2),
  store32: store([0x3e], 2),
  add: binary([0x7c]),
  sub: binary([0x7d]),
  mul: binary([0x7e]),
  and: binary([0x83]),
  or: binary([0x84]),
  xor: binary([0x85]),
  shl: binary([0x86]),
  shrS: binary([0x87]),
  shrU: binary([0x88]),
  fromI32S: unary([0xac]),
  fromI32U: unary([0xad]),
  fromF64: unary([0xb0]),
};

export const f64 = {
  const: (value: number): Code => [0x44, ...doubleBytes(value)],
  load: load([0x2b], 3),
  store: store([0x39], 3),
  add: binary([0xa0]),
  sub: binary([0xa1]),
  mul: binary([0xa2]),
  fromI64S: unary([0xb9]),
};

export const v128 = {
  load: load(simd(0x00), 4),
  store: store(simd(0x0b), 4),
  /** One double into both lanes. */
  load64Splat: load(simd(0x0a), 3),
  /** One double into lane 0, zero in lane 1. */
  load64Zero: load(simd(0x5d), 3),
  /** One double into the lane named, the other kept from `value`. */
  load64Lane: (address: Code, value: Code, lane: 0 | 1, offset = 0): Code =>
    seq(address, value, simd(0x57), [3], unsignedLeb(offset), [lane]),
  store64Lane: (address: Code, value: Code, lane: 0 | 1, offset = 0): Code =>
    seq(address, value, simd(0x5b), [3], unsignedLeb(offset), [lane]),
  const: (lane0: number, lane1: number): Code => [...simd(0x0c), ...doubleBytes(lane0), ...doubleBytes(lane1)],
  and: binary(simd(0x4e)),
  or: binary(simd(0x50)),
  xor: binary(simd(0x51)),
  /** Bits of `a` where `mask` has ones, of `b` elsewhere. */
  select: (a: Code, b: Code, mask: Code): Code => seq(a, b, mask, simd(0x52)),
  /** (a, b) with lanes picked by number: 0 and 1 are a's, 2 and 3 are b's. */
  shuffle64: (a: Code, b: Code, lane0: number, lane1: number): Code =>
    seq(
      a,
      b,
      simd(0x0d),
      [lane0, lane1].flatMap((lane) => Array.from({ length: 8 }, (_, byte) => lane * 8 + byte)),
    ),
};

export const i64x2 = {
  splat: unary(simd(0x12)),
  replaceLane: (vector: Code, value: Code, lane: 0 | 1): Code => seq(vector, value, simd(0x1e), [lane]),
};

export const f64x2 = {
  splat: unary(simd(0x14)),
  extractLane0: unary([...simd(0x21), 0]),
  add: binary(simd(0xf0)),
  sub: binary(simd(0xf1)),
  mul: binary(simd(0xf2)),
  neg: unary(simd(0xed)),
  /** a * b + c, rounded once where the machine has FMA (relaxed: the module is only used where a probe found it so). */
  relaxedMadd: ternary(simd(0x107)),
  /** c - a * b, rounded likewise. */
  relaxedNmadd: ternary(simd(0x108)),
};

/** A local variable of a function under construction. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
  tee(value: Code): Code;
}

export function block(...body: readonly Code[]): Code {
  return seq([0x02, EMPTY_BLOCK], ...body, [0x0b]);
}

/** Repeats its body while the condition, evaluated after each round, is not zero. */
export function doWhile(condition: Code, ...body: readonly Code[]): Code {
  return seq([0x03, EMPTY_BLOCK], ...body, condition, [0x0d, 0x00, 0x0b]);
}

export function ifThen(condition: Code, ...body: readonly Code[]): Code {
  return seq(condition, [0x04, EMPTY_BLOCK], ...body, [0x0b]);
}

export function ifElse(condition: Code, yes: Code, no: Code): Code {
  return seq(condition, [0x04, EMPTY_BLOCK], yes, [0x05], no, [0x0b]);
}

/** Runs the body `count` times, at least once, with `counter` = 0, step, 2 step, ... (i32). */
export function repeat(counter: Local, count: number, step: number, ...body: readonly Code[]): Code {
  return seq(counter.set(i32.const(0)), repeatFrom(counter, step, count * step, ...body));
}

/** Runs the body with `counter` from its value on, by `step`, up to but not `end`; at least once. */
export function repeatFrom(counter: Local, step: number, end: number, ...body: readonly Code[]): Code {
  return doWhile(i32.ne(counter.tee(i32.add(counter.get, i32.const(step))), i32.const(end)), ...body);
}

/** A function under construction: its parameters, locals and statements. */
export class FunctionBuilder {
  readonly index: number;
  readonly parameters: readonly ValueType[];
  readonly result: ValueType | undefined;
  readonly #locals: ValueType[] = [];
  readonly #body: Code[] = [];

  constructor(index: number, parameters: readonly ValueType[], result: ValueType | undefined) {
    this.index = index;
    this.parameters = parameters;
    this.result = result;
  }

  parameter(position: number): Local {
    return this.#variable(position);
  }

  local(type: ValueType): Local {
    this.#locals.push(type);
    return this.#variable(this.parameters.length + this.#locals.length - 1);
  }

  locals(type: ValueType, count: number): Local[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  emit(...statements: readonly Code[]): void {
    this.#body.push(...statements);
  }

  call(...args: readonly Code[]): Code {
    if (args.length !== this.parameters.length) throw new Error(`function ${this.index}: wrong number of arguments`);
    return seq(...args, [0x10, ...unsignedLeb(this.index)]);
  }

  /** The code entry of this function (section 10). */
  encode(): Code {
    const locals = this.#locals.flatMap((type) => [1, TYPE_BYTE[type]]);
    const body = seq(unsignedLeb(this.#locals.length), locals, ...this.#body, [0x0b]);
    return seq(unsignedLeb(body.length), body);
  }

  #variable(index: number): Local {
    const leb = unsignedLeb(index);
    return {
      get: [0x20, ...leb],
      set: (value) => seq(value, [0x21, ...leb]),
      tee: (value) => seq(value, [0x22, ...leb]),
    };
  }
}

/** A module with one exported memory, constant data and functions. */
export class ModuleBuilder {
  readonly #functions: FunctionBuilder[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #data: { address: number; bytes: Uint8Array }[] = [];

  /** Declares a function; its body may be emitted later. With a name it is exported. */
  function(parameters: readonly ValueType[], result?: ValueType, name?: string): FunctionBuilder {
    const built = new FunctionBuilder(this.#functions.length, parameters, result);
    this.#functions.push(built);
    if (name !== undefined) this.#exports.push({ name, index: built.index });
    return built;
  }

  data(address: number, bytes: Uint8Array): void {
    this.#data.push({ address, bytes });
  }

  /** The binary module; `pages` of 64 KiB is the memory at the start, which may grow. */
  encode(pages: number): Uint8Array<ArrayBuffer> {
    const name = (text: string): Code => [text.length, ...Buffer.from(text, 'latin1')];
    const vector = (items: readonly Code[]): Code => seq(unsignedLeb(items.length), ...items);
    const section = (id: number, content: Code): Code => seq([id], unsignedLeb(content.length), content);
    const types = this.#functions.map((fn) => {
      const parameters = fn.parameters.map((type) => TYPE_BYTE[type]);
      const results = fn.result === undefined ? [] : [TYPE_BYTE[fn.result]];
      return [0x60, parameters.length, ...parameters, results.length, ...results];
    });
    return new Uint8Array(
      seq(
        [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
        section(1, vector(types)),
        section(3, vector(this.#functions.map((fn) => unsignedLeb(fn.index)))),
        section(5, vector([[0x00, ...unsignedLeb(pages)]])),
        section(
          7,
          vector([
            seq(name('memory'), [0x02, 0x00]),
            ...this.#exports.map((exported) => seq(name(exported.name), [0x00], unsignedLeb(exported.index))),
          ]),
        ),
        section(10, vector(this.#functions.map((fn) => fn.encode()))),
        section(
          11,
          vector(
            this.#data.map(({ address, bytes }) =>
              seq([0x00], i32.const(address), [0x0b], unsignedLeb(bytes.length), [...bytes]),
            ),
          ),
        ),
      ),
    );
  }
}
