/** Verdicts as in TTCN-3 (ES 201 873-1 clause 24): the worst of a run wins. */
export const VERDICTS = ['none', 'pass', 'inconc', 'fail', 'error'] as const;

/**
 * - `none`: not run, because an earlier step did not pass
 * - `n/a`: the system under test does not declare a feature that the scenario needs
 */
export type Verdict = (typeof VERDICTS)[number] | 'n/a';

/** The worse of two; `n/a` and `none` never hide anything. */
export function worse(a: Verdict, b: Verdict): Verdict {
  const rank = (v: Verdict): number => VERDICTS.indexOf(v as (typeof VERDICTS)[number]);
  return rank(b) > rank(a) ? b : a;
}

/** Process exit code: 0 all pass, 1 a fail, 3 inconc or error. 2 is for wrong usage. A fail outweighs an inconc, an error a fail. */
export function exitCode(verdicts: readonly Verdict[]): 0 | 1 | 3 {
  const worst = verdicts.reduce(worse, 'n/a');
  if (worst === 'fail') return 1;
  return worst === 'pass' || worst === 'n/a' ? 0 : 3;
}

/** Thrown where a precondition fails for a reason outside the actor under test: the verdict is `inconc`. */
export class Inconclusive extends Error {
  readonly code = 'SCENARIO_INCONCLUSIVE';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Inconclusive';
  }
}

/** What did not come within a step's guard time: the verdict is `fail`. */
export class GuardTimeout extends Error {
  readonly code = 'SCENARIO_GUARD';

  constructor(message: string) {
    super(message);
    this.name = 'GuardTimeout';
  }
}
