import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JSONWebKeySet,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { remoteTokenKeys } from '../../../actors/security/token-keys.ts';
import {
  bearerToken,
  createTokenVerifier,
  localTokenKeys,
  TokenError,
  type TokenErrorCode,
  type TokenVerifier,
  wwwAuthenticate,
} from '../../../actors/security/tokens.ts';

const START = Date.UTC(2026, 0, 1);
const seconds = START / 1000;
const SCOPE = '3gpp:mc:ptt_key_management_service';

const claims = (change: JWTPayload = {}): JWTPayload => ({
  iss: 'https://idm.mcptt.example',
  sub: 'alice',
  aud: 'urn:3gpp:mcptt:kms',
  iat: seconds - 10,
  exp: seconds + 3600,
  jti: 'token-1',
  scope: `openid ${SCOPE}`,
  client_id: 'mcptt-client',
  mcptt_id: 'sip:alice@mcptt.example',
  ...change,
});

interface Key {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

const newKey = async (kid: string): Promise<Key> => ({ kid, ...(await generateKeyPair('ES256')) });

const keySetOf = async (...keys: Key[]): Promise<JSONWebKeySet> => ({
  keys: await Promise.all(
    keys.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' })),
  ),
});

const signed = (key: Key, payload: JWTPayload = claims(), header: object = {}): Promise<string> =>
  new SignJWT(payload)
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...header })
    .sign(key.privateKey);

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

async function refusal(verifier: TokenVerifier, token: string, code: TokenErrorCode): Promise<TokenError> {
  const error: unknown = await verifier.verify(token).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'what the token was refused with').instanceOf(TokenError);
  expect((error as TokenError).code).equal(code);
  return error as TokenError;
}

