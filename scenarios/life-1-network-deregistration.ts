import type { Scenario } from '../sim/scenario/scenario.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { coreTells, ends, oldKeyIdIsRefused } from './steps/life-1.ts';

/**
 * LIFE-1 (pCR 7.x.3): the SIP session is torn down by the network.
 *
 * ```
 * UE                     SIP core               MCPTT server               KMS
 *  │                         ├── REGISTER, Expires 0 ─▶│ key ends             │
 *  │                         │                         ├── CekEnd ───────────▶│ key ends
 *  │◀── event: cek-end ────────────────────────────────────────────────────────┤
 *  │ key ends                :  bob on UE B is served as before                :
 * ```
 */
export const life1NetworkDeregistration: Scenario = {
  id: 'life-1-network-deregistration',
  title: 'The network de-registers the subscriber: the CEK ends everywhere, at the UE too',
  requirements: ['LIFE-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    ends(
      'The SIP core de-registers the subscriber, and the CEK ends at UE, server and KMS',
      /deregistered/,
      async (t) => {
        const { impu } = await t.actor('ue').read<{ impu: string }>('registration');
        await t.actor('sip-core').do('deregisterSubscriber', { impu });
        await coreTells(t);
      },
      'mcptt-as',
      { bystander: { user: 'bob', ue: 'ue-b' } },
    ),
    oldKeyIdIsRefused,
  ],
};
