import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createTestCa, type TestCa } from '../../../actors/security/ca.ts';
import { createIdmClient, IdmClientError, type IdmClientOptions } from '../../../actors/ue/idm-client.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';

/**
 * The client against an IdM that does what it is told, right or wrong. How it gets on with the real one is tested with
 * the IdM (test/actors/idm).
 */
interface WrongIdm {
  readonly issuer: string;
  readonly requests: { method: string; path: string; headers: Record<string, unknown>; body: string }[];
}

const PASSWORD = 'alice-wonderland-1865';
const FORM = '<form method="post" action="/login/1?a=1&amp;b=2"><input name="username"><input name="password"></form>';
const REDIRECT_URI = 'example.mcptt.client:/signed-in';

describe("UE's IdM client (OpenID Connect, TS 24.482)", () => {
  let ca: TestCa;
  let server: Server;
  let idm: WrongIdm;
  let signing: Awaited<ReturnType<typeof generateKeyPair>>;
  /** What the IdM answers by path; changed by tests. */
  let answers: Record<string, RequestListener>;
  /** Claims of the ID token beside the usual ones. */
  let idTokenChange: Record<string, unknown>;
  let records: ReportedMessage[];
  let seen: URLSearchParams;

  const html =
    (status: number, text: string): RequestListener =>
    (_req, res) =>
      void res.writeHead(status, { 'content-type': 'text/html' }).end(text);
  const redirect =
    (location: string, cookies: string[] = []): RequestListener =>
    (_req, res) =>
      void res.writeHead(303, { location, 'set-cookie': cookies }).end();
  const json =
    (status: number, value: unknown): RequestListener =>
    (_req, res) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  const never: RequestListener = () => {};

  const jwt = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT({ iss: idm.issuer, sub: 'alice', mcptt_id: 'sip:alice@mcptt.example', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(signing.privateKey);

  const logIn = async (options: Partial<IdmClientOptions> = {}) => {
    const client = createIdmClient({
      issuer: idm.issuer,
      clientId: 'mcptt-client',
      ca: ca.certificate,
      report: (message) => void records.push(message),
      timeout: 2_000,
      ...options,
    });
    try {
      return await client.logIn('alice', PASSWORD);
    } finally {
      await client.close();
    }
  };
  const refusal = async (options: Partial<IdmClientOptions> = {}): Promise<IdmClientError> => {
    const error: unknown = await logIn(options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error, 'what the login ended with').instanceOf(IdmClientError);
    expect(JSON.stringify([(error as Error).message, (error as IdmClientError).detail])).not.contain(PASSWORD);
    return error as IdmClientError;
  };

  before(async () => {
    ca = await createTestCa();
    signing = await generateKeyPair('ES256');
    const { certificate, privateKey } = await ca.issue({ commonName: 'idm' });
    server = createServer({ cert: certificate, key: privateKey }, (req, res) => {
      let body = '';
      req.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      req.on('end', () => {
        const { pathname, searchParams } = new URL(req.url!, idm.issuer);
        idm.requests.push({ method: req.method!, path: req.url!, headers: req.headers, body });
        if (pathname === '/auth') seen = searchParams;
        (answers[`${req.method} ${pathname}`] ?? html(404, 'nothing here'))(req, res);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  beforeEach(async () => {
    idm = { issuer: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: [] };
    records = [];
    idTokenChange = {};
    const key = { ...(await exportJWK(signing.publicKey)), kid: 'k', alg: 'ES256' };
    const accessToken = await jwt({ aud: 'urn:3gpp:mcptt:server' });
    answers = {
      'GET /.well-known/openid-configuration': json(200, {
        issuer: idm.issuer,
        authorization_endpoint: `${idm.issuer}/auth`,
        token_endpoint: `${idm.issuer}/token`,
        revocation_endpoint: `${idm.issuer}/revoke`,
        jwks_uri: `${idm.issuer}/jwks`,
        response_types_supported: ['code'],
      }),
      'GET /jwks': json(200, { keys: [key] }),
      'GET /auth': redirect('/login/1', ['session=abc; path=/; secure', 'form=1; path=/login', 'other=2; path=/token']),
      'GET /login/1': html(200, FORM),
      'POST /login/1': (req, res) =>
        redirect(`${REDIRECT_URI}?code=c0de&state=${seen.get('state')}`, ['session=; max-age=0'])(req, res),
      'POST /token': (_req, res) => {
        void jwt({ aud: 'mcptt-client', nonce: seen.get('nonce'), ...idTokenChange }).then((id_token) =>
          json(200, { access_token: accessToken, token_type: 'Bearer', id_token, refresh_token: 'r1' })(_req, res),
        );
      },
    };
  });

  it('logs in: code, PKCE S256, acr, two resources, form, two tokens', async () => {
    const login = await logIn();
    expect(login.mcpttId).equal('sip:alice@mcptt.example');
    expect(Object.fromEntries(seen)).include({
      response_type: 'code',
      client_id: 'mcptt-client',
      redirect_uri: REDIRECT_URI,
      acr_values: '3gpp:acr:password',
      code_challenge_method: 'S256',
    });
    expect(seen.getAll('resource')).deep.equal(['urn:3gpp:mcptt:server', 'urn:3gpp:mcptt:kms']);
    const [code, refresh] = idm.requests
      .filter(({ path }) => path === '/token')
      .map(({ body }) => Object.fromEntries(new URLSearchParams(body)));
    expect(code).include({ grant_type: 'authorization_code', code: 'c0de', resource: 'urn:3gpp:mcptt:server' });
    expect(code).have.property('code_verifier').with.length.greaterThan(42);
    expect(refresh).include({ grant_type: 'refresh_token', refresh_token: 'r1', resource: 'urn:3gpp:mcptt:kms' });
  });

  it('sends cookies where they belong and posts the form where it says', async () => {
    await logIn();
    const [page, post] = idm.requests.filter(({ path }) => path.startsWith('/login/1'));
    expect(page!.headers.cookie).equal('session=abc; form=1');
    expect(post).include({ method: 'POST', path: '/login/1?a=1&b=2' });
    expect(post!.body).equal(`username=alice&password=${PASSWORD}`);
    const tokenRequest = idm.requests.find(({ path }) => path === '/token')!;
    expect(tokenRequest.headers.cookie).equal(undefined);
  });

  it('reports each message on CSC-1, tied to its other end', async () => {
    await logIn();
    expect(records.every((record) => record.interface === 'CSC-1' && record.peer === 'idm')).equal(true);
    const sent = records.filter(({ direction }) => direction === 'sent');
    expect(sent).length(idm.requests.length);
    for (const [i, { correlation }] of sent.entries()) {
      expect(String(idm.requests[i]!.headers.traceparent)).contain(correlation!.split('/')[0]!);
    }
  });

  it('ignores a reply with the state of another request', async () => {
    answers['POST /login/1'] = redirect(`${REDIRECT_URI}?code=c0de&state=somebody-elses`);
    expect((await refusal()).code).equal('IDM_CLIENT_NO_REPLY');
    answers['POST /login/1'] = redirect(`${REDIRECT_URI}?code=c0de`);
    expect((await refusal()).code).equal('IDM_CLIENT_NO_REPLY');
    expect(idm.requests.filter(({ path }) => path === '/token')).deep.equal([]);
  });

  it('gives no password to another origin', async () => {
    const elsewhere = 'https://localhost:1/login';
    answers['GET /auth'] = redirect(elsewhere);
    expect((await refusal()).code).equal('IDM_CLIENT_REFUSED');
    answers['GET /auth'] = html(200, FORM.replace('/login/1?a=1&amp;b=2', elsewhere));
    expect((await refusal()).code).equal('IDM_CLIENT_REFUSED');
    answers['GET /auth'] = redirect(idm.issuer.replace('https', 'http'));
    expect((await refusal()).code).equal('IDM_CLIENT_REFUSED');
  });

  it('the form again after it was posted means wrong credentials', async () => {
    answers['POST /login/1'] = html(401, FORM);
    const { code, detail } = await refusal();
    expect([code, detail]).deep.equal(['IDM_CLIENT_WRONG_CREDENTIALS', { httpStatus: 401 }]);
  });

  it('a page that is no login form', async () => {
    for (const page of ['<p>out of order</p>', '<form method="get" action="/x"><input name="password"></form>']) {
      answers['GET /login/1'] = html(503, page);
      const { code, detail } = await refusal();
      expect([code, detail]).deep.equal(['IDM_CLIENT_REFUSED', { httpStatus: 503 }]);
    }
  });

  it('redirects without end', async () => {
    answers['GET /auth'] = redirect('/auth');
    expect((await refusal()).code).equal('IDM_CLIENT_REFUSED');
    expect(idm.requests.length).lessThan(15);
  });

  it('an error in the reply, and one of the token endpoint', async () => {
    answers['POST /login/1'] = (req, res) =>
      redirect(`${REDIRECT_URI}?error=access_denied&state=${seen.get('state')}`)(req, res);
    const denied = await refusal();
    expect([denied.code, denied.detail]).deep.equal(['IDM_CLIENT_REFUSED', { error: 'access_denied' }]);
    answers['GET /auth'] = (req, res) => redirect(`${REDIRECT_URI}?code=c&state=${seen.get('state')}`)(req, res);
    answers['POST /token'] = json(400, { error: 'invalid_grant' });
    const { detail } = await refusal();
    expect(detail).deep.equal({ error: 'invalid_grant', httpStatus: 400 });
  });

  for (const [name, change] of [
    ['of another issuer', { iss: 'https://idm.example' }],
    ['for another client', { aud: 'another-client' }],
    ['for another login', { nonce: 'of-yesterday' }],
    ['of another user than the access token', { mcptt_id: 'sip:bob@mcptt.example' }],
    ['without MCPTT ID', { mcptt_id: undefined }],
  ] as const) {
    it(`an ID token ${name}`, async () => {
      idTokenChange = change;
      expect((await refusal()).code).equal('IDM_CLIENT_BAD_TOKEN');
    });
  }

  it('an ID token that another key has signed', async () => {
    const stranger = await generateKeyPair('ES256');
    answers['GET /jwks'] = json(200, { keys: [{ ...(await exportJWK(stranger.publicKey)), kid: 'k', alg: 'ES256' }] });
    expect((await refusal()).code).equal('IDM_CLIENT_BAD_TOKEN');
  });

  it('a KMS token of another user than the ID token', async () => {
    const first = answers['POST /token']!;
    const ofBob = await jwt({ aud: 'urn:3gpp:mcptt:kms', mcptt_id: 'sip:bob@mcptt.example' });
    answers['POST /token'] = (req, res) => {
      const { body } = idm.requests.at(-1)!;
      const refreshing = body.includes('grant_type=refresh_token');
      (refreshing ? json(200, { access_token: ofBob, token_type: 'Bearer' }) : first)(req, res);
    };
    expect((await refusal()).code).equal('IDM_CLIENT_BAD_TOKEN');
  });

  it('no refresh token, so no way to a KMS token', async () => {
    const id = (): Promise<string> => jwt({ aud: 'mcptt-client', nonce: seen.get('nonce') });
    answers['POST /token'] = (req, res) =>
      void id().then((id_token) => json(200, { access_token: 'a.e30.c', token_type: 'Bearer', id_token })(req, res));
    expect((await refusal()).code).equal('IDM_CLIENT_BAD_TOKEN');
  });

  it('metadata of another issuer', async () => {
    answers['GET /.well-known/openid-configuration'] = json(200, { issuer: 'https://idm.example' });
    expect((await refusal()).code).equal('IDM_CLIENT_DISCOVERY');
  });

  it('an IdM that never answers, at any step', async () => {
    for (const step of [
      'GET /.well-known/openid-configuration',
      'GET /auth',
      'POST /login/1',
      'POST /token',
      'GET /jwks',
    ]) {
      const before = answers[step]!;
      answers[step] = never;
      expect((await refusal({ timeout: 150 })).code, step).equal('IDM_CLIENT_TIMEOUT');
      answers[step] = before;
    }
  });

  it('an IdM that cannot be reached, or not be trusted', async () => {
    expect((await refusal({ issuer: `https://127.0.0.1:${await closedPort()}` })).detail).deep.equal({
      reason: 'ECONNREFUSED',
    });
    const other = await createTestCa();
    const { code, detail } = await refusal({ ca: other.certificate });
    expect(code).equal('IDM_CLIENT_UNREACHABLE');
    expect(detail.reason).match(/SIGNATURE|CERT/);
  });

  it('an issuer without TLS is not asked', async () => {
    expect((await refusal({ issuer: idm.issuer.replace('https', 'http') })).code).match(/DISCOVERY|UNREACHABLE/);
    expect(idm.requests).deep.equal([]);
  });
});

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
