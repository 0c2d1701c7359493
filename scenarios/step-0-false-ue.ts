import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { summary } from '../sim/trace/describe.ts';
import { refused } from './checks/refusal.ts';
import { withUes } from './steps/bring-up.ts';
import { step0 } from './steps/step-0.ts';

/**
 * STEP-0: a UE that does not know the subscriber's key cannot answer a challenge (TS 33.102 6.3.3, TS 24.301 5.4.2.5).
 *
 * ```
 * UE, RES wrong                         access network
 *  ├── Attach request ───────────────────────▶│
 *  │◀── Authentication request ───────────────┤
 *  ├── Authentication response, RES wrong ───▶│
 *  │◀── Authentication reject ────────────────┤ not attached, no address
 *  :
 *  ├── Security mode complete, MAC wrong ────▶│ not attached, no address
 * ```
 */
export const step0FalseUe: Scenario = {
  id: 'step-0-false-ue',
  title: 'A UE with a wrong RES or a wrong MAC gets no address; two UEs that are right get two',
  requirements: ['STEP-0'],
  actors: withUes('ue', 'ue-b'),
  users: [],
  steps: [
    {
      number: '0',
      title: 'The network rejects a UE whose RES is wrong, in its first octet or in its last',
      clause: 'TS 24.301 5.4.2.5',
      responsible: 'access-network',
      guard: 10_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        for (const path of ['0', '-1']) {
          const from = t.records().length;
          const wrong = { deviate: [{ at: 'res', op: 'flip', path }] };
          const refusal = await refused('the attach with a wrong RES', t.actor('ue').do('attach', wrong));
          const received = t
            .records()
            .slice(from)
            .filter((r) => r.interface === 'LTE' && r.actor === 'ue' && r.direction === 'received')
            .map((r) => summary(t.about(r)));
          expect(received, 'messages of the network').to.deep.equal([
            'Authentication request',
            'Authentication reject',
          ]);
          expect(refusal.code, 'why').to.equal('ATTACH_AUTHENTICATION_REJECTED');
          const attached = await t.actor('access-network').read('attached', { imsi });
          expect(attached, 'attached').to.deep.equal({ attached: false });
        }
      },
    },
    {
      number: '0-bis',
      title: 'The network does not attach a UE whose Security mode complete has a wrong MAC',
      clause: 'TS 24.301 4.4.4.3',
      responsible: 'access-network',
      guard: 20_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        const wrong = { deviate: [{ at: 'nas', op: 'flip', path: '4' }] };
        await refused('the attach with a wrong MAC', t.actor('ue').do('attach', wrong));
        const received = t
          .records({ interface: 'LTE', actor: 'ue', direction: 'received' })
          .map((r) => summary(t.about(r)).split(',', 1)[0]);
        expect(received, 'messages of the network').to.include('Security mode command');
        expect(received, 'messages of the network').not.to.include('Attach accept');
        const attached = await t.actor('access-network').read('attached', { imsi });
        expect(attached, 'attached').to.deep.equal({ attached: false });
      },
    },
    { ...step0(), number: '0-ter' },
    { ...step0('ue-b'), number: '0-quater' },
    {
      number: '0-quinquies',
      title: 'Two UEs that are attached have two addresses',
      clause: 'TS 23.401 5.3.1',
      responsible: 'access-network',
      guard: 10_000,
      run: async (t) => {
        const of = async (ue: string): Promise<string> =>
          (await t.actor(ue).read<{ pdnAddress: string }>('attach')).pdnAddress;
        expect(await of('ue-b'), 'PDN address of ue-b, against that of ue').not.to.equal(await of('ue'));
      },
    },
  ],
};
