import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { kmsKeys, mcpttId } from './checks/keys.ts';
import { refusedByKms } from './checks/refusal.ts';
import { body } from './checks/sip.ts';
import { elements } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * AUTH-3 (pCR 7.x.1): the token asserts the identity; nothing in the request does.
 *
 * ```
 * UE (alice's token)                                KMS
 *  ├── KmsRequest, UserUri bob ──────────────────────▶│ 403, no key of bob
 *  ├── KmsRequest with bob's token, UserUri alice ───▶│ 403
 *  ├── KmsRequest, UserUri alice ────────────────────▶│ 200, key set and CEK of alice
 * ```
 */
export const auth3: Scenario = {
  id: 'auth-3',
  title: 'Key material is for the token’s identity and for no identity that the request names',
  requirements: ['AUTH-3', 'STEP-3b'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in', { ue: ['alice', 'bob'] }),
    {
      number: '3b',
      title: 'A request in another user’s name is refused, and that user gets no key by it',
      clause: 'pCR 7.x.1',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const before = (await kmsKeys(t)).length;
        const ask = (...deviate: JsonObject[]): Promise<unknown> =>
          t.actor('ue').do('requestKey', { user: 'alice', deviate });
        const named = ask({ at: 'kms-request', op: 'set', path: 'userUri', value: mcpttId(t, 'bob') });
        await refusedByKms(t, 'alice’s token, bob’s name', named, 403);
        const borrowed = ask({ at: 'token', op: 'replace', path: '', value: 'user:bob' });
        await refusedByKms(t, 'bob’s token, alice’s name', borrowed, 403);
        expect((await kmsKeys(t)).length, 'CEKs issued').to.equal(before);
        await t.actor('ue').do('requestKey', { user: 'alice' });
        const response = await t.expect('the KmsResponse', {
          interface: 'HTTP-1',
          actor: 'ue',
          direction: 'received',
          status: 200,
          where: (r) => body(r).includes('KmsKeyProv'),
        });
        const users = elements(body(t.about(response)), 'UserUri');
        expect(new Set(users), 'whose key material the answer holds').to.deep.equal(new Set([mcpttId(t, 'alice')]));
      },
    },
  ],
};
