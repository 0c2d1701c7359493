/** What step 3a asks of access tokens (RFC 9068, TS 33.180 B.4) and of what the IdM publishes. Tokens themselves are never in records. */
import { expect } from 'chai';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { reading } from './reading.ts';
import { body, optionalHeader, startLine } from './sip.ts';

export interface Claims {
  readonly mcptt_id: string;
  readonly client_id: string;
  readonly scope: string;
  readonly aud: string | readonly string[];
  readonly iss: string;
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
}

/** What the UE tells of its login: claims and protected headers of both access tokens. */
export interface Login {
  readonly mcptt: Claims;
  readonly kms: Claims;
  readonly headers?: Readonly<Record<'mcptt' | 'kms', { alg?: string; typ?: string; kid?: string }>>;
}

export const KMS_SCOPE = '3gpp:mc:ptt_key_management_service';
export const SERVICE_SCOPE = '3gpp:mc:ptt_service';
/** Seconds; a token that is good for longer than a day stands for a user who may have left the service long ago. */
const LONGEST_LIFE = 86_400;

/** Seconds by which the IdM's clock may be ahead of the testbed's. */
const CLOCKS_DIFFER = 60;

/** Asserts the claims of one access token that was given `at`, milliseconds since 1970. */
export function expectClaims(
  claims: Claims,
  expected: {
    audience: string;
    issuer: string;
    mcpttId: string;
    clientId: string;
    scopes: readonly string[];
    at: number;
  },
): void {
  const names = ['mcptt_id', 'client_id', 'scope', 'aud', 'iss', 'sub', 'jti', 'iat', 'exp'];
  expect(claims, `claims of the token for ${expected.audience}`).to.include.keys(...names);
  expect([claims.aud].flat(), 'audience').to.deep.equal([expected.audience]);
  expect(claims.iss, 'issuer').to.equal(expected.issuer);
  expect(claims.mcptt_id, 'mcptt_id').to.equal(expected.mcpttId);
  expect(claims.client_id, 'client_id').to.equal(expected.clientId);
  expect(claims.scope, 'scope').to.be.a('string');
  expect(claims.scope.split(' '), `scope of the token for ${expected.audience}`).to.include.members([
    ...expected.scopes,
  ]);
  expect(claims.exp - claims.iat, 'life of the token, seconds').to.be.within(1, LONGEST_LIFE);
  const now = expected.at / 1000;
  expect(claims.exp, 'exp, against the time of the answer').to.be.greaterThan(now);
  expect(claims.iat, 'iat, against the time of the answer').to.be.at.most(now + CLOCKS_DIFFER);
}

/** Seconds that may pass between the making of a token and that of the answer which it is in. */
const ANSWER_TAKES = 5;

/** Asserts that the answer of the token endpoint tells the life of its token, where it tells one. */
export function expectLife({ exp, iat }: Claims, { expiresIn }: TokenAnswer): void {
  if (expiresIn === undefined) return;
  expect(exp - iat, 'life of the token, as its answer says').to.be.within(expiresIn, expiresIn + ANSWER_TAKES);
}

export interface TokenAnswer {
  readonly record: MessageRecord;
  /** The access token as records show it: `[token <digest>]`. */
  readonly token: string;
  /** Seconds; undefined when the IdM does not tell (RFC 6749 5.1). */
  readonly expiresIn: number | undefined;
}

/** Answers of the token endpoint to requests for this resource, the newest last. */
export function tokensFor(t: StepContext, resource: string, ue = 'ue'): TokenAnswer[] {
  const atUe = t.records({ interface: 'CSC-1', actor: ue }, 'all');
  const asked = atUe.filter(
    (r) => r.direction === 'sent' && startLine(r).startsWith('POST') && resourcesOf(r).includes(resource),
  );
  return asked.flatMap((request) => {
    const span = request.correlation?.replace('/request', '/response');
    const record = atUe.find((r) => r.correlation === span && startLine(r).includes(' 200'));
    if (record === undefined) return [];
    const answer = json(record) as { access_token: string; expires_in?: number };
    return [{ record, token: answer.access_token, expiresIn: answer.expires_in }];
  });
}

const json = (record: MessageRecord): unknown =>
  reading(`the JSON in ${startLine(record)} from the IdM`, () => JSON.parse(body(record)) as unknown);

export const resourcesOf = (request: MessageRecord): string[] => new URLSearchParams(body(request)).getAll('resource');

/** Asserts that the IdM speaks https only, offers PKCE, publishes nothing but public keys, and for ES256 those of these names, where these were seen. */
export function expectPublished(t: StepContext, issuer: string, kids: readonly (string | undefined)[]): void {
  expect(issuer, 'issuer').to.match(/^https:\/\//);
  for (const record of t.records({ interface: 'CSC-1', status: 200 }, 'all')) {
    if (!/json/.test(optionalHeader(record, 'content-type') ?? '')) continue;
    const document = json(t.about(record)) as Record<string, unknown> & { keys?: Record<string, string>[] };
    if (document.authorization_endpoint !== undefined) {
      expect(document.issuer, 'issuer of the discovery document').to.equal(issuer);
      for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'])
        expect(document[name], name).to.match(/^https:\/\//);
      expect(document.code_challenge_methods_supported, 'code_challenge_methods_supported').to.include('S256');
    }
    for (const key of document.keys ?? []) {
      expect(key, 'published key').not.to.include.any.keys('d', 'k');
      // What else is published signs ID tokens, for instance, and is of another algorithm then.
      if (kids.includes(key.kid)) expect(key, 'key of the tokens').to.include({ kty: 'EC', crv: 'P-256' });
    }
  }
  const published = t
    .records({ interface: 'CSC-1', status: 200, where: (r) => body(r).includes('"keys"') }, 'all')
    .flatMap((r) => (json(r) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid));
  if (published.length > 0) expect(published, 'kids published').to.include.members([...kids]);
}
