/** Runs scenarios against a world of actors, and tells reporters what happens as it happens. */
import { setTimeout as pause } from 'node:timers/promises';
import { AssertionError } from 'chai';
import type { ActorControl, ActorKind, TlsIdentity } from '../control/actor.ts';
import { ControlError } from '../control/actor.ts';
import { headText, summary } from '../trace/describe.ts';
import type { MessageRecord } from '../trace/record.ts';
import { exchangeOf, Trace } from '../trace/trace.ts';
import { inWords, matches } from './filter.ts';
import type { Provisioned } from './provisioned.ts';
import type { Failure, RecordFilter, Scenario, ScenarioResult, Step, StepContext, StepResult } from './scenario.ts';
import { GuardTimeout, Inconclusive, type Verdict, worse } from './verdict.ts';

/** The actors that a run may use, wherever they live. */
export interface World {
  readonly actors: ReadonlyMap<string, ActorControl>;
  /** Milliseconds by which an actor's clock is ahead of this process's, measured now; 0 within one process. */
  clockOffset(actor: string): Promise<number>;
  /** Moves every actor's clock ahead. */
  advance(ms: number): Promise<void>;
  /** Brings the actors back to the state that every scenario starts from. */
  reset(): Promise<void>;
  /** What the actors were set up with. */
  readonly provisioned: Provisioned;
  /** A certificate of the testbed's CA that names no actor, for requests that must be refused. */
  readonly outsider?: TlsIdentity;
}

/** How often `until` looks again. */
const PROBE_MS = 10;

/** What a reporter is told; every part is optional. One reporter per file in `sim/report/`. */
export interface Reporter {
  scenarioStarted?(scenario: Scenario): void;
  stepStarted?(scenario: Scenario, step: Step): void;
  stepEnded?(scenario: Scenario, step: StepResult): void;
  scenarioEnded?(scenario: Scenario, result: ScenarioResult): void;
  /** All is over; files are written here. */
  runEnded?(results: readonly ScenarioResult[]): Promise<void> | void;
}

/**
 * Runs one scenario from reset actors to its verdict. Never throws: what goes wrong outside a step makes the verdict `error`.
 *
 * @param previous of the scenario that ran before in this world: what comes late of its messages belongs to no other
 */
export async function runScenario(
  scenario: Scenario,
  world: World,
  reporter: Reporter = {},
  previous?: ScenarioResult,
): Promise<ScenarioResult> {
  const started = Date.now();
  const begin = performance.now();
  // Only what the actors themselves have begun: a system under test may call all its exchanges alike.
  const earlier = new Set<string>();
  const note = (record: MessageRecord): void => {
    const exchange = record.direction === 'sent' ? exchangeOf(record) : undefined;
    if (exchange !== undefined) earlier.add(exchange);
  };
  for (const { sent } of previous?.arrows ?? []) if (sent !== undefined) note(sent);
  const trace = new Trace((name) => world.actors.get(name)?.kind ?? name, earlier);
  const steps: StepResult[] = [];
  const ends: (() => void)[] = [];
  reporter.scenarioStarted?.(scenario);
  try {
    const missing = scenario.actors.filter((name) => !world.actors.has(name));
    if (missing.length > 0)
      throw new Inconclusive(`the testbed has no actor ${missing.join(', ')}; give each an address or start it`);
    const unknown = scenario.users.filter((name) => !world.provisioned.users.some(({ userName }) => userName === name));
    if (unknown.length > 0)
      throw new Inconclusive(
        `${scenario.id} needs the users ${unknown.join(', ')}, whom the fixtures do not have: give users.yaml such a userName`,
      );
    const listening = (hear: (record: MessageRecord) => void): (() => void)[] =>
      [...world.actors.values()].map((actor) => actor.onRecord(hear));
    ends.push(...listening(note));
    await world.reset();
    for (const name of world.actors.keys()) trace.setOffset(name, await world.clockOffset(name));
    for (const end of ends.splice(0)) end();
    ends.push(...listening((record) => trace.add(record)));
    await runSteps(scenario, world, trace, steps, reporter);
    await settle(world);
  } catch (cause) {
    steps.push(outsideSteps(scenario, cause));
    reporter.stepEnded?.(scenario, steps.at(-1)!);
  } finally {
    for (const end of ends) end();
  }
  const result: ScenarioResult = {
    id: scenario.id,
    title: scenario.title,
    requirements: scenario.requirements,
    verdict: steps.map((s) => s.verdict).reduce(worse, 'none'),
    started: new Date(started).toISOString(),
    durationMs: performance.now() - begin,
    steps,
    choices: scenario.choices ?? [],
    arrows: trace.arrows(),
    clockOffsets: Object.fromEntries(trace.offsets),
  };
  reporter.scenarioEnded?.(scenario, result);
  return result;
}

