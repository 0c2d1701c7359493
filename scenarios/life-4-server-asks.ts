import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { isEventOf, replaced } from './steps/life-2.ts';
import { MINUTE } from './steps/policy.ts';

/**
 * LIFE-4 (pCR 7.x.3): the MCPTT server asks for an update, and the KMS decides by the same rule.
 *
 * ```
 * UE                         KMS                           MCPTT server
 *  │                          │◀───────── CekRequest (held) ──┤
 *  │◀── event: same ──────────┤ young: the same again         │
 *  :                          :  a minute                     :
 *  │                          │◀───────── CekRequest (held) ──┤
 *  │◀── event: new ───────────┤ old enough: a new one         │
 * ```
 */
export const life4ServerAsks: Scenario = {
  id: 'life-4-server-asks',
  title: 'The MCPTT server asks for an update: the same CEK or a new one, and the client learns the same',
  requirements: ['LIFE-4', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('bound'),
    {
      number: '5',
      title: 'The server’s request is answered with the same CEK, later with a new one; both ends agree each time',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const before = await sharedKey(t, 'alice');
        const ask = async (): Promise<string[]> =>
          (await t.actor('mcptt-as').do<{ keyId: string }[]>('askUpdate', { user: 'alice' })).map(({ keyId }) => keyId);
        expect(await ask(), 'answer to a young CEK').to.deep.equal([before.keyId]);
        await t.expect('the event that tells the UE the same', {
          interface: 'HTTP-1',
          actor: 'ue',
          direction: 'received',
          where: isEventOf(before.keyId),
        });
        expect(await sharedKey(t, 'alice'), 'key afterwards').to.deep.equal(before);
        await t.advance(MINUTE);
        const later = await ask();
        const now = await replaced(t, before);
        expect(later, 'answer a minute later').to.deep.equal([now.keyId]);
        await t.actor('ue').do('publish', { user: 'alice' });
      },
    },
  ],
};
