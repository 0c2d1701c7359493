/** KMS access tokens (AUTH-1, AUTH-2): the check of security/tokens.ts, for this KMS, with the IdM's keys found by discovery. */

import type { Clock } from '../../sim/engine/clock.ts';
import type { Fetch } from '../messages/kms/https.ts';
import { remoteTokenKeys } from '../security/token-keys.ts';
import { createTokenVerifier, TokenError } from '../security/tokens.ts';
import { KmsRefusal } from './refusal.ts';

/** What a valid KMS access token says. */
export interface TokenClaims {
  readonly mcpttId: string;
  readonly clientId: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Checks a KMS access token: signature by the IdM, issuer, audience, times, type, algorithm, scope.
 * @throws KmsRefusal `KMS_INVALID_TOKEN`, `KMS_INSUFFICIENT_SCOPE`, `KMS_UNAVAILABLE`
 */
export type CheckToken = (token: string) => Promise<TokenClaims>;

export interface TokenCheckOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly scope: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** How long to wait for the IdM, milliseconds. */
  readonly wait: number;
}

/** Between two attempts to reach the IdM, milliseconds. */
const AGAIN = 100;

/** @throws KmsRefusal `KMS_UNAVAILABLE` when the IdM does not answer in time */
export async function tokenCheck(options: TokenCheckOptions): Promise<CheckToken> {
  const { issuer, audience, scope, fetch, clock } = options;
  const now = (): number => clock.now();
  const keys = remoteTokenKeys({ url: await discoverKeys(options), fetch, now });
  const verifier = createTokenVerifier({ issuer, audience, scopes: [scope], keys, now });
  return async (token) => {
    try {
      return await verifier.verify(token);
    } catch (error) {
      if (error instanceof TokenError) throw refusalFor(error);
      throw error;
    }
  };
}

/** RFC 6750 section 3.1 in this KMS's words. */
export function refusalFor(error: TokenError): KmsRefusal {
  if (error.code === 'TOKEN_MISSING') return new KmsRefusal('KMS_NO_TOKEN', error.message);
  if (error.status === 403) return new KmsRefusal('KMS_INSUFFICIENT_SCOPE', error.message);
  if (error.status === 503) return new KmsRefusal('KMS_UNAVAILABLE', error.message, 5);
  return new KmsRefusal('KMS_INVALID_TOKEN', error.message);
}

/** `jwks_uri` of the issuer's metadata (OpenID Connect Discovery 1.0 section 4). */
async function discoverKeys({ issuer, fetch, wait }: TokenCheckOptions): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const bound = AbortSignal.timeout(wait);
  for (;;) {
    try {
      const response = await fetch(url, { signal: bound });
      const metadata = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
      if (metadata.issuer === issuer && typeof metadata.jwks_uri === 'string') return metadata.jwks_uri;
    } catch {
      // Start order does not matter: the IdM may not be there yet.
    }
    if (bound.aborted) {
      throw new KmsRefusal(
        'KMS_UNAVAILABLE',
        `the IdM at ${issuer} did not tell where its keys are within ${wait} ms`,
        5,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
