import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { kmsKeys, mcpttId, sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const ROTATIONS = 10;

/**
 * CEK-2 (pCR 7.x.2): Key IDs are the KMS's to give, and none is given twice.
 *
 * ```
 * UE A, UE B                KMS                       MCPTT server
 *  │                         ├── push: Key ID 1, 1' ────▶│
 *  │◀── event ───────────────┤                           │
 *  :  ten rotations          :  no Key ID twice, no key twice
 * ```
 */
export const cek2: Scenario = {
  id: 'cek-2',
  title: 'Over many issues to two users no Key ID and no key comes twice',
  requirements: ['CEK-1', 'CEK-2', 'INT-1', 'INT-2'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('keyed', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'Twenty more CEKs: every Key ID has four octets under the CEK’s purpose tag, and all differ',
      clause: 'pCR 7.x.2',
      responsible: 'kms',
      guard: 30_000,
      run: async (t) => {
        const fingerprints: string[] = [];
        const issued: string[] = [];
        for (let round = 0; round <= ROTATIONS; round++) {
          for (const [user, ue] of [
            ['alice', 'ue'],
            ['bob', 'ue-b'],
          ] as const) {
            const key = await t.until(`a CEK of ${user} that was not there before`, async () => {
              const now = await sharedKey(t, user, ue);
              return issued.includes(now.keyId) ? undefined : now;
            });
            issued.push(key.keyId);
            fingerprints.push(key.cekFingerprint);
            if (round < ROTATIONS) await t.actor('kms').do('cekRotate', { user: mcpttId(t, user) });
          }
        }
        for (const keyId of issued) expect(keyId, 'Key ID').to.match(/^f[0-9a-f]{7}$/);
        expect(new Set(fingerprints).size, 'different keys').to.equal(issued.length);
        const known = (await kmsKeys(t)).map(({ keyId }) => keyId);
        expect(new Set(known).size, 'different Key IDs that the KMS has ever given').to.equal(known.length);
        expect(known, 'Key IDs at the KMS').to.include.members(issued);
        t.show('Issued', `${issued.length} in this run, ${known.length} that the KMS knows of`);
      },
    },
  ],
};
