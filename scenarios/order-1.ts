import { expect } from 'chai';
import type { Scenario, Step, StepContext } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId, sharedKey, sipSession } from './checks/keys.ts';
import { register, withUes } from './steps/bring-up.ts';

const DO: Readonly<Record<string, (t: StepContext, ue: string, user: string) => Promise<unknown>>> = {
  '0': (t, ue) => t.actor(ue).do('attach'),
  '1': (t, ue) => register(t, ue),
  '3a': (t, ue, user) => t.actor(ue).do('logIn', { user }),
  '3b': (t, ue, user) => t.actor(ue).do('requestKey', { user }),
  '4': (t, ue, user) => t.actor(ue).do('publish', { user }),
};

const inOrder = (order: readonly string[], ue: string, user: string): Step => ({
  number: order.join(' '),
  title: `${user} on ${ue} goes through the steps in the order ${order.join(', ')}`,
  clause: 'pCR 7.x.2, note to steps 3a and 3b',
  responsible: 'ue',
  guard: 20_000,
  run: async (t) => {
    await t.precondition('the UE starts over', () => t.actor(ue).do('restart'));
    for (const step of order) await DO[step]!(t, ue, user);
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
