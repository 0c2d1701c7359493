/** What the IdM is told when it is made, and the names that CSC-1 fixes (docs/interfaces.md). */

export interface IdmUser {
  /** What the user types; also the `sub` of tokens. */
  readonly userName: string;
  readonly password: string;
  readonly mcpttId: string;
  /** OAuth clients that the user may log in with; all of them unless told. */
  readonly clientIds?: readonly string[];
  /** Scopes that the user may be granted; {@link ALL_SCOPES} unless told. */
  readonly scopes?: readonly string[];
}

export interface IdmConfig {
  readonly users: readonly IdmUser[];
  /** The public OAuth client (RFC 6749 clause 2.1) that MCPTT clients are. */
  readonly clientId: string;
  /** Redirect URIs of that client, compared character for character. */
  readonly redirectUris?: readonly string[];
  /** Life of an access token, seconds. */
  readonly tokenLifetime?: number;
  /** Port to listen at, 0 = any free one. */
  readonly port?: number;
  /** Host name in the issuer; the address that is listened at unless told. */
  readonly publicHost?: string;
}

export const DEFAULT_TOKEN_LIFETIME = 3600;
/** A private-use scheme (RFC 8252 clause 7.1): nothing listens there, the UE's user agent sees the redirect itself. */
export const DEFAULT_REDIRECT_URI = 'example.mcptt.client:/signed-in';

export const ACR_PASSWORD = '3gpp:acr:password';

/** TS 33.180 annex B: one scope for each service. */
export const SERVICE_SCOPE = '3gpp:mc:ptt_service';
export const KEY_MANAGEMENT_SCOPE = '3gpp:mc:ptt_key_management_service';
export const ALL_SCOPES: readonly string[] = ['openid', SERVICE_SCOPE, KEY_MANAGEMENT_SCOPE];

/** The resource of the token that a client gets which names none. */
export const SERVER_RESOURCE = 'urn:3gpp:mcptt:server';

/** Resources (RFC 8707) and the scopes that a token for each may have. */
export const RESOURCES: Readonly<Record<string, readonly string[]>> = {
  [SERVER_RESOURCE]: ['openid', SERVICE_SCOPE],
  'urn:3gpp:mcptt:kms': ['openid', SERVICE_SCOPE, KEY_MANAGEMENT_SCOPE],
};

export type IdmErrorCode = 'IDM_BAD_ARGUMENT' | 'IDM_UNKNOWN_USER' | 'IDM_NOT_RUNNING' | 'IDM_BAD_STATE';

/** A verb of the IdM that cannot be done. */
export class IdmError extends Error {
  readonly code: IdmErrorCode;

  constructor(code: IdmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IdmError';
    this.code = code;
  }
}
