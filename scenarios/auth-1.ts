import { createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { kmsKeys, mcpttId } from './checks/keys.ts';
import { publishedKeys } from './checks/published-keys.ts';
import { refusedByKms } from './checks/refusal.ts';
import { KMS_SCOPE, type Login, SERVICE_SCOPE } from './checks/tokens.ts';
import { eachRefused } from './checks/wrong-tokens.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { tokenLifetime } from './steps/policy.ts';

const cekCount = async (t: StepContext): Promise<number> => (await kmsKeys(t)).length;

/**
 * AUTH-1, INT-3 (pCR 7.x): no CEK before the KMS has authorized the user by the KMS access token.
 *
 * ```
 * UE                                                   KMS
 *  ├── KmsRequest, no token ──────────────────────────▶│ 401
 *  ├── KmsRequest, token of the MCPTT server ─────────▶│ 401 (audience)
 *  ├── KmsRequest, changed claim, header, signature ──▶│ 401
 *  ├── KmsRequest, alg none, HS256, unknown kid ──────▶│ 401
 *  ├── KmsRequest, wrong claim, typ, alg, but signed ─▶│ 401
 *  ├── KmsRequest, token without the scope ───────────▶│ 403
 *  :   an hour                                         :
 *  ├── KmsRequest, token expired ─────────────────────▶│ 401     no key was issued
 * ```
 */
export const auth1: Scenario = {
  id: 'auth-1',
  title: 'Missing, foreign, tampered, unsigned, confused and expired tokens are each refused, and no key is issued',
  requirements: ['AUTH-1', 'AUTH-2', 'INT-3', 'HTTP1-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'A request whose token is not the IdM’s for this KMS gets no key',
      clause: 'pCR 7.x, RFC 8725 3, RFC 9068 4',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        const before = await cekCount(t);
        const ask = (...deviate: JsonObject[]): Promise<unknown> =>
          t.actor('ue').do('requestKey', { user: 'alice', deviate });
        const jwt = (path: string, value: string): JsonObject => ({ at: 'jwt', op: 'set', path, value });
        const unsigned: JsonObject = { at: 'jwt', op: 'remove', path: 'signature' };
        const wrong: readonly (readonly [string, ...JsonObject[]])[] = [
          ['no token', { at: 'token', op: 'replace', path: '', value: '' }],
          ['no JWT', { at: 'token', op: 'replace', path: '', value: 'opaque' }],
          ['the MCPTT server’s token (audience)', { at: 'token', op: 'replace', path: '', value: 'other' }],
          ['signature tampered', { at: 'token', op: 'flip', path: '-5' }],
          ['signature removed', unsigned],
          ['claims of another user', jwt('mcptt_id', mcpttId(t, 'bob'))],
          ['audience changed', jwt('aud', 'urn:3gpp:mcptt:elsewhere')],
          ['issuer changed', jwt('iss', 'https://idm.elsewhere.example')],
          ['scope changed', jwt('scope', 'openid everything')],
          ['expiry moved', jwt('exp', '4102444800')],
          ['not yet valid', jwt('nbf', '4102444800')],
          ['alg none', jwt('header.alg', 'none'), unsigned],
          ...(await publicKeys(t)).map(
            ([form, secret]) =>
              [
                `HS256 under the IdM’s public key (${form})`,
                jwt('header.alg', 'HS256'),
                jwt('signature', secret),
              ] as const,
          ),
          ['another typ', jwt('header.typ', 'JWT')],
          ['unknown kid', jwt('header.kid', 'nobody-knows-me')],
        ];
        for (const [what, ...deviate] of wrong) await refusedByKms(t, what, ask(...deviate), 401);
        expect(await cekCount(t), 'CEKs issued').to.equal(before);
      },
    },
    {
      number: '3b-bis',
      title: 'A token that the IdM has signed, but not for this, now, or in this form, gets no key',
      clause: 'pCR 7.x, RFC 8725 3, RFC 9068 4',
      responsible: 'kms',
      guard: 30_000,
      run: async (t) => {
        const before = await cekCount(t);
        const ask = (): Promise<unknown> => t.actor('ue').do('requestKey', { user: 'alice' });
        const refused = async (what: string, lacksScope: boolean): Promise<void> => {
          await refusedByKms(t, what, ask(), ...(lacksScope ? [401, 403] : [401]));
          expect(await cekCount(t), `CEKs issued to ${what}`).to.equal(before);
        };
        await eachRefused(t, 'alice', refused, ask);
      },
    },
    {
      number: '3b-ter',
      title: 'A token without the key management scope is refused with 403',
      clause: 'TS 33.180 B.4.2, RFC 6750 3.1',
      responsible: 'kms',
      guard: 10_000,
      run: async (t) => {
        const before = await cekCount(t);
        const { kms } = await t.precondition('alice has tokens without the scope', () =>
          t.actor('ue').do<Login>('logIn', { user: 'alice', deviate: { scopes: ['openid', SERVICE_SCOPE] } }),
        );
        t.hold('idm', 'RFC 6749 3.3');
        expect(kms.scope, 'scope of the KMS token, for which it was not asked').not.to.include(KMS_SCOPE);
        t.hold('kms', 'TS 33.180 B.4.2, RFC 6750 3.1');
        await refusedByKms(t, 'scope missing', t.actor('ue').do('requestKey', { user: 'alice' }), 403);
        expect(await cekCount(t), 'CEKs issued').to.equal(before);
      },
    },
    {
      number: '3b-quater',
      title: 'A token that has expired is refused; a fresh one is not',
      clause: 'pCR 7.x',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const before = await cekCount(t);
        const ue = t.actor('ue');
        await t.precondition('alice has good tokens', () => ue.do('logIn', { user: 'alice' }));
        await t.advance(tokenLifetime(t) + 10_000);
        await refusedByKms(t, 'token expired', ue.do('requestKey', { user: 'alice' }), 401);
        expect(await cekCount(t), 'CEKs issued').to.equal(before);
        await ue.do('logIn', { user: 'alice' });
        expect(await ue.do('requestKey', { user: 'alice' }), 'answer to a fresh token').to.include({
          protection: 'on',
        });
      },
    },
  ],
};

/** The IdM's published keys as somebody would use them for an HMAC secret (RFC 8725 2.1): form, and octets in base64. */
async function publicKeys(t: StepContext): Promise<[form: string, secret: string][]> {
  const keys = await publishedKeys(t);
  expect(keys.length, 'keys that the IdM publishes').to.be.greaterThan(0);
  return keys.flatMap((jwk) => {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const pem = key.export({ type: 'spki', format: 'pem' });
    return [
      ['PEM', Buffer.from(pem).toString('base64')],
      ['DER', key.export({ type: 'spki', format: 'der' }).toString('base64')],
      ['JWK', Buffer.from(JSON.stringify(jwk)).toString('base64')],
    ] as [string, string][];
  });
}
