import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { expectProtected, profileInUse } from './checks/cms.ts';
import { mcpttId, sharedKey } from './checks/keys.ts';
import { cmsOf, expectUnder, namesKey } from './checks/sealed.ts';
import { expectSecretFromSip, mcpttIdsOf } from './checks/secrecy.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * MIME-1 (pCR 7.x), after step 4: a MESSAGE in both directions, opened with the sender's CEK and sealed with the receiver's.
 *
 * ```
 * UE A (alice)              MCPTT server              UE B (bob)
 *  ├── MESSAGE under key A ────▶├── MESSAGE under key B ──▶│
 *  │◀── 200 ────────────────────┤◀── 200 ─────────────────┤
 *  │◀── MESSAGE under key A ────┤◀── MESSAGE under key B ──┤
 * ```
 */
export const message: Scenario = {
  id: 'message',
  title: 'MESSAGE between two authorized users, in both directions, under each one’s own CEK',
  requirements: ['MIME-1', 'S1-1', 'CONF-1', 'INT-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob', 'carol'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title:
        'Each MESSAGE goes out under its sender’s key and arrives under its receiver’s; no content key serves twice',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob', 'ue-b')];
        const ways = [
          {
            from: 'alice',
            ue: 'ue',
            to: 'bob',
            other: 'ue-b',
            sealed: a,
            opened: b,
            text: 'Where is the fire? Überall.',
          },
          { from: 'bob', ue: 'ue-b', to: 'alice', other: 'ue', sealed: b, opened: a, text: 'Second floor' },
        ];
        for (const { from, ue, to, other, sealed, opened, text } of ways) {
          await t.actor(ue).do('sendMessage', { user: from, to: mcpttId(t, to), text });
          const sip = { interface: 'SIP-1', method: 'MESSAGE' } as const;
          const sent = await t.expect('the MESSAGE sent', {
            ...sip,
            actor: ue,
            direction: 'sent',
            where: (r) => cmsOf(r) !== undefined && namesKey(r, sealed.keyId),
          });
          const arrived = await t.expect('the MESSAGE that arrived', {
            ...sip,
            actor: other,
            direction: 'received',
            where: (r) => cmsOf(r) !== undefined && namesKey(r, opened.keyId),
          });
          expectUnder(t, sent, sealed.keyId);
          expectUnder(t, arrived, opened.keyId);
          const inbox = await t
            .actor(other)
            .read<{ from: string; text: string; keyId: string }[]>('messages', { user: to });
          const { at: _at, ...shown } = { at: 0, ...inbox.at(-1)! };
          expect(shown, `what ${to} got`).to.include({ from: mcpttId(t, from), text, keyId: opened.keyId });
        }
        expectSecretFromSip(t, [
          { what: 'text of a MESSAGE', text: 'Where is the fire' },
          { what: 'text of a MESSAGE', text: 'Second floor' },
          ...mcpttIdsOf(t, ['alice', 'bob']),
        ]);
        const form = await profileInUse(t);
        const seen = new Set<string>();
        const isAtUe = (r: MessageRecord): boolean => /^ue(-b)?$/.test(r.actor) && cmsOf(r) !== undefined;
        for (const record of t.records({ interface: 'SIP-1', where: isAtUe }, 'all')) {
          t.hold(record.direction === 'sent' ? 'ue' : 'mcptt-as', 'RFC 5083 2, RFC 5084 1.5');
          const { keyId } = record.actor === 'ue' ? a : b;
          const { wrappedKey, nonce } = expectProtected(t.about(record), keyId, form);
          for (const one of [wrappedKey, nonce].filter((value) => value !== undefined)) {
            expect(seen.has(one), 'content key or nonce was used in a body before').to.equal(false);
            seen.add(one);
          }
        }
      },
    },
    {
      number: '6',
      title: 'What a body says of its sender counts for nothing: bob sees whose key it was under',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 10_000,
      run: async (t) => {
        const deviate = [{ at: 'mcptt-info', op: 'set', path: 'mcptt-calling-user-id', value: mcpttId(t, 'carol') }];
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'I am carol', deviate });
        const inbox = await t.actor('ue-b').read<{ from: string; text: string }[]>('messages', { user: 'bob' });
        expect(inbox.at(-1), 'what bob got').to.include({ from: mcpttId(t, 'alice'), text: 'I am carol' });
      },
    },
  ],
};
