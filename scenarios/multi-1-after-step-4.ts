import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { heldByUe, mcpttId, sharedKey } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { cmsOf, expectUnder, namesKey } from './checks/sealed.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/** The texts that a user has got. */
const texts = async (t: StepContext, user: string, ue = 'ue'): Promise<string[]> =>
  (await t.actor(ue).read<{ text: string }[]>('messages', { user })).map(({ text }) => text);

/**
 * MULTI-1 (pCR 7.x.1), after step 4: users behind one registration get what is theirs, under their own keys, whoever logged in
 * first and whoever has gone.
 *
 * ```
 * UE A (alice: no key yet, carol)          MCPTT server            UE B (bob)
 *  │◀── MESSAGE under carol's key ─────────────┤◀── to carol ─────────┤
 *  ├── alice: 3b, 4 ──────────────────────────▶│                      │
 *  │◀── MESSAGE, each under its receiver's ────┤◀── to alice, carol ──┤
 *  ├── alice: INVITE, re-INVITE under carol's key ─▶│ 403             │
 *  ├── carol: logs off, alice in a call ──────▶│                      │ the call goes on
 *  │◀── MESSAGE under alice's key ─────────────┤◀── to alice ─────────┤
 *  │                                           ├── to carol: 480 ────▶│
 * ```
 */
export const multi1AfterStep4: Scenario = {
  id: 'multi-1-after-step-4',
  title:
    'Users behind one registration get their own messages under their own keys, whoever comes first and whoever goes',
  requirements: ['MULTI-1', 'MIME-1', 'MIME-2'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob', 'carol'],
  steps: [
    bringUp('logged-in', { ue: ['alice'] }),
    bringUp('bound', { ue: ['carol'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'A MESSAGE to carol is opened by her key while alice has none yet; then each gets her own',
      clause: 'pCR 7.x.1',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const send = (to: string, text: string): Promise<unknown> =>
          t.actor('ue-b').do('sendMessage', { user: 'bob', to: mcpttId(t, to), text });
        await send('carol', 'first to carol');
        await t.precondition('alice gets a key', () => t.actor('ue').do('requestKey', { user: 'alice' }));
        // S1-2: that carol is authorized on the same SIP session does not authorize alice.
        t.hold('mcptt-as', 'pCR 7.x.2, note to step 1');
        const early = t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'too early' });
        await refusedBySip(t, 'a MESSAGE of alice before step 4', early, 403);
        t.hold('ue', 'pCR 7.x.1');
        await t.precondition('alice is authorized', () => t.actor('ue').do('publish', { user: 'alice' }));
        await send('alice', 'to alice');
        await send('carol', 'again to carol');
        expect(await texts(t, 'carol'), 'what carol got').to.deep.equal(['first to carol', 'again to carol']);
        expect(await texts(t, 'alice'), 'what alice got').to.deep.equal(['to alice']);
        t.hold('mcptt-as', 'pCR 7.x.1');
        const keys = { alice: (await sharedKey(t, 'alice')).keyId, carol: (await sharedKey(t, 'carol')).keyId };
        const arrived = t.records({
          interface: 'SIP-1',
          actor: 'ue',
          direction: 'received',
          method: 'MESSAGE',
          where: (r) => cmsOf(r) !== undefined,
        });
        expect(
          arrived.map((r) => namesKey(t.about(r), keys.carol)),
          'whether each MESSAGE is under carol’s key',
        ).to.deep.equal([true, false, true]);
        expectUnder(t, arrived[1]!, keys.alice);
      },
    },
    {
      number: '6',
      title: 'In alice’s call a re-INVITE under carol’s key is refused; the call goes on under alice’s',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const { callId } = await ue.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob') });
        const deviate = [
          { at: 'cms', op: 'set', path: 'key', value: 'user:carol' },
          { at: 'cms', op: 'set', path: 'signer', value: 'user:carol' },
        ];
        await refusedBySip(t, 're-INVITE of alice’s call as carol', ue.do('reinvite', { callId, deviate }), 403);
        await ue.do('reinvite', { callId });
        await ue.do('hangUp', { callId });
      },
    },
    {
      number: '7',
      title: 'Carol logs off: alice’s call and messages go on, one to carol is answered 480 and shown to nobody',
      clause: 'pCR 7.x.1, 7.x.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const { callId } = await ue.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob') });
        await ue.do('logOff', { user: 'carol' });
        t.hold('ue', 'pCR 7.x.1, 7.x.3');
        expect(await heldByUe(t, 'alice'), 'keys of alice at the UE').to.have.length(1);
        t.hold('mcptt-as', 'pCR 7.x.1, 7.x.3');
        await ue.do('reinvite', { callId });
        await ue.do('hangUp', { callId });
        const send = (to: string): Promise<unknown> =>
          t.actor('ue-b').do('sendMessage', { user: 'bob', to: mcpttId(t, to), text: 'after carol' });
        await send('alice');
        await refusedBySip(t, 'a MESSAGE to carol', send('carol'), 480);
        expect(await texts(t, 'alice'), 'what alice got').to.deep.equal(['to alice', 'after carol']);
      },
    },
  ],
};
