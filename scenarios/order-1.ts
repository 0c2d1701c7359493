import { expect } from 'chai';
import type { ActorKind } from '../sim/control/actor.ts';
import type { Scenario, Step, StepContext } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { bindings, mcpttId, sharedKey, sipSession } from './checks/keys.ts';
import { expectRelayed } from './checks/relayed.ts';
import type { Login } from './checks/tokens.ts';
import { register, withUes } from './steps/bring-up.ts';

interface Part {
  readonly run: (t: StepContext, ue: string, user: string) => Promise<unknown>;
  /** Whom the UE asks in it, and who decides. */
  readonly asked: ActorKind;
  readonly decides: ActorKind;
}

const PARTS: Readonly<Record<string, Part>> = {
  '0': { run: (t, ue) => t.actor(ue).do('attach'), asked: 'access-network', decides: 'access-network' },
  '1': { run: (t, ue) => register(t, ue), asked: 'sip-core', decides: 'sip-core' },
  '3a': { run: logIn, asked: 'idm', decides: 'idm' },
  '3b': { run: (t, ue, user) => t.actor(ue).do('requestKey', { user }), asked: 'kms', decides: 'kms' },
  '4': { run: (t, ue, user) => t.actor(ue).do('publish', { user }), asked: 'sip-core', decides: 'mcptt-as' },
};

async function logIn(t: StepContext, ue: string, user: string): Promise<void> {
  const { mcptt, kms } = await t.actor(ue).do<Login>('logIn', { user });
  const whose = mcpttId(t, user);
  expect([mcptt.mcptt_id, kms.mcptt_id], 'mcptt_id of both tokens').to.deep.equal([whose, whose]);
}

/** Goes through one part; a UE that fails without asking is held itself, otherwise who has refused. */
async function goThrough({ run, asked, decides }: Part, t: StepContext, ue: string, user: string): Promise<void> {
  const before = t.records({ actor: ue, direction: 'sent', peer: asked }).length;
  const going = await attempt(t, run(t, ue, user));
  await expectRelayed(t);
  const hasAsked = t.records({ actor: ue, direction: 'sent', peer: asked }).length > before;
  t.hold(hasAsked ? decides : 'ue', CLAUSE);
  going.outcome();
}

const CLAUSE = 'pCR 7.x.2, note to steps 3a and 3b';

const inOrder = (order: readonly string[], ue: string, user: string): Step => ({
  number: order.join(' '),
  title: `${user} on ${ue} goes through the steps in the order ${order.join(', ')}`,
  clause: CLAUSE,
  responsible: 'ue',
  guard: 20_000,
  run: async (t) => {
    await t.precondition('the UE starts over', () => t.actor(ue).do('restart'));
    for (const part of order) await goThrough(PARTS[part]!, t, ue, user);
    t.hold('mcptt-as', CLAUSE);
    const session = await sipSession(t, ue);
    const key = await sharedKey(t, user, ue);
    const bound = (await bindings(t)).filter((binding) => binding.mcpttId === mcpttId(t, user));
    expect(
      bound.map((binding) => binding.sipSession),
      'session bound',
    ).to.deep.equal([session]);
    t.show('Key ID', key.keyId);
  },
});

/**
 * ORDER-1 (note of the pCR): steps 3a and 3b may happen anywhere between step 0 and step 4.
 *
 * ```
 * ue    0 ─ 1, 2 ─ 3a ─ 3b ─ 4
 * ue-b  0 ─ 3a ─ 1, 2 ─ 3b ─ 4
 * ue    0 ─ 3a ─ 3b ─ 1, 2 ─ 4
 * ```
 */
export const order1: Scenario = {
  id: 'order-1',
  title: 'Steps 3a and 3b may come anywhere between step 0 and step 4: every allowed order ends in a binding',
  requirements: ['ORDER-1', 'STEP-4', 'INT-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob', 'carol'],
  steps: [
    inOrder(['0', '1', '3a', '3b', '4'], 'ue', 'alice'),
    inOrder(['0', '3a', '1', '3b', '4'], 'ue-b', 'bob'),
    inOrder(['0', '3a', '3b', '1', '4'], 'ue', 'carol'),
  ],
};
