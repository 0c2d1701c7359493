import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import {
  bindings,
  expectForgotten,
  expectRetired,
  heldByUe,
  kmsKeys,
  mcpttId,
  sharedKey,
  sipSession,
} from './checks/keys.ts';
import { bringUp, reach, withUes } from './steps/bring-up.ts';
import { coreTells } from './steps/life-1.ts';

/**
 * LIFE-4, LIFE-1 (pCR 7.x.3): a UE that restarted starts over, and its old CEK is ended.
 *
 * ```
 * UE                         SIP core, MCPTT server        KMS
 *  ╳ restarts                 │                             │
 *  ├── steps 0 to 3b ─────────┼─── new SIP session ────────▶│ the old session's CEK ends, another is made
 *  ├── step 4 ───────────────▶│ old Key ID: retired         │
 * ```
 */
export const life4UeRestarts: Scenario = {
  id: 'life-4-ue-restarts',
  title: 'A UE restarts and starts over: another SIP session, another CEK, and the old one is ended',
  requirements: ['LIFE-4', 'LIFE-1', 'INT-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('bound'),
    {
      number: '5',
      title: 'After its restart the UE gets another CEK, and the old one has ended at server and KMS',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        const [old, session] = [await sharedKey(t, 'alice'), await sipSession(t)];
        await t.actor('ue').do('restart');
        t.hold('ue', 'pCR 7.x.3');
        expect(await heldByUe(t, 'alice'), 'keys of alice at the UE after its restart').to.deep.equal([]);
        t.hold('kms', 'pCR 7.x.3');
        await t.actor('ue').do('logIn', { user: 'alice' });
        await t.actor('ue').do('requestKey', { user: 'alice' });
        // The UE has not registered yet, so nobody but the KMS can know that it has started over.
        await t.until('the KMS ends the CEK of the old SIP session', async () =>
          (await kmsKeys(t)).some((key) => key.keyId === old.keyId && key.state === 'ended'),
        );
        await reach(t, 'bound');
        await coreTells(t);
        t.hold('kms', 'pCR 7.x.3');
        const now = await sharedKey(t, 'alice');
        expect(now.keyId, 'Key ID').not.to.equal(old.keyId);
        expect(now.cekFingerprint, 'key').not.to.equal(old.cekFingerprint);
        await expectForgotten(t, old.keyId, { by: 'kms' });
        t.hold('mcptt-as', 'pCR 7.x.3');
        await expectRetired(t, old.keyId);
        const bound = (await bindings(t)).filter((binding) => binding.mcpttId === mcpttId(t, 'alice'));
        expect(
          bound.map((binding) => binding.sipSession),
          'sessions alice is bound to',
        ).to.deep.equal([await sipSession(t)]);
        expect(bound[0]!.sipSession, 'SIP session').not.to.equal(session);
      },
    },
  ],
};
