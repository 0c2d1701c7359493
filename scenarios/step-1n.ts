import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario, Step } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { bringUp, type Reached, reach, withUes } from './steps/bring-up.ts';

const EMERGENCY: JsonObject[] = [
  { at: 'mcptt-info', op: 'set', path: 'emergency-ind', value: 'true' },
  { at: 'sip', op: 'set', path: 'Resource-Priority', value: 'mcpttp.15' },
];
const IN_CLEAR: JsonObject[] = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];

const allRefused = (number: string, reached: Reached, deviate: JsonObject[]): Step => ({
  number,
  title: `${reached}: INVITE and MESSAGE are answered 403, emergency ones too`,
  clause: 'pCR 7.x.2, note to step 1',
  responsible: 'mcptt-as',
  guard: 20_000,
  run: async (t) => {
    const ue = t.actor('ue');
    const to = mcpttId(t, 'bob');
    for (const [kind, extra] of [
      ['', []],
      ['emergency ', EMERGENCY],
    ] as const) {
      const args = { user: 'alice', to, deviate: [...deviate, ...extra] };
      await refusedBySip(t, `${kind}INVITE`, ue.do('call', args), 403);
      await refusedBySip(t, `${kind}MESSAGE`, ue.do('sendMessage', { ...args, text: 'help' }), 403);
    }
    expect(await t.actor('ue-b').read('messages', { user: 'bob' }), 'messages that bob got').to.deep.equal([]);
    const reached = t.records({ interface: 'SIP-1', actor: 'ue-b', direction: 'received' });
    expect(reached, 'SIP messages that reached the other UE').to.deep.equal([]);
    expect(
      (await bindings(t)).map((b) => b.mcpttId),
      'bindings',
    ).not.to.include(mcpttId(t, 'alice'));
  },
});

/**
 * STEP-1N, S1-2 (note to step 1 of the pCR): between step 1 and step 4 there is no MCPTT communication, emergency or otherwise.
 *
 * ```
 * UE                                     MCPTT server         UE B (bob, authorized)
 *  ├── INVITE, MESSAGE ──────────────────────▶│ 403                 │ hears nothing
 *  ├── INVITE, MESSAGE, emergency-ind ───────▶│ 403                 │
 * ```
 */
export const step1N: Scenario = {
  id: 'step-1n',
  title: 'Before step 4 no INVITE and no MESSAGE is served, emergency or otherwise',
  requirements: ['STEP-1N', 'S1-2', 'STEP-2S'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { 'ue-b': ['bob'] }),
    {
      number: '1-3a',
      title: 'Alice registers and logs in',
      clause: 'pCR 7.x.2',
      responsible: 'ue',
      guard: 20_000,
      run: (t) => reach(t, 'logged-in'),
    },
    allRefused('3a-bis', 'logged-in', IN_CLEAR),
    {
      number: '3b',
      title: 'Alice gets her key',
      clause: 'pCR 7.x.2',
      responsible: 'kms',
      guard: 20_000,
      run: (t) =>
        t
          .precondition('alice has a key', () => t.actor('ue').do('requestKey', { user: 'alice' }))
          .then(() => undefined),
    },
    allRefused('3b-bis', 'keyed', []),
    {
      number: '4',
      title: 'After step 4 the same MESSAGE is carried',
      clause: 'pCR 7.x.2',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        await t.actor('ue').do('publish', { user: 'alice' });
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'here now' });
        const inbox = await t.actor('ue-b').read<{ text: string }[]>('messages', { user: 'bob' });
        expect(
          inbox.map(({ text }) => text),
          'bob’s messages',
        ).to.deep.equal(['here now']);
      },
    },
  ],
};
