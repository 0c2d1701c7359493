export type EngineErrorCode =
  /** `listen` or `control` cannot be bound. */
  | 'ERR_ENGINE_LISTEN'
  /** `start` was called twice, or something was asked of a stopped engine. */
  | 'ERR_ENGINE_STATE'
  /** A setting contradicts another, or is missing. */
  | 'ERR_ENGINE_CONFIG'
  /** A frame on the control port breaks the framing. */
  | 'ERR_CONTROL_FRAME'
  /** A request cannot be sent as the application asked; the message is the reason that drachtio-server gives. */
  | 'ERR_REQUEST_REFUSED'
  /** No transport leads to the destination, or the connection to it was lost. */
  | 'ERR_UNREACHABLE';

/** Whatever the engine throws or rejects with; `code` is stable, `message` is for people. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
