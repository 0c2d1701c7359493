import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { mcpttId } from '../checks/keys.ts';
import { body, optionalHeader, startLine, wholeText } from '../checks/sip.ts';
import {
  expectClaims,
  expectLife,
  expectPublished,
  KMS_SCOPE,
  type Login,
  resourcesOf,
  SERVICE_SCOPE,
  tokensFor,
} from '../checks/tokens.ts';

/**
 * Step 3a: the user logs in at the IdM and gets two access tokens (OpenID Connect Core 3.1, RFC 7636, RFC 8707, TS 33.180 annex B).
 *
 * ```
 * UE (IdM client)                               IdM
 *  ├── GET discovery document ─────────────────────▶│
 *  ├── GET authorization, code + PKCE S256 ────────▶│
 *  ├── POST login form (user name, password) ──────▶│
 *  │◀──────────────── redirect with the code ───────┤
 *  ├── POST token (code, resource = MCPTT server) ─▶│
 *  │◀──────────────── access token ─────────────────┤
 *  ├── POST token (resource = KMS) ────────────────▶│
 *  │◀──────────────── KMS access token ─────────────┤
 * ```
 */
export const step3a = (user = 'alice', ue = 'ue'): Step => ({
  number: '3a',
  title: 'User logs in at the IdM; tokens for the MCPTT server and for the KMS',
  clause: 'TS 33.180 B.3',
  responsible: 'idm',
  guard: 15_000,
  run: async (t) => {
    const loggingIn = await attempt(t, t.actor(ue).do<Login>('logIn', { user }));
    const atUe = { interface: 'CSC-1', actor: ue, direction: 'sent' } as const;
    const issuer = await t.actor('idm').read<string>('issuer');
    t.hold('idm', 'OpenID Connect Discovery 1.0 3');
    expectPublished(t, issuer, []);
    const authorization = await loggingIn.seen('the authorization request', { ...atUe, where: isAuthorization });
    t.hold('ue', 'TS 33.180 B.3.2, RFC 7636 4.3');
    const asked = new URLSearchParams(startLine(authorization).split(' ')[1]!.split('?')[1]);
    expect(asked.get('response_type'), 'response_type').to.equal('code');
    expect(asked.get('client_id'), 'client_id').to.equal(t.provisioned.network.oauthClientId);
    expect(asked.get('redirect_uri'), 'redirect_uri').to.equal(REDIRECT);
    expect(asked.get('code_challenge_method'), 'PKCE').to.equal('S256');
    expect(asked.get('code_challenge'), 'code_challenge, SHA-256 in base64url').to.match(/^[\w-]{43}$/);
    expect(asked.get('acr_values'), 'acr_values').to.equal('3gpp:acr:password');
    expect(asked.get('scope')?.split(' '), 'scope').to.include.members(['openid', SERVICE_SCOPE, KMS_SCOPE]);
    expect(asked.get('state'), 'state').to.be.a('string').and.not.equal('');
    expectFresh(t, ue);
    t.hold('idm', 'TS 33.180 B.3.2');
    const form = await loggingIn.seen('the login form with the password', {
      ...atUe,
      where: (r) => r.redacted.includes('password') || wholeText(r).includes('[password]'),
    });
    t.hold('ue', 'TS 33.180 B.3.2');
    expect(startLine(form), 'the password travels in a body').to.match(/^POST \S+ HTTP/);
    for (const record of t.records(atUe))
      expect(startLine(t.about(record)), 'a URL, which has no password in it').not.to.match(
        /password\]|[?&]password=/i,
      );

    t.hold('ue', 'TS 33.180 B.3.3, RFC 7636 4.5, RFC 8707 2.1');
    const requests = t.records(atUe);
    for (const record of requests.filter(isTokenRequest)) expectTokenRequest(t.about(record), asked);
    t.hold('idm', 'TS 33.180 B.3.3, RFC 8707 2.2');
    const tokens = loggingIn.outcome();
    t.hold('ue', 'RFC 8707 2.1');
    expect(requests.flatMap(resourcesOf), 'resources asked for at the token endpoint').to.include.members([
      SERVER,
      KMS,
    ]);
    t.hold('idm', 'TS 33.180 B.3.3, RFC 8707 2.2');
    const [forServer, forKms] = [SERVER, KMS].map((resource) => tokensFor(t, resource, ue).at(-1)!);
    expect([forServer, forKms], 'answers of the token endpoint, one for each resource').not.to.include(undefined);
    expect(forServer!.token, 'two access tokens').not.to.equal(forKms!.token);
    for (const { record } of [forServer!, forKms!]) {
      expect(optionalHeader(t.about(record), 'cache-control'), 'Cache-Control of a token').to.include('no-store');
    }
    t.hold('idm', 'TS 33.180 B.4, RFC 9068 2.2');
    const common = { issuer, mcpttId: mcpttId(t, user), clientId: asked.get('client_id')! };
    t.about(forServer!.record);
    expectClaims(tokens.mcptt, { ...common, audience: SERVER, scopes: [SERVICE_SCOPE], at: forServer!.record.time });
    expect(tokens.mcptt.scope, 'scope of the token for the MCPTT server').not.to.include(KMS_SCOPE);
    expectLife(tokens.mcptt, forServer!);
    t.about(forKms!.record);
    expectClaims(tokens.kms, { ...common, audience: KMS, scopes: [KMS_SCOPE], at: forKms!.record.time });
    expectLife(tokens.kms, forKms!);
    expect(tokens.kms.jti, 'each token has a jti of its own').not.to.equal(tokens.mcptt.jti);
    expect(tokens.kms.sub, 'both tokens are of one subject').to.equal(tokens.mcptt.sub);
    const { mcptt: first, kms: second } = tokens.headers ?? {};
    for (const header of [first, second].filter((h) => h !== undefined)) {
      expect(header.alg, 'algorithm that signs the token').to.equal('ES256');
      expect(header.typ?.toLowerCase().replace('application/', ''), 'typ of the token').to.equal('at+jwt');
      expect(header.kid, 'kid of the token').to.be.a('string');
    }
    expectPublished(
      t,
      issuer,
      [first?.kid, second?.kid].filter((kid) => kid !== undefined),
    );
    t.show('MCPTT ID', tokens.mcptt.mcptt_id);
    t.show('Tokens', `${SERVER} and ${KMS}`);
  },
});

