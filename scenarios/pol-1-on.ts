import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, client, mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { header } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * POL-1, protection required (pCR 7.x): an unprotected body is refused, and nothing comes of it.
 *
 * ```
 * UE                       SIP core                    MCPTT server
 *  ├── PUBLISH, multipart in clear ─▶├─────────────────────▶│ policy: protected
 *  │◀────────────────────────────────┤◀── 403, Warning ─────┤ binds nothing
 * ```
 */
export const pol1On: Scenario = {
  id: 'pol-1-on',
  title: 'Protection is required: an unprotected PUBLISH is refused with a Warning and binds nothing',
  requirements: ['POL-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('keyed'),
    {
      number: '4',
      title: 'A PUBLISH in clear is answered 403 with a Warning; there is no binding',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const deviate = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];
        const publish = t.actor('ue').do('publish', { user: 'alice', deviate });
        await refusedBySip(t, 'PUBLISH in clear', publish, 403);
        const answer = await t.expect('the 403', { interface: 'SIP-1', actor: 'ue', method: 'PUBLISH', status: 403 });
        expect(header(answer, 'Warning'), 'Warning').to.match(/^399 \S+ "/);
        expect(
          (await bindings(t)).filter((b) => b.mcpttId === mcpttId(t, 'alice')),
          'bindings',
        ).to.deep.equal([]);
        expect((await client(t, 'alice')).bound, 'bound at the UE').to.equal(false);
      },
    },
    {
      number: '4-bis',
      title: 'The same PUBLISH under the CEK is accepted',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        await t.actor('ue').do('publish', { user: 'alice' });
        expect(
          (await bindings(t)).map((b) => b.mcpttId),
          'bindings',
        ).to.include(mcpttId(t, 'alice'));
      },
    },
    {
      number: '5',
      title: 'After step 4 a MESSAGE and an INVITE in clear are refused all the same',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const deviate = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];
        const args = { user: 'alice', to: mcpttId(t, 'bob'), deviate };
        const send = t.actor('ue').do('sendMessage', { ...args, text: 'in clear' });
        await refusedBySip(t, 'MESSAGE in clear', send, 403);
        await refusedBySip(t, 'INVITE in clear', t.actor('ue').do('call', args), 403);
      },
    },
  ],
};
