/**
 * Access tokens as the KMS and the MCPTT server check them: JWT of RFC 9068 signed ES256 by the IdM, carrying
 * `mcptt_id` (TS 33.180 annex B). Cryptography and claims by jose; here is what must hold and what each failure is called.
 */
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';

export type TokenErrorCode =
  /** The request carries no bearer token. */
  | 'TOKEN_MISSING'
  /** Not a signed JWT, or with a header that is not understood. */
  | 'TOKEN_MALFORMED'
  /** Signed with anything but ES256: `none` and HMAC among them. */
  | 'TOKEN_ALGORITHM'
  /** A JWT of another kind than `at+jwt`, an ID token for example. */
  | 'TOKEN_TYPE'
  /** Signed by a key that the IdM does not publish. */
  | 'TOKEN_UNKNOWN_KEY'
  | 'TOKEN_SIGNATURE'
  | 'TOKEN_ISSUER'
  /** Made for another service. */
  | 'TOKEN_AUDIENCE'
  | 'TOKEN_EXPIRED'
  /** `nbf` is to come, or `iat` by more than clocks differ. */
  | 'TOKEN_NOT_YET_VALID'
  /** A claim that must be there is missing or of the wrong kind. */
  | 'TOKEN_CLAIM'
  | 'TOKEN_SCOPE'
  /** The IdM's keys cannot be had: nothing is accepted meanwhile. */
  | 'TOKEN_VALIDATOR_UNAVAILABLE';

/** An access token that was refused. Holds nothing of the token. */
export class TokenError extends Error {
  readonly code: TokenErrorCode;
  /** HTTP status of the answer: 401, 403 for a missing scope, 503 while the IdM's keys cannot be had. */
  readonly status: 401 | 403 | 503;
  /** The `error` of RFC 6750 clause 3.1; none when there was no token or none could be checked. */
  readonly error: 'invalid_token' | 'insufficient_scope' | undefined;
  /** The scope that was needed, for code `TOKEN_SCOPE`. */
  readonly scope: string | undefined;

  constructor(code: TokenErrorCode, message: string, options: ErrorOptions & { readonly scope?: string } = {}) {
    super(message, options);
    this.name = 'TokenError';
    this.code = code;
    this.scope = options.scope;
    this.status = code === 'TOKEN_SCOPE' ? 403 : code === 'TOKEN_VALIDATOR_UNAVAILABLE' ? 503 : 401;
    this.error =
      code === 'TOKEN_SCOPE'
        ? 'insufficient_scope'
        : code === 'TOKEN_MISSING' || code === 'TOKEN_VALIDATOR_UNAVAILABLE'
          ? undefined
          : 'invalid_token';
  }
}

/** What a token says, once everything about it has been checked. */
export interface AccessToken {
  /** MCPTT ID that the IdM has authenticated. */
  readonly mcpttId: string;
  /** OAuth client. */
  readonly clientId: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Token identifier. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** Public keys of the IdM. */
export interface TokenKeys {
  /** The key set to look for `kid` in; newer than the one before when that did not have it. */
  find(kid: string): Promise<JSONWebKeySet>;
}

export interface TokenRules {
  /** `iss` that tokens must have, character for character. */
  readonly issuer: string;
  /** `aud` of this service. */
  readonly audience: string;
  /** Scopes that a token must all have. */
  readonly scopes: readonly string[];
  readonly keys: TokenKeys;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** By how many seconds clocks may differ. */
  readonly clockTolerance?: number;
}

export interface TokenVerifier {
  /** @throws TokenError */
  verify(token: string): Promise<AccessToken>;
}

const ALGORITHMS = ['ES256'];
const TYPE = 'at+jwt';
const REQUIRED_CLAIMS = ['iss', 'aud', 'exp', 'iat', 'sub', 'jti', 'scope', 'client_id', 'mcptt_id'];
const LONGEST_TOKEN = 16_384;
/** An MCPTT ID is a URI, and in examples of TS 33.180 annex B one without a scheme. It goes into XML, UIDs and logs. */
const IDENTITY =
  /^(?:[a-z][a-z\d+.-]*:(?:[\w.~!$&'()*+,;=@/?:-]|%[\da-f]{2})+|(?:[\w.~!$&'()*+,;=@/?-]|%[\da-f]{2})+)$/i;
const LONGEST_IDENTITY = 512;
const DEFAULT_TOLERANCE_SECONDS = 5;
/** By how many seconds the issuer's clock may be ahead where `iat` is all that tells. */
const ISSUER_AHEAD_SECONDS = 60;

/** Makes the check of one service. */
export function createTokenVerifier(rules: TokenRules): TokenVerifier {
  const { issuer, audience, scopes, keys, now, clockTolerance = DEFAULT_TOLERANCE_SECONDS } = rules;
  return {
    async verify(token) {
      const kid = keyNameOf(token);
      let payload: JWTPayload;
      try {
        const options = {
          issuer,
          audience,
          clockTolerance,
          algorithms: ALGORITHMS,
          typ: TYPE,
          currentDate: new Date(now()),
          requiredClaims: REQUIRED_CLAIMS,
        };
        payload = await payloadOf(token, await keys.find(kid), options);
      } catch (error) {
        throw error instanceof TokenError ? error : refusalOf(error);
      }
      const accepted = readClaims(payload);
      // RFC 7519 4.1.6 asks nothing of `iat`; but no IdM has issued yet what says it will be issued (RFC 9068 2.2).
      if (accepted.issuedAt > now() + ISSUER_AHEAD_SECONDS * 1000) {
        throw new TokenError('TOKEN_NOT_YET_VALID', 'the access token was issued in the future');
      }
      const missing = scopes.filter((scope) => !accepted.scopes.includes(scope));
      if (missing.length > 0) {
        const scope = scopes.join(' ');
        throw new TokenError('TOKEN_SCOPE', `the access token lacks scope ${missing.join(' ')}`, { scope });
      }
      return accepted;
    },
  };
}

/** Keys that are given once and for all. */
export const localTokenKeys = (jwks: JSONWebKeySet): TokenKeys => ({ find: () => Promise.resolve(jwks) });

/**
 * The token of an Authorization header (RFC 6750 clause 2.1).
 * @throws TokenError `TOKEN_MISSING`, `TOKEN_MALFORMED`
 */
export function bearerToken(authorization: string | undefined): string {
  const match = authorization?.match(/^Bearer +(.*)$/i);
  if (!match) throw new TokenError('TOKEN_MISSING', 'send the access token as Authorization: Bearer');
  const token = match[1]!.trim();
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) {
    throw new TokenError('TOKEN_MALFORMED', 'the Authorization header holds no bearer token');
  }
  return token;
}