const SERVER = 'urn:3gpp:mcptt:server';
const KMS = 'urn:3gpp:mcptt:kms';
/** docs/interfaces.md, "Names". */
const REDIRECT = 'example.mcptt.client:/signed-in';

/** Asserts that no two logins of this UE had a state, nonce or PKCE challenge in common (RFC 6749 10.12, RFC 7636 7.1). */
function expectFresh(t: StepContext, ue: string): void {
  const asked = t
    .records({ interface: 'CSC-1', actor: ue, direction: 'sent', where: isAuthorization }, 'all')
    .map((r) => startLine(r).split(' ')[1]!.split('?'));
  // What an IdM sends the user agent on to may repeat the parameters.
  const logins = asked.filter(([path]) => path === asked[0]![0]).map(([, query]) => new URLSearchParams(query));
  for (const name of ['state', 'nonce', 'code_challenge']) {
    const values = logins.map((login) => login.get(name)).filter((value) => value !== null);
    expect(new Set(values).size, `different values of ${name}, in as many logins`).to.equal(values.length);
  }
}

const isAuthorization = (r: MessageRecord): boolean => /^GET \S*[?&]client_id=/.test(startLine(r));

const isTokenRequest = (r: MessageRecord): boolean => new URLSearchParams(body(r)).has('grant_type');

/** Asserts of a token request what an IdM may refuse it for. */
function expectTokenRequest(request: MessageRecord, asked: URLSearchParams): void {
  const form = new URLSearchParams(body(request));
  expect(form.get('client_id'), 'client_id of the token request').to.equal(asked.get('client_id'));
  expect([SERVER, KMS], 'resource of the token request').to.include.members(form.getAll('resource'));
  if (form.get('grant_type') !== 'authorization_code') return;
  expect(form.get('redirect_uri'), 'redirect_uri, as in the authorization request').to.equal(asked.get('redirect_uri'));
  const verifier = form.get('code_verifier') ?? '';
  const challenge = Buffer.from(asked.get('code_challenge')!, 'base64url').toString('hex');
  // What stands in a record for a secret has the first digits of its SHA-256, which a challenge of S256 is.
  const digits = /^\[oauth-secret ([0-9a-f]+)\]$/.exec(verifier)?.[1] ?? sha256(verifier);
  expect(challenge.startsWith(digits), 'code_verifier is that of the code_challenge').to.equal(true);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
