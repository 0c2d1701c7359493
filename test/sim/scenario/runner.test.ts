import { expect } from 'chai';
import { type ActorControl, ControlError } from '../../../sim/control/actor.ts';
import { runScenario, type World } from '../../../sim/scenario/runner.ts';
import type { Scenario, Step, StepContext } from '../../../sim/scenario/scenario.ts';
import { exitCode, Inconclusive, type Verdict } from '../../../sim/scenario/verdict.ts';
import type { MessageRecord } from '../../../sim/trace/record.ts';

const world: World = {
  actors: new Map(),
  clockOffset: () => Promise.resolve(0),
  advance: () => Promise.resolve(),
  reset: () => Promise.resolve(),
  provisioned: {
    network: { participatingPsi: 'sip:psi@x', mcpttServerId: 'sip:server@x', oauthClientId: 'client' },
    policy: { tokens: { lifetime: 3600 } },
    users: [{ userName: 'alice', mcpttId: 'sip:a@x', profile: { privateCall: true } }],
    subscribers: [],
  },
};

const step = (number: string, run: (t: StepContext) => Promise<void> | void, guard = 2000): Step => ({
  number,
  title: `step ${number}`,
  clause: 'TS 0',
  responsible: 'kms',
  guard,
  run: async (t) => run(t),
});

const scenario = (...steps: Step[]): Scenario => ({
  id: 's',
  title: 'S',
  requirements: ['X-1'],
  actors: [],
  users: [],
  steps,
});

const verdicts = async (...steps: Step[]): Promise<Verdict[]> => {
  const result = await runScenario(scenario(...steps), world);
  return [result.verdict, ...result.steps.map((s) => s.verdict)];
};

const ok = (number: string): Step => step(number, () => {});

describe('scenario runner: verdicts as in TTCN-3', () => {
  it('passes when every step passes', async () => {
    expect(await verdicts(ok('0'), ok('1'))).to.deep.equal(['pass', 'pass', 'pass']);
  });

  const causes: [string, () => void | Promise<void>, Verdict][] = [
    ['a failed assertion', () => void expect(1).to.equal(2), 'fail'],
    ['an actor that refuses', () => Promise.reject(new ControlError('CONTROL_FAILED', 'no')), 'fail'],
    ['an actor that cannot be reached', () => Promise.reject(new ControlError('CONTROL_UNREACHABLE', 'gone')), 'error'],
    ['a broken precondition', () => Promise.reject(new Inconclusive('x')), 'inconc'],
    ['a bug in the scenario', () => Promise.reject(new TypeError('x')), 'error'],
  ];
  for (const [what, run, verdict] of causes) {
    it(`gives ${verdict} for ${what}, and runs no later step`, async () => {
      expect(await verdicts(ok('0'), step('1', run), ok('2'))).to.deep.equal([verdict, 'pass', verdict, 'none']);
    });
  }

  it('ends a step at its guard time and says what did not come', async () => {
    const result = await runScenario(
      scenario(step('3b', (t) => t.expect('the push', { interface: 'HTTP-1' }, { withinMs: 5000 }).then(() => {}), 20)),
      world,
    );
    expect(result.verdict).to.equal('fail');
    expect(result.steps[0]!.failure!.message).to.match(
      /step 3b did not end within its guard time of 20 ms; still waited for: the push/,
    );
  });

  it('ends a single wait at its own bound', async () => {
    const result = await runScenario(
      scenario(step('1', (t) => t.until('a state', () => false, 15).then(() => {}))),
      world,
    );
    expect(result.steps[0]!.failure!.message).to.equal('did not come within 15 ms: a state');
  });

  it('names step, clause, responsible actor, expected and seen', async () => {
    const result = await runScenario(scenario(step('4', () => void expect('493').to.equal('200'))), world);
    expect(result.steps[0]!.failure).to.include({
      step: '4',
      clause: 'TS 0',
      responsible: 'kms',
      expected: '200',
      seen: '493',
    });
  });

  it('holds another actor responsible, by another clause, from where the step says so', async () => {
    const run = (t: StepContext): void => {
      t.hold('ue', 'TS 1');
      expect('493').to.equal('200');
    };
    const result = await runScenario(scenario(step('4', run)), world);
    expect(result.steps[0]!.failure).to.include({ step: '4', clause: 'TS 1', responsible: 'ue' });
  });

  it('does not count what comes late of the scenario before, or of the reset', async () => {
    const hearers = new Set<(record: MessageRecord) => void>();
    const tell = (direction: 'sent' | 'received', correlation: string): void => {
      const actor = direction === 'sent' ? 'ue' : 'kms';
      const peer = direction === 'sent' ? 'kms' : 'ue';
      const record = { actor, direction, peer, interface: 'HTTP-1', protocol: 'http', correlation } as const;
      const bytes = Buffer.from(`GET /${correlation} HTTP/1.1\r\n\r\n`);
      for (const hear of hearers) hear({ ...record, bytes, sequence: 0, time: 0, redacted: [] });
    };
    const actor = {
      name: 'kms',
      kind: 'kms',
      read: () => Promise.resolve(null),
      onRecord: (hear: (record: MessageRecord) => void) => {
        hearers.add(hear);
        return () => hearers.delete(hear);
      },
    } as unknown as ActorControl;
    const both: World = {
      ...world,
      actors: new Map([['kms', actor]]),
      reset: () => Promise.resolve(tell('sent', 'reset/request')),
    };
    const first = await runScenario(scenario(step('0', () => tell('sent', 'first/request'))), both);
    const own = ['foreign/request', 'second/request'];
    const late = step('0', () => {
      for (const one of ['first/request', 'reset/request', ...own]) tell('received', one);
    });
    const foreign = await runScenario(scenario(step('0', () => tell('received', 'foreign/request'))), both, {}, first);
    const second = await runScenario(scenario(late), both, {}, first);
    expect(second.arrows.map(({ received }) => received?.correlation)).to.deep.equal(own);
    const third = await runScenario(scenario(late), both, {}, foreign);
    expect(third.arrows.map(({ received }) => received?.correlation)).to.deep.equal(['first/request', ...own]);
    expect(hearers.size, 'listeners left').to.equal(0);
  });

  it('is inconclusive without the actors that the scenario needs', async () => {
    const result = await runScenario({ ...scenario(ok('0')), actors: ['ue'] }, world);
    expect(result.verdict).to.equal('inconc');
    expect(result.steps[0]!.failure!.message).to.include('no actor ue');
  });

  it('is inconclusive without the users that the scenario needs, and names them', async () => {
    const needing = (...users: string[]): Scenario => ({ ...scenario(ok('0')), users });
    expect((await runScenario(needing('alice'), world)).verdict).to.equal('pass');
    const { verdict, steps } = await runScenario(needing('bob', 'alice', 'carol'), world);
    expect(verdict).to.equal('inconc');
    expect(steps[0]!.failure!.message).to.equal(
      's needs the users bob, carol, whom the fixtures do not have: give users.yaml such a userName',
    );
  });

  it('maps verdicts to exit codes', () => {
    expect(exitCode(['pass', 'n/a'])).to.equal(0);
    expect(exitCode(['pass', 'fail', 'inconc'])).to.equal(1);
    expect(exitCode(['pass', 'inconc'])).to.equal(3);
    expect(exitCode(['fail', 'error'])).to.equal(3);
  });
});
