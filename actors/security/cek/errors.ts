export type CekErrorCode =
  /** A change of state that the machine does not have. */
  | 'CEK_ILLEGAL_TRANSITION'
  /** A Key ID that is not four octets with the purpose tag 0xF. */
  | 'CEK_BAD_KEY_ID'
  /** A key that is not 256 bits, or of one repeated octet. */
  | 'CEK_WEAK'
  /** The same key under two Key IDs, or two keys under one. */
  | 'CEK_REPEATED'
  /** No key of this Key ID was ever held here. */
  | 'CEK_UNKNOWN'
  /** The key of this Key ID was held here and has ended. */
  | 'CEK_RETIRED'
  /** The user has no key for the SIP session. */
  | 'CEK_NONE'
  /** The user has a key, but the MCPTT server has not acknowledged it. */
  | 'CEK_PENDING';

/** What can go wrong with a CEK. Messages name Key IDs, never keys. */
export class CekError extends Error {
  readonly code: CekErrorCode;
  /** The Key ID whose key is asked for and not held; of `CEK_UNKNOWN` and `CEK_RETIRED`. */
  readonly keyId: string | undefined;

  constructor(code: CekErrorCode, message: string, keyId?: string) {
    super(message);
    this.name = 'CekError';
    this.code = code;
    this.keyId = keyId;
  }
}
