export type KmsMessageErrorCode =
  | 'KMS_XML_TOO_LARGE'
  | 'KMS_XML_FORBIDDEN'
  | 'KMS_XML_MALFORMED'
  | 'KMS_XML_INVALID'
  | 'KMS_XML_UNEXPECTED';

/** A body of HTTP-1 that is refused. The message names elements and rules, never their content. */
export class KmsMessageError extends Error {
  readonly code: KmsMessageErrorCode;

  constructor(code: KmsMessageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KmsMessageError';
    this.code = code;
  }
}
