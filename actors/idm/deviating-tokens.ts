/**
 * Access tokens that the IdM makes wrong on purpose, for scenarios about who checks them. The IdM signs them all the same: who
 * refuses one has looked at what is wrong in it, and not only at the signature.
 */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { CompactSign, decodeJwt, decodeProtectedHeader } from 'jose';
import type { JWK, KoaContextWithOIDC } from 'oidc-provider';
import { type Deviation, deviateJwt, deviationValue } from '../messages/deviation.ts';
import { IdmError } from './config.ts';
import { isSigningAlgorithm, newSigningKey, SIGNING_ALGORITHMS, type SigningAlgorithm } from './signing-keys.ts';

export class DeviatingTokens {
  readonly #ofUser = new Map<string, readonly Deviation[]>();
  /** Keys of other algorithms than the IdM's own, published while tokens are signed with them. */
  readonly #otherKeys = new Map<SigningAlgorithm, JWK>();

  /**
   * From now on the user's access tokens have these deviations, all at `jwt`; with `header.alg` they are signed with a key of that
   * algorithm, which is published with the others.
   * @throws IdmError `IDM_BAD_ARGUMENT`
   */
  deviate(user: string, deviations: readonly Deviation[]): void {
    if (deviations.some(({ at, path }) => at !== 'jwt' || path === 'signature'))
      throw new IdmError('IDM_BAD_ARGUMENT', 'the IdM deviates at "jwt": in claims and "header.<name>"');
    const algorithm = deviationValue(deviations, 'jwt', 'header.alg') ?? 'ES256';
    if (!isSigningAlgorithm(algorithm))
      throw new IdmError('IDM_BAD_ARGUMENT', `"header.alg" is one of ${SIGNING_ALGORITHMS.join(', ')}`);
    if (algorithm !== 'ES256' && !this.#otherKeys.has(algorithm))
      this.#otherKeys.set(algorithm, newSigningKey(algorithm));
    this.#ofUser.set(user, deviations);
  }

  /** Tokens are as they should be again. */
  end(): void {
    this.#ofUser.clear();
    this.#otherKeys.clear();
  }

  /** Middleware of a provider: changes what its token and JWKS endpoints answer. @param own the IdM's signing key */
  answer(own: JWK): (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void> {
    return async (ctx, next) => {
      await next();
      const body = ctx.body as { access_token?: string; keys?: object[] } | undefined;
      if (ctx.oidc?.route === 'jwks' && body?.keys !== undefined)
        ctx.body = { keys: [...body.keys, ...[...this.#otherKeys.values()].map(published)] };
      const deviations = this.#ofUser.get(ctx.oidc?.account?.accountId ?? '');
      if (ctx.oidc?.route !== 'token' || body?.access_token === undefined || deviations === undefined) return;
      ctx.body = { ...body, access_token: await this.#signed(body.access_token, deviations, own) };
    };
  }

  async #signed(token: string, deviations: readonly Deviation[], own: JWK): Promise<string> {
    const algorithm = deviationValue(deviations, 'jwt', 'header.alg') ?? 'ES256';
    const key = this.#otherKeys.get(algorithm as SigningAlgorithm) ?? own;
    const made = { header: { ...decodeProtectedHeader(token), kid: key.kid }, claims: { ...decodeJwt(token) } };
    const { header, claims } = deviateJwt(deviations, made);
    return new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ ...header, alg: algorithm })
      .sign(privateKey(key));
  }
}

const privateKey = (jwk: JWK): KeyObject => createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });

function published(key: JWK): object {
  const { kid, use, alg } = key;
  return { ...createPublicKey(privateKey(key)).export({ format: 'jwk' }), kid, use, alg };
}