describe('access tokens (RFC 9068, RFC 6750, TS 33.180 annex B)', () => {
  let key: Key;
  let stranger: Key;
  let verifier: TokenVerifier;
  let now = START;
  const rules = { issuer: 'https://idm.mcptt.example', audience: 'urn:3gpp:mcptt:kms', scopes: [SCOPE] };

  before(async () => {
    key = await newKey('k1');
    stranger = await newKey('k1');
    verifier = createTokenVerifier({ ...rules, keys: localTokenKeys(await keySetOf(key)), now: () => now });
  });
  beforeEach(() => {
    now = START;
  });

  it('a good one says who, for how long and what for', async () => {
    expect(await verifier.verify(await signed(key))).deep.equal({
      mcpttId: 'sip:alice@mcptt.example',
      clientId: 'mcptt-client',
      subject: 'alice',
      scopes: ['openid', SCOPE],
      id: 'token-1',
      issuedAt: START - 10_000,
      expiresAt: START + 3_600_000,
    });
  });

  const wrong: [string, JWTPayload, TokenErrorCode][] = [
    ['of another issuer', { iss: 'https://idm.mcptt.example/' }, 'TOKEN_ISSUER'],
    ['for the MCPTT server shown to the KMS', { aud: 'urn:3gpp:mcptt:server' }, 'TOKEN_AUDIENCE'],
    ['expired', { exp: seconds - 6 }, 'TOKEN_EXPIRED'],
    ['not valid yet', { nbf: seconds + 6 }, 'TOKEN_NOT_YET_VALID'],
    ['issued in the future', { iat: seconds + 61 }, 'TOKEN_NOT_YET_VALID'],
    ['without the scope', { scope: 'openid 3gpp:mc:ptt_service' }, 'TOKEN_SCOPE'],
    ['with a scope that only starts the same', { scope: `${SCOPE}s` }, 'TOKEN_SCOPE'],
    ...['iss', 'aud', 'exp', 'iat', 'sub', 'jti', 'scope', 'client_id', 'mcptt_id'].map(
      (name): [string, JWTPayload, TokenErrorCode] => [`without ${name}`, { [name]: undefined }, 'TOKEN_CLAIM'],
    ),
    ['with an empty mcptt_id', { mcptt_id: '' }, 'TOKEN_CLAIM'],
    ['with an mcptt_id that is a list', { mcptt_id: ['sip:alice@mcptt.example'] }, 'TOKEN_CLAIM'],
    ...[
      'sip:a\u0001b',
      'sip:alice@mcptt.example\n',
      ' sip:a@b',
      'sip:%zz',
      'sip:"<a>',
      '::',
      `sip:${'a'.repeat(509)}`,
    ].map((id): [string, JWTPayload, TokenErrorCode] => [
      `with an mcptt_id that is no URI (${JSON.stringify(id).slice(0, 20)})`,
      { mcptt_id: id },
      'TOKEN_CLAIM',
    ]),
    ['with an exp that is no number', { exp: 'tomorrow' as unknown as number }, 'TOKEN_CLAIM'],
    ['with an nbf that is no number', { nbf: 'yesterday' as unknown as number }, 'TOKEN_CLAIM'],
  ];
  for (const [name, change, code] of wrong) {
    it(`${name}: ${code}`, async () => {
      await refusal(verifier, await signed(key, claims(change)), code);
    });
  }

  it('an MCPTT ID may be any URI, with or without a scheme', async () => {
    for (const id of ['tel:+15550101', 'alice@org.example', 'sip:a%20b@mcptt.example;user=ip', 'urn:uuid:1-2:x']) {
      expect((await verifier.verify(await signed(key, claims({ mcptt_id: id })))).mcpttId).to.equal(id);
    }
  });

  it('clocks may differ by five seconds, both ways', async () => {
    await verifier.verify(await signed(key, claims({ exp: seconds - 4 })));
    await verifier.verify(await signed(key, claims({ nbf: seconds + 4 })));
  });

  it('an iat that is ahead by no more than a minute is the IdM’s clock, and no reason to refuse', async () => {
    await verifier.verify(await signed(key, claims({ iat: seconds + 60 })));
  });

  it('time is that of the clock which was given', async () => {
    const token = await signed(key);
    await verifier.verify(token);
    now = START + 3_606_000;
    await refusal(verifier, token, 'TOKEN_EXPIRED');
  });

  it('signed by another key under the same name', async () => {
    await refusal(verifier, await signed(stranger), 'TOKEN_SIGNATURE');
  });

  it('any part changed', async () => {
    const [header, payload, signature] = (await signed(key)).split('.') as [string, string, string];
    const other = encoded(claims({ mcptt_id: 'sip:bob@mcptt.example' }));
    await refusal(verifier, `${header}.${other}.${signature}`, 'TOKEN_SIGNATURE');
    const bad = Buffer.from(signature, 'base64url');
    bad[0]! ^= 1;
    await refusal(verifier, `${header}.${payload}.${bad.toString('base64url')}`, 'TOKEN_SIGNATURE');
  });

  it('a part written otherwise than base64url has it: padded, or with bits set that carry nothing (RFC 7515 section 2)', async () => {
    const token = await signed(key);
    const parts = token.split('.');
    // 64 octets leave four bits of the last character of the signature unused.
    const last = token.at(-1)!;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const other = alphabet[alphabet.indexOf(last) + 1]!;
    await refusal(verifier, `${token.slice(0, -1)}${other}`, 'TOKEN_MALFORMED');
    await refusal(verifier, `${token}==`, 'TOKEN_MALFORMED');
    await refusal(verifier, `${parts[0]}=.${parts[1]}.${parts[2]}`, 'TOKEN_MALFORMED');
    await refusal(verifier, `${token}.`, 'TOKEN_MALFORMED');
  });

  it('one that is too long to be one', async () => {
    expect((await signed(key, claims({ note: 'x'.repeat(10_000) }))).length).lessThan(16_384);
    await verifier.verify(await signed(key, claims({ note: 'x'.repeat(10_000) })));
    await refusal(verifier, await signed(key, claims({ note: 'x'.repeat(13_000) })), 'TOKEN_MALFORMED');
  });

  it('algorithm none, in any spelling', async () => {
    for (const alg of ['none', 'None', 'NONE', '', undefined]) {
      const token = `${encoded({ alg, typ: 'at+jwt', kid: 'k1' })}.${encoded(claims())}.`;
      await refusal(verifier, token, 'TOKEN_ALGORITHM');
    }
  });

  it("HMAC keyed with the IdM's public key (HS/RS confusion)", async () => {
    const [{ x }] = (await keySetOf(key)).keys as [{ x: string }];
    for (const secret of [await exportSPKI(key.publicKey), JSON.stringify(await exportJWK(key.publicKey)), x]) {
      const content = `${encoded({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' })}.${encoded(claims())}`;
      const mac = createHmac('sha256', secret).update(content).digest('base64url');
      await refusal(verifier, `${content}.${mac}`, 'TOKEN_ALGORITHM');
    }
  });

  it('RSA and other curves', async () => {
    for (const alg of ['RS256', 'ES384', 'EdDSA']) {
      const { privateKey } = await generateKeyPair(alg);
      const token = await new SignJWT(claims()).setProtectedHeader({ alg, typ: 'at+jwt', kid: 'k1' }).sign(privateKey);
      await refusal(verifier, token, 'TOKEN_ALGORITHM');
    }
  });

  it('an ID token or a bare JWT in place of an access token', async () => {
    await refusal(verifier, await signed(key, claims(), { typ: 'JWT' }), 'TOKEN_TYPE');
    await refusal(verifier, await signed(key, claims(), { typ: undefined }), 'TOKEN_TYPE');
  });

  it('a key that is not published, no key named, a key of its own', async () => {
    await refusal(verifier, await signed({ ...key, kid: 'k2' }), 'TOKEN_UNKNOWN_KEY');
    await refusal(verifier, await signed(key, claims(), { kid: undefined }), 'TOKEN_UNKNOWN_KEY');
    const own = { jwk: await exportJWK(stranger.publicKey) };
    await refusal(verifier, await signed(stranger, claims(), own), 'TOKEN_SIGNATURE');
  });

  it('of several keys under one name the one that fits counts (RFC 7517 4.5: they only SHOULD differ)', async () => {
    const both = localTokenKeys(await keySetOf(stranger, key));
    const checked = createTokenVerifier({ ...rules, keys: both, now: () => now });
    expect(await checked.verify(await signed(key))).have.property('mcpttId', 'sip:alice@mcptt.example');
    await refusal(checked, await signed(key, claims({ exp: seconds - 6 })), 'TOKEN_EXPIRED');
    await refusal(checked, await signed(await newKey('k1')), 'TOKEN_SIGNATURE');
  });

  it('an extension that must be understood', async () => {
    const token = `${encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'k1', crit: ['x'], x: 1 })}.${encoded(claims())}.AAAA`;
    await refusal(verifier, token, 'TOKEN_MALFORMED');
  });

  it('anything else raises a TokenError too', async () => {
    for (const token of ['', 'a.b.c', '....', 'e30.e30.', 'x'.repeat(20_000)]) {
      const error: unknown = await verifier.verify(token).catch((reason: unknown) => reason);
      expect(error, token.slice(0, 20)).instanceOf(TokenError);
    }
    const token = await signed(key);
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.string({ maxLength: 5 }), async (at, text) => {
        const changed = token.slice(0, at) + text + token.slice(at + 1);
        const result: unknown = await verifier.verify(changed).catch((reason: unknown) => reason);
        if (!(result instanceof TokenError)) expect(result).have.property('mcpttId', 'sip:alice@mcptt.example');
      }),
      { numRuns: 200 },
    );
  });

  it('refusals say what RFC 6750 says', async () => {
    const expired = await refusal(verifier, await signed(key, claims({ exp: 1 })), 'TOKEN_EXPIRED');
    expect([expired.status, expired.error]).deep.equal([401, 'invalid_token']);
    expect(wwwAuthenticate(expired, 'kms')).equal(
      'Bearer realm="kms", error="invalid_token", error_description="the access token has expired"',
    );
    const scope = await refusal(verifier, await signed(key, claims({ scope: 'openid' })), 'TOKEN_SCOPE');
    expect([scope.status, scope.error]).deep.equal([403, 'insufficient_scope']);
    expect(wwwAuthenticate(scope, 'kms')).match(new RegExp(`scope="${SCOPE}"$`));
    const none = new TokenError('TOKEN_MISSING', 'none');
    expect(wwwAuthenticate(none, 'kms')).equal('Bearer realm="kms"');
  });

  it('the bearer token of a request', () => {
    expect(bearerToken('Bearer abc.def')).equal('abc.def');
    expect(bearerToken('bearer  abc')).equal('abc');
    for (const [value, code] of [
      [undefined, 'TOKEN_MISSING'],
      ['Basic YWJj', 'TOKEN_MISSING'],
      ['Bearer ', 'TOKEN_MALFORMED'],
      ['Bearer a b', 'TOKEN_MALFORMED'],
    ] as const) {
      expect(() => bearerToken(value))
        .throw(TokenError)
        .property('code', code);
    }
  });

  describe('keys behind a URL (RFC 7517)', () => {
    let published: JSONWebKeySet;
    let answer: () => Response | Promise<Response>;
    let fetches: number;
    let remote: TokenVerifier;
    let second: Key;

    before(async () => {
      second = await newKey('k2');
    });
    beforeEach(async () => {
      published = await keySetOf(key);
      answer = () => Response.json(published);
      fetches = 0;
      const keys = remoteTokenKeys({
        url: 'https://idm.mcptt.example/jwks',
        now: () => now,
        fetch: async (_url, init) => {
          fetches++;
          expect(init?.redirect, 'keys are had where the issuer says, and nowhere else').equal('error');
          return answer();
        },
      });
      remote = createTokenVerifier({ ...rules, keys, now: () => now });
    });

    it('are fetched once for many tokens, also when these come at once', async () => {
      await Promise.all([1, 2, 3].map(async () => remote.verify(await signed(key))));
      await remote.verify(await signed(key));
      expect(fetches).equal(1);
    });

    it('are fetched again at once when the IdM has rotated them, and the old one is gone', async () => {
      await remote.verify(await signed(key));
      published = await keySetOf(second);
      await remote.verify(await signed(second));
      expect(fetches).equal(2);
      await refusal(remote, await signed(key), 'TOKEN_UNKNOWN_KEY');
    });

    it('are fetched a bounded number of times for keys that nobody has', async () => {
      await remote.verify(await signed(key));
      for (let i = 0; i < 50; i++) {
        await refusal(remote, await signed({ ...key, kid: `stranger-${i}` }), 'TOKEN_UNKNOWN_KEY');
      }
      expect(fetches).equal(6);
      published = await keySetOf(second);
      await refusal(remote, await signed(second), 'TOKEN_UNKNOWN_KEY');
      now += 10_000;
      await remote.verify(await signed(second));
    });

    it('are fetched afresh after ten minutes, so that a withdrawn key is forgotten', async () => {
      await remote.verify(await signed(key));
      published = await keySetOf(second);
      await remote.verify(await signed(key));
      now += 600_000;
      await refusal(remote, await signed(key), 'TOKEN_UNKNOWN_KEY');
    });

    for (const [name, failing] of [
      ['cannot be reached', () => Promise.reject(new TypeError('fetch failed'))],
      ['answers with an error', () => new Response('', { status: 500 })],
      ['answers with an error that looks like keys', () => Response.json(published, { status: 404 })],
      ['answers without an end', () => new Response(`{"keys":[]${' '.repeat(65_536)}}`)],
      ['answers with something else', () => new Response('<html>')],
      ['answers with JSON of another kind', () => Response.json({ keys: 'none' })],
    ] as const) {
      it(`nothing is accepted while the IdM ${name}`, async () => {
        answer = failing;
        const error = await refusal(remote, await signed(key), 'TOKEN_VALIDATOR_UNAVAILABLE');
        expect([error.status, error.error]).deep.equal([503, undefined]);
        answer = () => Response.json(published);
        await remote.verify(await signed(key));
      });
    }

    it('are never fetched without TLS', async () => {
      const keys = remoteTokenKeys({
        url: 'http://idm.mcptt.example/jwks',
        now: () => now,
        fetch: () => Promise.resolve(Response.json(published)),
      });
      await refusal(
        createTokenVerifier({ ...rules, keys, now: () => now }),
        await signed(key),
        'TOKEN_VALIDATOR_UNAVAILABLE',
      );
    });
  });
});
