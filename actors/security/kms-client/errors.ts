export type KmsClientErrorCode =
  /** The KMS answered with a KmsError; `detail` has `httpStatus` and `errorCode`. */
  | 'KMS_REFUSED'
  /** No answer: no connection, no trust, or not in time. */
  | 'KMS_UNREACHABLE'
  /** An answer that is not one to what was asked. */
  | 'KMS_BAD_ANSWER'
  /** There is no valid key material yet. */
  | 'KMS_NO_KEY_MATERIAL';

/** JSON-safe, never a secret. */
export type KmsClientDetail = Record<string, string | number | null>;

/** What went wrong between a client and its KMS. */
export class KmsClientError extends Error {
  readonly code: KmsClientErrorCode;
  readonly detail: KmsClientDetail;

  constructor(code: KmsClientErrorCode, message: string, detail: KmsClientDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KmsClientError';
    this.code = code;
    this.detail = detail;
  }
}
