/**
 * HTTP Digest with AKA: what SIP-1 authenticates with (RFC 3310, RFC 2617, TS 33.203 6.1). Used by both ends.
 */
import { createHash } from 'node:crypto';

const md5 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** RFC 3310 3.2: nonce = base64(RAND || AUTN || server specific data). */
export function makeNonce(rand: Uint8Array, autn: Uint8Array): string {
  return Buffer.concat([rand, autn]).toString('base64');
}

/**
 * The reverse of {@link makeNonce}; data after the first 32 octets is the server's own.
 *
 * @returns undefined when the nonce is too short to hold RAND and AUTN
 */
export function readNonce(nonce: string): { rand: Uint8Array; autn: Uint8Array } | undefined {
  const octets = Buffer.from(nonce, 'base64');
  if (octets.length < 32) return undefined;
  return { rand: octets.subarray(0, 16), autn: octets.subarray(16, 32) };
}

/**
 * H(A1) with A1 = username ":" realm ":" password.
 *
 * @param password RES as raw octets, not in hex (RFC 3310 3.3); empty when the answer carries `auts` (RFC 3310 3.4)
 * @returns 32 hex digits
 */
export function digestHa1(username: string, realm: string, password: Uint8Array): string {
  return md5(`${username}:${realm}:`, password);
}

export interface DigestInput {
  /** See {@link digestHa1}. */
  readonly ha1: string;
  readonly method: string;
  /** The `uri` parameter, as it stands in the header field. */
  readonly uri: string;
  readonly nonce: string;
  /** Present: `qop=auth` with its nonce count and client nonce. Absent: the form of RFC 2069. */
  readonly qop?: { readonly nc: string; readonly cnonce: string };
}

/** The `response` parameter, 32 hex digits (RFC 2617 3.2.2.1). */
export function digestResponse({ ha1, method, uri, nonce, qop }: DigestInput): string {
  const ha2 = md5(`${method}:${uri}`);
  return qop === undefined ? md5(`${ha1}:${nonce}:${ha2}`) : md5(`${ha1}:${nonce}:${qop.nc}:${qop.cnonce}:auth:${ha2}`);
}

const PARAMETER = /^\s*([A-Za-z0-9._~!%*+'`-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)/;

/**
 * The parameters of a Digest challenge or of Digest credentials, names in lower case, quotes taken off.
 *
 * @param value a WWW-Authenticate or Authorization header field value
 * @returns undefined when it is not Digest, malformed, or names a parameter twice
 */
export function parseDigest(value: string): ReadonlyMap<string, string> | undefined {
  const scheme = /^\s*digest\s+/i.exec(value);
  if (scheme === null) return undefined;
  const parameters = new Map<string, string>();
  let rest = value.slice(scheme[0].length).trimEnd();
  while (rest !== '') {
    const found = PARAMETER.exec(rest);
    if (found === null) return undefined;
    const name = found[1]!.toLowerCase();
    if (parameters.has(name)) return undefined;
    parameters.set(name, found[2]?.replace(/\\(.)/g, '$1') ?? found[3]!);
    rest = rest.slice(found[0].length);
  }
  return parameters;
}
