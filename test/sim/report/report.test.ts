import { expect } from 'chai';
import { XmlDocument } from 'libxml2-wasm';
import { consoleReporter } from '../../../sim/report/console.ts';
import { jsonReport, REPORT_VERSION } from '../../../sim/report/json.ts';
import { junitReport } from '../../../sim/report/junit.ts';
import { mermaidReport } from '../../../sim/report/mermaid.ts';
import type { Scenario, ScenarioResult } from '../../../sim/scenario/scenario.ts';
import type { Arrow } from '../../../sim/trace/trace.ts';

const bytes = Buffer.from('PUBLISH sip:x@y SIP/2.0\r\nEvent: poc-settings\r\n\r\n');

const arrow = (step: string, from: string, to: string, summary: string): Arrow => ({
  from,
  to,
  interface: 'SIP-1',
  protocol: 'sip',
  summary,
  time: 0,
  step,
  sent: {
    actor: from,
    direction: 'sent',
    peer: to,
    interface: 'SIP-1',
    protocol: 'sip',
    bytes,
    sequence: 0,
    time: 0,
    redacted: [],
  },
});

const result: ScenarioResult = {
  id: 'figure-x',
  title: 'A figure; with <odd> & "signs"',
  requirements: ['STEP-4'],
  verdict: 'fail',
  started: '2026-01-01T00:00:00.000Z',
  durationMs: 1234,
  choices: ['A choice that was made.'],
  clockOffsets: { kms: 12.5, ue: 0 },
  arrows: [
    arrow('1', 'ue', 'sip-core', 'REGISTER sip:home'),
    arrow('4', 'sip-core', 'mcptt-as', 'PUBLISH sip:x@y; #1'),
  ],
  steps: [
    {
      number: '1',
      title: 'Registers',
      clause: 'TS 33.203',
      verdict: 'pass',
      durationMs: 5,
      shown: [{ label: 'IMPU', value: 'sip:ue-1@home' }],
    },
    {
      number: '4',
      title: 'Publishes',
      clause: 'TS 24.379',
      verdict: 'fail',
      durationMs: 7,
      shown: [],
      failure: {
        step: '4',
        clause: 'TS 24.379',
        responsible: 'mcptt-as',
        message: 'refused <it>',
        expected: '200',
        seen: '403',
        about: { summary: '403 Forbidden', head: 'SIP/2.0 403 Forbidden' },
      },
    },
    { number: '5', title: 'Later', clause: '-', verdict: 'none', durationMs: 0, shown: [] },
  ],
};

describe('reports', () => {
  it('console: ladder, verdict a step, failure with clause, actor, expected, seen and message', () => {
    let text = '';
    const reporter = consoleReporter({
      write: (t) => {
        text += t;
      },
      columns: 110,
    });
    reporter.scenarioEnded!({} as Scenario, result);
    expect(text).to.match(/UE +SIP core +MCPTT/);
    expect(text).to.match(/├─+▶│? +.*SIP-1 +REGISTER sip:home/);
    expect(text).to.match(/── 1 {2}Registers ─+ TS 33\.203 {2}✔ pass {2}5 ms/);
    for (const part of [
      'responsible  mcptt-as',
      'expected     200',
      'seen         403',
      'SIP/2.0 403 Forbidden',
      'kms 12.5 ms',
      '1. A choice',
      'FAIL  figure-x: 1 of 3 steps passed, 2 messages, 1.23 s',
    ]) {
      expect(text).to.include(part);
    }
    for (const line of text.split('\n')) expect(line.length, line).to.be.at.most(112);
  });

  it('console: stays within a terminal of 80 columns, loses no word of what is shown, and keeps its arrows whole', () => {
    let text = '';
    const write = (t: string): void => {
      text += t;
    };
    const title = 'Server opens the PUBLISH, checks the token, binds MCPTT ID, client and session, returns the profile';
    const value = 'participantType=responder priority=5 groups=sip:fire-station-1@mcptt.example privateCall=true';
    const actors = ['ue', 'access-network', 'sip-core', 'mcptt-as', 'idm', 'kms'];
    consoleReporter({ write, columns: 80 }).scenarioEnded!({} as Scenario, {
      ...result,
      title: 'A figure',
      requirements: Array.from({ length: 14 }, (_, i) => `STEP-${i}`),
      arrows: actors.slice(1).map((to) => arrow('1', 'ue', to, 'REGISTER sip:ims.mnc001.mcc001.3gppnetwork.org')),
      steps: [
        { ...result.steps[0]!, title, shown: [{ label: 'Profile', value }] },
        { ...result.steps[1]!, failure: { ...result.steps[1]!.failure!, message: `refused, ${value}`, seen: value } },
      ],
    });
    for (const line of text.split('\n')) expect(line.length, line).to.be.at.most(80);
    expect(text).to.match(/^ +UE +Network +SIP core +MCPTT +IdM +KMS$/m);
    expect(text.match(/^ {4}├─.*▶.* SIP-1 {2}REGISTER sip:.*…$/gm)).to.have.length(5);
    expect(text).to.match(/^── 1 {2}Server opens [^─]+\n {6}[^─]+ ─+ TS 33\.203 {2}✔ pass {2}5 ms$/m);
    const words = text.split(/\s+/);
    for (const word of [...title.split(' '), ...value.split(' '), 'STEP-13']) expect(words).to.include(word);
  });

  it('JSON: format, version and every message with its octets', () => {
    const report = JSON.parse(jsonReport([result], 'fail', false)) as Record<string, unknown>;
    expect(report).to.include({
      format: 'mcptt-testbed-report',
      version: REPORT_VERSION,
      verdict: 'fail',
      revealed: false,
    });
    const [scenario] = report.scenarios as { messages: { sent: { bytes: string } }[] }[];
    expect(Buffer.from(scenario!.messages[0]!.sent.bytes, 'base64').equals(bytes)).to.equal(true);
  });

  it('JUnit: one testcase a step, well-formed whatever the texts hold', () => {
    const document = XmlDocument.fromString(junitReport([{ ...result, id: 'x\u0001\ud800\uffff\u{1f600}' }]));
    const count = (path: string): number => document.find(path).length;
    expect([count('//testcase'), count('//failure'), count('//skipped')]).to.deep.equal([3, 1, 1]);
    expect(document.get('//testsuite/@failures')!.content).to.equal('1');
    expect(document.get('//failure')!.content).to.include('expected: 200');
    document.dispose();
  });

  it('Mermaid: no sign in a text ends a line or starts an entity', () => {
    const diagram = mermaidReport([result]);
    expect(diagram).to.match(/^sequenceDiagram\n/);
    expect(diagram).to.include('participant sip_core as SIP core');
    expect(diagram).to.include('sip_core->>mcptt_as: SIP-1 PUBLISH sip:x@y#59; #35;1');
    expect(diagram).to.include('step 4 · Publishes · fail');
  });

  it('Mermaid: several scenarios are one diagram', () => {
    const diagram = mermaidReport([result, { ...result, id: 'figure-y', arrows: [arrow('1', 'ue', 'kms', 'GET /')] }]);
    expect(diagram.match(/sequenceDiagram/g)).to.have.length(1);
    expect(diagram.match(/participant kms/g)).to.have.length(1);
    expect(diagram).to.match(/Note over ue,kms: figure-x · A figure#59; .* · fail\n.*step 1/);
    expect(diagram).to.match(/Note over ue,kms: figure-y · /);
  });
});
