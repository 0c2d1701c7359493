import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { consoleReporter } from '../../report/console.ts';
import { fileReporter, makeFolder, together } from '../../report/files.ts';
import { jsonReport } from '../../report/json.ts';
import { junitReport } from '../../report/junit.ts';
import { mermaidReport } from '../../report/mermaid.ts';
import { type Reporter, runScenario } from '../../scenario/runner.ts';
import type { Scenario, ScenarioResult, Step } from '../../scenario/scenario.ts';
import { exitCode, Inconclusive, worse } from '../../scenario/verdict.ts';
import { seconds } from '../seconds.ts';
import { untilToldToStop } from '../until-told.ts';
import { UsageError } from '../usage-error.ts';

interface RunOptions {
  readonly json?: string;
  readonly junit?: string;
  readonly mermaid?: string;
  readonly reveal?: true;
  readonly brief?: true;
  readonly folder?: string;
  readonly wait: number;
  readonly pauseBefore?: string;
  readonly fixtures?: string;
}

export function runCommand(): Command {
  return new Command('run')
    .description(
      'Runs scenarios and gives a verdict for each step. Exit code: 0 all pass, 1 a fail, 2 wrong usage, 3 inconclusive or error.',
    )
    .argument('<scenario...>', 'ids as `list` prints them, or `all`')
    .option('--json <file>', 'write the run as JSON (docs/report.md)')
    .option('--junit <file>', 'write the run as JUnit XML, one testcase a step')
    .option('--mermaid <file>', 'write the messages as a Mermaid sequence diagram')
    .option('--brief', 'print one line a scenario instead of the ladder')
    .option('--reveal', 'leave keys, tokens and passwords in the reports (test data only)')
    .addOption(
      new Option('--folder <folder>', 'use the actors of this topology folder, which run elsewhere (see init)').env(
        'MCPTT_TESTBED_FOLDER',
      ),
    )
    .addOption(
      new Option('--wait <seconds>', 'with --folder: how long its actors may take to be ready')
        .argParser(seconds)
        .default(60_000, '60')
        .env('MCPTT_TESTBED_WAIT'),
    )
    .option(
      '--pause-before <step>',
      'wait for a line on standard input before this step: time to look around, or to restart an actor',
    )
    .addOption(
      new Option(
        '--fixtures <folder>',
        'names, subscribers, users and policy from this folder instead of the packaged ones; scenarios need the users alice, bob, carol and dave by userName (with --folder: what init was given counts)',
      ).env('MCPTT_TESTBED_FIXTURES'),
    )
    .action(async (ids: string[], options: RunOptions) => {
      const over = new AbortController();
      try {
        const ended = await Promise.race([run(ids, options), untilToldToStop(over.signal)]);
        if (typeof ended === 'number') process.exitCode = ended;
        else {
          process.stderr.write(`mcptt-testbed: ${ended} before the run had ended: no verdict and no report\n`);
          process.exit(3);
        }
      } finally {
        over.abort();
      }
    });
}

async function chosen(ids: readonly string[]): Promise<Scenario[]> {
  const { scenarios } = await import('../../../scenarios/index.ts');
  return ids.flatMap((id) => {
    const named = id === 'all' ? scenarios : scenarios.filter((s) => s.id === id);
    if (named.length === 0) throw new UsageError(`there is no scenario '${id}'; \`list\` names them all`);
    return named;
  });
}

/** Longest that a run waits for the person before it, milliseconds. */
const PAUSE_MS = 600_000;

/** The scenarios with one more step before that one, which ends with the next line on standard input. */
function pausedBefore(number: string, scenarios: readonly Scenario[]): Scenario[] {
  const numbers = new Set(scenarios.flatMap(({ steps }) => steps.map((step) => step.number)));
  if (!numbers.has(number))
    throw new UsageError(`there is no step '${number}' to pause before; there are: ${[...numbers].join(', ')}`);
  return scenarios.map((scenario) => withPause(number, scenario));
}

