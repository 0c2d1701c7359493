/** The catalogue, in the order in which `list` and `run all` take it. */
import type { Scenario } from '../sim/scenario/scenario.ts';
import { figure } from './figure-7.x.2-1.ts';
import { multi1AtOnce } from './multi-1-at-once.ts';
import { multi1ForeignToken } from './multi-1-foreign-token.ts';
import { multi1InTurn } from './multi-1-in-turn.ts';
import { pol1Off } from './pol-1-off.ts';
import { pol1On } from './pol-1-on.ts';
import { step1N } from './step-1n.ts';
import { step2S } from './step-2s.ts';

export const scenarios: readonly Scenario[] = [
  figure,
  pol1Off,
  pol1On,
  multi1InTurn,
  multi1AtOnce,
  multi1ForeignToken,
  step1N,
  step2S,
];
