/**
 * The IdM's published keys (RFC 7517), fetched when they are needed and again when a token names a key that is not among
 * them: so a rotation at the IdM is followed at once. How often strangers can cause a fetch is bounded by a bucket.
 */
import type { JSONWebKeySet } from 'jose';
import { TokenError, type TokenKeys } from './tokens.ts';

export interface RemoteTokenKeysOptions {
  /** `jwks_uri` of the IdM, https. */
  readonly url: string;
  /** Sends the request; trusts the test CA. */
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** After how many milliseconds the keys are fetched afresh, so that a withdrawn key is forgotten. */
  readonly maxAge?: number;
}

const TEN_MINUTES = 600_000;
/** Unknown keys may cause this many fetches in a row, then one each {@link REFILL_MS}. */
const BUCKET = 5;
const REFILL_MS = 10_000;
const FETCH_TIMEOUT_MS = 5_000;
const LONGEST_JWKS = 65_536;

/** Keys behind a URL. Rejects with TokenError `TOKEN_VALIDATOR_UNAVAILABLE` when they cannot be fetched. */
export function remoteTokenKeys(options: RemoteTokenKeysOptions): TokenKeys {
  const { url, now, maxAge = TEN_MINUTES } = options;
  let held: { readonly jwks: JSONWebKeySet; readonly at: number } | undefined;
  let inFlight: Promise<JSONWebKeySet> | undefined;
  let tokens = BUCKET;
  let refilledAt = now();

  const refresh = (): Promise<JSONWebKeySet> => {
    inFlight ??= fetchKeys(options)
      .then((jwks) => {
        held = { jwks, at: now() };
        return jwks;
      })
      .finally(() => {
        inFlight = undefined;
      });
    return inFlight;
  };

  const mayFetchForStranger = (): boolean => {
    const gained = Math.floor((now() - refilledAt) / REFILL_MS);
    if (gained > 0) {
      tokens = Math.min(BUCKET, tokens + gained);
      refilledAt += gained * REFILL_MS;
    }
    if (tokens === 0) return false;
    tokens -= 1;
    return true;
  };

  return {
    async find(kid) {
      if (new URL(url).protocol !== 'https:') throw unavailable('its jwks_uri is not https');
      if (held === undefined || now() - held.at >= maxAge) return refresh();
      const known = held.jwks.keys.some((key) => key.kid === kid);
      return known || (inFlight === undefined && !mayFetchForStranger()) ? held.jwks : refresh();
    },
  };
}

async function fetchKeys({ url, fetch }: RemoteTokenKeysOptions): Promise<JSONWebKeySet> {
  let text: string;
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    text = await response.text();
  } catch (error) {
    throw unavailable('they could not be fetched', error);
  }
  let jwks: unknown;
  try {
    jwks = text.length <= LONGEST_JWKS ? JSON.parse(text) : undefined;
  } catch {
    jwks = undefined;
  }
  if (!isKeySet(jwks)) throw unavailable('what was fetched is no JWK set');
  return jwks;
}

const isKeySet = (value: unknown): value is JSONWebKeySet =>
  typeof value === 'object' &&
  value !== null &&
  'keys' in value &&
  Array.isArray(value.keys) &&
  value.keys.every((key) => typeof key === 'object' && key !== null);

const unavailable = (why: string, cause?: unknown): TokenError =>
  new TokenError('TOKEN_VALIDATOR_UNAVAILABLE', `the IdM's keys cannot be had: ${why}`, { cause });
