import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { mcpttId, sharedKey } from './checks/keys.ts';
import { refusedByKms } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, oldKeyIdIsRefused } from './steps/life-1.ts';

/**
 * LIFE-1 (pCR 7.x.3), "another indication": the operator revokes the user.
 *
 * ```
 * operator            KMS                       MCPTT server           UE
 *  ├── revoke alice ───▶│ key ends                  │                   │
 *  │                    ├── push: CekEnd ──────────▶│ key, binding end  │
 *  │                    ├── event: cek-end ────────────────────────────▶│ key ends
 *  │                    │◀── KmsRequest ───────────────────────────────┤
 *  │                    ├── 403 ───────────────────────────────────────▶│
 * ```
 */
export const life1OperatorRevokes: Scenario = {
  id: 'life-1-operator-revokes',
  title: 'The operator revokes the user at the KMS: the CEK ends everywhere and no new one is given',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice', 'bob'] }),
    ends(
      'The operator revokes alice; her CEK ends at UE, server and KMS, and she gets no other',
      /revoked/,
      async (t) => {
        const others = await sharedKey(t, 'bob');
        await t.actor('kms').do('cekRevoke', { user: mcpttId(t, 'alice') });
        const again = t.actor('ue').do('requestKey', { user: 'alice' });
        await refusedByKms(t, 'a request of the revoked user', again, 403);
        expect(await sharedKey(t, 'bob'), 'key of bob, who is not revoked').to.deep.equal(others);
        await t.actor('ue').do('publish', { user: 'bob' });
      },
      'kms',
    ),
    oldKeyIdIsRefused,
  ],
};
