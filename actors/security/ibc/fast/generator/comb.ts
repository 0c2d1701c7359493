import { BLOCKS_OF_COMB, COLUMNS, ENTRIES } from '../layout.ts';
import { pairOctets, singleOctets } from '../radix.ts';
import {
  type Code,
  doWhile,
  type FunctionBuilder,
  f64x2,
  i32,
  i64,
  i64x2,
  ifThen,
  type Local,
  repeat,
  seq,
  v128,
} from './assembler.ts';
import type { Field } from './field.ts';

/**
 * Fixed-base combs (layout.ts has their shape).
 *
 * Points are on the twisted Edwards curve -x^2 + y^2 = 1 + x^2 y^2, to which E is isomorphic (edwards.ts), in extended
 * coordinates (Hisil, Wong, Carter, Dawson, Asiacrypt 2008, section 3.1): an addition takes 7 multiplications and needs no
 * special cases among points of odd order. Two additions run in the two lanes.
 *
 * A digit never becomes an address: every entry of the block is read and masked.
 */
export function emitComb(field: Field, square: FunctionBuilder): void {
  const points = emitPoints(field);
  emitPointComb(field, points);
  emitPowerComb(field, square);
}

interface PointFunctions {
  readonly double: FunctionBuilder;
  /** (Y - X, Y + X, 2T) of the addend, Z = 1. */
  readonly add: FunctionBuilder;
  readonly addend: readonly [number, number, number];
}

/**
 * doublePoint(): the accumulator layout.point becomes twice itself.
 * addPoint(niels): to the accumulator is added the point at `niels`, four pairs Y - X, Y + X, 2T, 2Z.
 */
function emitPoints(field: Field): PointFunctions {
  const { layout, module } = field;
  const [X, Y, Z, T] = layout.point;
  const [A, B, C, D, E, F, G, H] = Array.from({ length: 8 }, () => field.scratch()) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const results = seq(field.mul(X, E, F), field.mul(Y, G, H), field.mul(T, E, H), field.mul(Z, F, G));
  const sum = (minus: Code | number, plus: Code | number, t: Code | number, z: Code): Code =>
    seq(
      field.sub(A, Y, X),
      field.mul(A, A, minus),
      field.add(B, Y, X),
      field.mul(B, B, plus),
      field.mul(C, T, t),
      z,
      field.sub(E, B, A),
      field.sub(F, D, C),
      field.add(G, D, C),
      field.add(H, B, A),
      results,
    );

  const double = module.function([], undefined, 'doublePoint');
  double.emit(
    field.mul(A, X, X),
    field.mul(B, Y, Y),
    field.mul(C, Z, Z),
    field.add(C, C, C),
    field.add(E, X, Y),
    field.mul(E, E, E),
    field.add(H, A, B),
    field.sub(E, E, H),
    field.sub(H, layout.zero, H),
    field.sub(G, B, A),
    field.sub(F, G, C),
    results,
  );
  const general = module.function(['i32'], undefined, 'addPoint');
  const niels = (index: number): Code => i32.add(general.parameter(0).get, i32.const(index * pairOctets(field.radix)));
  general.emit(sum(niels(0), niels(1), niels(2), field.mul(D, Z, niels(3))));

  const addend = [field.scratch(), field.scratch(), field.scratch()] as const;
  const add = module.function([]);
  add.emit(sum(addend[0], addend[1], addend[2], field.add(D, Z, Z)));
  return { double, add, addend };
}