async function runSteps(
  scenario: Scenario,
  world: World,
  trace: Trace,
  results: StepResult[],
  reporter: Reporter,
): Promise<void> {
  let goOn = true;
  for (const step of scenario.steps) {
    const { number, title, clause } = step;
    if (!goOn) {
      results.push({ number, title, clause, verdict: 'none', durationMs: 0, shown: [] });
    } else {
      reporter.stepStarted?.(scenario, step);
      const result = await runStep(step, world, trace);
      goOn = result.verdict === 'pass';
      results.push(result);
    }
    reporter.stepEnded?.(scenario, results.at(-1)!);
  }
}

async function runStep(step: Step, world: World, trace: Trace): Promise<StepResult> {
  trace.enterStep(step.number);
  const { number, title, clause } = step;
  const begin = performance.now();
  const hands = new Hands(step, world, trace);
  const guard = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new GuardTimeout(
        `step ${number} did not end within its guard time of ${step.guard} ms; ${hands.waitingFor()}`,
      );
      guard.abort(error);
      reject(error);
    }, step.guard);
  });
  hands.signal = guard.signal;
  const done = (verdict: Verdict, failure?: Failure): StepResult => ({
    number,
    title,
    clause,
    verdict,
    durationMs: performance.now() - begin,
    shown: hands.shown,
    ...(failure === undefined ? {} : { failure }),
  });
  try {
    await Promise.race([step.run(hands), late]);
    return done('pass');
  } catch (cause) {
    return done(verdictOf(cause), failureOf({ ...step, ...hands.held }, cause, hands.lastAbout));
  } finally {
    clearTimeout(timer);
    guard.abort(new GuardTimeout(`step ${number} is over`));
  }
}

/** An assertion, a refusal by an actor or a missed guard time is the step's `fail`; what the testbed itself could not do is `error`. */
function verdictOf(cause: unknown): Verdict {
  if (cause instanceof Inconclusive) return 'inconc';
  if (cause instanceof AssertionError || cause instanceof GuardTimeout) return 'fail';
  if (cause instanceof ControlError && cause.code === 'CONTROL_FAILED') return 'fail';
  return 'error';
}

const inText = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));

function failureOf(step: Step, cause: unknown, about: MessageRecord | undefined): Failure {
  const { expected, actual, message } = cause as { expected?: unknown; actual?: unknown; message?: string };
  return {
    step: step.number,
    clause: step.clause,
    responsible: step.responsible,
    message: message ?? String(cause),
    ...(expected === undefined ? {} : { expected: inText(expected) }),
    ...(actual === undefined ? {} : { seen: inText(actual) }),
    ...(about === undefined
      ? {}
      : { about: { summary: summary(about), head: about.protocol === 'nas' ? '' : headText(about.bytes) } }),
  };
}

