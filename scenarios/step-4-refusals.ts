import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { bindings, client, mcpttId } from './checks/keys.ts';
import { refused, refusedBySip } from './checks/refusal.ts';
import { header, headers, startLine, uris } from './checks/sip.ts';
import { eachRefused } from './checks/wrong-tokens.ts';
import { bringUp, register, withUes } from './steps/bring-up.ts';
import { tokenLifetime } from './steps/policy.ts';

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
 *  ├── PUBLISH, SIP-If-Match {own MCPTT ID, no token} ─────▶│ 200, another SIP-ETag
 *  ├── PUBLISH, SIP-If-Match {bob’s MCPTT ID}; bob’s tag ──▶│ 403 or 412
 *  ├── PUBLISH {token of the IdM’s, wrong in one thing} ────▶│ 403 "101"
 * ```
 */
export const step4Refusals: Scenario = {
  id: 'step-4-refusals',
  title: 'KMS token, other user’s, expired, tampered and missing tokens get 403 and bind nothing',
  requirements: ['STEP-4', 'S1-2'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
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
          ['another user’s claims', jwt('mcptt_id', mcpttId(t, 'bob'))],
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
        await t.advance(tokenLifetime(t) + 10_000);
        await refusedBySip(t, 'an expired token', ue.do('publish', { user: 'alice' }), 403, /101/);
        expect(await bindings(t), 'bindings').to.deep.equal([]);
        await ue.do('logIn', { user: 'alice' });
        await ue.do('requestKey', { user: 'alice' });
        await ue.do('publish', { user: 'alice' });
        expect(
          (await bindings(t)).map((binding) => binding.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId(t, 'alice')]);
      },
    },
    {
      number: '4-ter',
      title:
        'Settings are refreshed without a token, by their own user and entity-tag only; nobody is bound anew by it',
      clause: 'TS 24.379 7.3.4, RFC 3903 6',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const publish = (user: string, deviate: JsonObject[] = []): Promise<{ etag: string }> =>
          ue.do<{ etag: string }>('publish', { user, deviate });
        await t.precondition('bob is logged in, with a key', async () => {
          await ue.do('logIn', { user: 'bob' });
          await ue.do('requestKey', { user: 'bob' });
        });
        const bob = await publish('bob');
        const before = await publish('alice');
        const bound = await bindings(t);
        const naming = (user: string): JsonObject[] => [
          { at: 'mcptt-info', op: 'remove', path: 'mcptt-access-token' },
          { at: 'mcptt-info', op: 'set', path: 'mcptt-request-uri', value: mcpttId(t, user) },
        ];
        const tagged = (value: string): JsonObject => ({ at: 'sip', op: 'set', path: 'SIP-If-Match', value });
        const refreshing = await attempt(t, publish('alice', naming('alice')));
        t.hold('ue', 'RFC 3903 4.1');
        const sip = { interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'PUBLISH' } as const;
        expect(header(t.about(t.records(sip).at(-1)!), 'SIP-If-Match'), 'SIP-If-Match of a refresh').to.equal(
          before.etag,
        );
        t.hold('mcptt-as', 'TS 24.379 7.3.4, RFC 3903 6');
        const after = refreshing.outcome();
        expect(after.etag, 'SIP-ETag after a refresh').not.to.equal(before.etag);
        const wrong: readonly (readonly [string, readonly number[], ...JsonObject[]])[] = [
          ['a refresh that names bob', [403], ...naming('bob')],
          ['a refresh without any user', [403], { at: 'mcptt-info', op: 'remove', path: 'mcptt-access-token' }],
          ['bob’s entity-tag with alice’s token', [403, 412], tagged(bob.etag)],
          ['bob’s entity-tag, naming bob', [403, 412], ...naming('bob'), tagged(bob.etag)],
          ['the entity-tag before the refresh', [412], ...naming('alice'), tagged(before.etag)],
        ];
        for (const [what, statuses, ...deviate] of wrong) {
          const { detail } = await refused(what, publish('alice', deviate));
          expect(statuses, `status of the answer to ${what}`).to.include(detail.status);
        }
        expect(await bindings(t), 'bindings, as before').to.have.deep.members(bound);
      },
    },
    {
      number: '4-quater',
      title: 'Whatever the UE says of itself, the core asserts the identity that is registered',
      clause: 'TS 24.229 5.2.6.3.3',
      responsible: 'sip-core',
      guard: 10_000,
      run: async (t) => {
        const impuOf = async (ue: string): Promise<string> =>
          (await t.actor(ue).read<{ impu: string }>('registration')).impu;
        const impu = await impuOf('ue');
        await t.precondition('another UE is registered', async () => {
          await t.actor('ue-b').do('attach');
          await register(t, 'ue-b');
        });
        for (const other of [impu.replace(/^sip:[^@]*/, 'sip:somebody-else'), await impuOf('ue-b')])
          for (const path of ['P-Preferred-Identity', 'P-Asserted-Identity']) {
            const from = t.records().length;
            const deviate = [{ at: 'sip', op: 'set', path, value: `<${other}>` }];
            const publishing = await attempt(t, t.actor('ue').do('publish', { user: 'alice', deviate }));
            const passed = t
              .records()
              .slice(from)
              .filter((r) => r.interface === 'SIP-2' && startLine(r).startsWith('PUBLISH '));
            if (!publishing.failed) expect(passed, `PUBLISH with ${path} at the MCPTT server`).not.to.have.length(0);
            for (const record of passed) {
              expect(uris(t.about(record), 'P-Asserted-Identity'), `asserted, with ${path}`)
                .to.include(impu)
                .and.not.include(other);
              expect(headers(record, 'P-Preferred-Identity'), 'P-Preferred-Identity at the server').to.deep.equal([]);
            }
          }
      },
    },
    {
      number: '4-quinquies',
      title: 'A token that the IdM has signed, but not for this, now, or in this form, is answered 403',
      clause: 'TS 24.379 7.3.3, RFC 9068 4',
      responsible: 'mcptt-as',
      guard: 30_000,
      run: async (t) => {
        const ue = t.actor('ue');
        await t.precondition('alice has a key, and is not bound', async () => {
          await ue.do('logOff', { user: 'alice' });
          await ue.do('logIn', { user: 'alice' });
          await ue.do('requestKey', { user: 'alice' });
        });
        const bound = await bindings(t);
        const publish = (): Promise<unknown> => ue.do('publish', { user: 'alice' });
        const refused = async (what: string): Promise<void> => {
          await refusedBySip(t, what, publish(), 403, /101 service auth/);
          expect(await bindings(t), `bindings after ${what}`).to.deep.equal(bound);
        };
        await eachRefused(t, 'alice', refused, publish);
      },
    },
  ],
};

const OTHER_CLIENT = 'urn:uuid:00000000-0000-4000-8000-000000000001';
