import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId, sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const USERS = ['alice', 'bob', 'carol', 'dave'];

/**
 * MULTI-1 (pCR 7.x.1): several users log in at once behind one registration.
 *
 * ```
 * UE (one SIP session)                         IdM, KMS, MCPTT server
 *  ├─┬ alice: 3a, 3b, 4 ────────────────────────▶│
 *  │ ├ bob:   3a, 3b, 4 ────────────────────────▶│  four keys, four Key IDs,
 *  │ ├ carol: 3a, 3b, 4 ────────────────────────▶│  four bindings, each its own user's
 *  │ └ dave:  3a, 3b, 4 ────────────────────────▶│
 * ```
 */
export const multi1AtOnce: Scenario = {
  id: 'multi-1-at-once',
  title: 'Four users log in at once on one SIP session; keys, Key IDs and bindings do not mix',
  requirements: ['MULTI-1', 'INT-1', 'CEK-2'],
  actors: withUes('ue'),
  users: USERS,
  steps: [
    bringUp('registered'),
    {
      number: '3-4',
      title: 'All users get their own key at once and are bound at once',
      clause: 'pCR 7.x.1',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await Promise.all(
          USERS.map(async (user) => {
            await ue.do('logIn', { user });
            await ue.do('requestKey', { user });
            await ue.do('publish', { user });
          }),
        );
        const keys = await Promise.all(USERS.map((user) => sharedKey(t, user)));
        expect(new Set(keys.map((key) => key.keyId)).size, 'different Key IDs').to.equal(USERS.length);
        expect(new Set(keys.map((key) => key.cekFingerprint)).size, 'different keys').to.equal(USERS.length);
        expect(
          (await bindings(t)).map((binding) => binding.mcpttId),
          'bound users',
        ).to.have.members(USERS.map((user) => mcpttId(t, user)));
        t.show('Key IDs', keys.map((key) => key.keyId).join(', '));
      },
    },
  ],
};
