/** A scenario that cannot fail proves nothing: each of these worlds is wrong in one way, and a scenario says so. */
import { expect } from 'chai';
import { figure } from '../../scenarios/figure-7.x.2-1.ts';
import { life1Deregistration } from '../../scenarios/life-1-deregistration.ts';
import { life1OperatorRevokes } from '../../scenarios/life-1-operator-revokes.ts';
import { multi1InTurn } from '../../scenarios/multi-1-in-turn.ts';
import { order1 } from '../../scenarios/order-1.ts';
import { pol1On } from '../../scenarios/pol-1-on.ts';
import { step1N } from '../../scenarios/step-1n.ts';
import { step2S } from '../../scenarios/step-2s.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import { type ActorControl, ControlError, type Json, type JsonObject } from '../../sim/control/actor.ts';
import { runScenario, type World } from '../../sim/scenario/runner.ts';
import type { Scenario, ScenarioResult } from '../../sim/scenario/scenario.ts';
import { type Edit, only, seen } from './retold.ts';

/** Sees a reading or a verb's result of an actor, and gives what the scenario is to see instead. */
type Change = (what: string, value: Json, args: JsonObject) => Json;

/** The world with one actor whose answers are changed on their way. */
function lying(world: World, name: string, change: Change): World {
  const honest = world.actors.get(name)!;
  const actor: ActorControl = {
    name,
    kind: honest.kind,
    do: async <T>(verb: string, args: JsonObject = {}) => change(verb, await honest.do(verb, args), args) as T,
    read: async <T>(what: string, args: JsonObject = {}) => change(what, await honest.read(what, args), args) as T,
    onRecord: (listener) => honest.onRecord(listener),
    close: () => honest.close(),
  };
  return { ...world, actors: new Map([...world.actors, [name, actor]]) };
}

/** The world with an actor that does something else first than the scenario has asked it for. */
function disturbed(world: World, name: string, verb: string, disturb: () => Promise<unknown>): World {
  const calm = world.actors.get(name)!;
  const actor: ActorControl = {
    name,
    kind: calm.kind,
    do: async <T>(asked: string, args: JsonObject = {}) => {
      if (asked === verb) await disturb();
      return calm.do<T>(asked, args);
    },
    read: (what, args) => calm.read(what, args),
    onRecord: (listener) => calm.onRecord(listener),
    close: () => calm.close(),
  };
  return { ...world, actors: new Map([...world.actors, [name, actor]]) };
}

const dontAttach = (): Promise<never> =>
  Promise.reject(new ControlError('CONTROL_FAILED', 'ue could not attach: not today'));

