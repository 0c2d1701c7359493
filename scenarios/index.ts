/** The catalogue, in the order in which `list` and `run all` take it. */
import type { Scenario } from '../sim/scenario/scenario.ts';
import { figure } from './figure-7.x.2-1.ts';

export const scenarios: readonly Scenario[] = [figure];
