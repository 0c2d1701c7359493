import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { client, mcpttId, sharedKey } from './checks/keys.ts';
import { presumePrivateCalls } from './checks/provisioned.ts';
import { refusedBySip } from './checks/refusal.ts';
import { cmsOf, expectUnder, namesKey } from './checks/sealed.ts';
import { expectSecretFromSip, mcpttIdsOf } from './checks/secrecy.ts';
import { bringUp, reach, withUes } from './steps/bring-up.ts';

/**
 * MIME-1 (pCR 7.x), after step 4: a private call; SDP and mcptt-info travel inside the protected bodies. No media.
 *
 * ```
 * UE A (alice)                MCPTT server                UE B (bob)
 *  ├── INVITE {offer} key A ─────▶├── INVITE {offer} key B ────▶│
 *  │◀── 200 {answer} key A ───────┤◀── 200 {answer} key B ──────┤
 *  ├── ACK ──────────────────────▶├── ACK ─────────────────────▶│
 *  ├── re-INVITE {hold} key A ───▶├── re-INVITE {hold} key B ──▶│
 *  │◀── 200 ──────────────────────┤◀── 200 ─────────────────────┤
 *  ├── BYE ──────────────────────▶├── BYE ─────────────────────▶│
 * ```
 */
export const privateCall: Scenario = {
  id: 'private-call',
  title: 'A private call between two authorized users: INVITE, 200, ACK, re-INVITE, BYE, bodies under each one’s CEK',
  requirements: ['MIME-1', 'S1-1', 'S1-2', 'CONF-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob', 'carol', 'dave'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'Call, hold, hang up, either end; every body under its UE’s own key',
      clause: 'TS 24.379 11.1.1, pCR 7.x',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob', 'ue-b')];
        const [near, far] = [t.actor('ue'), t.actor('ue-b')];
        const calls = (ue: typeof near): Promise<Call[]> => ue.read<Call[]>('calls');
        const { callId } = await near.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob') });
        const called = await t.until('the call at bob’s UE', async () => (await calls(far))[0]);
        expect(called, 'bob’s end').to.include({ peer: mcpttId(t, 'alice'), state: 'established', outgoing: false });
        expect((await calls(near))[0], 'alice’s end').to.include({ peer: mcpttId(t, 'bob'), state: 'established' });
        for (const ue of ['ue', 'ue-b'])
          await t.expect('the ACK', {
            interface: 'SIP-1',
            actor: ue,
            method: 'ACK',
            direction: ue === 'ue' ? 'sent' : 'received',
          });

        expect(await near.do('reinvite', { callId }), 'hold').to.deep.equal({
          localDirection: 'sendonly',
          remoteDirection: 'recvonly',
        });
        expect((await calls(far))[0], 'bob’s end on hold').to.include({
          remoteDirection: 'sendonly',
          localDirection: 'recvonly',
        });

        await far.do('hangUp', { callId: called.callId });
        await t.until('the call ends at alice’s UE', async () => (await calls(near)).length === 0);
        await t.until(
          'the call ends at the server',
          async () => (await t.actor('mcptt-as').read<Call[]>('calls')).length === 0,
        );

        for (const [ue, own] of [
          ['ue', a],
          ['ue-b', b],
        ] as const) {
          const sealed = t.records({ interface: 'SIP-1', actor: ue, where: (r) => cmsOf(r) !== undefined });
          expect(sealed.length, `protected bodies at ${ue}: two INVITEs and their 200s`).to.equal(4);
          for (const record of sealed) expect(namesKey(t.about(record), own.keyId), `key of ${ue}`).to.equal(true);
        }
        expectSecretFromSip(t, [
          { what: 'SDP', text: 'm=audio' },
          { what: 'MCPTT signalling', text: 'session-type' },
          ...mcpttIdsOf(t, ['alice', 'bob']),
        ]);
      },
    },
    {
      number: '5-bis',
      title:
        'Both keys change during a call: it goes on under the new ones, from either end, and the old ones seal nothing',
      clause: 'pCR 7.x.3',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const [near, far] = [t.actor('ue'), t.actor('ue-b')];
        const deviate = [{ at: 'mcptt-info', op: 'set', path: 'mcptt-calling-user-id', value: mcpttId(t, 'carol') }];
        const { callId } = await near.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob'), deviate });
        const called = await t.until('the call at bob’s UE', async () => (await far.read<Call[]>('calls'))[0]);
        expect(called.peer, 'who calls bob, by the key and not by what the body says').to.equal(mcpttId(t, 'alice'));
        const old = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob', 'ue-b')];
        for (const user of ['alice', 'bob']) await t.actor('kms').do('cekRotate', { user: mcpttId(t, user) });
        const [a, b] = await t.until('both keys have changed', async () => {
          const now = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob', 'ue-b')] as const;
          return now.every(({ keyId }) => old.every((before) => before.keyId !== keyId)) && now;
        });
        const seen = t.records().length;
        await near.do('reinvite', { callId });
        await far.do('reinvite', { callId: called.callId });
        for (const [ue, own] of [
          ['ue', a],
          ['ue-b', b],
        ] as const) {
          const sealed = t
            .records()
            .slice(seen)
            .filter((r) => r.interface === 'SIP-1' && r.actor === ue && cmsOf(r) !== undefined);
          expect(sealed.length, `protected bodies at ${ue}: two re-INVITEs and their 200s`).to.equal(4);
          for (const record of sealed) {
            t.hold(record.direction === 'sent' ? 'ue' : 'mcptt-as', 'pCR 7.x.3');
            expectUnder(t, record, own.keyId);
          }
        }
        t.hold('mcptt-as', 'pCR 7.x.3');
        await near.do('hangUp', { callId });
      },
    },
    {
      number: '5-ter',
      title: 'Bob logs off during a call: the call ends at both ends, because his service has',
      clause: 'pCR 7.x.3',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        await t.actor('ue').do('call', { user: 'alice', to: mcpttId(t, 'bob') });
        await t.actor('ue-b').do('logOff', { user: 'bob' });
        for (const actor of ['mcptt-as', 'ue', 'ue-b'])
          await t.until(
            `the call ends at ${actor}`,
            async () => (await t.actor(actor).read<Call[]>('calls')).length === 0,
          );
        await t.precondition('bob is authorized again', () => reach(t, 'bound', 'ue-b', ['bob']));
      },
    },
    {
      number: '6',
      title: 'A user whose profile allows no private calls is refused, and cannot be called',
      clause: 'TS 24.379 11.1.1.4.1',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        await reach(t, 'bound', 'ue', ['dave']);
        for (const [user, allowed] of [
          ['alice', true],
          ['dave', false],
        ] as const) {
          presumePrivateCalls(t, user, allowed);
          expect((await client(t, user)).profile?.privateCall, `private calls in the profile of ${user}`).to.equal(
            allowed,
          );
        }
        const call = t.actor('ue').do('call', { user: 'dave', to: mcpttId(t, 'bob') });
        await refusedBySip(t, 'a call by dave', call, 403, /107/);
        const back = t.actor('ue-b').do('call', { user: 'bob', to: mcpttId(t, 'dave') });
        await refusedBySip(t, 'a call to dave', back, 403);
      },
    },
  ],
};

interface Call {
  readonly callId: string;
  readonly peer: string;
  readonly state: string;
  readonly outgoing: boolean;
}
