/** Why octets could not be sent, or a listener not be opened; stable. */
export type TransportErrorCode =
  | 'closed'
  | 'no-listen-point'
  | 'unresolvable'
  | 'connect-failed'
  | 'connect-timeout'
  | 'connection-lost'
  | 'backlog-full'
  | 'too-many-connections'
  | 'message-too-large'
  | 'send-failed'
  | 'listen-failed';

/** A failure of the transport layer; a transaction makes a local 503 of it (RFC 3261 8.1.3.1). */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
