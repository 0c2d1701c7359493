import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { kmsKeys, mcpttId, sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { replaced } from './steps/life-2.ts';
import { policy } from './steps/policy.ts';

/**
 * LIFE-2, LIFE-3, LIFE-4 (pCR 7.x.3): client and server ask for an update at once, and the change ends in one key.
 *
 * ```
 * UE                             KMS                        MCPTT server
 *  ├── CekRequest (old) ──────────▶│ new CEK                  │
 *  │                               │◀──── CekRequest (old) ───┤
 *  │◀── Cek: new ──────────────────┤ one change under way     │
 *  │                               ├──── Cek: the same new ──▶│
 * ```
 */
export const life2TwoUpdates: Scenario = {
  id: 'life-2-two-updates',
  title: 'Client and server ask for an update at once: both learn the same new CEK',
  requirements: ['LIFE-2', 'LIFE-3', 'LIFE-4', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('every request for an update gets a new CEK', 'kms', { cek: { renewAfter: 0 } }),
    bringUp('bound'),
    {
      number: '5',
      title: 'Two requests for an update that name the same old CEK end in one new CEK',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const old = await sharedKey(t, 'alice');
        const [client, server] = await Promise.all([
          t.actor('ue').do<{ keyId: string }>('askUpdate', { user: 'alice' }),
          t.actor('mcptt-as').do<{ keyId: string; held: string }[]>('askUpdate', { user: 'alice' }),
        ]);
        expect(
          server.map(({ held }) => held),
          'Key ID that the server asked with',
        ).to.deep.equal([old.keyId]);
        const now = await replaced(t, old);
        expect([client.keyId, ...server.map(({ keyId }) => keyId)], 'answers').to.deep.equal([now.keyId, now.keyId]);
        const serving = (await kmsKeys(t)).filter(
          ({ user, state }) => user === mcpttId(t, 'alice') && (state === 'active' || state === 'pending-ack'),
        );
        expect(
          serving.map(({ keyId }) => keyId),
          'CEKs that serve',
        ).to.deep.equal([now.keyId]);
      },
    },
  ],
};
