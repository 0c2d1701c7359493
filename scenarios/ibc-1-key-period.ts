import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId, sharedKey } from './checks/keys.ts';
import { refused, refusedBySip } from './checks/refusal.ts';
import { CHOICES } from './choices.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { DAY, LONG_LIVED } from './steps/policy.ts';

/** Two key periods and a day (KmsCertificate: UserKeyPeriod, 30 days). */
const DAYS = 61;

/**
 * IBC-1 (Figure 7.x.2-2, TS 33.180 F.2.1): a signature with key material of a key period that is over is refused.
 *
 * ```
 * UE                                              MCPTT server
 *  ├── steps 0 to 4, key period n ─────────────────────▶│
 *  :   61 days, the registration refreshed in time       :
 *  ├── PUBLISH signed with key material of period n ───▶│ 403 signed in another key period
 * ```
 */
export const ibc1KeyPeriod: Scenario = {
  id: 'ibc-1-key-period',
  title: 'A body that is signed with key material of a past key period is refused',
  requirements: ['IBC-1'],
  actors: withUes('ue'),
  users: ['alice'],
  choices: [CHOICES.ibc],
  steps: [
    ...LONG_LIVED,
    bringUp('bound'),
    {
      number: '5',
      title: 'Two key periods later, a signature of the old one is refused and the binding is as it was',
      clause: 'Figure 7.x.2-2, TS 33.180 F.2.1',
      responsible: 'mcptt-as',
      guard: 30_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const { keyId } = await sharedKey(t, 'alice');
        const { impu } = await ue.read<{ impu: string }>('registration');
        await t.precondition('the registration lives on', async () => {
          for (let day = 0; day < DAYS; day += 6) {
            await t.advance(6 * DAY);
            await ue.do('refresh');
            // Comes back when the MCPTT server has been told of the refresh.
            await t.actor('sip-core').read('thirdParty', { impu });
          }
        });
        expect((await sharedKey(t, 'alice')).keyId, 'CEK, which policy lets live as long').to.equal(keyId);
        const before = await bindings(t);
        expect(
          before.map((binding) => binding.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId(t, 'alice')]);
        const deviate = [{ at: 'cms', op: 'set', path: 'key-period', value: 'oldest' }];
        const publish = ue.do('publish', { user: 'alice', deviate });
        await refusedBySip(t, 'signed in a past key period', publish, 403);
        expect(await bindings(t), 'bindings').to.deep.equal(before);
      },
    },
    {
      number: '6',
      title: 'The server’s own signature of the old key period is refused by the UE, that of the present one is taken',
      clause: 'Figure 7.x.2-2, TS 33.180 F.2.1',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const deviate = [{ at: 'cms', op: 'set', path: 'key-period', value: 'oldest' }];
        await t.actor('mcptt-as').do('deviate', { deviate });
        await t.precondition('alice has tokens and key material of the present', async () => {
          await t.actor('ue').do('logIn', { user: 'alice' });
          await t.actor('ue').do('requestKey', { user: 'alice' });
        });
        const refusal = await refused(
          'a profile signed in a past key period',
          t.actor('ue').do('publish', { user: 'alice' }),
        );
        expect(refusal.detail.code, 'why the UE refuses it').to.equal('SMIME_OTHER_KEY_PERIOD');
        await t.actor('mcptt-as').do('deviate', { deviate: [] });
        await t.actor('ue').do('publish', { user: 'alice' });
      },
    },
  ],
};
