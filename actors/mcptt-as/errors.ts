import type { JsonObject } from '../../sim/control/actor.ts';

export type McpttAsErrorCode =
  /** The SIP engine is not reached, or refuses the secret. */
  | 'MCPTT_AS_NO_ENGINE'
  /** The server was not told of an actor that it needs. */
  | 'MCPTT_AS_NO_PEER'
  /** A request could not be sent or was not answered in time. */
  | 'MCPTT_AS_NO_ANSWER'
  /** A verb's argument is missing or of the wrong kind. */
  | 'MCPTT_AS_ARGUMENT'
  /** No such user, or the user is not bound. */
  | 'MCPTT_AS_UNKNOWN_USER'
  /** An event that the binding's state does not know. */
  | 'MCPTT_AS_BINDING_STATE';

/** What the server's verbs fail with. `detail` is JSON without secrets. */
export class McpttAsError extends Error {
  readonly code: McpttAsErrorCode;
  readonly detail: JsonObject;

  constructor(code: McpttAsErrorCode, message: string, detail: JsonObject = {}) {
    super(message);
    this.name = 'McpttAsError';
    this.code = code;
    this.detail = detail;
  }
}

/**
 * A SIP request that the server refuses: thrown where the reason is found, answered in one place.
 * `warning` goes out as the text of a Warning header field and so holds no secret.
 */
export class Refusal extends Error {
  readonly status: number;
  readonly warning: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, warning?: string, headers: Readonly<Record<string, string>> = {}) {
    super(`${status} ${warning ?? ''}`.trim());
    this.name = 'Refusal';
    this.status = status;
    this.warning = warning;
    this.headers = headers;
  }
}
