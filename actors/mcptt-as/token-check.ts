/** The check of the MCPTT service's access tokens, with the IdM's keys found by discovery. */
import type { Clock } from '../../sim/engine/clock.ts';
import type { Fetch } from '../messages/kms/https.ts';
import { remoteTokenKeys } from '../security/token-keys.ts';
import { createTokenVerifier } from '../security/tokens.ts';
import { McpttAsError } from './errors.ts';
import type { ServiceToken } from './publish.ts';

export interface TokenCheckOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly scope: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
}

/** How long the IdM is waited for, and the pause between two attempts: actors start in any order. */
const BOUND_MS = 10_000;
const AGAIN_MS = 100;

/** @throws McpttAsError `MCPTT_AS_NO_PEER` when the IdM does not answer in time */
export async function tokenCheck(options: TokenCheckOptions): Promise<(token: string) => Promise<ServiceToken>> {
  const { issuer, audience, scope, fetch, clock } = options;
  const now = (): number => clock.now();
  const keys = remoteTokenKeys({ url: await discoverKeys(issuer, fetch), fetch, now });
  // Fetched ahead of the first token, which then waits for nothing; a failure here is met again, and told, with that token.
  await keys.find('').catch(() => undefined);
  const verifier = createTokenVerifier({ issuer, audience, scopes: [scope], keys, now });
  return (token) => verifier.verify(token);
}

/** `jwks_uri` of the issuer's metadata (OpenID Connect Discovery 1.0 clause 4). */
async function discoverKeys(issuer: string, fetch: Fetch): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const bound = AbortSignal.timeout(BOUND_MS);
  let why = 'it did not answer';
  while (!bound.aborted) {
    try {
      const metadata = (await (await fetch(url, { signal: bound })).json()) as { issuer?: unknown; jwks_uri?: unknown };
      if (metadata.issuer === issuer && typeof metadata.jwks_uri === 'string') return metadata.jwks_uri;
      why = 'its metadata are of another issuer';
    } catch (error) {
      why = (error as Error).message;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  throw new McpttAsError(
    'MCPTT_AS_NO_PEER',
    `the IdM at ${issuer} did not tell where its keys are within ${BOUND_MS} ms: ${why}`,
  );
}
