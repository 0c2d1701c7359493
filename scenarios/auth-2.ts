import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { publishedKeys } from './checks/published-keys.ts';
import { refused, refusedByKms } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { MINUTE } from './steps/policy.ts';

/**
 * AUTH-2 (pCR 7.x): the KMS checks that the IdM signed the token, and follows when the IdM changes its key.
 *
 * ```
 * UE               IdM                           KMS, MCPTT server
 *  │                ├ new key, old one published    │
 *  ├── KmsRequest, token under the old key ────────▶│ 200
 *  ├── KmsRequest, token under the new key ────────▶│ fetches the JWKS, 200
 *  │                ├ new key, old ones withdrawn   │
 *  ├── KmsRequest, token under a withdrawn key ────▶│ 401
 * ```
 */
export const auth2: Scenario = {
  id: 'auth-2',
  title: 'The IdM rotates its key: tokens under the new key are taken, tokens under a withdrawn key are not',
  requirements: ['AUTH-2', 'STEP-3a'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in', { ue: ['alice', 'bob'] }),
    {
      number: '3b',
      title: 'After a rotation the old key’s token still serves, and the new key’s does',
      clause: 'pCR 7.x, RFC 7517',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const before = (await publishedKeys(t)).map((key) => key.kid);
        const { kid, published } = await t.actor('idm').do<{ kid: string; published: string[] }>('rotateKeys');
        t.hold('idm', 'RFC 7517 4.5');
        expect(published, 'published keys: new and old').to.have.length(2).and.to.include(kid);
        const now = (await publishedKeys(t)).map((key) => key.kid);
        expect(now, 'keys in the JWKS after the rotation').to.include.members(published);
        const kept = published.filter((one) => one !== kid);
        expect(before, 'keys in the JWKS before the rotation, of which one stays').to.include.members(kept);
        t.hold('kms', 'pCR 7.x, RFC 7517');
        expect(await ue.do('requestKey', { user: 'alice' }), 'token under the old key').to.include({
          protection: 'on',
        });
        await ue.do('logIn', { user: 'alice' });
        expect(await ue.do('requestKey', { user: 'alice' }), 'token under the new key').to.include({
          protection: 'on',
        });
        await ue.do('publish', { user: 'alice' });
        t.show('New key', kid);
      },
    },
    {
      number: '3b-bis',
      title: 'A token under a withdrawn key is refused once the KMS has looked again',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const before = (await publishedKeys(t)).map((key) => key.kid);
        await t.actor('idm').do('rotateKeys', { withdraw: true });
        t.hold('idm', 'RFC 7517 4.5');
        for (const { kid } of await publishedKeys(t))
          expect(before, 'keys that were to be withdrawn').not.to.include(kid);
        t.hold('kms', 'pCR 7.x');
        // A verifier may keep keys that it has fetched for a while (RFC 7517 leaves how long to it).
        await t.advance(11 * MINUTE);
        await refusedByKms(t, 'token under a withdrawn key', ue.do('requestKey', { user: 'bob' }), 401);
        await refused('PUBLISH with a token under a withdrawn key', ue.do('publish', { user: 'alice' }));
        await ue.do('logIn', { user: 'bob' });
        expect(await ue.do('requestKey', { user: 'bob' }), 'token under the new key').to.include({ protection: 'on' });
      },
    },
  ],
};
