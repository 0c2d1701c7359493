import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { Agent, type Response, fetch as undiciFetch } from 'undici';
import { DEFAULT_REDIRECT_URI, IdmError } from '../../../actors/idm/config.ts';
import { remoteTokenKeys } from '../../../actors/security/token-keys.ts';
import { createTokenVerifier, TokenError, type TokenVerifier } from '../../../actors/security/tokens.ts';
import { type IdmClient, IdmClientError } from '../../../actors/ue/idm-client.ts';
import { logInByForm } from '../../../actors/ue/user-agent.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { ALICE, BOB, type IdmUnderTest, startIdm } from './idm-under-test.ts';

const SERVER = 'urn:3gpp:mcptt:server';
const KMS = 'urn:3gpp:mcptt:kms';

async function refusal(login: Promise<unknown>): Promise<IdmClientError> {
  const error: unknown = await login.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'what the login was refused with').instanceOf(IdmClientError);
  return error as IdmClientError;
}

describe('IdM: OpenID Connect on CSC-1 (TS 33.180 annex B)', () => {
  let world: IdmUnderTest;
  let client: IdmClient;
  let agent: Agent;
  const get = (path: string): Promise<Response> => undiciFetch(world.issuer + path, { dispatcher: agent });

  /** An authorization request by hand, without a user agent: gives the reply or the page. */
  const authorize = (parameters: Record<string, string>): Promise<Response> =>
    undiciFetch(`${world.issuer}/auth?${new URLSearchParams(parameters).toString()}`, {
      dispatcher: agent,
      redirect: 'manual',
    });
  const good = (): Record<string, string> => ({
    response_type: 'code',
    client_id: 'mcptt-client',
    redirect_uri: DEFAULT_REDIRECT_URI,
    scope: 'openid 3gpp:mc:ptt_service',
    state: randomBytes(8).toString('hex'),
    acr_values: '3gpp:acr:password',
    code_challenge: createHash('sha256').update('v'.repeat(43)).digest('base64url'),
    code_challenge_method: 'S256',
    resource: SERVER,
  });
  /** Parameters of a reply, in the query or, for response types that ask for it, in the fragment. */
  const replyOf = (response: Response): URLSearchParams => {
    const { search, hash } = new URL(response.headers.get('location') ?? 'none:');
    return new URLSearchParams(hash === '' ? search : hash.slice(1));
  };
  const token = (form: Record<string, string>): Promise<Response> =>
    undiciFetch(`${world.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'mcptt-client', ...form }),
      dispatcher: agent,
    });
  const verifier = (audience: string, scope: string, now = (): number => Date.now()): TokenVerifier => {
    const keys = remoteTokenKeys({
      url: `${world.issuer}/jwks`,
      now,
      fetch: async (url) => (await undiciFetch(url, { dispatcher: agent })) as unknown as globalThis.Response,
    });
    return createTokenVerifier({ issuer: world.issuer, audience, scopes: [scope], keys, now });
  };
  const publishedKeys = async (): Promise<ReturnType<typeof createLocalJWKSet>> =>
    createLocalJWKSet((await (await get('/jwks')).json()) as JSONWebKeySet);

  beforeEach(async () => {
    world = await startIdm();
    client = world.client();
    agent = new Agent({ connect: { ca: world.ca.certificate } });
  });
  afterEach(async () => {
    await agent.destroy();
    await world.stop();
  });

  it('publishes where it is and what it can do, and nothing that CSC-1 does not have', async () => {
    const metadata = (await (await get('/.well-known/openid-configuration')).json()) as Record<string, unknown>;
    expect(metadata).include({ issuer: world.issuer, jwks_uri: `${world.issuer}/jwks` });
    expect(metadata.response_types_supported).deep.equal(['code']);
    expect(metadata.code_challenge_methods_supported).deep.equal(['S256']);
    expect(metadata.acr_values_supported).deep.equal(['3gpp:acr:password']);
    expect(metadata.id_token_signing_alg_values_supported).deep.equal(['ES256']);
    expect(metadata.grant_types_supported).include.members(['authorization_code', 'refresh_token']);
    expect(metadata.scopes_supported).include.members(['3gpp:mc:ptt_service', '3gpp:mc:ptt_key_management_service']);
    expect(metadata).have.property('revocation_endpoint');
    expect(metadata).not.have.any.keys('userinfo_endpoint', 'registration_endpoint', 'introspection_endpoint');
  });

  it('publishes only the public half of its key', async () => {
    const { keys } = (await (await get('/jwks')).json()) as { keys: Record<string, string>[] };
    expect(keys).length(1);
    expect(keys[0]).include({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    expect(keys[0]).not.have.property('d');
  });

  it('gives one token for the MCPTT server and one for the KMS, which each takes and the other refuses', async () => {
    const { mcpttToken, kmsToken, mcpttId, idToken } = await client.logIn(ALICE.userName, ALICE.password);
    expect(mcpttId).equal(ALICE.mcpttId);
    expect(idToken).include({ mcptt_id: ALICE.mcpttId, aud: 'mcptt-client', acr: '3gpp:acr:password' });
    expect(decodeProtectedHeader(kmsToken)).include({ alg: 'ES256', typ: 'at+jwt' });

    const server = verifier(SERVER, '3gpp:mc:ptt_service');
    const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
    const seen = await server.verify(mcpttToken);
    expect(seen).include({ mcpttId: ALICE.mcpttId, clientId: 'mcptt-client' });
    expect(seen.scopes).have.members(['openid', '3gpp:mc:ptt_service']);
    expect((await kms.verify(kmsToken)).scopes).include('3gpp:mc:ptt_key_management_service');
    for (const wrong of [server.verify(kmsToken), kms.verify(mcpttToken)]) {
      expect(await wrong.catch((error: unknown) => error)).property('code', 'TOKEN_AUDIENCE');
    }
  });

  describe('a client of another make', () => {
    interface Answer {
      readonly status: number;
      readonly body: Record<string, string>;
    }
    const without = (name: string): Record<string, string> =>
      Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name));
    const logIn = (parameters: Record<string, string>): Promise<URL> =>
      logInByForm(new URL(`${world.issuer}/auth?${new URLSearchParams(parameters).toString()}`), {
        fetch: async (url, init) =>
          (await undiciFetch(url, { ...init, dispatcher: agent } as Parameters<typeof undiciFetch>[1])) as never,
        redirectUri: DEFAULT_REDIRECT_URI,
        timeout: 5_000,
        ...ALICE,
      });
    const exchange = async (code: string | null, form: Record<string, string> = {}): Promise<Answer> => {
      const common = { grant_type: 'authorization_code', code: code!, code_verifier: 'v'.repeat(43) };
      const response = await token({ ...common, redirect_uri: DEFAULT_REDIRECT_URI, ...form });
      return { status: response.status, body: (await response.json()) as Record<string, string> };
    };

    it('names its resource at the token endpoint only: one token each, as docs/interfaces.md has it', async () => {
      const reply = await logIn(without('resource'));
      const first = await exchange(reply.searchParams.get('code'), { resource: SERVER });
      expect(decodeJwt(first.body.access_token!)).include({ aud: SERVER, mcptt_id: ALICE.mcpttId });
      const refresh = { grant_type: 'refresh_token', refresh_token: first.body.refresh_token! };
      const second = (await (await token({ ...refresh, resource: KMS })).json()) as Record<string, string>;
      expect(decodeJwt(second.access_token!)).include({ aud: KMS, mcptt_id: ALICE.mcpttId });
    });

    it('names no resource at all, and gets a token for the MCPTT server', async () => {
      const reply = await logIn(without('resource'));
      const { body } = await exchange(reply.searchParams.get('code'));
      expect(decodeJwt(body.access_token!)).include({ aud: SERVER, scope: 'openid 3gpp:mc:ptt_service' });
    });

    it('names two at the token endpoint, and is refused: one token has one audience', async () => {
      const reply = await logIn(without('resource'));
      const form = new URLSearchParams({
        client_id: 'mcptt-client',
        grant_type: 'authorization_code',
        code: reply.searchParams.get('code')!,
        code_verifier: 'v'.repeat(43),
        redirect_uri: DEFAULT_REDIRECT_URI,
      });
      for (const resource of [SERVER, KMS]) form.append('resource', resource);
      const response = await undiciFetch(`${world.issuer}/token`, { method: 'POST', body: form, dispatcher: agent });
      expect([response.status, ((await response.json()) as { error: string }).error]).deep.equal([
        400,
        'invalid_target',
      ]);
    });

    it('leaves redirect_uri out of the authorization request or of the token request, and is refused (RFC 6749 4.1.3)', async () => {
      expect((await authorize(without('redirect_uri'))).headers.get('location')).equal(null);
      const reply = await logIn(good());
      const refused = await exchange(reply.searchParams.get('code'), { redirect_uri: '' });
      expect(refused).include({ status: 400 });
    });

    it('may POST its authorization request (OpenID Connect Core 3.1.2.1)', async () => {
      const response = await undiciFetch(`${world.issuer}/auth`, {
        method: 'POST',
        body: new URLSearchParams(good()),
        dispatcher: agent,
        redirect: 'manual',
      });
      expect(response.status).equal(303);
      expect(response.headers.get('location')).match(/\/login\//);
    });

    it('asks for more in a browser that is still logged in, and gets it without another form', async () => {
      const cookies = new Map<string, string>();
      const browser = async (url: string, init: object = {}): Promise<string> => {
        const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
        const options = { dispatcher: agent, redirect: 'manual', headers: { cookie }, ...init } as const;
        const response = await undiciFetch(new URL(url, world.issuer), options);
        for (const line of response.headers.getSetCookie()) {
          const [, name, value] = /^([^=]*)=([^;]*)/.exec(line)!;
          cookies.set(name!, value!);
        }
        return response.headers.get('location')!;
      };
      const ask = (parameters: Record<string, string>): Promise<string> =>
        browser(`/auth?${new URLSearchParams(parameters).toString()}`);
      const body = new URLSearchParams({ username: ALICE.userName, password: ALICE.password });
      await browser(await browser(await ask(good()), { method: 'POST', body }));
      const reply = new URL(
        await ask({ ...good(), scope: 'openid 3gpp:mc:ptt_key_management_service', resource: KMS }),
      );
      const { body: tokens } = await exchange(reply.searchParams.get('code'), { resource: KMS });
      expect(decodeJwt(tokens.access_token!)).include({ aud: KMS, scope: 'openid 3gpp:mc:ptt_key_management_service' });
    });

    for (const [length, status] of [
      [42, 400],
      [43, 200],
      [128, 200],
      [129, 400],
    ] as const) {
      it(`a PKCE verifier of ${length} characters: ${status} (RFC 7636 4.1)`, async () => {
        const verifierText = '~'.repeat(length);
        const challenge = createHash('sha256').update(verifierText).digest('base64url');
        const reply = await logIn({ ...good(), code_challenge: challenge });
        const { status: got } = await exchange(reply.searchParams.get('code'), { code_verifier: verifierText });
        expect(got).equal(status);
      });
    }
  });

  it('dates access tokens by the clock that it is handed', async () => {
    const clock = new ManualClock(Date.UTC(2030, 0, 1));
    const other = await startIdm({ tokenLifetime: 60 }, { clock });
    try {
      const { claims } = await other.client().logIn(ALICE.userName, ALICE.password);
      expect(claims.kms).include({ iat: Date.UTC(2030, 0, 1) / 1000, exp: Date.UTC(2030, 0, 1) / 1000 + 60 });
    } finally {
      await other.stop();
    }
  });

  it('reports each request and answer on CSC-1', async () => {
    await client.logIn(ALICE.userName, ALICE.password);
    const lines = world.records.map(({ bytes }) => Buffer.from(bytes).toString().split('\r\n')[0]!);
    for (const expected of [
      /^GET \/\.well-known\/openid-configuration /,
      /^GET \/auth\?/,
      /^POST \/login\//,
      /^POST \/token /,
    ]) {
      expect(
        lines.some((line) => expected.test(line)),
        String(expected),
      ).equal(true);
    }
    expect(world.records.every((record) => record.interface === 'CSC-1' && record.peer === 'ue')).equal(true);
    expect(world.records.every(({ correlation }) => correlation !== undefined)).equal(true);
  });

  describe('refusals', () => {
    it('wrong password or unknown user: the form again with 401, and nothing that says which', async () => {
      for (const [userName, password] of [
        [ALICE.userName, BOB.password],
        ['mallory', 'anything'],
        ['', ''],
      ] as const) {
        const error = await refusal(client.logIn(userName, password));
        expect(error.code).equal('IDM_CLIENT_WRONG_CREDENTIALS');
        expect(error.detail).deep.equal({ httpStatus: 401 });
      }
      const pages = world.records
        .map(({ bytes }) => Buffer.from(bytes).toString())
        .filter((text) => text.startsWith('HTTP/1.1 401'))
        .map((text) => text.slice(text.indexOf('<!doctype')).replaceAll(/login\/[^"]+/g, 'login'));
      expect(new Set(pages).size, 'different pages').equal(1);
    });

    it('authorization request without PKCE, or with plain', async () => {
      const { code_challenge: _, code_challenge_method: __, ...none } = good();
      expect(replyOf(await authorize(none)).get('error')).equal('invalid_request');
      const plain = await authorize({ ...good(), code_challenge_method: 'plain' });
      expect(replyOf(plain).get('error')).equal('invalid_request');
    });

    it('wrong PKCE verifier', async () => {
      const error = await refusal(client.logIn(ALICE.userName, ALICE.password, { wrongVerifier: true }));
      expect(error.code).equal('IDM_CLIENT_REFUSED');
      expect(error.detail).deep.equal({ error: 'invalid_grant', httpStatus: 400 });
    });

    it('a code that is used again: refused, and what the first use gave is revoked', async () => {
      const error = await refusal(client.logIn(ALICE.userName, ALICE.password, { reuseCode: true }));
      expect(error.detail).deep.equal({ error: 'invalid_grant', httpStatus: 400, revoked: true });
      expect(await world.idm.readings.sessions!({})).deep.equal([]);
    });

    it('redirect URI that is not registered: no redirect to it', async () => {
      for (const redirect_uri of [
        'https://evil.example/cb',
        `${DEFAULT_REDIRECT_URI}/more`,
        'example.mcptt.client:/',
      ]) {
        const response = await authorize({ ...good(), redirect_uri });
        expect(response.status).equal(400);
        expect(response.headers.get('location')).equal(null);
      }
    });

    it('unknown client, other response types, other grants', async () => {
      expect((await authorize({ ...good(), client_id: 'stranger' })).status).equal(400);
      expect(replyOf(await authorize({ ...good(), response_type: 'token' })).get('error')).match(/unsupported|invalid/);
      for (const grant of ['client_credentials', 'password']) {
        const response = await token({ grant_type: grant, username: ALICE.userName, password: ALICE.password });
        expect(response.status, grant).equal(400);
      }
    });

    it('unknown resource', async () => {
      const response = await authorize({ ...good(), resource: 'urn:3gpp:mcptt:other' });
      expect(replyOf(response).get('error')).equal('invalid_target');
    });

    it('a code or refresh token that never was', async () => {
      const wrong = [
        {
          grant_type: 'authorization_code',
          code: 'x',
          redirect_uri: DEFAULT_REDIRECT_URI,
          code_verifier: 'v'.repeat(43),
        },
        { grant_type: 'refresh_token', refresh_token: 'x' },
      ];
      for (const form of wrong) {
        const response = await token(form);
        expect(response.status).equal(400);
        expect(await response.json()).property('error', 'invalid_grant');
      }
    });

    it('a login form of another browser', async () => {
      const response = await authorize(good());
      const location = response.headers.get('location')!;
      expect(location).match(/^\/login\//);
      const answer = await undiciFetch(world.issuer + location, {
        method: 'POST',
        body: new URLSearchParams({ username: ALICE.userName, password: ALICE.password }),
        dispatcher: agent,
        redirect: 'manual',
      });
      expect(answer.status).equal(400);
      expect(answer.headers.get('location')).equal(null);
    });

    it('a user whose client this is not', async () => {
      const other = await startIdm({ users: [{ ...ALICE, clientIds: ['another-client'] }] });
      try {
        const error = await refusal(other.client().logIn(ALICE.userName, ALICE.password));
        expect([error.code, error.detail.error]).deep.equal(['IDM_CLIENT_REFUSED', 'access_denied']);
      } finally {
        await other.stop();
      }
    });

    it('an access of its own over plain HTTP, or by a client that trusts another CA', async () => {
      const plain = world.issuer.replace('https', 'http');
      expect(await undiciFetch(`${plain}/jwks`).catch((error: unknown) => error)).instanceOf(Error);
      const stranger = await startIdm();
      try {
        const error = await refusal(
          world.client({ ca: stranger.ca.certificate }).logIn(ALICE.userName, ALICE.password),
        );
        expect(error.code).equal('IDM_CLIENT_UNREACHABLE');
      } finally {
        await stranger.stop();
      }
    });
  });

  describe('scopes', () => {
    it('a user who may not have key management gets a KMS token without it', async () => {
      const other = await startIdm({ users: [{ ...ALICE, scopes: ['openid', '3gpp:mc:ptt_service'] }] });
      try {
        const { claims } = await other.client().logIn(ALICE.userName, ALICE.password);
        expect(claims.kms.scope).equal('openid 3gpp:mc:ptt_service');
      } finally {
        await other.stop();
      }
    });

    it('a scope that was not asked for is not in the token, one that nobody knows is dropped', async () => {
      const scopes = ['openid', '3gpp:mc:ptt_service', '3gpp:mc:unheard_of'];
      const { claims } = await client.logIn(ALICE.userName, ALICE.password, { scopes });
      expect(claims.kms.scope).equal('openid 3gpp:mc:ptt_service');
      expect(claims.mcptt.scope).equal('openid 3gpp:mc:ptt_service');
    });
  });

  describe('life of a login', () => {
    it('refresh gives new tokens, again and again', async () => {
      const login = await client.logIn(ALICE.userName, ALICE.password);
      const { mcpttToken, kmsToken } = login;
      await login.refresh();
      expect(login.mcpttToken).not.equal(mcpttToken);
      expect(login.kmsToken).not.equal(kmsToken);
      await verifier(KMS, '3gpp:mc:ptt_key_management_service').verify(login.kmsToken);
      await login.refresh();
    });

    it('two who want new tokens at once get the same, by one use of the refresh token', async () => {
      const login = await client.logIn(ALICE.userName, ALICE.password);
      const refreshing = login.refresh();
      expect(login.refresh()).equal(refreshing);
      await refreshing;
      const { kmsToken } = login;
      await login.refresh();
      expect(login.kmsToken).not.equal(kmsToken);
    });

    it('revocation at log-off (RFC 7009) ends the grant', async () => {
      const login = await client.logIn(ALICE.userName, ALICE.password);
      expect(await world.idm.readings.sessions!({})).deep.equal([{ user: 'alice', clientId: 'mcptt-client' }]);
      await login.revoke();
      expect(await world.idm.readings.sessions!({})).deep.equal([]);
      expect((await refusal(login.refresh())).detail.error).equal('invalid_grant');
    });

    it("one user's log-off leaves another's login alone", async () => {
      const alice = await client.logIn(ALICE.userName, ALICE.password);
      const bob = await client.logIn(BOB.userName, BOB.password);
      await alice.revoke();
      await bob.refresh();
      expect(bob.mcpttId).equal(BOB.mcpttId);
    });

    it('a revoked user has no login left and gets none until restored', async () => {
      const alice = await client.logIn(ALICE.userName, ALICE.password);
      const bob = await client.logIn(BOB.userName, BOB.password);
      expect(await world.idm.verbs.revokeUser!({ user: 'alice' })).deep.equal({ ended: 1 });
      expect((await refusal(alice.refresh())).detail.error).equal('invalid_grant');
      expect((await refusal(client.logIn(ALICE.userName, ALICE.password))).code).equal('IDM_CLIENT_WRONG_CREDENTIALS');
      await bob.refresh();
      await world.idm.verbs.restoreUser!({ user: 'alice' });
      await client.logIn(ALICE.userName, ALICE.password);
    });

    it('verbs refuse what they cannot do', async () => {
      for (const args of [{}, { user: '' }, { user: 1 }]) {
        expect(await world.idm.verbs.revokeUser!(args).catch((error: unknown) => error))
          .instanceOf(IdmError)
          .property('code', 'IDM_BAD_ARGUMENT');
      }
      expect(await world.idm.verbs.revokeUser!({ user: 'mallory' }).catch((error: unknown) => error))
        .instanceOf(IdmError)
        .property('code', 'IDM_UNKNOWN_USER');
    });
  });

  describe('tokens that are wrong on purpose', () => {
    const deviate = (...deviations: { op: string; path: string; value?: string }[]): unknown =>
      world.idm.verbs.deviate!({ user: 'alice', deviate: deviations.map((each) => ({ at: 'jwt', ...each })) });

    it('are wrong in what was named, bear the signature of the IdM, and are right again afterwards', async () => {
      const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
      const alice = await client.logIn(ALICE.userName, ALICE.password);
      const bob = await client.logIn(BOB.userName, BOB.password);
      const right = decodeJwt(alice.kmsToken);
      await deviate({ op: 'set', path: 'nbf', value: '4102444800' }, { op: 'remove', path: 'jti' });
      await alice.refresh();
      const { nbf, jti, ...others } = decodeJwt(alice.kmsToken);
      expect({ nbf, jti }).deep.equal({ nbf: 4102444800, jti: undefined });
      const { jti: _, ...same } = right;
      expect(others).include.keys(...Object.keys(same));
      await jwtVerify(alice.kmsToken, await publishedKeys(), {
        currentDate: new Date(4102444800_000),
        clockTolerance: 1e10,
      });
      await bob.refresh();
      await kms.verify(bob.kmsToken);
      await world.idm.verbs.deviate!({});
      await alice.refresh();
      await kms.verify(alice.kmsToken);
    });

    it('with the algorithm of another key that is published as long', async () => {
      const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
      const alice = await client.logIn(ALICE.userName, ALICE.password);
      for (const alg of ['RS256', 'ES384']) {
        await deviate({ op: 'set', path: 'header.alg', value: alg });
        await alice.refresh();
        const { protectedHeader } = await jwtVerify(alice.kmsToken, await publishedKeys());
        expect(protectedHeader).include({ alg, typ: 'at+jwt' });
        expect(await kms.verify(alice.kmsToken).catch((error: unknown) => error))
          .instanceOf(TokenError)
          .property('code', 'TOKEN_ALGORITHM');
      }
      const { keys } = (await (await get('/jwks')).json()) as { keys: Record<string, unknown>[] };
      expect(keys).length(3);
      for (const key of keys) expect(key).not.include.any.keys('d', 'p', 'q', 'dp', 'dq', 'qi');
      await world.idm.verbs.deviate!({});
      expect(((await (await get('/jwks')).json()) as { keys: unknown[] }).keys).length(1);
    });

    it('an unknown user, another place, the signature and another algorithm are refused', async () => {
      const deviations = [
        [{ user: 'mallory' }, 'IDM_UNKNOWN_USER'],
        [{ user: 'alice', deviate: [{ at: 'sip', op: 'remove', path: 'To' }] }, 'IDM_BAD_ARGUMENT'],
        [{ user: 'alice', deviate: [{ at: 'jwt', op: 'remove', path: 'signature' }] }, 'IDM_BAD_ARGUMENT'],
        [{ user: 'alice', deviate: [{ at: 'jwt', op: 'set', path: 'header.alg', value: 'none' }] }, 'IDM_BAD_ARGUMENT'],
      ] as const;
      for (const [args, code] of deviations) {
        const deviating = world.idm.verbs.deviate!(args as unknown as JsonObject);
        expect(await deviating.catch((error: unknown) => error))
          .instanceOf(IdmError)
          .property('code', code);
      }
    });
  });

  describe('rotation of keys', () => {
    it('new tokens are signed with the new key; those that are out stay good, and logins go on', async () => {
      const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
      const login = await client.logIn(ALICE.userName, ALICE.password);
      const before = login.kmsToken;
      await kms.verify(before);
      const { kid, published } = (await world.idm.verbs.rotateKeys!({})) as { kid: string; published: string[] };
      expect(published).deep.equal([kid, decodeProtectedHeader(before).kid]);
      await login.refresh();
      expect(decodeProtectedHeader(login.kmsToken).kid).equal(kid);
      await kms.verify(login.kmsToken);
      await kms.verify(before);
    });

    it('a key that is withdrawn is not published any more: what it signed is refused', async () => {
      const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
      const { kmsToken } = await client.logIn(ALICE.userName, ALICE.password);
      await world.idm.verbs.rotateKeys!({ withdraw: true });
      const error: unknown = await kms.verify(kmsToken).catch((reason: unknown) => reason);
      expect(error).instanceOf(TokenError).property('code', 'TOKEN_UNKNOWN_KEY');
    });
  });

  describe('start and stop', () => {
    it('keeps its keys in the state folder, for its owner only', async () => {
      const stateFolder = await mkdtemp(join(tmpdir(), 'idm-'));
      try {
        const kids: (string | undefined)[] = [];
        for (const _ of [1, 2]) {
          const one = await startIdm({}, { stateFolder });
          const { kmsToken } = await one.client().logIn(ALICE.userName, ALICE.password);
          kids.push(decodeProtectedHeader(kmsToken).kid);
          await one.stop();
        }
        expect(kids[0]).equal(kids[1]);
        const file = join(stateFolder, 'idm-keys.json');
        expect((await stat(file)).mode & 0o777).equal(0o600);
        await chmod(file, 0o644);
        expect(await startIdm({}, { stateFolder }).catch((error: unknown) => error))
          .instanceOf(IdmError)
          .property('code', 'IDM_BAD_STATE');
      } finally {
        await rm(stateFolder, { recursive: true });
      }
    });

    it('two in one process know nothing of each other', async () => {
      const other = await startIdm();
      try {
        const { kmsToken } = await other.client().logIn(ALICE.userName, ALICE.password);
        expect(await world.idm.readings.sessions!({})).deep.equal([]);
        const kms = verifier(KMS, '3gpp:mc:ptt_key_management_service');
        expect(await kms.verify(kmsToken).catch((error: unknown) => error)).instanceOf(TokenError);
      } finally {
        await other.stop();
      }
    });

    it('stops twice without complaint, and says health and endpoints', async () => {
      expect(await world.idm.readings.health!({})).deep.equal({ ok: true, waitingFor: [] });
      expect(await world.idm.readings.issuer!({})).equal(world.issuer);
      await world.idm.stop();
      await world.idm.stop();
      expect(await world.idm.readings.health!({})).deep.equal({ ok: false, waitingFor: [] });
    });

    it('prints nothing', async () => {
      const script = `
        const { startIdm, ALICE } = await import(${JSON.stringify(new URL('./idm-under-test.ts', import.meta.url).href)});
        const world = await startIdm();
        await world.client().logIn(ALICE.userName, ALICE.password);
        await world.stop();`;
      const printed = await new Promise<string>((resolve, reject) => {
        execFile(
          process.execPath,
          ['--import', 'tsx', '--input-type=module', '-e', script],
          { timeout: 15_000 },
          (error, stdout, stderr) => (error ? reject(error) : resolve(stdout + stderr)),
        );
      });
      expect(printed).equal('');
    });
  });
});
