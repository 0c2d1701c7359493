import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { serverKeys } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, oldKeyIdIsRefused } from './steps/life-1.ts';
import { LONG_LIVED, MINUTE, REGISTRATION } from './steps/policy.ts';

/**
 * LIFE-1 (pCR 7.x.3): the connection is lost, for longer than the registration lives.
 *
 * ```
 * UE                       SIP core                 MCPTT server       KMS
 *  ├──╳ connection            │                          │               │
 *  :   a week less a minute   :   nothing ends           :               :
 *  :   two minutes            ├── REGISTER, Expires 0 ──▶│ key ends      │
 *  │ key ends                 │                          ├── CekEnd ────▶│ key ends
 * ```
 */
export const life1ConnectionLost: Scenario = {
  id: 'life-1-connection-lost',
  title: 'The UE’s connection is lost past the life of its registration: the CEK ends everywhere',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  steps: [
    ...LONG_LIVED,
    bringUp('bound'),
    ends(
      'The registration runs out, and the CEK ends at UE, server and KMS',
      /expired/,
      async (t, keyId) => {
        await t.actor('ue').do('dropConnection');
        await t.advance(REGISTRATION - MINUTE);
        const held = await serverKeys(t);
        expect(
          held.map((key) => key.keyId),
          'keys a minute before',
        ).to.include(keyId);
        await t.advance(2 * MINUTE);
      },
      'sip-core',
      { ueFirst: true },
    ),
    oldKeyIdIsRefused,
  ],
};
