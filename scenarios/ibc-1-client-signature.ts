import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { CHOICES } from './choices.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * IBC-1 (Figure 7.x.2-2), client to server: the inner entity is signed with ECCSI by the user whose key it is under.
 *
 * ```
 * UE                                              MCPTT server
 *  ├── PUBLISH, not signed ───────────────────────────▶│ 403 signature missing
 *  ├── PUBLISH, one bit of the signature wrong ───────▶│ 403 signature forged
 *  ├── PUBLISH under alice's key, signed by bob ──────▶│ 403 signed by another identity
 *  ├── PUBLISH, signed by alice ──────────────────────▶│ 200
 *  ├── MESSAGE, INVITE, each wrong in the same ways ──▶│ 403
 * ```
 */
export const ibc1ClientSignature: Scenario = {
  id: 'ibc-1-client-signature',
  title: 'The server refuses bodies that are not signed, forged, or signed by another user than the key’s',
  requirements: ['IBC-1', 'S1-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  choices: [CHOICES.ibc],
  steps: [
    bringUp('keyed', { ue: ['alice', 'bob'] }),
    {
      number: '4',
      title: 'Missing, forged and other user’s signatures are refused, and nothing is bound',
      clause: 'Figure 7.x.2-2, RFC 6507 5.2.2',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        for (const [what, deviation] of WRONG)
          await refusedBySip(t, what, t.actor('ue').do('publish', { user: 'alice', deviate: [deviation] }), 403);
        expect(await bindings(t), 'bindings').to.deep.equal([]);
      },
    },
    {
      number: '4-bis',
      title: 'The same PUBLISH with alice’s own signature is accepted',
      clause: 'Figure 7.x.2-2',
      responsible: 'mcptt-as',
      guard: 10_000,
      run: async (t) => {
        await t.actor('ue').do('publish', { user: 'alice' });
        expect(
          (await bindings(t)).map((binding) => binding.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId(t, 'alice')]);
      },
    },
    {
      number: '5',
      title:
        'After step 4, a MESSAGE and an INVITE with such signatures are refused too, and bob hears nothing of them',
      clause: 'Figure 7.x.2-2, RFC 6507 5.2.2',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await t.precondition('bob is authorized', () => ue.do('publish', { user: 'bob' }));
        for (const [what, deviation] of WRONG) {
          const args = { user: 'alice', to: mcpttId(t, 'bob'), deviate: [deviation] };
          await refusedBySip(t, `MESSAGE, ${what}`, ue.do('sendMessage', { ...args, text: what }), 403);
          await refusedBySip(t, `INVITE, ${what}`, ue.do('call', args), 403);
        }
        await ue.do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'as it should be' });
        const inbox = await ue.read<{ text: string }[]>('messages', { user: 'bob' });
        expect(
          inbox.map(({ text }) => text),
          'what bob got',
        ).to.deep.equal(['as it should be']);
      },
    },
  ],
};

const WRONG: readonly (readonly [what: string, deviation: JsonObject])[] = [
  ['not signed', { at: 'cms', op: 'remove', path: 'signature' }],
  ['signature with a wrong bit', { at: 'cms', op: 'flip', path: 'signature' }],
  ['signed by bob', { at: 'cms', op: 'set', path: 'signer', value: 'user:bob' }],
];
