/** A scenario is a typed value: what it proves, whom it needs, and its steps. Scenarios live in `scenarios/`, one a file. */
import type { ActorControl, ActorKind, TlsIdentity } from '../control/actor.ts';
import type { MessageRecord } from '../trace/record.ts';
import type { Arrow } from '../trace/trace.ts';
import type { Provisioned } from './provisioned.ts';

export interface Scenario {
  /** Stable, as in the file's name: `figure-7.x.2-1`. */
  readonly id: string;
  readonly title: string;
  /** Requirement ids that a pass proves (docs/requirements.md). */
  readonly requirements: readonly string[];
  /** Instance names of the actors it drives or observes. */
  readonly actors: readonly string[];
  /** Handles of the users who take part: each a `userName` of what is provisioned. */
  readonly users: readonly string[];
  readonly steps: readonly Step[];
  /** Choices made where the pCR is open that this scenario rests on, one sentence each; printed with its result. */
  readonly choices?: readonly string[];
}

export interface Step {
  /** The figure's number: `0`, `1`, `2`, `3a`, `3b`, `4`; further steps count on (`5`, `4-bis`). */
  readonly number: string;
  /** One sentence, in the present tense. */
  readonly title: string;
  /** The clause that the step's assertions rest on. */
  readonly clause: string;
  /** The actor held responsible when an assertion fails. */
  readonly responsible: ActorKind;
  /** Guard time, milliseconds of real time. */
  readonly guard: number;
  readonly run: (t: StepContext) => Promise<void>;
}

/** What a step has in its hands. */
export interface StepContext {
  /** The actor of that instance name. */
  actor(name: string): ActorControl;
  /** Records seen during this step, in order of arrival, without retransmissions; `all` for the whole run. */
  records(filter?: RecordFilter, span?: 'step' | 'all'): MessageRecord[];
  /** The first record that matches, from the start of this step (or of the run) on; fails the step, naming `what`, when none comes in time. */
  expect(
    what: string,
    filter: RecordFilter,
    options?: { readonly withinMs?: number; readonly span?: 'step' | 'all' },
  ): Promise<MessageRecord>;
  /** Waits until `probe` gives something other than undefined or false, asking again every 10 ms. */
  until<T>(
    what: string,
    probe: () => Promise<T | undefined | false> | T | undefined | false,
    withinMs?: number,
  ): Promise<T>;
  /** Runs a part whose failure would not be the actor under test's fault: turns it into `inconc`. */
  precondition<T>(what: string, run: () => Promise<T>): Promise<T>;
  /** Moves the clocks of all actors ahead together. */
  advance(ms: number): Promise<void>;
  /** What the actors were set up with: the names that scenarios hold them against. */
  readonly provisioned: Provisioned;
  /** A certificate of the testbed's CA that names no actor; undefined where the testbed has none. */
  readonly outsider: TlsIdentity | undefined;
  /** A fact to show in the report beside the step. */
  show(label: string, value: string): void;
  /** The message that the next assertions are about, so that a failure can show it. */
  about(record: MessageRecord): MessageRecord;
  /** Who is held responsible for what is asserted from here on, and by which clause; the step's own until then. */
  hold(responsible: ActorKind, clause: string): void;
}

/** All given fields must match. */
export interface RecordFilter {
  readonly interface?: MessageRecord['interface'];
  readonly actor?: string;
  readonly peer?: string;
  readonly direction?: MessageRecord['direction'];
  /** SIP or HTTP method of a request; with `status` the method of the transaction (SIP only). */
  readonly method?: string;
  readonly status?: number;
  readonly where?: (record: MessageRecord) => boolean;
}

export interface StepResult {
  readonly number: string;
  readonly title: string;
  readonly clause: string;
  readonly verdict: import('./verdict.ts').Verdict;
  readonly durationMs: number;
  readonly shown: readonly { readonly label: string; readonly value: string }[];
  readonly failure?: Failure;
}

export interface Failure {
  readonly step: string;
  readonly clause: string;
  readonly responsible: string;
  readonly message: string;
  readonly expected?: string;
  readonly seen?: string;
  /** Summary and head of the message the failure is about. */
  readonly about?: { readonly summary: string; readonly head: string };
}

export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  readonly requirements: readonly string[];
  readonly verdict: import('./verdict.ts').Verdict;
  readonly started: string;
  readonly durationMs: number;
  readonly steps: readonly StepResult[];
  readonly choices: readonly string[];
  readonly arrows: readonly Arrow[];
  /** Milliseconds by which each actor's clock was ahead of the runner's; empty within one process. */
  readonly clockOffsets: Readonly<Record<string, number>>;
}
