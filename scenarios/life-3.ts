import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { replaced } from './steps/life-2.ts';
import { MINUTE } from './steps/policy.ts';

/**
 * LIFE-3 (pCR 7.x.3): the client asks for an update, and the KMS decides by its stated rule (actors/kms/policy.ts).
 *
 * ```
 * UE                         KMS                           MCPTT server
 *  ├── CekRequest ────────────▶│ young: the same again        │
 *  │◀── Cek: same ─────────────┤── push: same ───────────────▶│
 *  :                           :  a minute                    :
 *  ├── CekRequest ────────────▶│ old enough: a new one        │
 *  │                           ├── push: new ────────────────▶│
 *  │◀── Cek: new ──────────────┤                              │
 * ```
 */
export const life3: Scenario = {
  id: 'life-3',
  title: 'The client asks for an update: the KMS gives the same CEK again or a new one, and tells both ends',
  requirements: ['LIFE-3', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('bound'),
    {
      number: '5',
      title: 'Soon after its issue the same CEK comes again, and the server is told the same',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 10_000,
      run: async (t) => {
        const before = await sharedKey(t, 'alice');
        expect(await t.actor('ue').do('askUpdate', { user: 'alice' }), 'answer').to.deep.equal({ keyId: before.keyId });
        await t.expect('the push of the same CEK', {
          interface: 'HTTP-1',
          actor: 'mcptt-as',
          direction: 'received',
          where: (r) => Buffer.from(r.bytes).includes(`${before.keyId}<`),
        });
        expect(await sharedKey(t, 'alice'), 'key afterwards').to.deep.equal(before);
        t.show('Decision', `same (${before.keyId})`);
      },
    },
    {
      number: '6',
      title: 'A minute later the answer is a new CEK, at both ends',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 10_000,
      run: async (t) => {
        const before = await sharedKey(t, 'alice');
        await t.advance(MINUTE);
        const { keyId } = await t.actor('ue').do<{ keyId: string }>('askUpdate', { user: 'alice' });
        const now = await replaced(t, before);
        expect(keyId, 'answer').to.equal(now.keyId);
        await t.actor('ue').do('publish', { user: 'alice' });
      },
    },
  ],
};
