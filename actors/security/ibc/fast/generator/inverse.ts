import { SAKKE_P } from '../../parameters.ts';
import { pairOctets } from '../radix.ts';
import { i32, type Local, repeat } from './assembler.ts';
import type { Field } from './field.ts';

/** invert(dst, a): a^(p-2) in both lanes (Fermat), by fixed windows of four bits; 0 becomes 0. */
export function emitInverse(field: Field): void {
  const pair = pairOctets(field.radix);
  const f = field.module.function(['i32', 'i32'], undefined, 'invert');
  const [dst, a] = [f.parameter(0).get, f.parameter(1).get];
  const table = Array.from({ length: 16 }, () => field.scratch());
  const result = field.scratch();
  const [index, nibble] = f.locals('i32', 2) as [Local, Local];
  const nibbles = Array.from((SAKKE_P - 2n).toString(16), (digit) => Number.parseInt(digit, 16));
  const { exponent } = field.layout;
  field.module.data(exponent, new Uint8Array(nibbles));
  f.emit(
    field.copy(table[0]!, field.layout.one),
    ...table.slice(1).map((entry, k) => field.mul(entry, table[k]!, a)),
    field.copy(result, field.layout.one),
    repeat(
      index,
      nibbles.length,
      1,
      ...[1, 2, 3, 4].map(() => field.mul(result, result, result)),
      nibble.set(i32.load8(index.get, exponent)),
      field.mul(result, result, i32.add(i32.const(table[0]!), i32.mul(nibble.get, i32.const(pair)))),
    ),
    field.copy(dst, result),
  );
}
