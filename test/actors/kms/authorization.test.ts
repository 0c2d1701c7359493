/** AUTH-1 to AUTH-3: no key material, and no CEK, without a KMS access token that the IdM signed for this user. */
import { createHmac, generateKeyPairSync, type webcrypto } from 'node:crypto';
import { expect } from 'chai';
import { exportSPKI, generateKeyPair, importJWK } from 'jose';
import { KMS_PATHS } from '../../../actors/messages/kms/namespaces.ts';
import {
  ALICE,
  BOB,
  createSetting,
  KMS_URI,
  post,
  type RunningKms,
  SCOPE,
  SERVER_ID,
  SESSION,
  type Setting,
  startKms,
  until,
} from './harness.ts';

const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

describe('AUTH-1 to AUTH-3: the KMS access token', () => {
  let setting: Setting;
  let running: RunningKms;
  let url: string;

  before(async () => {
    setting = await createSetting();
    running = await startKms(setting, { config: { policy: { requests: { burst: 10_000, perMinute: 10_000 } } } });
    url = `${running.url}${KMS_PATHS.keyProv}`;
  });
  after(async () => {
    await running.kms.stop();
    await setting.stop();
  });

  const ask = (token: string | undefined, request = {}) =>
    post(setting.asUe, url, {
      ...(token === undefined ? {} : { token }),
      request: { cekRequests: [{ sipSession: SESSION }], ...request },
    });
  const issued = async (): Promise<unknown[]> => (await running.kms.readings.ceks!({})) as unknown[];
  const refusedWith = async (status: number, token: string | undefined, request = {}): Promise<void> => {
    const before = await issued();
    const pushes = setting.server.pushed.length;
    const answer = await ask(token, request);
    expect(answer.status).to.equal(status);
    expect(answer.response.message, 'no key material').to.equal(undefined);
    expect(answer.response.error?.message).to.be.a('string').and.not.equal('');
    expect(answer.headers.get('www-authenticate')).to.match(/^Bearer realm="kms\.mcptt\.example"/);
    expect(await issued(), 'no CEK').to.have.length(before.length);
    expect(setting.server.pushed, 'no push').to.have.length(pushes);
    const audit = (await running.kms.readings.audit!({})) as { event: string; status?: number }[];
    expect(audit.at(-1)).to.include({ event: 'refused', status });
  };
  const claims = (over: Record<string, unknown> = {}) => setting.idm.claims(Date.now(), over);
  const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

  it('without a token: 401 without an error code (RFC 6750 section 3.1)', async () => {
    await refusedWith(401, undefined);
    expect((await ask(undefined)).headers.get('www-authenticate')).to.not.contain('error=');
  });

  const bad: [string, number, () => Promise<string>][] = [
    ['expired', 401, () => setting.idm.sign(claims({ exp: inSeconds(-61), iat: inSeconds(-400) }))],
    ['not yet valid', 401, () => setting.idm.sign(claims({ nbf: inSeconds(120) }))],
    ['without an expiry', 401, () => setting.idm.sign(claims({ exp: undefined }))],
    ['for another audience', 401, () => setting.idm.sign(claims({ aud: 'urn:3gpp:mcptt:server' }))],
    ['without an audience', 401, () => setting.idm.sign(claims({ aud: undefined }))],
    ['by another issuer', 401, () => setting.idm.sign(claims({ iss: 'https://idm.example' }))],
    ['without an MCPTT ID', 401, () => setting.idm.sign(claims({ mcptt_id: undefined }))],
    ['with another type', 401, () => setting.idm.sign(claims(), { typ: 'JWT' })],
    ['without a type', 401, () => setting.idm.sign(claims(), { typ: undefined })],
    ['with an unknown kid', 401, () => setting.idm.sign(claims(), { kid: 'key-0' })],
    [
      'signed by another key under a known kid (AUTH-2)',
      401,
      async () => setting.idm.sign(claims(), {}, (await generateKeyPair('ES256')).privateKey),
    ],
    [
      'signed with another algorithm',
      401,
      async () => setting.idm.sign(claims(), { alg: 'ES384' }, (await generateKeyPair('ES384')).privateKey),
    ],
    [
      'whose claims were changed',
      401,
      async () => {
        const [header, payload, signature] = (await setting.idm.sign(claims())).split('.');
        const changed = { ...(JSON.parse(Buffer.from(payload!, 'base64url').toString()) as object), mcptt_id: BOB };
        return `${header}.${b64(changed)}.${signature}`;
      },
    ],
    [
      'whose signature was changed',
      401,
      async () => {
        const token = await setting.idm.sign(claims());
        const at = token.length - 10;
        return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      },
    ],
    ['with alg none', 401, async () => `${b64({ alg: 'none', typ: 'at+jwt' })}.${b64(claims())}.`],
    [
      'signed with HMAC under the published public key (HS/RS confusion)',
      401,
      async () => {
        const published = setting.idm.publishedKeys[0]!;
        const pem = await exportSPKI(
          (await importJWK(published, 'ES256', { extractable: true })) as webcrypto.CryptoKey,
        );
        const unsigned = `${b64({ alg: 'HS256', typ: 'at+jwt', kid: published.kid })}.${b64(claims())}`;
        return `${unsigned}.${createHmac('sha256', pem).update(unsigned).digest('base64url')}`;
      },
    ],
    [
      'that brings its own key along (jwk header)',
      401,
      async () => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const key = (await importJWK(privateKey.export({ format: 'jwk' }) as never, 'ES256')) as webcrypto.CryptoKey;
        return setting.idm.sign(claims(), { jwk: publicKey.export({ format: 'jwk' }), kid: undefined }, key);
      },
    ],
    ['that is no JWT', 401, async () => 'abc.def'],
    ['without the key management scope', 403, () => setting.idm.sign(claims({ scope: 'openid 3gpp:mc:ptt_service' }))],
    ['without any scope', 403, () => setting.idm.sign(claims({ scope: '' }))],
    ['of a client that policy does not know', 403, () => setting.idm.sign(claims({ client_id: 'other-client' }))],
  ];
  for (const [what, status, make] of bad) {
    it(`a token ${what}: ${status}, no key issued`, async () => refusedWith(status, await make()));
  }

  it('a refusal of a token says so as RFC 6750 wants it', async () => {
    const expired = await ask(await setting.idm.sign(claims({ exp: inSeconds(-61) })));
    expect(expired.headers.get('www-authenticate')).to.contain('error="invalid_token"');
    const scopeless = await ask(await setting.idm.sign(claims({ scope: 'openid' })));
    expect(scopeless.headers.get('www-authenticate')).to.contain(`error="insufficient_scope"`).and.contain(`scope="`);
    expect(scopeless.headers.get('www-authenticate')).to.contain(SCOPE);
  });

  for (const mine of [KMS_URI, SERVER_ID]) {
    it(`a token for ${mine} is refused, whoever signed it: that identity is no user's`, async () => {
      await refusedWith(403, await setting.idm.sign(claims({ mcptt_id: mine })), { userUri: mine });
    });
  }

  it('another scheme than Bearer is refused', async () => {
    const answer = await post(setting.asUe, url, { headers: { authorization: 'Basic YTpi' } });
    expect(answer.status).to.equal(401);
  });

  it('AUTH-3: key material is for the identity of the token, never for one that the request names', async () => {
    const token = await setting.idm.sign(claims());
    await refusedWith(403, token, { userUri: BOB });
    const named = await post(setting.asUe, `${url}/${encodeURIComponent(BOB)}`, { token });
    expect(named.status).to.equal(403);
    expect(named.response.error?.code).to.equal(2004);
  });

  it('a good token gets key material for two key periods and a CEK; a rotated IdM key is followed (AUTH-2)', async () => {
    const first = await ask(await setting.idm.sign(claims()));
    expect(first.status).to.equal(200);
    if (first.response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
    const { keySets, ceks } = first.response.message;
    expect(keySets.map((keySet) => keySet.userUri)).to.deep.equal([ALICE, ALICE]);
    expect(keySets[1]!.keyPeriodNo).to.equal(keySets[0]!.keyPeriodNo + 1);
    expect(ceks).to.have.length(1);
    expect(ceks[0]).to.include({ userUri: ALICE, sipSession: SESSION, state: 'active' });
    await setting.idm.rotate('key-2');
    const rotated = await setting.idm.sign(claims());
    await until('the new key of the IdM', async () => (await ask(rotated)).status === 200);
  });

  it('policy: a denied MCPTT ID gets nothing, and gets it again when allowed', async () => {
    const token = await setting.idm.sign(claims());
    await running.kms.verbs.setPolicy!({ deniedMcpttIds: [ALICE] });
    await refusedWith(403, token);
    await running.kms.verbs.setPolicy!({ deniedMcpttIds: [] });
    expect((await ask(token)).status).to.equal(200);
  });

  it('policy: where MCPTT IDs are named, nobody else gets key material', async () => {
    const token = await setting.idm.sign(claims());
    await running.kms.verbs.setPolicy!({ allowedMcpttIds: [BOB] });
    await refusedWith(403, token);
    await running.kms.verbs.setPolicy!({ allowedMcpttIds: [BOB, ALICE] });
    expect((await ask(token)).status).to.equal(200);
    await running.kms.verbs.resetPolicy!({});
  });

  it('an IdM whose metadata name another issuer is not taken for it (OpenID Connect Discovery 1.0 section 4.3)', async () => {
    const issuer = `${setting.idm.issuer}/`;
    const { kms } = await startKms(setting, { connect: false, idm: false, config: { issuer, connectWait: 150 } });
    const error = await kms.connect({ idm: { issuer: setting.idm.issuer } }).catch((caught: Error) => caught);
    await kms.stop();
    expect(error).to.have.property('code', 'KMS_UNAVAILABLE');
  });
});
