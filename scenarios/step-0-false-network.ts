import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { summary } from '../sim/trace/describe.ts';
import { type Attempt, attempt } from './checks/attempt.ts';
import { impiOf } from './checks/provisioned.ts';
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
 *  :                                        : MAC of the Security mode command wrong
 *  │◀── Security mode command ────────────────┤
 *  ├── Security mode reject ─────────────────▶│ not attached
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
  users: [],
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
        const attaching = await attempt(t, t.actor('ue').do('attach'));
        const at = { interface: 'LTE', actor: 'ue' } as const;
        const seen = t.records({ ...at, direction: 'sent' }).map((r) => summary(t.about(r)));
        expect(seen, 'messages of the UE').to.include('Authentication failure (MAC failure)');
        expect(seen, 'messages of the UE').not.to.include('Authentication response');
        t.hold('access-network', 'TS 24.301 5.4.2.7');
        const answers = t.records({ ...at, direction: 'received' }).map((r) => summary(r).split(',', 1)[0]!);
        expect(answers, 'what the network answers').not.to.include.members(['Security mode command']);
        expect(answers, 'what the network answers').not.to.include.members(['Attach accept']);
        expect(await t.actor('access-network').read('attached', { imsi }), 'attached').to.deep.equal({
          attached: false,
        });
        t.hold('ue', 'TS 24.301 5.4.2.6 case c');
        const refusal = await refused('the attach to a false network', ended(attaching));
        expect(refusal.code, 'why').to.equal('ATTACH_NETWORK_MAC_WRONG');
        await t.actor('access-network').do('deviate');
      },
    },
    {
      number: '0-bis',
      title: 'The UE does not go on where the MAC of the Security mode command is wrong',
      clause: 'TS 24.301 5.4.3.5, 4.4.4.2',
      responsible: 'ue',
      guard: 20_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        const network = t.actor('access-network');
        await network.do('deviate', { imsi, deviate: [WRONG_NAS_MAC] });
        await refused('the attach under another K_ASME', t.actor('ue').do('attach'));
        const sent = t.records({ interface: 'LTE', actor: 'ue', direction: 'sent' }).map((r) => summary(t.about(r)));
        expect(sent, 'messages of the UE').to.include('Authentication response');
        expect(sent.map((name) => name.split(',', 1)[0])).not.to.include('Security mode complete');
        await network.do('deviate');
      },
    },
    { ...step0(), number: '0-ter' },
    {
      number: '1',
      title: 'The UE does not answer a SIP core whose MAC is wrong',
      clause: 'TS 33.203 6.1.2.3, TS 24.229 5.1.1.5.3',
      responsible: 'ue',
      guard: 10_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        const core = t.actor('sip-core');
        await core.do('deviate', { impi: impiOf(t, imsi), deviate: [WRONG_MAC] });
        const registering = await attempt(t, t.actor('ue').do('register'));
        const sent = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'REGISTER' });
        const credentials = header(t.about(sent.at(-1)!), 'Authorization');
        expect(digest(credentials, 'nonce'), 'nonce that is answered').not.to.equal('');
        expect([digest(credentials, 'response'), digest(credentials, 'auts')], 'response and auts').to.deep.equal([
          '',
          undefined,
        ]);
        t.hold('sip-core', 'TS 24.229 5.4.1.2.3');
        const { impu } = await t.actor('ue').read<{ impu: string }>('registration');
        expect(await core.read('registration', { impu }), 'at the core').to.deep.equal({ registered: false });
        const accepted = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'received', status: 200 });
        expect(accepted, 'answers 200 to a UE that refuses the network').to.deep.equal([]);
        t.hold('ue', 'TS 33.203 6.1.2.3, TS 24.229 5.1.1.5.3');
        const refusal = await refused('the registration at a false core', ended(registering));
        expect(refusal.code, 'why').to.equal('UE_NETWORK_NOT_AUTHENTICATED');
        await core.do('deviate');
      },
    },
    { ...step1(), number: '1-bis' },
  ],
};

/** What came of it, as a promise. */
const ended = (doing: Attempt<unknown>): Promise<unknown> => Promise.resolve().then(() => doing.outcome());

/** One bit of the MAC, octets 2 to 5 of a protected PDU (TS 24.301 9.1). */
const WRONG_NAS_MAC = { at: 'nas', op: 'flip', path: '4' };
/** One bit of MAC-A, the last eight octets of AUTN. */
const WRONG_MAC = { at: 'autn', op: 'flip', path: '-1' };
