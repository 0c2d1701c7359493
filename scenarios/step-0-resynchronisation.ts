import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { summary } from '../sim/trace/describe.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { attempt } from './checks/attempt.ts';
import { auts, challenge } from './checks/nas.ts';
import { expectAuts, expectResynchronised } from './checks/provisioned.ts';
import { withUes } from './steps/bring-up.ts';
import { step0 } from './steps/step-0.ts';

/** With OLDER_SQN after it, the next challenge has the same IND and an older SEQ (TS 33.102 C.1.1.1). */
const NEWER_SQN = '000000100000';
const OLDER_SQN = '000000000000';

/**
 * STEP-0: the network's SQN is stale (TS 33.102 6.3.5, TS 24.301 5.4.2.6 case e).
 *
 * ```
 * UE                                      access network, SQN set back
 *  ├── Attach request ─────────────────────────▶│
 *  │◀── Authentication request ─────────────────┤ SQN not fresh
 *  ├── Authentication failure #21, AUTS ───────▶│ takes over SQN_MS
 *  │◀── Authentication request ─────────────────┤ and so on, as in step 0
 *  │◀── Detach, Attach again ···················│ K_ASME on both sides is equal again, and another
 * ```
 */
export const step0Resynchronisation: Scenario = {
  id: 'step-0-resynchronisation',
  title: 'A stale SQN is answered with AUTS; the network resynchronises and the attach goes on',
  requirements: ['STEP-0'],
  actors: withUes('ue'),
  users: [],
  steps: [
    step0(),
    {
      number: '0-bis',
      title: 'The UE has seen a much newer SQN',
      clause: 'TS 33.102 C.2',
      responsible: 'access-network',
      guard: 10_000,
      run: async (t) => {
        const { imsi } = await t.actor('ue').read<{ imsi: string }>('attach');
        await t.precondition('the network counts on from there', async () => {
          await t.actor('ue').do('detach');
          await t.actor('access-network').do('resetSqn', { imsi, sqn: NEWER_SQN });
          await t.actor('ue').do('attach');
        });
      },
    },
    {
      number: '0-ter',
      title: 'The network’s SQN is set back: the UE answers with AUTS, and both agree on K_ASME again',
      clause: 'TS 33.102 6.3.5',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const before = await ue.read<{ imsi: string; kasmeFingerprint: string }>('attach');
        await ue.do('detach');
        await t.actor('access-network').do('resetSqn', { imsi: before.imsi, sqn: OLDER_SQN });
        const attaching = await attempt(t, ue.do('attach'));
        const nas = t.records({ interface: 'LTE', actor: 'ue' });
        const seen = nas.map((record) => summary(t.about(record)));
        expect(seen, 'messages').to.include('Authentication failure (synch failure)');
        const named = (name: string): MessageRecord[] => nas.filter((record) => summary(record) === name);
        const failure = named('Authentication failure (synch failure)')[0]!;
        const challenges = named('Authentication request').map((record) => challenge(t.about(record)));
        if (attaching.failed) expectAuts(t, before.imsi, challenges[0]!.rand, auts(t.about(failure)));
        t.hold('access-network', 'TS 33.102 6.3.5');
        expect(
          seen.slice(seen.indexOf('Authentication failure (synch failure)')).slice(0, 2),
          'what the network answers to AUTS',
        ).to.include('Authentication request');
        expect(
          seen.filter((name) => name === 'Authentication request'),
          'challenges',
        ).to.have.length(2);
        const [first, second] = challenges;
        expectResynchronised(t, before.imsi, { rand: first!.rand, auts: auts(failure) }, second!);
        t.hold('ue', 'TS 33.102 6.3.5');
        attaching.outcome();
        const after = await ue.read<{ attached: boolean; kasmeFingerprint: string }>('attach');
        const network = await t.until('the network has the Attach complete', async () => {
          const { imsi } = before;
          const seen = await t.actor('access-network').read<{ kasmeFingerprint?: string }>('attached', { imsi });
          return seen.kasmeFingerprint;
        });
        expect(after.attached, 'attached').to.equal(true);
        expect(after.kasmeFingerprint, 'K_ASME of both sides').to.equal(network);
        expect(after.kasmeFingerprint, 'K_ASME is another one').not.to.equal(before.kasmeFingerprint);
      },
    },
  ],
};