function withPause(number: string, scenario: Scenario): Scenario {
  const at = scenario.steps.findIndex((step) => step.number === number);
  if (at < 0) return scenario;
  const pause: Step = {
    number: 'pause',
    title: `The operator goes on to step ${number}`,
    clause: '-',
    responsible: scenario.steps[at]!.responsible,
    guard: PAUSE_MS,
    run: async () => {
      process.stdout.write(`paused before step ${number}: press Enter to go on\n`);
      process.stdin.resume();
      const line = await Promise.race([once(process.stdin, 'data'), once(process.stdin, 'end')]);
      process.stdin.pause();
      if (line.length === 0) throw new Inconclusive('standard input has ended: nobody can say when to go on');
    },
  };
  return { ...scenario, steps: scenario.steps.toSpliced(at, 0, pause) };
}

function reporters(options: RunOptions, count: number): Reporter {
  const revealed = options.reveal === true;
  const list: Reporter[] = [
    consoleReporter({
      write: (text) => process.stdout.write(text),
      columns: Math.max(80, Math.min(process.stdout.columns ?? 120, 160)),
      color: process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '',
      brief: options.brief ?? count > 1,
      notes: [RELEASE_13, ...(revealed ? [REVEALED] : [])],
    }),
  ];
  if (options.json !== undefined) {
    list.push(
      fileReporter(options.json, (results) =>
        jsonReport(results, results.map((r) => r.verdict).reduce(worse, 'none'), revealed),
      ),
    );
  }
  if (options.junit !== undefined) list.push(fileReporter(options.junit, junitReport));
  if (options.mermaid !== undefined) list.push(fileReporter(options.mermaid, mermaidReport));
  return together(list);
}

const RELEASE_13 =
  'What Release 13 did instead: the client makes a client-server key (CSK) and uploads it to the server in a MIKEY-SAKKE I_MESSAGE; single elements are protected with XML encryption and XML signature, not whole bodies with S/MIME; the user profile is fetched by XCAP. This run shows the pCR, which was an alternative to that.';

const REVEALED = 'REVEALED: this run was made with --reveal; its reports hold keys, tokens and passwords of test data.';

/** A report that cannot be written is said before the run, not after it. Leaves what is there as it was. */
async function canBeWritten(path: string): Promise<void> {
  const wasThere = existsSync(path);
  try {
    await makeFolder(dirname(path));
    await (await open(path, 'a')).close();
    if (!wasThere) await rm(path);
  } catch (cause) {
    throw new UsageError(`the report cannot be written: ${(cause as Error).message}`);
  }
}

const tell = (what: string): void => void process.stderr.write(`mcptt-testbed: waiting, ${what}\n`);

async function run(ids: readonly string[], options: RunOptions): Promise<number> {
  const wanted = await chosen(ids);
  const list = options.pauseBefore === undefined ? wanted : pausedBefore(options.pauseBefore, wanted);
  const files = [options.json, options.junit, options.mermaid].filter((path) => path !== undefined);
  if (new Set(files.map((path) => resolve(path))).size < files.length)
    throw new UsageError('two reports cannot go to one file');
  for (const path of files) await canBeWritten(path);
  const reporter = reporters(options, list.length);
  const { openWorld } = await import('../world.ts');
  if (options.folder !== undefined) (await import('../name-service.ts')).askEveryNameServer();
  const world = await openWorld({
    actors: [...new Set(list.flatMap((s) => s.actors))],
    reveal: options.reveal === true,
    ...(options.folder === undefined ? {} : { folder: options.folder, waitMs: options.wait, tell }),
    ...(options.fixtures === undefined ? {} : { fixtures: options.fixtures }),
  });
  const results: ScenarioResult[] = [];
  try {
    for (const scenario of list) results.push(await runScenario(scenario, world, reporter, results.at(-1)));
  } finally {
    await world.close();
  }
  await reporter.runEnded?.(results);
  return exitCode(results.map((r) => r.verdict));
}
