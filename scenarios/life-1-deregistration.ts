import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { heldByUe } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { coreTells, deregister, ends, oldKeyIdIsRefused } from './steps/life-1.ts';

/**
 * LIFE-1 (pCR 7.x.3): the SIP session is torn down by the UE.
 *
 * ```
 * UE                     SIP core               MCPTT server               KMS
 *  ├── REGISTER, expires=0 ─▶├── REGISTER, Expires 0 ─▶│ key ends             │
 *  │ key ends                │                         ├── CekEnd ───────────▶│ key ends
 *  :                         :  bob on UE B is served as before                 :
 * ```
 */
export const life1Deregistration: Scenario = {
  id: 'life-1-deregistration',
  title: 'The UE de-registers: the CEK of its SIP session ends everywhere',
  requirements: ['LIFE-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    ends(
      'The UE de-registers, and its CEK ends at UE, server and KMS',
      /deregistered/,
      async (t) => {
        await deregister(t);
        // Asked at once: later the KMS tells the UE too.
        t.hold('ue', 'pCR 7.x.3');
        expect(await heldByUe(t, 'alice'), 'keys of alice at the UE').to.deep.equal([]);
        await coreTells(t);
      },
      'mcptt-as',
      { ueFirst: true, bystander: { user: 'bob', ue: 'ue-b' } },
    ),
    oldKeyIdIsRefused,
  ],
};
