import { layoutOf } from '../layout.ts';
import type { Radix } from '../radix.ts';
import { ModuleBuilder } from './assembler.ts';
import { emitComb, emitSquare } from './comb.ts';
import { emitDirect } from './direct.ts';
import { Field } from './field.ts';
import { emitInverse } from './inverse.ts';
import { emitMiller } from './miller.ts';

const PAGE = 65536;

/** The whole module for one representation. */
export function generateModule(radix: Radix): Uint8Array<ArrayBuffer> {
  const layout = layoutOf(radix);
  const module = new ModuleBuilder();
  const field = new Field(module, radix, layout);
  emitInverse(field);
  const square = emitSquare(field);
  emitComb(field, square);
  emitMiller(field, square);
  emitDirect(field, square);
  return module.encode(Math.ceil(layout.heap / PAGE));
}
