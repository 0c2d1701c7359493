import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { client, kmsKeys, mcpttId, sharedKey } from './checks/keys.ts';
import { refusedByUe } from './checks/refusal.ts';
import { cmsOf } from './checks/sealed.ts';
import { header, startLine } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { replaced } from './steps/life-2.ts';

const required = async (t: StepContext, on: boolean): Promise<void> => {
  await t.actor('kms').do('setPolicy', { protectionRequired: on, cek: { renewAfter: 0 } });
  await t.actor('mcptt-as').do('setPolicy', { required: on });
};

/**
 * POL-1 (pCR 7.x): the provider changes its mind while users are served.
 *
 * ```
 * UE                          KMS                          MCPTT server
 *  │ alice: CEK, bound         │ policy: off                  │ policy: off
 *  │                           │ no CEK is made in its place, by operator or request
 *  ├── alice: MESSAGE under the CEK of before ··············▶│ served
 *  ├── bob: KmsRequest ───────▶│ no Cek                       │
 *  ├── bob: PUBLISH in clear ·······························▶│ served
 *  │                           │ policy: on                   │ policy: on
 *  ├── bob: KmsRequest ───────▶│ Cek                          │
 *  ├── bob: PUBLISH under it ·······························▶│ served
 *  ├── alice: update ─────────▶│ a new CEK again              │
 * ```
 */
export const pol1Switched: Scenario = {
  id: 'pol-1-switched',
  title:
    'Protection is switched off and on while users are served: off, no CEK is made; on, there is one for everybody again',
  requirements: ['POL-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound'),
    {
      number: '5',
      title: 'Switched off: no CEK is made, whoever asks; who has one uses it, who comes now is served in clear',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const before = await sharedKey(t, 'alice');
        const known = (await kmsKeys(t)).length;
        await required(t, false);
        await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'alice') });
        expect(await ue.do('askUpdate', { user: 'alice' }), 'answer to alice').to.deep.equal({ keyId: before.keyId });
        await ue.do('logIn', { user: 'bob' });
        expect(await ue.do('requestKey', { user: 'bob' }), 'answer to bob').to.deep.equal({ protection: 'off' });
        expect((await kmsKeys(t)).length - known, 'CEKs made').to.equal(0);
        t.hold('mcptt-as', 'pCR 7.x');
        await ue.do('publish', { user: 'bob' });
        await ue.do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'sealed for me, clear for you' });
        const carried = t
          .records({ interface: 'SIP-1', actor: 'ue', method: 'MESSAGE' })
          .filter((r) => startLine(r).startsWith('MESSAGE'));
        expect(
          carried.map((r) => [r.direction, cmsOf(t.about(r)) !== undefined]),
          'whether the MESSAGE of alice, and that to bob, is protected',
        ).to.deep.equal([
          ['sent', true],
          ['received', false],
        ]);
        expect((await client(t, 'bob')).keyId, 'Key ID of bob').to.equal(undefined);
        t.hold('ue', 'pCR 7.x');
        await t
          .actor('mcptt-as')
          .do('deviate', { deviate: [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }] });
        const clear = ue.do('sendMessage', { user: 'bob', to: mcpttId(t, 'alice'), text: 'in clear' });
        await refusedByUe(t, 'a MESSAGE in clear to alice, who has a CEK', 'ue', clear, 403);
        t.hold('ue', 'pCR 7.x');
        expect(await ue.read('messages', { user: 'alice' }), 'what alice was shown').to.deep.equal([]);
        await t.actor('mcptt-as').do('deviate', { deviate: [] });
      },
    },
    {
      number: '6',
      title: 'Switched on: bob gets a CEK and is authorized under it, and alice’s is renewed again',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await required(t, true);
        expect(await ue.do('requestKey', { user: 'bob' }), 'answer to bob').to.include({ protection: 'on' });
        await ue.do('publish', { user: 'bob' });
        const publish = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'PUBLISH' }).at(-1)!;
        expect(header(publish, 'Content-Type'), 'bob’s PUBLISH').to.match(/pkcs7-mime/);
        const old = await sharedKey(t, 'alice');
        await ue.do('askUpdate', { user: 'alice' });
        await replaced(t, old);
      },
    },
  ],
};
