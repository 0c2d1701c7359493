/** What a person sees at the terminal: a ladder with a verdict for each step, and one at the end. */
import { createColors } from 'picocolors';
import type { Reporter } from '../scenario/runner.ts';
import type { ScenarioResult, StepResult } from '../scenario/scenario.ts';
import type { Verdict } from '../scenario/verdict.ts';
import { ladder } from './ladder.ts';

export interface ConsoleOptions {
  readonly write: (text: string) => void;
  readonly columns?: number;
  readonly color?: boolean;
  /** One line a scenario instead of the whole ladder. */
  readonly brief?: boolean;
  /** Sentences printed after the choices of every run. */
  readonly notes?: readonly string[];
}

const MARK: Readonly<Record<Verdict, string>> = {
  pass: '✔',
  fail: '✘',
  error: '✘',
  inconc: '?',
  none: '·',
  'n/a': '·',
};

const ms = (duration: number): string =>
  duration < 1000 ? `${duration.toFixed(0)} ms` : `${(duration / 1000).toFixed(2)} s`;

export function consoleReporter(options: ConsoleOptions): Reporter {
  const colors = createColors(options.color ?? false);
  const columns = options.columns ?? 120;
  const line = (text = ''): void => options.write(`${text}\n`);
  const paint = (verdict: Verdict, text: string): string =>
    verdict === 'pass'
      ? colors.green(text)
      : verdict === 'fail' || verdict === 'error'
        ? colors.red(text)
        : colors.yellow(text);

  const stepHead = (step: StepResult): string => {
    const verdict = `${MARK[step.verdict]} ${step.verdict}`;
    const right = `${step.clause}  ${verdict}${step.verdict === 'none' ? '' : `  ${ms(step.durationMs)}`}`;
    const lead = `── ${step.number}  `;
    const left = hanging(lead, step.title, columns);
    const room = columns - right.length - 1;
    const used = left.length - (left.lastIndexOf('\n') + 1) + 1;
    const fits = used < room;
    const rule = '─'.repeat(Math.max(1, room - (fits ? used : lead.length)));
    return paint(step.verdict, colors.bold(`${left}${fits ? ' ' : `\n${' '.repeat(lead.length)}`}${rule} ${right}`));
  };

  const failureLines = (step: StepResult): void => {
    const failure = step.failure;
    if (failure === undefined) return;
    const part = (label: string, text: string): void => line(hanging(`   ${label.padEnd(12)} `, text, columns));
    line(paint(step.verdict, hanging('   ', failure.message, columns)));
    part('responsible', `${failure.responsible}        clause  ${failure.clause}`);
    if (failure.expected !== undefined) part('expected', failure.expected);
    if (failure.seen !== undefined) part('seen', failure.seen);
    if (failure.about === undefined) return;
    part('in', failure.about.summary);
    for (const text of failure.about.head.split('\r\n').slice(0, 30)) line(colors.dim(`                ${text}`));
  };

  const whole = (result: ScenarioResult): void => {
    line();
    line(colors.bold(result.title));
    line(colors.dim(hanging(`${result.id} · `, `proves ${result.requirements.join(', ')}`, columns)));
    line();
    const drawn = ladder(result.arrows, columns);
    line(colors.bold(drawn.head));
    line(drawn.rail);
    for (const step of result.steps) {
      line(stepHead(step));
      for (const arrow of result.arrows.filter((a) => a.step === step.number)) line(drawn.row(arrow));
      for (const { label, value } of step.shown)
        line(colors.cyan(hanging(`      ${label.padEnd(28)} `, value, columns)));
      failureLines(step);
    }
    line();
    const skewed = Object.entries(result.clockOffsets).filter(([, offset]) => Math.abs(offset) >= 1);
    if (skewed.length > 0)
      line(`Clocks ahead of this one: ${skewed.map(([name, offset]) => `${name} ${offset.toFixed(1)} ms`).join(', ')}`);
    if (result.choices.length > 0) line(colors.bold('Choices made where the pCR is open'));
    for (const [i, choice] of result.choices.entries()) line(hanging(`  ${i + 1}. `, choice, columns));
    for (const note of options.notes ?? []) line(`\n${hanging('', note, columns)}`);
    line();
    const count = result.steps.filter((s) => s.verdict === 'pass').length;
    line(
      paint(
        result.verdict,
        colors.bold(
          `${MARK[result.verdict]} ${result.verdict.toUpperCase()}  ${result.id}: ${count} of ${result.steps.length} steps passed, ${result.arrows.length} messages, ${ms(result.durationMs)}`,
        ),
      ),
    );
  };

  const short = (result: ScenarioResult): void => {
    line(
      `${paint(result.verdict, `${MARK[result.verdict]} ${result.verdict.padEnd(6)}`)} ${result.id.padEnd(34)} ${ms(result.durationMs).padStart(8)}  ${result.title}`,
    );
    for (const step of result.steps) {
      if (step.failure !== undefined) line(stepHead(step));
      failureLines(step);
    }
  };

  return {
    scenarioEnded: (_scenario, result) => (options.brief === true ? short(result) : whole(result)),
    runEnded(results) {
      if (results.length < 2) return;
      const of = (verdict: Verdict): number => results.filter((r) => r.verdict === verdict).length;
      const counts = (['pass', 'fail', 'inconc', 'error', 'n/a'] as const)
        .map((v) => [v, of(v)] as const)
        .filter(([, n]) => n > 0);
      line();
      line(colors.bold(`${results.length} scenarios: ${counts.map(([v, n]) => `${n} ${v}`).join(', ')}`));
    },
  };
}

/** The text after its lead, broken between words; lines after the first begin below the first one's text. */
function hanging(lead: string, text: string, columns: number): string {
  const width = columns - lead.length;
  const lines: string[] = [];
  let current: string | undefined;
  for (const word of text.split(' ')) {
    const longer = current === undefined ? word : `${current} ${word}`;
    if (current !== undefined && longer.length > width) {
      lines.push(current);
      current = word;
    } else current = longer;
  }
  return `${lead}${[...lines, current].join(`\n${' '.repeat(lead.length)}`)}`;
}
