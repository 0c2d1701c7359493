import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { kmsKeys, sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { changes, overlap } from './steps/life-2.ts';
import { MINUTE, policy } from './steps/policy.ts';

/**
 * LIFE-2 (pCR 7.x.3): a CEK that has served long enough is replaced by the KMS of its own accord.
 *
 * ```
 * UE                         KMS, rotateAfter: 30 min      MCPTT server
 *  :                          :   30 minutes                  :
 *  │                          ├── push: Cek ─────────────────▶│
 *  │◀── event: cek ───────────┤                               │
 * ```
 */
export const life2Age: Scenario = {
  id: 'life-2-age',
  title: 'A CEK that has served for as long as policy says is replaced without anybody asking',
  requirements: ['LIFE-2', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('a CEK serves for half an hour', 'kms', { cek: { rotateAfter: 30 * MINUTE } }),
    bringUp('bound'),
    changes('Half an hour later, and not before, there is another CEK', async (t) => {
      const { keyId } = await sharedKey(t, 'alice');
      await t.advance(29 * MINUTE);
      await t.actor('ue').do('publish', { user: 'alice' });
      const early = (await kmsKeys(t)).filter(({ supersedes }) => supersedes === keyId);
      expect(early, 'CEKs made in its place within 29 minutes').to.deep.equal([]);
      await t.advance(MINUTE + 1);
    }),
    overlap,
  ],
};