/** Value of WWW-Authenticate for a refusal (RFC 6750 clause 3). */
export function wwwAuthenticate(error: TokenError, realm: string): string {
  const parameters = [`realm="${realm}"`];
  if (error.error !== undefined) parameters.push(`error="${error.error}"`, `error_description="${error.message}"`);
  if (error.scope !== undefined) parameters.push(`scope="${error.scope}"`);
  return `Bearer ${parameters.join(', ')}`;
}

/** The `kid` of the header; tokens without one are refused, so that no key is tried on suspicion. */
function keyNameOf(token: string): string {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    if (token.length > LONGEST_TOKEN) throw new RangeError('too long');
    if (!token.split('.').every(isBase64Url)) throw new TypeError('not base64url');
    header = decodeProtectedHeader(token);
  } catch (error) {
    throw new TokenError('TOKEN_MALFORMED', 'the access token is not a signed JWT', { cause: error });
  }
  // Before any key is looked for, or fetched: neither `none` nor an HMAC keyed with a public key gets that far.
  if (!ALGORITHMS.includes(header.alg ?? '')) {
    throw new TokenError('TOKEN_ALGORITHM', 'the access token is not signed with ES256');
  }
  if (typeof header.kid !== 'string') throw new TokenError('TOKEN_UNKNOWN_KEY', 'the access token names no key');
  return header.kid;
}

/** The claims of a token that one of the keys has signed; several may have its `kid`, which SHOULD differ (RFC 7517 4.5). */
async function payloadOf(token: string, keys: JSONWebKeySet, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, createLocalJWKSet(keys), options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** RFC 7515 section 2: without padding, and as RFC 4648 section 3.5 allows to insist, in the one form that those octets have. */
const isBase64Url = (part: string): boolean => Buffer.from(part, 'base64url').toString('base64url') === part;

function readClaims(payload: JWTPayload): AccessToken {
  const { mcptt_id: mcpttId, client_id: clientId, scope, sub, jti, iat, exp } = payload;
  if (
    typeof mcpttId !== 'string' ||
    mcpttId.length > LONGEST_IDENTITY ||
    !IDENTITY.test(mcpttId) ||
    typeof clientId !== 'string' ||
    typeof scope !== 'string' ||
    typeof sub !== 'string' ||
    typeof jti !== 'string' ||
    typeof iat !== 'number' ||
    typeof exp !== 'number'
  ) {
    throw new TokenError('TOKEN_CLAIM', 'a claim of the access token is not of its kind');
  }
  const scopes = scope.split(' ').filter((one) => one !== '');
  return { mcpttId, clientId, subject: sub, scopes, id: jti, issuedAt: iat * 1000, expiresAt: exp * 1000 };
}

/** jose's error in the words of this project. */
function refusalOf(error: unknown): TokenError {
  const refuse = (code: TokenErrorCode, message: string): TokenError => new TokenError(code, message, { cause: error });
  if (error instanceof errors.JWTExpired) return refuse('TOKEN_EXPIRED', 'the access token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error;
    if (reason === 'missing' && claim !== 'typ') return refuse('TOKEN_CLAIM', `the access token lacks claim ${claim}`);
    if (claim === 'typ') return refuse('TOKEN_TYPE', `the JWT is not of type ${TYPE}`);
    if (claim === 'iss') return refuse('TOKEN_ISSUER', 'the access token is of another issuer');
    if (claim === 'aud') return refuse('TOKEN_AUDIENCE', 'the access token is for another service');
    if (claim === 'nbf' && reason === 'check_failed') {
      return refuse('TOKEN_NOT_YET_VALID', 'the access token is not valid yet');
    }
    return refuse('TOKEN_CLAIM', `claim ${claim} of the access token is not of its kind`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return refuse('TOKEN_UNKNOWN_KEY', 'the access token is signed by a key that the IdM does not publish');
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return refuse('TOKEN_SIGNATURE', 'the signature of the access token is wrong');
  }
  return refuse('TOKEN_MALFORMED', 'the access token is not a signed JWT');
}
