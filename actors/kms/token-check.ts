/**
 * Checks KMS access tokens (AUTH-1, AUTH-2): signed by the IdM with a key that it publishes, for this KMS, in its time, with
 * the key management scope. The keys are fetched when the KMS connects, and again when a token names an unknown one.
 */
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import type { Clock } from '../../sim/engine/clock.ts';
import type { Fetch } from '../messages/kms/https.ts';
import type { CheckToken } from './authorize.ts';
import { KmsRefusal } from './refusal.ts';

export interface TokenCheckOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly scope: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** How long to wait for the IdM's keys, milliseconds. */
  readonly wait: number;
}

/** @throws KmsRefusal `KMS_UNAVAILABLE` when the IdM's keys do not come in time */
export async function tokenCheck(options: TokenCheckOptions): Promise<CheckToken> {
  const { issuer, audience, scope, clock } = options;
  const keys = createRemoteJWKSet(new URL(`${issuer.replace(/\/$/, '')}/jwks`), {
    [customFetch]: options.fetch as never,
    timeoutDuration: options.wait,
    cooldownDuration: 250,
  });
  await keys.reload().catch(() => {
    throw new KmsRefusal('KMS_UNAVAILABLE', `the IdM at ${issuer} did not give its keys within ${options.wait} ms`);
  });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ['ES256'],
        typ: 'at+jwt',
        requiredClaims: ['exp', 'mcptt_id', 'client_id', 'scope'],
        currentDate: new Date(clock.now()),
      });
      const { mcptt_id: mcpttId, client_id: clientId, exp = 0 } = payload;
      if (typeof mcpttId !== 'string' || typeof clientId !== 'string') throw new errors.JWTInvalid('claims');
      if (!String(payload.scope).split(' ').includes(scope)) {
        throw new KmsRefusal('KMS_INSUFFICIENT_SCOPE', `the access token lacks the scope ${scope}`);
      }
      return { mcpttId, clientId, expiresAt: exp * 1000 };
    } catch (error) {
      if (error instanceof KmsRefusal) throw error;
      if (error instanceof errors.JWKSTimeout)
        throw new KmsRefusal('KMS_UNAVAILABLE', "the IdM's keys cannot be fetched", 5);
      throw new KmsRefusal('KMS_INVALID_TOKEN', 'the access token is not one that this KMS accepts');
    }
  };
}