/** A function (dst, table, choice): copies entry `choice` of ENTRIES, each `vectors` v128 long, reading all of them. */
function emitSelect(field: Field, vectors: number): FunctionBuilder {
  const f = field.module.function(['i32', 'i32', 'i32']);
  const [dst, table, choice] = [0, 1, 2].map((index) => f.parameter(index)) as [Local, Local, Local];
  const [entry, pointer] = f.locals('i32', 2) as [Local, Local];
  const mask = f.local('v128');
  const TILE = 11;
  const tile = f.locals('v128', TILE);
  for (let start = 0; start < vectors; start += TILE) {
    const slots = tile.slice(0, Math.min(TILE, vectors - start));
    f.emit(
      ...slots.map((slot) => slot.set(v128.const(0, 0))),
      pointer.set(table.get),
      repeat(
        entry,
        ENTRIES,
        1,
        mask.set(i64x2.splat(i64.sub(i64.const(0n), i64.fromI32U(i32.eq(entry.get, choice.get))))),
        ...slots.map((slot, index) =>
          slot.set(v128.or(slot.get, v128.and(mask.get, v128.load(pointer.get, 16 * (start + index))))),
        ),
        pointer.set(i32.add(pointer.get, i32.const(16 * vectors))),
      ),
      ...slots.map((slot, index) => v128.store(dst.get, slot.get, 16 * (start + index))),
    );
  }
  return f;
}

/** The sign bit of a digit as a lane mask: all ones for minus. */
const signMask = (digit: Code): Code => i64.sub(i64.const(0n), i64.fromI32U(i32.shrU(digit, i32.const(5))));

/**
 * pointComb(table0, table1, digits0, digits1, steps, tableStride, digitStride): lane by lane, the sum over the columns and
 * the blocks of a column of what the digits choose. The accumulator must be the neutral point at the start.
 */
