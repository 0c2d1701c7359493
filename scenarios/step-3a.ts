import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { client } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { step3a as loginStep } from './steps/step-3a.ts';

/**
 * STEP-3a: whom the IdM turns away (OpenID Connect Core 3.1, RFC 7636 4.6, RFC 6749 4.1.2).
 *
 * ```
 * UE                                     IdM
 *  ├── login form, wrong password ────────▶│ no code
 *  ├── no PKCE, plain, other redirect URI ▶│ no code
 *  ├── code, another PKCE verifier ───────▶│ invalid_grant
 *  ├── the same code twice ───────────────▶│ invalid_grant, and the tokens of the first time end
 *  ├── login form of a barred user ───────▶│ no code
 * ```
 */
export const step3aRefusals: Scenario = {
  id: 'step-3a',
  title: 'Wrong password, PKCE missing, plain or wrong, a reused code and barred users get no tokens',
  requirements: ['STEP-3a', 'S1-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('registered', { ue: [] }),
    {
      number: '3a-bis',
      title: 'What is wrong in a login is refused, and there are no tokens',
      clause: 'RFC 7636 4.6, RFC 6749 4.1.2',
      responsible: 'idm',
      guard: 20_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const logIn = (args: JsonObject): Promise<unknown> => ue.do('logIn', { user: 'alice', ...args });
        const wrongs: readonly (readonly [string, JsonObject])[] = [
          ['wrong password', { password: 'not hers' }],
          ['no PKCE', { deviate: { pkce: 'none' } }],
          ['PKCE plain', { deviate: { pkce: 'plain' } }],
          ['a redirect URI that is not registered', { deviate: { redirectUri: 'example.elsewhere:/signed-in' } }],
          ['wrong PKCE verifier', { deviate: { wrongVerifier: true } }],
          ['code used twice', { deviate: { reuseCode: true } }],
        ];
        for (const [what, args] of wrongs) {
          const refusal = await refused(what, logIn(args));
          t.show(what, `${refusal.code ?? ''} ${JSON.stringify(refusal.detail)}`);
          expect((await client(t, 'alice')).loggedIn, `logged in after: ${what}`).to.equal(false);
          if (AT_TOKEN_ENDPOINT.has(what)) expect(refusal.detail.error, what).to.equal('invalid_grant');
          expect(refusal.code, `why the UE has no tokens after: ${what}`).to.match(
            /^IDM_CLIENT_(REFUSED|WRONG_CREDENTIALS)$/,
          );
          if (what === 'code used twice') expect(refusal.detail.revoked, 'first tokens ended').to.equal(true);
        }
        await t.actor('idm').do('revokeUser', { user: 'alice' });
        await refused('a barred user', logIn({}));
        await t.actor('idm').do('restoreUser', { user: 'alice' });
      },
    },
    loginStep(),
  ],
};

/** What is found out by then only (RFC 6749 5.2). */
const AT_TOKEN_ENDPOINT: ReadonlySet<string> = new Set(['wrong PKCE verifier', 'code used twice']);
