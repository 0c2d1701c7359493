import { LINE_PAIRS, PAIRS_PER_LINE } from '../layout.ts';
import { pairOctets } from '../radix.ts';
import { BLOCKS } from '../schedule.ts';
import { type Code, doWhile, type FunctionBuilder, f64x2, i32, type Local, repeat, seq, v128 } from './assembler.ts';
import type { Field } from './field.ts';

/**
 * miller(table): layout.f becomes the Miller function f_q of the point whose merged lines are in the table (lines.ts),
 * at the image (-x, iy) of the second argument, whose powers are in layout.powers; up to a factor in F_p.
 *
 * A pair of the table is two blocks of the schedule, one in each lane: a line is A + iB with
 *     A = c_0 (1/y) + c_1 (x/y) + c_2 (x^2/y) + c_3 (x^3/y),   B = beta + flag x,
 * evaluated for both blocks at once, since it does not depend on f; then f <- f^2 or f^4, f <- f (A + iB), block by block.
 */
export function emitMiller(field: Field, square: FunctionBuilder): void {
  const { layout, module, radix } = field;
  const pair = pairOctets(radix);
  const f = module.function(['i32'], undefined, 'miller');
  const table = f.parameter(0);
  const [count, schedule, squarings, limb] = f.locals('i32', 4) as [Local, Local, Local, Local];
  const [A, B, a, b, turned] = Array.from({ length: 5 }, () => field.scratch()) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const coefficient = (index: number): Code => i32.add(table.get, i32.const(index * pair));
  const [value, high, carry] = f.locals('v128', 3) as [Local, Local, Local];
  const x = layout.powers[4];

  const bytes = new DataView(new ArrayBuffer(32 * LINE_PAIRS));
  BLOCKS.forEach(({ doublings }, index) => {
    const entry = 32 * Math.floor(index / 2);
    bytes.setFloat64(entry + 8 * (index % 2), doublings - 1, true);
    bytes.setInt32(entry + 16 + 4 * (index % 2), doublings, true);
  });
  module.data(layout.schedule, new Uint8Array(bytes.buffer));

  f.emit(
    field.pick(layout.f, layout.one, 0, layout.zero, 0),
    schedule.set(i32.const(layout.schedule)),
    repeat(
      count,
      LINE_PAIRS,
      1,
      field.mul(A, coefficient(0), layout.powers[0], coefficient(1), layout.powers[1]),
      field.mul(B, coefficient(2), layout.powers[2], coefficient(3), layout.powers[3]),
      field.add(A, A, B),
      carry.set(v128.const(0, 0)),
      repeat(
        limb,
        radix.limbs,
        16,
        value.set(
          f64x2.add(
            v128.load(i32.add(coefficient(PAIRS_PER_LINE - 1), limb.get)),
            f64x2.mul(v128.load(schedule.get), v128.load(limb.get, x)),
          ),
        ),
        field.storeNormal(i32.add(limb.get, i32.const(B)), value, high, carry),
      ),
      ...([0, 1] as const).map((lane) =>
        seq(
          squarings.set(i32.load(schedule.get, 16 + 4 * lane)),
          doWhile(squarings.tee(i32.sub(squarings.get, i32.const(1))), square.call()),
          field.pick(a, A, lane, A, lane),
          field.pick(b, B, lane, B, lane),
          field.timesI(turned, layout.f),
          field.mul(layout.f, layout.f, a, turned, b),
        ),
      ),
      table.set(coefficient(PAIRS_PER_LINE)),
      schedule.set(i32.add(schedule.get, i32.const(32))),
    ),
  );
}
