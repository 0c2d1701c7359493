import { expect } from 'chai';
import { readNonce } from '../actors/security/aka/digest.ts';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { attempt } from './checks/attempt.ts';
import { expectAuts, expectResynchronised, impiOf } from './checks/provisioned.ts';
import { refused, refusedBySip } from './checks/refusal.ts';
import { body, digest, granted, header, optionalHeader, uri } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { deregister } from './steps/life-1.ts';
import { expectFreshChallenges, step1 } from './steps/step-1.ts';
import { expectEnclosed } from './steps/step-2.ts';

/**
 * STEP-1: whom the SIP core does not register, and how it resynchronises (TS 33.203 6.1, RFC 3310).
 *
 * ```
 * UE                                          SIP core
 *  ├── OPTIONS, not registered ─────────────────▶│ (the UE does not even send it)
 *  ├── REGISTER, response not from RES ─────────▶│ 403
 *  ├── REGISTER, one octet of it wrong ─────────▶│ 403
 *  │                                             │ SQN set back
 *  ├── REGISTER, auts with a wrong MAC-S ───────▶│ not taken up
 *  ├── REGISTER ────────────────────────────────▶│ 401, SQN not fresh
 *  ├── REGISTER, auts ──────────────────────────▶│ 401, fresh
 *  ├── REGISTER, response ──────────────────────▶│ 200
 *  ├── REGISTER, the same response once more ───▶│ 401, refused
 *  ├── REGISTER, refresh; Expires 0 ────────────▶│ 200, and the MCPTT server is told
 *  :   almost a week                            :
 *  ├── REGISTER, of its own accord ─────────────▶│ 200
 * ```
 */
