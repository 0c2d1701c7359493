import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { client, kmsKeys, mcpttId, sharedKey } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const REKEYS = 20;
/** Messages of each of the two users in a second; the server sends as many to each. */
const RATE = 25;
/** One second's worth. */
const MOST_OPEN = 50;
const BETWEEN_REKEYS = 250;

/**
 * LIFE-2 (pCR 7.x.3), in real seconds: traffic goes on over twenty rekeys of each user, and no message is lost.
 *
 * ```
 * UE A                        MCPTT server                   UE B                  KMS
 *  ├── 25 MESSAGE/s key A ──────▶├── 25 MESSAGE/s key B ────────▶│                    │
 *  │◀── 25 MESSAGE/s key A ──────┤◀── 25 MESSAGE/s key B ────────┤                    │
 *  │                             │◀── push: key A2, key B2 ──────────────────────────┤ twenty times
 *  │◀── event: key A2 ─────────────────────────────────────────────────────────────────┤
 * ```
 * Each MESSAGE goes to the server and on to the other UE: 50 a second in each direction of SIP-1 and SIP-2.
 */
export const life2Traffic: Scenario = {
  id: 'life-2-traffic',
  title: 'Fifty messages a second in each direction lose none over twenty rekeys, in real time',
  requirements: ['LIFE-2', 'INT-2', 'MIME-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'Twenty times both CEKs change while messages flow both ways; every message arrives once',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      // Twenty rekeys take eight seconds; a machine that is loaded many times over may take minutes.
      guard: 300_000,
      run: async (t) => {
        const before = (await kmsKeys(t)).length;
        const rekeying = new AbortController();
        const flows = [
          flow(t, 'ue', 'alice', 'bob', rekeying.signal),
          flow(t, 'ue-b', 'bob', 'alice', rekeying.signal),
        ];
        // Looked at in the end; when a rekey fails before, that is the failure to tell.
        for (const one of flows) one.catch(() => undefined);
        const began = performance.now();
        try {
          for (let rekey = 1; rekey <= REKEYS; rekey++) {
            await pause(BETWEEN_REKEYS);
            await Promise.all(USERS.map(([user, ue]) => rekeyed(t, user, ue, rekey)));
          }
        } finally {
          rekeying.abort();
        }
        const sent = await Promise.all(flows);
        for (const [user, ue] of USERS) await sharedKey(t, user, ue);
        const seconds = (performance.now() - began) / 1000;
        for (const [index, [user, ue]] of (
          [
            ['bob', 'ue-b'],
            ['alice', 'ue'],
          ] as const
        ).entries()) {
          const inbox = await t.actor(ue).read<{ text: string }[]>('messages', { user });
          const texts = inbox.map(({ text }) => text);
          expect(texts.length, `messages that ${user} got`).to.equal(sent[index]);
          expect(new Set(texts).size, `different messages that ${user} got`).to.equal(sent[index]);
        }
        expect((await kmsKeys(t)).length - before, 'CEKs issued').to.equal(2 * REKEYS);
        const total = sent[0]! + sent[1]!;
        t.show(
          'Carried',
          `${total} messages in ${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)}/s in each direction, none lost`,
        );
        t.show('Rekeys', `${REKEYS} of each user`);
      },
    },
  ],
};

/** Longest that one rekey may take on such a machine, milliseconds. */
const REKEY_MS = 60_000;

const USERS = [
  ['alice', 'ue'],
  ['bob', 'ue-b'],
] as const;

/** Has the KMS replace a user's key, and waits until the UE uses the new one. */
async function rekeyed(t: StepContext, user: string, ue: string, rekey: number): Promise<void> {
  const { keyId } = await client(t, user, ue);
  await t.actor('kms').do('cekRotate', { keyId: keyId! });
  const changed = async (): Promise<boolean> => {
    const now = await client(t, user, ue);
    return now.keyId !== keyId && now.cekState === 'current';
  };
  await t.until(`rekey ${rekey} of ${user}`, changed, REKEY_MS);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Sends at {@link RATE} until the signal, each message on time whether or not the ones before are answered, so long as no more
 * than {@link MOST_OPEN} are: a machine that cannot keep up slows the flow, and the rate that is shown. @returns how many were
 * sent, all answered 200
 */
async function flow(t: StepContext, ue: string, from: string, to: string, signal: AbortSignal): Promise<number> {
  const answers: Promise<{ status: number }>[] = [];
  const began = performance.now();
  let open = 0;
  while (!signal.aborted) {
    if (open >= MOST_OPEN) {
      await pause(1000 / RATE);
      continue;
    }
    const text = `${from} ${answers.length}`;
    const answer = t.actor(ue).do<{ status: number }>('sendMessage', { user: from, to: mcpttId(t, to), text });
    // Looked at below; a refusal before that must not count as unhandled.
    open++;
    const closed = (): void => {
      open--;
    };
    answer.then(closed, closed);
    answers.push(answer);
    await pause(Math.max(0, began + (answers.length * 1000) / RATE - performance.now()));
  }
  for (const { status } of await Promise.all(answers)) expect(status, `answer to a MESSAGE of ${from}`).to.equal(200);
  return answers.length;
}