function outsideSteps(scenario: Scenario, cause: unknown): StepResult {
  const step: Step = {
    number: 'setup',
    title: `the actors are ready for ${scenario.id}`,
    clause: '-',
    responsible: 'ue',
    guard: 0,
    run: () => Promise.resolve(),
  };
  const verdict: Verdict = cause instanceof Inconclusive ? 'inconc' : 'error';
  return {
    number: step.number,
    title: step.title,
    clause: step.clause,
    verdict,
    durationMs: 0,
    shown: [],
    failure: { ...failureOf(step, cause, undefined), responsible: 'testbed' },
  };
}

/** A reading's answer comes after all records its actor made before it: asking each actor once is a barrier. */
async function settle(world: World): Promise<void> {
  await Promise.allSettled([...world.actors.values()].map((actor) => actor.read('health')));
}

class Hands implements StepContext {
  readonly shown: { label: string; value: string }[] = [];
  lastAbout: MessageRecord | undefined;
  held: Pick<Step, 'responsible' | 'clause'>;
  signal: AbortSignal = AbortSignal.abort();
  readonly #step: Step;
  readonly #world: World;
  readonly #trace: Trace;
  readonly #from: number;
  readonly #waits = new Set<string>();

  constructor(step: Step, world: World, trace: Trace) {
    this.#step = step;
    this.held = { responsible: step.responsible, clause: step.clause };
    this.#world = world;
    this.#trace = trace;
    this.#from = trace.records.length;
  }

  waitingFor(): string {
    return this.#waits.size === 0
      ? 'the step was waiting for an actor'
      : `still waited for: ${[...this.#waits].join('; ')}`;
  }

  get provisioned(): Provisioned {
    return this.#world.provisioned;
  }

  get outsider(): TlsIdentity | undefined {
    return this.#world.outsider;
  }

  actor(name: string): ActorControl {
    const actor = this.#world.actors.get(name);
    if (actor === undefined) throw new Inconclusive(`the testbed has no actor '${name}'`);
    return actor;
  }

  records(filter: RecordFilter = {}, span: 'step' | 'all' = 'step'): MessageRecord[] {
    return this.#trace.records
      .slice(span === 'all' ? 0 : this.#from)
      .filter((record) => !this.#trace.isRepeat(record) && matches(filter, record));
  }

  async expect(
    what: string,
    filter: RecordFilter,
    { withinMs = this.#step.guard, span = 'step' }: { withinMs?: number; span?: 'step' | 'all' } = {},
  ): Promise<MessageRecord> {
    const since = span === 'all' ? 0 : this.#from;
    return this.#bounded(`${what} (${inWords(filter)})`, withinMs, async (signal) =>
      this.about(await this.#trace.next((record) => matches(filter, record), signal, since)),
    );
  }

  async until<T>(
    what: string,
    probe: () => Promise<T | undefined | false> | T | undefined | false,
    withinMs = this.#step.guard,
  ): Promise<T> {
    return this.#bounded(what, withinMs, async (signal) => {
      for (;;) {
        const value = await probe();
        if (value !== undefined && value !== false) return value;
        signal.throwIfAborted();
        await pause(PROBE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    });
  }

  async precondition<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      throw new Inconclusive(`precondition not met: ${what}: ${(cause as Error).message}`, { cause });
    }
  }

  advance(ms: number): Promise<void> {
    return this.#world.advance(ms);
  }

  show(label: string, value: string): void {
    this.shown.push({ label, value });
  }

  about(record: MessageRecord): MessageRecord {
    this.lastAbout = record;
    return record;
  }

  hold(responsible: ActorKind, clause: string): void {
    this.held = { responsible, clause };
  }

  async #bounded<T>(what: string, withinMs: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const bound = new AbortController();
    const timer = setTimeout(
      () => bound.abort(new GuardTimeout(`did not come within ${withinMs} ms: ${what}`)),
      withinMs,
    );
    this.#waits.add(what);
    try {
      return await run(AbortSignal.any([bound.signal, this.signal]));
    } finally {
      this.#waits.delete(what);
      clearTimeout(timer);
    }
  }
}
