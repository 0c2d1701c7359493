/** A run as JUnit XML: a testsuite per scenario, a testcase per step. */
import type { ScenarioResult, StepResult } from '../scenario/scenario.ts';

const xmlEscape = (text: string): string =>
  text
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
    // Characters that XML 1.0 cannot carry at all.
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff]/gu, '\ufffd');

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(3);

function outcome(step: StepResult): string {
  if (step.verdict === 'pass') return '';
  if (step.verdict === 'none' || step.verdict === 'n/a') return '<skipped/>';
  const failure = step.failure;
  const element = step.verdict === 'fail' ? 'failure' : 'error';
  const lines = [
    `responsible: ${failure?.responsible ?? '-'}`,
    `clause: ${failure?.clause ?? step.clause}`,
    failure?.expected === undefined ? '' : `expected: ${failure.expected}`,
    failure?.seen === undefined ? '' : `seen: ${failure.seen}`,
    failure?.about === undefined ? '' : `in: ${failure.about.summary}\n${failure.about.head}`,
  ].filter((l) => l !== '');
  return `<${element} type="${step.verdict}" message="${xmlEscape(failure?.message ?? step.verdict)}">${xmlEscape(lines.join('\n'))}</${element}>`;
}

function suite(result: ScenarioResult): string {
  const of = (...verdicts: string[]): number => result.steps.filter((s) => verdicts.includes(s.verdict)).length;
  const cases = result.steps.map(
    (step) =>
      `    <testcase classname="${xmlEscape(result.id)}" name="${xmlEscape(`step ${step.number}: ${step.title}`)}" time="${seconds(step.durationMs)}">${outcome(step)}</testcase>`,
  );
  return [
    `  <testsuite name="${xmlEscape(result.id)}" timestamp="${result.started}" tests="${result.steps.length}" failures="${of('fail')}" errors="${of('error', 'inconc')}" skipped="${of('none', 'n/a')}" time="${seconds(result.durationMs)}">`,
    ...cases,
    '  </testsuite>',
  ].join('\n');
}

export function junitReport(results: readonly ScenarioResult[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="mcptt-testbed">\n${results.map(suite).join('\n')}\n</testsuites>\n`;
}
