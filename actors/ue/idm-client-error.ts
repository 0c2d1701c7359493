import type { JsonObject } from '../../sim/control/actor.ts';

export type IdmClientErrorCode =
  /** No connection, or one that cannot be trusted. */
  | 'IDM_CLIENT_UNREACHABLE'
  | 'IDM_CLIENT_TIMEOUT'
  /** The issuer's metadata cannot be used. */
  | 'IDM_CLIENT_DISCOVERY'
  | 'IDM_CLIENT_WRONG_CREDENTIALS'
  /** No reply to this authorization request came; replies with another `state` do not count. */
  | 'IDM_CLIENT_NO_REPLY'
  /** The IdM refused; `detail.error` is its OAuth error code. */
  | 'IDM_CLIENT_REFUSED'
  /** What the IdM gave does not hold up: ID token, or tokens of different users. */
  | 'IDM_CLIENT_BAD_TOKEN';

/** A login that did not come about. `detail` holds status and OAuth error, never a password, code or token. */
export class IdmClientError extends Error {
  readonly code: IdmClientErrorCode;
  readonly detail: JsonObject;

  constructor(code: IdmClientErrorCode, message: string, detail: JsonObject = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IdmClientError';
    this.code = code;
    this.detail = detail;
  }
}
