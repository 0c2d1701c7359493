import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { cameOn } from './checks/exchange.ts';
import {
  bindings,
  client,
  expectForgotten,
  expectKept,
  expectRetired,
  kmsKeys,
  mcpttId,
  sharedKey,
  sipSession,
} from './checks/keys.ts';
import { expectUnder } from './checks/sealed.ts';
import { startLine } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { isEventOf, replaced } from './steps/life-2.ts';

/**
 * MULTI-1 (pCR 7.x.1): two users one after the other behind one registration; each has keys of its own, and one who logs off
 * leaves the other's alone.
 *
 * ```
 * UE (one SIP session)              MCPTT server             KMS
 *  ├── alice: log in, key A ───────────────────────────────▶│
 *  ├── bob:   log in, key B ───────────────────────────────▶│  A ≠ B, Key IDs differ
 *  ├── PUBLISH under A ────────────────▶│ binds alice       │
 *  ├── PUBLISH under B ────────────────▶│ binds bob         │
 *  ├── alice: PUBLISH Expires 0 ───────▶│ A ends, B goes on │
 * ```
 */
export const multi1InTurn: Scenario = {
  id: 'multi-1-in-turn',
  title: 'Two users log in one after the other on one SIP session; each has another CEK and Key ID',
  requirements: ['MULTI-1', 'INT-1', 'CEK-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in', { ue: ['alice', 'bob'] }),
    {
      number: '3b',
      title: 'Each user gets a key of their own: keys and Key IDs differ',
      clause: 'pCR 7.x.1',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        for (const user of ['alice', 'bob']) await t.actor('ue').do('requestKey', { user });
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob')];
        expect(a.keyId, 'Key IDs').not.to.equal(b.keyId);
        expect(a.cekFingerprint, 'keys').not.to.equal(b.cekFingerprint);
        t.show('Key IDs', `${a.keyId} for alice, ${b.keyId} for bob, one SIP session`);
      },
    },
    {
      number: '4',
      title: 'Each PUBLISH binds its own user to the one SIP session',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        for (const user of ['alice', 'bob']) {
          const { keyId } = await sharedKey(t, user);
          const publishing = await attempt(t, t.actor('ue').do('publish', { user }));
          t.hold('ue', 'pCR 7.x.1');
          const sip = { interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'PUBLISH' } as const;
          await publishing.seen('the PUBLISH', sip);
          expectUnder(t, t.records(sip).at(-1)!, keyId);
          t.hold('mcptt-as', 'pCR 7.x.1');
          publishing.outcome();
        }
        const session = await sipSession(t);
        const bound = (await bindings(t)).filter((binding) => binding.sipSession === session);
        for (const user of ['alice', 'bob']) {
          const { clientId, profile } = await client(t, user);
          const own = bound.filter((binding) => binding.mcpttId === mcpttId(t, user));
          expect(own, `bindings of ${user}`).to.have.length(1);
          expect(own[0]!.clientId, `client id bound to ${user}`).to.equal(clientId);
          expect(profile?.mcpttId, 'whose profile').to.equal(mcpttId(t, user));
        }
      },
    },
    {
      number: '5-bis',
      title: 'Alice’s key is replaced; bob’s stays',
      clause: 'pCR 7.x.1, 7.x.3',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob')];
        await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'alice') });
        const now = await replaced(t, a);
        expect(await sharedKey(t, 'bob'), 'bob’s key').to.deep.equal(b);
        const atUe = { interface: 'HTTP-1', actor: 'ue' } as const;
        const { clientId } = await client(t, 'bob');
        const ofBob = t
          .records({ ...atUe, direction: 'sent', method: 'GET' }, 'all')
          .filter((r) => decodeURIComponent(startLine(r)).includes(`client=${clientId}`));
        for (const event of t.records({ ...atUe, direction: 'received', where: isEventOf(now.keyId) }))
          expect(
            ofBob.some((stream) => cameOn(t.about(event), stream)),
            'bob’s event stream tells of alice’s key',
          ).to.equal(false);
        const kept = (await kmsKeys(t)).filter(({ user, state }) => user === mcpttId(t, 'bob') && state !== 'ended');
        expect(
          kept.map(({ keyId }) => keyId),
          'bob’s keys at the KMS',
        ).to.deep.equal([b.keyId]);
      },
    },
    {
      number: '6',
      title: 'Alice logs off: her key ends everywhere, bob’s key and binding stay',
      clause: 'pCR 7.x.1, 7.x.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob')];
        await t.actor('ue').do('logOff', { user: 'alice' });
        await expectForgotten(t, a.keyId, { reason: /logged-off/, by: 'mcptt-as' });
        await expectKept(t, b, 'bob');
        t.hold('mcptt-as', 'pCR 7.x.1, 7.x.3');
        expect(
          (await bindings(t)).map((binding) => binding.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId(t, 'bob')]);
        await t.actor('ue').do('publish', { user: 'bob' });
        await expectRetired(t, a.keyId, 'bob');
      },
    },
  ],
};
