import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { attempt } from './checks/attempt.ts';
import { mcpttId, sharedKey } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { cmsOf, expectUnder, namesKey } from './checks/sealed.ts';
import { anyMcpttId, expectSecret, readable } from './checks/secrecy.ts';
import { header } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const TEXT = 'seen by whoever carries it';
const IN_CLEAR = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];
const UES = ['ue', 'ue-b'] as const;
const INVITE = { interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'INVITE' } as const;

/** Requests of the method on SIP-1 in this step, and their 200s, as far as they carry a body. */
const bodies = (t: StepContext, ue: string, method: string): MessageRecord[] => {
  const sip = { interface: 'SIP-1', actor: ue, method } as const;
  const all = [...t.records(sip), ...t.records({ ...sip, status: 200 })];
  return [...new Set(all)].filter((r) => Number(header(r, 'Content-Length')) > 0);
};

/**
 * POL-1 (pCR 7.x): the provider requires protection for some services and not for others.
 *
 * ```
 * UE A                     SIP core                 MCPTT server                UE B
 *  │ CEK                     │                        │ policy: messaging off     │ CEK
 *  ├── MESSAGE in clear ────▶│ reads it ─────────────▶├── MESSAGE in clear ──────▶│
 *  ├── INVITE under CEK A ──▶│ reads nothing ────────▶├── INVITE under CEK B ────▶│
 *  ├── INVITE, PUBLISH in clear ─────────────────────▶│ 403, Warning              │
 * ```
 */
export const pol1PerService: Scenario = {
  id: 'pol-1-per-service',
  title:
    'Protection is required for private calls and service authorization and not for messaging: each goes as policy says',
  requirements: ['POL-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'Messaging is not protected: a MESSAGE travels in clear both ways, and the SIP core can read it',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        await t.precondition('policy can be set', async () => {
          await t.actor('mcptt-as').do('setPolicy', { services: { messaging: false } });
          for (const ue of UES) await t.actor(ue).do('setProtection', { services: { messaging: false } });
        });
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: TEXT });
        const inbox = await t.actor('ue-b').read<{ text: string; keyId?: string }[]>('messages', { user: 'bob' });
        expect(
          inbox.map(({ text, keyId }) => [text, keyId]),
          'what bob was shown, and under which key',
        ).to.deep.equal([[TEXT, undefined]]);
        const secrets = [
          { what: 'text', text: TEXT },
          { what: 'MCPTT ID of alice', text: mcpttId(t, 'alice') },
          { what: 'MCPTT ID of bob', text: mcpttId(t, 'bob') },
        ];
        for (const ue of UES) {
          const [carried, ...more] = bodies(t, ue, 'MESSAGE');
          t.hold(ue === 'ue' ? 'ue' : 'mcptt-as', 'pCR 7.x');
          expect(more, 'further bodies').to.deep.equal([]);
          const read = readable(t.about(carried!), secrets);
          expect(read, `what the SIP core could read at ${ue}`).to.have.members(secrets.map(({ what }) => what));
          t.show(`Read by the SIP core at ${ue}`, read.join(', '));
        }
      },
    },
    {
      number: '6',
      title: 'Private calls and service authorization are protected as ever, and refused in clear',
      clause: 'pCR 7.x',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const keys = { ue: await sharedKey(t, 'alice'), 'ue-b': await sharedKey(t, 'bob', 'ue-b') };
        const [ue, to] = [t.actor('ue'), mcpttId(t, 'bob')];
        const calling = await attempt(t, ue.do<{ callId: string }>('call', { user: 'alice', to }));
        t.hold('ue', 'pCR 7.x');
        expectUnder(t, await calling.seen('the INVITE', INVITE), keys.ue.keyId);
        t.hold('mcptt-as', 'pCR 7.x');
        const { callId } = calling.outcome();
        await ue.do('hangUp', { callId });
        await ue.do('publish', { user: 'alice' });
        const carried = [
          ...bodies(t, 'ue', 'INVITE').map((r) => [r, keys.ue] as const),
          ...bodies(t, 'ue', 'PUBLISH').map((r) => [r, keys.ue] as const),
          ...bodies(t, 'ue-b', 'INVITE').map((r) => [r, keys['ue-b']] as const),
        ];
        expect(carried.length, 'bodies of two INVITEs, a PUBLISH and their 200s').to.equal(6);
        for (const [record, { keyId }] of carried) {
          t.hold(record.direction === 'sent' ? 'ue' : 'mcptt-as', 'pCR 7.x');
          expect(cmsOf(t.about(record)), 'a protected body').to.be.instanceOf(Uint8Array);
          expect(namesKey(record, keyId), 'under the CEK of its user').to.equal(true);
          expectSecret([record], anyMcpttId(t));
        }
        t.hold('mcptt-as', 'pCR 7.x');
        const args = { user: 'alice', deviate: IN_CLEAR };
        await refusedBySip(t, 'INVITE in clear', ue.do('call', { ...args, to }), 403, /protection is required/);
        await refusedBySip(t, 'PUBLISH in clear', ue.do('publish', args), 403, /protection is required/);
      },
    },
  ],
};
