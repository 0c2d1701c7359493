import type { Scenario } from '../sim/scenario/scenario.ts';
import { withUes } from './steps/bring-up.ts';
import { registrationRunsOut } from './steps/life-1.ts';

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
  users: ['alice'],
  steps: registrationRunsOut(async (t) => {
    await t.actor('ue').do('dropConnection');
  }),
};