describe('scenarios fail when what they prove is broken', () => {
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: ['ue', 'ue-b'] });
  });

  after(() => world.close());

  const fails = async (scenario: Scenario, in_: World, message: RegExp): Promise<ScenarioResult> => {
    const result = await runScenario(scenario, in_);
    const failure = result.steps.find((step) => step.failure !== undefined)?.failure;
    expect(result.verdict, failure?.message).to.equal('fail');
    expect(failure?.message).to.match(message);
    return result;
  };

  it('a server that takes bodies in clear fails POL-1', async () => {
    const server = world.actors.get('mcptt-as')!;
    const lax = disturbed(world, 'ue', 'publish', () => server.do('setPolicy', { required: false }));
    await fails(pol1On, lax, /status of the answer to PUBLISH in clear/);
  });

  it('a server that serves more than its default service fails STEP-2S and STEP-1N', async () => {
    const server = world.actors.get('mcptt-as')!;
    const generous = disturbed(world, 'ue', 'sendMessage', () =>
      server.do('setPolicy', { defaultServices: ['OPTIONS', 'MESSAGE'] }),
    );
    await fails(step2S, generous, /MESSAGE was accepted/);
    await fails(step1N, generous, /MESSAGE was accepted/);
  });

  const relays: [string, RegExp, Edit][] = [
    [
      'leaves the Warning out',
      /passes on of SIP\/2.0 403/,
      only(/^SIP\/2.0 403/, (s) => s.replace(/^Warning:.*\r\n/m, '')),
    ],
    ['makes another refusal of it', /passes on of SIP\/2.0 403/, only(/^SIP\/2.0 403/, (s) => s.replace('403', '404'))],
  ];
  for (const [what, message, edit] of relays) {
    it(`a SIP core that passes the server’s refusal on and ${what} is held for it, not the server`, async () => {
      const changing = seen(world, edit, ({ interface: at }) => at === 'SIP-1');
      for (const scenario of [step2S, step1N]) {
        const { steps } = await fails(scenario, changing, message);
        expect(steps.find(({ failure }) => failure !== undefined)?.failure?.responsible).to.equal('sip-core');
      }
    });
  }

  it('a SIP core that asserts another UE’s identity is held for it, not the server that refuses', async () => {
    const another = seen(world, (s) => s.replace(/^(P-Asserted-Identity: )<[^>]*>/m, '$1<sip:another@ims.example>'));
    const { steps } = await fails(step2S, another, /identities of ue, of which the core asserts/);
    expect(steps.find(({ failure }) => failure !== undefined)?.failure?.responsible).to.equal('sip-core');
  });

  it('in ORDER-1 who refuses a part is held for it, not the UE that asks', async () => {
    const barred = disturbed(world, 'ue', 'logIn', () => world.actors.get('idm')!.do('revokeUser', { user: 'alice' }));
    const { steps } = await fails(order1, barred, /could not logIn/);
    expect(steps.find(({ failure }) => failure !== undefined)?.failure?.responsible).to.equal('idm');
  });

  it('in ORDER-1 a UE that does not even ask is held itself', async () => {
    const { steps } = await fails(order1, disturbed(world, 'ue', 'attach', dontAttach), /could not attach/);
    expect(steps.find(({ failure }) => failure !== undefined)?.failure?.responsible).to.equal('ue');
  });

  it('a server that binds to another session fails MULTI-1', async () => {
    const elsewhere = lying(world, 'mcptt-as', (what, value) =>
      what === 'bindings' ? (value as JsonObject[]).map((b) => ({ ...b, sipSession: 'sip:elsewhere' })) : value,
    );
    await fails(multi1InTurn, elsewhere, /bindings of alice/);
  });

  it('a KMS that keeps a key past its end fails LIFE-1', async function () {
    this.timeout(60_000);
    const keeping = lying(world, 'kms', (what, value) =>
      what === 'ceks'
        ? (value as JsonObject[]).map((cek) => ({ ...cek, cekFingerprint: cek.cekFingerprint ?? '00' }))
        : value,
    );
    const quick: Scenario = {
      ...life1Deregistration,
      steps: life1Deregistration.steps.map((step) => (step.number === '0' ? step : { ...step, guard: 1_500 })),
    };
    await fails(quick, keeping, /the KMS forgets CEK/);
  });

  it('a UE that keeps a key past its end fails LIFE-1, and is held for it, not who told it', async function () {
    this.timeout(60_000);
    const kept = new Map<string, JsonObject>();
    const keeping = lying(world, 'ue', (what, value) => {
      if (what !== 'ceks') return value;
      for (const cek of value as JsonObject[]) kept.set(cek.keyId as string, cek);
      return [...kept.values()];
    });
    for (const scenario of [life1Deregistration, life1OperatorRevokes]) {
      kept.clear();
      const quick: Scenario = {
        ...scenario,
        steps: scenario.steps.map((step) => (step.number === '0' ? step : { ...step, guard: 1_500 })),
      };
      // Looked at once while the key lives, so that the liar knows it.
      const looked = disturbed(keeping, 'ue', scenario === life1Deregistration ? 'deregister' : 'requestKey', () =>
        keeping.actors.get('ue')!.read('ceks'),
      );
      const { steps } = await fails(quick, looked, /the UE forgets CEK|keys of alice at the UE/);
      expect(steps.find(({ failure }) => failure !== undefined)?.failure?.responsible).to.equal('ue');
    }
  });

  it('ends that hold different keys fail the figure', async () => {
    const other = lying(world, 'mcptt-as', (what, value) =>
      what === 'ceks' ? (value as JsonObject[]).map((cek) => ({ ...cek, cekFingerprint: '0000000000000000' })) : value,
    );
    const { steps } = await fails(figure, other, /fingerprint of the server’s CEK/);
    expect(steps.map(({ verdict }) => verdict)).to.deep.equal(['pass', 'pass', 'pass', 'pass', 'fail', 'none']);
  });

  it('an actor that cannot bring the scenario to its matter makes it inconclusive, not failed', async () => {
    const barred = disturbed(world, 'ue', 'logIn', () => world.actors.get('idm')!.do('revokeUser', { user: 'alice' }));
    const result = await runScenario(pol1On, barred);
    expect(result.verdict).to.equal('inconc');
  });
});
