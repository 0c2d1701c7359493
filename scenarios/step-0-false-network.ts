import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { summary } from '../sim/trace/describe.ts';
import { refused } from './checks/refusal.ts';
import { digest, header } from './checks/sip.ts';
import { withUes } from './steps/bring-up.ts';
import { step0 } from './steps/step-0.ts';
import { step1 } from './steps/step-1.ts';

/**
 * STEP-0, STEP-1: a network that does not know the subscriber's key cannot make a challenge (TS 33.102 6.3.3).
 *
 * ```
 * UE                                    access network, MAC wrong
 *  ├── Attach request ───────────────────────▶│
 *  │◀── Authentication request ───────────────┤
 *  ├── Authentication failure #20 ───────────▶│ not attached
 *
 * UE                                    SIP core, MAC wrong
 *  ├── REGISTER ─────────────────────────────▶│
 *  │◀── 401, nonce = RAND || AUTN ────────────┤
 *  ├── REGISTER, response empty ─────────────▶│ 403, not registered
 * ```
 */
export const step0FalseNetwork: Scenario = {
  id: 'step-0-false-network',
  title: 'A challenge with a wrong MAC is refused by the UE, at the access network and at the SIP core',
  requirements: ['STEP-0', 'STEP-1'],
  actors: withUes('ue'),
  steps: [
    {
      number: '0',
      title: 'The UE does not attach to a network whose MAC is wrong',
      clause: 'TS 24.301 5.4.2.6 case c',
      responsible: 'ue',
      guard: 10_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        await t.actor('access-network').do('deviate', { imsi, deviate: [WRONG_MAC] });
        const refusal = await refused('the attach to a false network', t.actor('ue').do('attach'));
        expect(refusal.code, 'why').to.equal('ATTACH_NETWORK_MAC_WRONG');
        const seen = t.records({ interface: 'LTE', actor: 'ue', direction: 'sent' }).map((r) => summary(t.about(r)));
        expect(seen, 'messages of the UE').to.include('Authentication failure (MAC failure)');
        expect(seen, 'messages of the UE').not.to.include('Authentication response');
        expect(await t.actor('access-network').read('attached', { imsi }), 'attached').to.deep.equal({
          attached: false,
        });
        await t.actor('access-network').do('deviate');
      },
    },
    { ...step0(), number: '0-bis' },
    {
      number: '1',
      title: 'The UE does not answer a SIP core whose MAC is wrong',
      clause: 'TS 33.203 6.1.2.3, TS 24.229 5.1.1.5.3',
      responsible: 'ue',
      guard: 10_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        const core = t.actor('sip-core');
        await core.do('deviate', { impi: `${imsi}@ims.mnc001.mcc001.3gppnetwork.org`, deviate: [WRONG_MAC] });
        const refusal = await refused('the registration at a false core', t.actor('ue').do('register'));
        expect(refusal.code, 'why').to.equal('UE_NETWORK_NOT_AUTHENTICATED');
        const sent = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'REGISTER' });
        const response = digest(header(t.about(sent.at(-1)!), 'Authorization'), 'response');
        expect(response, 'response to a false challenge').to.equal('');
        const { impu } = await t.actor('ue').read<{ impu: string }>('registration');
        expect(await core.read('registration', { impu }), 'at the core').to.deep.equal({ registered: false });
        await core.do('deviate');
      },
    },
    { ...step1(), number: '1-bis' },
  ],
};

/** One bit of MAC-A, the last eight octets of AUTN. */
const WRONG_MAC = { at: 'autn', op: 'flip', path: '-1' };
