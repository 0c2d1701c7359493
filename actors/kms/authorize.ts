/**
 * Who asks. A user by the KMS access token that the IdM signed (AUTH-1 to AUTH-3), the MCPTT server by its TLS client
 * certificate. Nothing in the request's body makes anybody somebody.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { bearerToken, TokenError } from '../security/tokens.ts';
import { KmsRefusal } from './refusal.ts';
import { type CheckToken, refusalFor } from './token-check.ts';

/** Whose requests these are: key material is for `uri` and for no other. */
export interface Principal {
  readonly kind: 'user' | 'server';
  /** MCPTT ID, or the MCPTT server's identity. */
  readonly uri: string;
  /** OAuth client id; for a server, none. */
  readonly oauthClientId?: string;
  /** When the authorization ends, milliseconds since 1970. */
  readonly until: number;
}

/**
 * @param servers identities that MCPTT servers may have
 * @param kmsUri the KMS's own identity: with a key set of it, or of a server, a user could sign or open what is theirs
 */
export async function authorize(
  request: IncomingMessage,
  checkToken: CheckToken,
  servers: readonly string[],
  kmsUri: string,
): Promise<Principal> {
  const [header, another] = request.headersDistinct.authorization ?? [];
  // RFC 6750 section 3.1, invalid_request: which of the two would count is not to be left to the HTTP stack.
  if (another !== undefined)
    throw new KmsRefusal('KMS_BAD_AUTHORIZATION', 'there is more than one Authorization header');
  if (header !== undefined) {
    const token = tokenOf(header);
    const claims = await checkToken(token);
    if (claims.mcpttId === kmsUri || servers.includes(claims.mcpttId)) {
      throw new KmsRefusal('KMS_OTHER_IDENTITY', 'the identity of this token is that of the KMS or of an MCPTT server');
    }
    return { kind: 'user', uri: claims.mcpttId, oauthClientId: claims.clientId, until: claims.expiresAt };
  }
  const socket = request.socket as TLSSocket;
  const certificate = socket.getPeerCertificate();
  // Without a client certificate this is an empty object.
  if (certificate?.subjectaltname !== undefined && socket.authorized) {
    const uri = urisOf(certificate.subjectaltname).find((name) => servers.includes(name));
    if (uri !== undefined) return { kind: 'server', uri, until: Date.parse(certificate.valid_to) };
  }
  throw new KmsRefusal(
    'KMS_NO_TOKEN',
    'a bearer token is needed here, or the TLS client certificate of an MCPTT server',
  );
}

function tokenOf(header: string): string {
  try {
    return bearerToken(header);
  } catch (error) {
    throw error instanceof TokenError ? refusalFor(error) : error;
  }
}

/** The URI names of a `subjectAltName` as Node writes it: `DNS:a, URI:b`; a name with special characters is JSON-quoted. */
export function urisOf(subjectAltName: string): string[] {
  const names = subjectAltName.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return names
    .map((name) => name.trim())
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length))
    .map((name) => (name.startsWith('"') ? (JSON.parse(name) as string) : name));
}
