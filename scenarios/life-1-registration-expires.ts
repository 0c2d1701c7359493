import type { Scenario } from '../sim/scenario/scenario.ts';
import { withUes } from './steps/bring-up.ts';
import { registrationRunsOut } from './steps/life-1.ts';

/**
 * LIFE-1 (pCR 7.x.3): the registration expires.
 *
 * ```
 * network         UE                       SIP core                 MCPTT server       KMS
 *  ├── Detach ─────▶│ no bearer                │                          │               │
 *  :                :   a week passes          :                          :               :
 *  │                │ key ends                 ├── REGISTER, Expires 0 ──▶│ key ends      │
 *  │                │                          │                          ├── CekEnd ────▶│ key ends
 * ```
 */
export const life1RegistrationExpires: Scenario = {
  id: 'life-1-registration-expires',
  title: 'A UE without a bearer cannot refresh: its registration expires and the CEK ends everywhere',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: registrationRunsOut(async (t) => {
    const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
    await t.actor('access-network').do('detachSubscriber', { imsi });
    await t.until(
      'the UE has lost its connection',
      async () => !(await t.actor('ue').read<{ connected: boolean }>('registration')).connected,
    );
  }),
};
