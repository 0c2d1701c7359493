/** TS 33.180 D.3.1 at the client: an answer is taken only when it is one to what was asked, and an error is never taken for a message. */
import { expect } from 'chai';
import { KMS_PATHS } from '../../../../actors/messages/kms/namespaces.ts';
import { buildKmsResponse, type KmsResponse } from '../../../../actors/messages/kms/response.ts';
import { KmsClientError } from '../../../../actors/security/kms-client/errors.ts';
import { KmsExchange } from '../../../../actors/security/kms-client/exchange.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const ALICE = 'sip:alice@mcptt.example';
const BASE = 'https://kms.mcptt.example';
const GOOD: KmsResponse = {
  userUri: ALICE,
  kmsUri: 'kms.mcptt.example',
  time: NOW,
  clientReqUrl: `${BASE}${KMS_PATHS.keyProv}`,
  message: { type: 'key-prov', keySets: [], ceks: [] },
};

/** What the client makes of one answer. */
async function outcome(answer: Partial<KmsResponse> | string, status = 200, headers: Record<string, string> = {}) {
  const { message, ...rest } = { ...GOOD, ...(typeof answer === 'string' ? {} : answer) };
  const octets = buildKmsResponse({ ...rest, ...(message === undefined ? {} : { message }) });
  const body = typeof answer === 'string' ? answer : Buffer.from(octets).toString('utf8');
  const exchange = new KmsExchange({
    baseUrl: BASE,
    kmsUri: 'kms.mcptt.example',
    userUri: ALICE,
    fetch: () => Promise.resolve(new Response(body, { status, headers })),
    now: () => NOW,
  });
  return exchange.ask({ path: KMS_PATHS.keyProv }).then(
    ({ type }) => type,
    (error: unknown) => {
      expect(error).to.be.instanceOf(KmsClientError);
      return error as KmsClientError;
    },
  );
}

const codeOf = async (...told: Parameters<typeof outcome>): Promise<string> => {
  const got = await outcome(...told);
  return typeof got === 'string' ? got : got.code;
};

describe('KmsExchange (TS 33.180 D.3.1)', () => {
  const error = { code: 2005, message: 'no key material for this user' };

  it('takes the answer to what was asked', async () => expect(await codeOf({})).to.equal('key-prov'));

  for (const [what, answer] of [
    ['another UserUri', { userUri: 'sip:bob@mcptt.example' }],
    ['another KmsUri', { kmsUri: 'other.example' }],
    ['another ClientReqUrl', { clientReqUrl: `${BASE}${KMS_PATHS.init}` }],
  ] as const) {
    it(`does not take an answer with ${what}`, async () => expect(await codeOf(answer)).to.equal('KMS_BAD_ANSWER'));
  }

  it('does not take an answer without a KmsMessage, or one that is no KmsResponse', async () => {
    const { message: _none, ...bare } = GOOD;
    expect(await codeOf(Buffer.from(buildKmsResponse(bare)).toString('utf8'))).to.equal('KMS_BAD_ANSWER');
    expect(await codeOf('<html/>')).to.equal('KMS_BAD_ANSWER');
    expect(await codeOf('', 502)).to.equal('KMS_BAD_ANSWER');
  });

  it('a KmsError is a refusal whatever the status, and whatever stands beside it', async () => {
    expect(await codeOf({ error })).to.equal('KMS_REFUSED');
    const got = await outcome({ error }, 403, { 'www-authenticate': 'Bearer realm="x"', 'retry-after': '3' });
    expect((got as KmsClientError).detail).to.deep.equal({
      httpStatus: 403,
      errorCode: 2005,
      wwwAuthenticate: 'Bearer realm="x"',
      retryAfter: 3,
    });
  });

  it('a status that is not 200 is a refusal whatever stands in the body', async () => {
    expect(await codeOf({}, 403)).to.equal('KMS_REFUSED');
    expect(await codeOf({}, 201)).to.equal('KMS_REFUSED');
  });
});
