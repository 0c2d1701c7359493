import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import {
  bindings,
  client,
  expectForgotten,
  expectKept,
  heldByUe,
  mcpttId,
  serverKeys,
  sharedKey,
  sipSession,
} from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { isEventOf, replaced } from './steps/life-2.ts';

/**
 * MULTI-1 the other way round (pCR 7.x.1, 7.x.3): one user with two clients, each on a UE of its own. A CEK is a client's, so
 * each has another one, and hears of no other.
 *
 * ```
 * UE A (alice)   UE B (alice)   UE C (bob)     MCPTT server             KMS
 *  ├── key A ───────────────────────────────────────────────────────────▶│
 *  │              ├── key B ─────────────────────────────────────────────▶│  A ≠ B, Key IDs differ
 *  │              │              ├── MESSAGE ─────▶│                      │
 *  │◀── under A ───────────────────────────────────┤                      │
 *  │              │◀── under B ────────────────────┤                      │
 *  │◀── event: cek (A′) ──────────────────────────────────────────────────┤  A rotated: B stays, UE B hears nothing
 *  ├── PUBLISH Expires 0 ──────────────────────────▶│ A′ ends, B goes on   │
 * ```
 */
export const multi1TwoClients: Scenario = {
  id: 'multi-1-two-clients',
  title: 'One user on two UEs: each client has a CEK of its own, gets messages under it, and hears of no other key',
  requirements: ['MULTI-1', 'INT-1', 'LIFE-2'],
  actors: withUes('ue', 'ue-b', 'ue-c'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in', { ue: ['alice'], 'ue-b': ['alice'] }),
    {
      number: '3b',
      title: 'Each of alice’s clients gets a key of its own: keys and Key IDs differ',
      clause: 'pCR 7.x.1',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        for (const ue of ['ue', 'ue-b']) await t.actor(ue).do('requestKey', { user: 'alice' });
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'alice', 'ue-b')];
        expect(a.keyId, 'Key IDs').not.to.equal(b.keyId);
        expect(a.cekFingerprint, 'keys').not.to.equal(b.cekFingerprint);
        t.show('Key IDs', `${a.keyId} and ${b.keyId}, both alice’s`);
      },
    },
    bringUp('bound', { 'ue-c': ['bob'] }),
    {
      number: '5',
      title: 'Each UE holds its own key only, and each client is bound to its own session',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        for (const ue of ['ue', 'ue-b']) await t.actor(ue).do('publish', { user: 'alice' });
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'alice', 'ue-b')];
        const bound = (await bindings(t)).filter((binding) => binding.mcpttId === mcpttId(t, 'alice'));
        for (const [ue, key] of [
          ['ue', a],
          ['ue-b', b],
        ] as const) {
          t.hold('ue', 'pCR 7.x.1');
          expect(await heldByUe(t, 'alice', ue), `Key IDs at ${ue}`).to.deep.equal([key.keyId]);
          t.hold('mcptt-as', 'pCR 7.x.1');
          const session = await sipSession(t, ue);
          const own = bound.filter((binding) => binding.sipSession === session).map(({ clientId }) => clientId);
          expect(own, `clients bound to the session of ${ue}`).to.deep.equal([(await client(t, 'alice', ue)).clientId]);
          const atServer = (await serverKeys(t)).find(({ keyId }) => keyId === key.keyId);
          expect(atServer?.sipSession, `session of ${key.keyId} at the server`).to.equal(session);
        }
      },
    },
    {
      number: '6',
      title: 'A message to alice reaches both clients, each under its own CEK',
      clause: 'pCR 7.x.1',
      responsible: 'mcptt-as',
      guard: 10_000,
      run: async (t) => {
        const text = 'both of you';
        await t.actor('ue-c').do('sendMessage', { user: 'bob', to: mcpttId(t, 'alice'), text });
        for (const ue of ['ue', 'ue-b']) {
          const { keyId } = await sharedKey(t, 'alice', ue);
          await t.until(`${ue} has the message`, async () => {
            const inbox = await t.actor(ue).read<{ text: string; keyId: string }[]>('messages', { user: 'alice' });
            return inbox.some((one) => one.text === text && one.keyId === keyId);
          });
        }
      },
    },
    {
      number: '7',
      title: 'The key of one client is replaced: the other’s stays, and its event stream does not tell of it',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'alice', 'ue-b')];
        await t.actor('kms').do('cekRotate', { keyId: a.keyId });
        const next = await replaced(t, a);
        expect(await sharedKey(t, 'alice', 'ue-b'), 'the key of UE B').to.deep.equal(b);
        // Events come in their order: what was to come to UE B before this one has come.
        await t.actor('kms').do('cekRotate', { keyId: b.keyId });
        const other = await t.until('UE B seals with another key', async () => {
          const { keyId, cekState } = await client(t, 'alice', 'ue-b');
          return keyId !== b.keyId && cekState === 'current' ? keyId : undefined;
        });
        for (const [ue, foreign] of [
          ['ue', other],
          ['ue-b', next.keyId],
        ] as const) {
          const heard = t.records({ interface: 'HTTP-1', actor: ue, direction: 'received', where: isEventOf(foreign) });
          expect(heard, `events at ${ue} of the other client’s ${foreign}`).to.have.length(0);
        }
      },
    },
    {
      number: '8',
      title: 'One client logs off: its key ends, the other client is served as before',
      clause: 'pCR 7.x.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'alice', 'ue-b')];
        await t.actor('ue').do('logOff', { user: 'alice' });
        await expectForgotten(t, a.keyId, { reason: /logged-off/, by: 'mcptt-as' });
        await expectKept(t, b, 'alice', 'ue-b');
        t.hold('mcptt-as', 'pCR 7.x.3');
        const session = await sipSession(t, 'ue-b');
        const left = (await bindings(t)).filter((binding) => binding.mcpttId === mcpttId(t, 'alice'));
        expect(
          left.map((binding) => binding.sipSession),
          'sessions that alice is bound to',
        ).to.deep.equal([session]);
        await t.actor('ue-b').do('publish', { user: 'alice' });
      },
    },
  ],
};
