import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { expectNoCek, fingerprints } from './checks/cek-leak.ts';
import { client, mcpttId, sipSession } from './checks/keys.ts';
import { nobodysMcpttId, presumePrivateCalls } from './checks/provisioned.ts';
import { refused } from './checks/refusal.ts';
import { expectSecretFromSip, mcpttIdsOf, withoutScheme } from './checks/secrecy.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const USERS = ['alice', 'bob', 'carol', 'dave'];

/**
 * CONF-1, S1-1, S1-3 (pCR 7.x): whatever users do, the SIP core sees nothing of MCPTT: in no message, under no encoding.
 *
 * ```
 * UE A, UE B                     SIP core                      MCPTT server
 *  ├── PUBLISH, MESSAGE, INVITE ───▶│ octets of every message ────▶│
 *  ├── refused ones, log-off ──────▶│ searched, decoded, searched  │
 * ```
 */
export const conf1: Scenario = {
  id: 'conf-1',
  title:
    'Authorization, messages, calls, refusals and log-off: no SIP message gives away identity, token, profile or text',
  requirements: ['CONF-1', 'S1-1', 'S1-3'],
  actors: withUes('ue', 'ue-b'),
  users: USERS,
  steps: [
    bringUp('bound', { ue: ['alice', 'dave'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'Users send, call, are refused and log off; every octet on SIP-1 and SIP-2 is searched',
      clause: 'pCR 7.x',
      responsible: 'ue',
      guard: 30_000,
      run: async (t) => {
        const [a, b] = [t.actor('ue'), t.actor('ue-b')];
        presumePrivateCalls(t, 'dave', false);
        const nobody = nobodysMcpttId(t);
        const { clientId, profile } = await client(t, 'alice');
        await a.do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: TEXT });
        await b.do('sendMessage', { user: 'bob', to: mcpttId(t, 'alice'), text: TEXT });
        const { callId } = await a.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob') });
        await a.do('reinvite', { callId });
        await a.do('hangUp', { callId });
        const wrong: JsonObject[][] = [
          [{ at: 'token', op: 'replace', path: '', value: 'other' }],
          [{ at: 'cms', op: 'flip', path: '-1' }],
          [{ at: 'cms', op: 'flip', path: 'signature' }],
          [{ at: 'cms', op: 'set', path: 'key-id', value: 'f0000000' }],
          [{ at: 'mcptt-info', op: 'set', path: 'mcptt-client-id', value: clientId.replace(/.$/, 'x') }],
        ];
        // Refused or not (a profile without signatures has none to be wrong): what is told of it is what counts here.
        for (const deviate of wrong) await attempt(t, a.do('publish', { user: 'alice', deviate }));
        const far: [string, { user: string; to: string; text?: string }][] = [
          ['call', { user: 'dave', to: mcpttId(t, 'bob') }],
          ['call', { user: 'alice', to: mcpttId(t, 'dave') }],
          ['call', { user: 'alice', to: nobody }],
          ['sendMessage', { user: 'alice', to: nobody, text: TEXT }],
          ['sendMessage', { user: 'bob', to: mcpttId(t, 'carol'), text: TEXT }],
        ];
        t.hold('mcptt-as', 'TS 24.379 11.1.1');
        for (const [verb, args] of far) {
          const ue = args.user === 'bob' ? b : a;
          await refused(`${verb} of ${args.user} to ${args.to}`, ue.do(verb, args));
        }
        const ceks = await fingerprints(t);
        await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'bob') });
        await b.do('publish', { user: 'bob' });
        await a.do('logOff', { user: 'alice' });
        const sip = t.records({ where: (r) => r.protocol === 'sip' }, 'all');
        for (const [name, count] of [
          ['SIP-1', 20],
          ['SIP-2', 20],
        ] as const)
          expect(sip.filter((r) => r.interface === name).length, `messages on ${name}`).to.be.at.least(count);
        expectSecretFromSip(t, [
          ...mcpttIdsOf(t, USERS),
          { what: 'MCPTT ID of nobody', text: withoutScheme(nobody) },
          { what: 'MCPTT client id', text: clientId },
          { what: 'text of a MESSAGE', text: TEXT },
          { what: 'MCPTT signalling', text: 'mcptt-request-uri' },
          { what: 'settings', text: 'poc-settings+xml' },
          { what: 'SDP', text: 'a=rtpmap' },
          ...['participantType', 'mcptt-user-profile'].map((text) => ({ what: 'user profile', text })),
          ...((profile?.groups ?? []) as string[]).map((text) => ({ what: 'group of the user', text })),
        ]);
        expectNoCek(t, ceks);
        expect(await sipSession(t), 'SIP session').not.to.include('alice');
        t.show('Searched', `${sip.length} SIP messages, base64, hexadecimal and percent encodings undone`);
      },
    },
  ],
};

const TEXT = 'meet at the north gate';