function emitPointComb(field: Field, { double, add, addend }: PointFunctions): void {
  const { module, radix } = field;
  const single = singleOctets(radix);
  const select = emitSelect(field, (3 * single) / 16);
  const f = module.function(['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined, 'pointComb');
  const [table0, table1, digits0, digits1, steps, tableStride, digitStride] = Array.from({ length: 7 }, (_, index) =>
    f.parameter(index),
  ) as [Local, Local, Local, Local, Local, Local, Local];
  const [column, step, t0, t1, d0, d1, limb, half] = f.locals('i32', 8) as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [sign, minus, plus] = f.locals('v128', 3) as [Local, Local, Local];
  // one entry alone takes at most half of three pairs: the two chosen lie in scratch of their own
  const chosen = [0, 1].map(() => field.scratch());
  field.scratch();
  field.scratch();
  const [chosen0, chosen1] = [chosen[0]!, chosen[0]! + 2 * pairOctets(radix)];
  const lanes = (offset: number): Code =>
    v128.load64Lane(i32.add(half.get, i32.const(chosen1 + offset)), v128.load64Zero(half.get, chosen0 + offset), 1);
  f.emit(
    column.set(i32.const(COLUMNS - 1)),
    doWhile(
      i32.geS(column.tee(i32.sub(column.get, i32.const(1))), i32.const(0)),
      ifThen(i32.ne(column.get, i32.const(COLUMNS - 1)), double.call()),
      step.set(steps.get),
      t0.set(table0.get),
      t1.set(table1.get),
      d0.set(i32.add(digits0.get, i32.mul(column.get, i32.const(BLOCKS_OF_COMB)))),
      d1.set(i32.add(digits1.get, i32.mul(column.get, i32.const(BLOCKS_OF_COMB)))),
      doWhile(
        step.tee(i32.sub(step.get, i32.const(1))),
        select.call(i32.const(chosen0), t0.get, i32.and(i32.load8(d0.get), i32.const(ENTRIES - 1))),
        select.call(i32.const(chosen1), t1.get, i32.and(i32.load8(d1.get), i32.const(ENTRIES - 1))),
        sign.set(i64x2.replaceLane(i64x2.splat(signMask(i32.load8(d0.get))), signMask(i32.load8(d1.get)), 1)),
        // minus a point exchanges Y - X with Y + X and negates T
        limb.set(i32.const(0)),
        half.set(i32.const(0)),
        doWhile(
          i32.ne(limb.tee(i32.add(limb.get, i32.const(16))), i32.const(16 * radix.limbs)),
          minus.set(lanes(0)),
          plus.set(lanes(single)),
          v128.store(limb.get, v128.select(plus.get, minus.get, sign.get), addend[0]),
          v128.store(limb.get, v128.select(minus.get, plus.get, sign.get), addend[1]),
          v128.store(limb.get, v128.xor(lanes(2 * single), v128.and(sign.get, v128.const(-0, -0))), addend[2]),
          half.set(i32.add(half.get, i32.const(8))),
        ),
        add.call(),
        t0.set(i32.add(t0.get, tableStride.get)),
        t1.set(i32.add(t1.get, tableStride.get)),
        d0.set(i32.add(d0.get, digitStride.get)),
        d1.set(i32.add(d1.get, digitStride.get)),
      ),
    ),
  );
}

/**
 * powerComb(table, digits): layout.f becomes the product of what the digits choose, where an entry t stands for 1 + ti
 * in F_p^2 up to a factor in F_p, and its inverse is 1 - ti.
 */
function emitPowerComb(field: Field, square: FunctionBuilder): void {
  const { layout, module, radix } = field;
  const single = singleOctets(radix);
  const select = emitSelect(field, single / 16);
  const f = module.function(['i32', 'i32'], undefined, 'powerComb');
  const [table, digits] = [f.parameter(0), f.parameter(1)];
  const [column, step, t, d, limb, half] = f.locals('i32', 6) as [Local, Local, Local, Local, Local, Local];
  const sign = f.local('v128');
  const [chosen, factor, turned] = [field.scratch(), field.scratch(), field.scratch()];
  f.emit(
    column.set(i32.const(COLUMNS - 1)),
    field.pick(layout.f, layout.one, 0, layout.zero, 0),
    doWhile(
      i32.geS(column.tee(i32.sub(column.get, i32.const(1))), i32.const(0)),
      ifThen(i32.ne(column.get, i32.const(COLUMNS - 1)), square.call()),
      step.set(i32.const(BLOCKS_OF_COMB)),
      t.set(table.get),
      d.set(i32.add(digits.get, i32.mul(column.get, i32.const(BLOCKS_OF_COMB)))),
      doWhile(
        step.tee(i32.sub(step.get, i32.const(1))),
        select.call(i32.const(chosen), t.get, i32.and(i32.load8(d.get), i32.const(ENTRIES - 1))),
        sign.set(v128.and(i64x2.splat(signMask(i32.load8(d.get))), v128.const(-0, -0))),
        limb.set(i32.const(0)),
        half.set(i32.const(0)),
        doWhile(
          i32.ne(limb.tee(i32.add(limb.get, i32.const(16))), i32.const(16 * radix.limbs)),
          v128.store(limb.get, v128.xor(v128.load64Splat(half.get, chosen), sign.get), factor),
          half.set(i32.add(half.get, i32.const(8))),
        ),
        // (x + iy)(1 + ti) = x + iy + ti (x + iy)
        field.timesI(turned, layout.f),
        field.mul(turned, turned, factor),
        field.add(layout.f, layout.f, turned),
        t.set(i32.add(t.get, i32.const(ENTRIES * single))),
        d.set(i32.add(d.get, i32.const(1))),
      ),
    ),
  );
}

/** squareF(): layout.f = x + iy becomes (x + y)(x - y) + 2xyi. */
export function emitSquare(field: Field): FunctionBuilder {
  const { layout, module, radix } = field;
  const f = module.function([], undefined, 'squareF');
  const [a, b] = [field.scratch(), field.scratch()];
  const limb = f.local('i32');
  const [xy, value, high, carryA, carryB] = f.locals('v128', 5) as [Local, Local, Local, Local, Local];
  const none = v128.const(0, 0);
  f.emit(
    carryA.set(none),
    carryB.set(none),
    repeat(
      limb,
      radix.limbs,
      16,
      xy.set(v128.load(limb.get, layout.f)),
      value.set(f64x2.add(v128.shuffle64(xy.get, xy.get, 0, 0), v128.shuffle64(xy.get, xy.get, 1, 0))),
      field.storeNormal(i32.add(limb.get, i32.const(a)), value, high, carryA), // x + y, 2x
      value.set(f64x2.sub(xy.get, v128.shuffle64(xy.get, none, 1, 2))),
      field.storeNormal(i32.add(limb.get, i32.const(b)), value, high, carryB), // x - y, y
    ),
    field.mul(layout.f, a, b),
  );
  return f;
}