export const step1Refusals: Scenario = {
  id: 'step-1-refusals',
  title: 'A wrong RES is refused; a stale SQN is answered with auts, and the registration goes on',
  requirements: ['STEP-1', 'STEP-2'],
  actors: withUes('ue'),
  users: [],
  steps: [
    bringUp('attached', { ue: [] }),
    {
      number: '1',
      title: 'A response that RES does not give is refused with 403, and there is no registration',
      clause: 'TS 33.203 6.1.2.2',
      responsible: 'sip-core',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const refusal = await refused('OPTIONS before registering', ue.do('options'));
        expect(refusal.code, 'without a registration').to.equal('UE_NOT_REGISTERED');
        const response = '0123456789abcdef0123456789abcdef';
        const wrongs: readonly (readonly [string, JsonObject])[] = [
          ['wrong RES', { op: 'set', path: 'authorization.response', value: response }],
          ['a response with its first octet wrong', { op: 'flip', path: 'authorization.response.0' }],
          ['a response with its last octet wrong', { op: 'flip', path: 'authorization.response.-1' }],
        ];
        for (const [what, wrong] of wrongs)
          await refusedBySip(t, what, ue.do('register', { deviate: [{ at: 'sip', ...wrong }] }), 403);
        expectFreshChallenges(t);
        const { impu } = await ue.read<{ impu: string }>('registration');
        expect(await t.actor('sip-core').read('registration', { impu }), 'at the core').to.deep.equal({
          registered: false,
        });
        expect(t.records({ interface: 'SIP-2', method: 'REGISTER' }), 'third-party REGISTERs').to.deep.equal([]);
      },
    },
    {
      number: '1-bis',
      title: 'The core’s SQN is set back: the UE answers with auts, the core resynchronises and registers it',
      clause: 'TS 33.203 6.1.3, RFC 3310 3.4',
      responsible: 'sip-core',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const { imsi } = await ue.read<{ imsi: string }>('attach');
        const impi = impiOf(t, imsi);
        await t.precondition('the USIM has seen a much newer SQN', async () => {
          await t.actor('sip-core').do('setSqn', { impi, sqn: '000000200000' });
          await ue.do('register');
          await ue.do('deregister');
        });
        // The same IND, an older SEQ (TS 33.102 C.1.1.1).
        const setBack = (): Promise<unknown> => t.actor('sip-core').do('setSqn', { impi, sqn: '000000000000' });
        await setBack();
        const forged = [{ at: 'sip', op: 'flip', path: 'authorization.auts.-1' }];
        const attempting = await attempt(t, ue.do('register', { deviate: forged }));
        t.hold('ue', 'TS 33.203 6.1.3, RFC 3310 3.4');
        const answers = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'REGISTER' });
        const offered = answers.map((r) => digest(header(r, 'Authorization'), 'auts') ?? '').filter((a) => a !== '');
        expect(offered, 'auts in answer to an SQN that is not fresh').not.to.have.length(0);
        t.hold('sip-core', 'TS 33.203 6.1.3, RFC 3310 3.4');
        await refused(
          'auts with a wrong MAC-S',
          Promise.resolve().then(() => attempting.outcome()),
        );
        await setBack();
        const from = t.records().length;
        const registering = await attempt(t, ue.do('register'));
        const sent = t
          .records({ interface: 'SIP-1', actor: 'ue' })
          .filter((record) => t.records().indexOf(record) >= from && record.direction === 'sent');
        t.hold('ue', 'TS 33.203 6.1.3, RFC 3310 3.4');
        const challenges = sent.slice(1).map((record) => {
          const credentials = header(t.about(record), 'Authorization');
          return { ...readNonce(digest(credentials, 'nonce')!)!, auts: digest(credentials, 'auts') ?? '' };
        });
        expect(challenges.filter(({ auts }) => auts !== '').length, 'REGISTERs with auts').to.equal(1);
        const [failed, next] = challenges;
        const auts = Buffer.from(failed!.auts, 'base64');
        if (registering.failed) expectAuts(t, impi, failed!.rand, auts);
        t.hold('sip-core', 'TS 33.203 6.1.3, RFC 3310 3.4');
        registering.outcome();
        expect(sent, 'REGISTERs: empty, auts, response').to.have.length(3);
        expectResynchronised(t, impi, { rand: failed!.rand, auts }, next!);
        expect(await ue.read('registration'), 'registration').to.include({ registered: true });
        await ue.do('deregister');
      },
    },
    step1(),
    {
      number: '1-ter',
      title: 'No response is good twice; the MCPTT server hears of refresh and de-registration; CK and IK never show',
      clause: 'TS 24.229 5.4.1.2, 5.4.1.7',
      responsible: 'sip-core',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const before = await ue.read<{ sipSession: string; impu: string }>('registration');
        const { impu, sipSession } = before;
        const atUe = { interface: 'SIP-1', actor: 'ue', method: 'REGISTER' } as const;
        const last = (): MessageRecord => t.records({ ...atUe, direction: 'sent' }, 'all').at(-1)!;
        const used = header(last(), 'Authorization');
        const replay = [{ at: 'sip', op: 'set', path: 'Authorization', value: used }];
        await refused('a response that was used before', ue.do('register', { deviate: replay }));

        const toServer = { interface: 'SIP-2', method: 'REGISTER' } as const;
        await ue.do('refresh');
        const ok = t.records({ ...atUe, direction: 'received', status: 200 }).at(-1)!;
        const cseq = header(last(), 'CSeq');
        const again = await t.expect(
          'the third-party REGISTER after the refresh',
          { ...toServer, where: (r) => body(r).includes(sipSession) && body(r).includes(cseq) },
          SOON,
        );
        expect(Number(header(again, 'Expires')), 'Expires, as granted to the UE').to.equal(granted(ok));
        expect(optionalHeader(again, PANI), PANI).to.equal(optionalHeader(last(), PANI));
        expectEnclosed(again, last());
        expect((await ue.read<{ sipSession: string }>('registration')).sipSession, 'SIP session').to.equal(sipSession);

        await deregister(t);
        const isEnd = (r: MessageRecord): boolean => uri(header(r, 'To')) === impu && header(r, 'Expires') === '0';
        await t.expect('the third-party REGISTER with Expires 0', { ...toServer, where: isEnd }, SOON);
        expect(await t.actor('sip-core').read('registration', { impu }), 'at the core').to.deep.equal({
          registered: false,
        });
        for (const record of t.records({ interface: 'SIP-1' }, 'all'))
          expect(t.about(record).redacted, 'keys on SIP-1').not.to.include('cipher-key');
      },
    },
    {
      number: '1-quater',
      title: 'A UE that is left alone refreshes its registration before it runs out',
      clause: 'TS 24.229 5.1.1.4.1',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await t.precondition('the UE is registered', () => ue.do('register'));
        const atUe = { interface: 'SIP-1', actor: 'ue', method: 'REGISTER' } as const;
        const before = t.records({ ...atUe, direction: 'received', status: 200 }).at(-1)!;
        const seconds = granted(before);
        // 600 s before the end, or at half time when there are no more than 1200 s; and a minute.
        await t.advance((Math.max(seconds - 600, seconds / 2) + 60) * 1000);
        const isAnother = (r: MessageRecord): boolean => header(r, 'CSeq') !== header(before, 'CSeq');
        const refreshed = await t.expect('the 200 to a refresh of the UE’s own', {
          ...atUe,
          direction: 'received',
          status: 200,
          where: isAnother,
        });
        expect(uri(header(refreshed, 'Contact')), 'Contact').to.equal(uri(header(before, 'Contact')));
      },
    },
  ],
};

const PANI = 'P-Access-Network-Info';
const SOON = { withinMs: 5_000 };
