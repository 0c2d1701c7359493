/** A run as JSON. The shape is documented in docs/report.md; `version` changes when a reader would have to. */
import type { ScenarioResult } from '../scenario/scenario.ts';
import type { Verdict } from '../scenario/verdict.ts';
import type { MessageRecord } from '../trace/record.ts';
import type { Arrow } from '../trace/trace.ts';

export const REPORT_VERSION = 1;

interface JsonMessage {
  readonly actor: string;
  readonly sequence: number;
  readonly time: string;
  readonly redacted: readonly string[];
  readonly bytes: string;
}

const message = (record: MessageRecord): JsonMessage => ({
  actor: record.actor,
  sequence: record.sequence,
  time: new Date(record.time).toISOString(),
  redacted: record.redacted,
  bytes: Buffer.from(record.bytes).toString('base64'),
});

const arrow = (a: Arrow): object => ({
  step: a.step,
  from: a.from,
  to: a.to,
  interface: a.interface,
  protocol: a.protocol,
  summary: a.summary,
  time: new Date(a.time).toISOString(),
  ...(a.sent === undefined ? {} : { sent: message(a.sent) }),
  ...(a.received === undefined ? {} : { received: message(a.received) }),
});

/** @param revealed whether records may hold secrets (`--reveal`): the report states it on its face */
export function jsonReport(results: readonly ScenarioResult[], verdict: Verdict, revealed: boolean): string {
  const report = {
    format: 'mcptt-testbed-report',
    version: REPORT_VERSION,
    revealed,
    verdict,
    scenarios: results.map(({ arrows, ...result }) => ({ ...result, messages: arrows.map(arrow) })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
