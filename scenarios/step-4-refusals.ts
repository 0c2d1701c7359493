import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, client, mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { HOUR } from './steps/policy.ts';

/**
 * STEP-4 (TS 24.379 7.3.3): a PUBLISH whose token or client is wrong is refused and binds nothing.
 *
 * ```
 * UE                                                      MCPTT server
 *  ├── PUBLISH {KMS token}, {no token}, {tampered}, … ─────▶│ 403 "101"
 *  ├── PUBLISH {another client id} ────────────────────────▶│ 403 "101"
 *  ├── PUBLISH, other Event; other body ───────────────────▶│ 489, 415
 *  :   an hour                                              :
 *  ├── PUBLISH {expired token} ────────────────────────────▶│ 403 "101"
 * ```
 */
export const step4Refusals: Scenario = {
  id: 'step-4-refusals',
  title: 'KMS token, other user’s, expired, tampered and missing tokens get 403 and bind nothing',
  requirements: ['STEP-4', 'S1-2'],
  actors: withUes('ue'),
  steps: [
    bringUp('keyed', { ue: ['alice', 'bob'] }),
    {
      number: '4',
      title: 'Every wrong token is answered 403, and nothing is bound',
      clause: 'TS 24.379 7.3.3',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const publish = (...deviate: JsonObject[]): Promise<unknown> =>
          t.actor('ue').do('publish', { user: 'alice', deviate });
        const token = (op: string, value = '', path = ''): JsonObject => ({ at: 'token', op, path, value });
        const jwt = (path: string, value: string): JsonObject => ({ at: 'jwt', op: 'set', path, value });
        const wrong: readonly (readonly [string, ...JsonObject[]])[] = [
          ['the KMS token', token('replace', 'other')],
          ['bob’s token', token('replace', 'user:bob')],
          ['no token', { at: 'mcptt-info', op: 'remove', path: 'mcptt-access-token' }],
          ['a tampered token', token('flip', '', '-5')],
          ['alg none', jwt('header.alg', 'none'), { at: 'jwt', op: 'remove', path: 'signature' }],
          ['another user’s claims', jwt('mcptt_id', mcpttId('bob'))],
          ['another audience', jwt('aud', 'urn:3gpp:mcptt:elsewhere')],
          ['no JWT', token('replace', 'opaque')],
          ['another client id', { at: 'mcptt-info', op: 'set', path: 'mcptt-client-id', value: OTHER_CLIENT }],
          ['no client id', { at: 'mcptt-info', op: 'remove', path: 'mcptt-client-id' }],
        ];
        for (const [what, ...deviate] of wrong)
          await refusedBySip(t, what, publish(...deviate), 403, /101 service auth/);
        await refusedBySip(t, 'no mcptt-info', publish({ at: 'inner', op: 'remove', path: 'mcptt-info' }), 400);
        await refusedBySip(
          t,
          'another Event',
          publish({ at: 'sip', op: 'set', path: 'Event', value: 'presence' }),
          489,
        );
        expect(await bindings(t), 'bindings').to.deep.equal([]);
        expect((await client(t, 'alice')).bound, 'bound at the UE').to.equal(false);
      },
    },
    {
      number: '4-bis',
      title: 'An expired token is answered 403, a fresh one is accepted',
      clause: 'TS 24.379 7.3.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await t.advance(HOUR + 10_000);
        await refusedBySip(t, 'an expired token', ue.do('publish', { user: 'alice' }), 403, /101/);
        expect(await bindings(t), 'bindings').to.deep.equal([]);
        await ue.do('logIn', { user: 'alice' });
        await ue.do('requestKey', { user: 'alice' });
        await ue.do('publish', { user: 'alice' });
        expect(
          (await bindings(t)).map((binding) => binding.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId('alice')]);
      },
    },
  ],
};

const OTHER_CLIENT = 'urn:uuid:00000000-0000-4000-8000-000000000001';
