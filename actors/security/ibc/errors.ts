/** What can go wrong in identity based cryptography. Codes are stable; messages hold no key, no secret scalar, no SSV. */
export type IbcErrorCode =
  | 'bad-length'
  | 'bad-point'
  | 'bad-scalar'
  | 'point-at-infinity'
  | 'disposed'
  | 'bad-identity'
  | 'bad-key-period'
  | 'ssk-invalid'
  | 'rsk-invalid'
  | 'certificate-invalid'
  | 'certificate-mismatch'
  | 'sakke-test-failed'
  | 'signature-invalid'
  | 'message-malformed'
  | 'message-unsupported'
  | 'message-too-old'
  | 'message-in-future'
  | 'message-replayed'
  | 'wrong-sender'
  | 'wrong-receiver'
  | 'no-key-set'
  | 'kemac-invalid'
  | 'pool-closed'
  | 'pool-worker-died';

/** The one error class of `actors/security/ibc`. */
export class IbcError extends Error {
  readonly code: IbcErrorCode;

  constructor(code: IbcErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IbcError';
    this.code = code;
  }
}
