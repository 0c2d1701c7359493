import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, expectRetired, mcpttId, sharedKey } from './checks/keys.ts';
import { refusedBySip, refusedByUe } from './checks/refusal.ts';
import { cmsOf, namesKey } from './checks/sealed.ts';
import { anyMcpttId, expectSecretFromSip } from './checks/secrecy.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * MIME-2 (pCR 7.x): the Key ID tells the receiver which CEK; each way in which it can be wrong has an answer of its own.
 *
 * ```
 * UE                                             MCPTT server
 *  ├── PUBLISH, Key ID never issued ────────────────▶│ 493 unknown
 *  ├── PUBLISH, Key ID of bob on another UE ────────▶│ 493 of another user
 *  ├── PUBLISH, Key ID of bob on this UE ───────────▶│ 493 cannot be opened (another key)
 *  ├── PUBLISH, no CMS, so no Key ID ───────────────▶│ 493 Key ID none
 *  ├── PUBLISH, Key ID ended ───────────────────────▶│ 493 retired
 *  │◀── MESSAGE, Key ID never issued, or bob’s ───────┤
 *  ├── 493 ──────────────────────────────────────────▶│
 * ```
 */
export const mime2: Scenario = {
  id: 'mime-2',
  title: 'Unknown, missing, other user’s and retired Key IDs are refused apart',
  requirements: ['MIME-2', 'INT-1', 'MULTI-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob', 'carol'],
  steps: [
    bringUp('keyed', { ue: ['alice', 'bob'], 'ue-b': ['carol'] }),
    {
      number: '4',
      title: 'Each wrong Key ID gets its own 493, and nothing is bound',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const publish = (...deviate: JsonObject[]): Promise<unknown> =>
          t.actor('ue').do('publish', { user: 'alice', deviate });
        const keyId = (value: string): JsonObject => ({ at: 'cms', op: 'set', path: 'key-id', value });
        const bob = await sharedKey(t, 'bob');
        const carol = await sharedKey(t, 'carol', 'ue-b');
        await refusedBySip(t, 'a Key ID never issued', publish(keyId('f0000000')), 493, /f0000000: unknown/);
        await refusedBySip(t, 'carol’s, of another UE', publish(keyId(carol.keyId)), 493, /of another user/);
        await refusedBySip(t, 'bob’s, of this UE', publish(keyId(bob.keyId)), 493, /cannot be opened/);
        const noCms = Buffer.from('no CMS at all').toString('base64');
        const none = publish({ at: 'cms', op: 'replace', path: '', value: noCms });
        await refusedBySip(t, 'no Key ID', none, 493, /Key ID none/);
        expect(await bindings(t), 'bindings').to.deep.equal([]);
        expectSecretFromSip(t, anyMcpttId(t));
      },
    },
    {
      number: '5',
      title: 'The Key ID of a CEK that was ended is refused as retired',
      clause: 'pCR 7.x.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const old = await sharedKey(t, 'alice');
        await t.actor('kms').do('cekRevoke', { user: mcpttId(t, 'alice'), deny: false });
        await t.until(
          'the key ends at the UE',
          async () => (await t.actor('ue').read<{ keyId?: string }>('client', { user: 'alice' })).keyId !== old.keyId,
        );
        const given = await t.precondition('alice gets another key', () =>
          t.actor('ue').do<{ keyId: string }>('requestKey', { user: 'alice' }),
        );
        t.hold('kms', 'pCR 7.x.2');
        expect(given.keyId, 'Key ID, against that of the CEK that has ended').not.to.equal(old.keyId);
        t.hold('mcptt-as', 'pCR 7.x.3');
        await expectRetired(t, old.keyId);
        expectSecretFromSip(t, anyMcpttId(t));
      },
    },
    {
      number: '6',
      title:
        'The UE opens by the Key ID too: a MESSAGE that names none of its keys, or bob’s, is answered 493 and not shown',
      clause: 'pCR 7.x',
      responsible: 'ue',
      guard: 20_000,
      run: async (t) => {
        await t.precondition('alice and carol are authorized', async () => {
          await t.actor('ue').do('publish', { user: 'alice' });
          await t.actor('ue-b').do('publish', { user: 'carol' });
        });
        const text = 'as it should be';
        const send = (): Promise<unknown> =>
          t.actor('ue-b').do('sendMessage', { user: 'carol', to: mcpttId(t, 'alice'), text });
        await send();
        const { keyId } = await sharedKey(t, 'alice');
        const arrived = t
          .records({ interface: 'SIP-1', actor: 'ue', direction: 'received', where: (r) => namesKey(r, keyId) })
          .at(-1)!;
        // The same text again makes a body of the same length, so its KEKIdentifier is in the same place.
        const place = cmsOf(t.about(arrived))!.indexOf(Buffer.from(keyId, 'hex'));
        for (const [what, other] of [
          ['a Key ID never issued', 'f0000000'],
          ['bob’s Key ID', (await sharedKey(t, 'bob')).keyId],
        ] as const) {
          const octets = [...Buffer.from(other, 'hex')];
          const deviate = octets.map((octet, i) => ({
            at: 'cms',
            op: 'set',
            path: String(place + i),
            value: String(octet),
          }));
          await t.actor('mcptt-as').do('deviate', { deviate });
          await refusedByUe(t, `a MESSAGE under ${what}`, 'ue', send(), 493);
        }
        await t.actor('mcptt-as').do('deviate', { deviate: [] });
        t.hold('ue', 'pCR 7.x');
        const inbox = await t.actor('ue').read<{ text: string }[]>('messages', { user: 'alice' });
        expect(
          inbox.map((one) => one.text),
          'what alice was shown',
        ).to.deep.equal([text]);
      },
    },
  ],
};
