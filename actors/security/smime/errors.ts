/** Why a protected body was refused. */
export type SmimeErrorCode =
  /** Larger than a SIP body may be (see `LARGEST_MESSAGE`). */
  | 'SMIME_TOO_LARGE'
  /** Not the CMS structure that it claims to be. */
  | 'SMIME_MALFORMED'
  /** Good CMS, but of another protection profile than the one agreed. */
  | 'SMIME_WRONG_PROFILE'
  /** Good CMS with an algorithm, version or parameter that the profile leaves out. */
  | 'SMIME_UNSUPPORTED'
  /** None of the Key IDs is known to the receiver. */
  | 'SMIME_UNKNOWN_KEY'
  /** The key behind the Key ID does not open the message, or some of its octets were changed. */
  | 'SMIME_UNDECIPHERABLE'
  /** The profile asks for a signature and there is none. */
  | 'SMIME_SIGNATURE_MISSING'
  /** The signature does not fit the content, the signed attributes or the signer it names. */
  | 'SMIME_SIGNATURE_FORGED'
  /** Signed by another identity than the sender's. */
  | 'SMIME_OTHER_SIGNER'
  /** Signed by the sender's identity in a key period that is not accepted now. */
  | 'SMIME_OTHER_KEY_PERIOD'
  /** The caller's key, Key ID or signer is of the wrong size. */
  | 'SMIME_BAD_KEY';

/** A body that cannot be protected or opened. The message holds neither plaintext nor key. */
export class SmimeError extends Error {
  readonly code: SmimeErrorCode;
  /** The Key ID that the message names, in hex, as far as it was read; of one that is far too long, the beginning. */
  readonly keyId: string | undefined;

  constructor(code: SmimeErrorCode, message: string, keyId?: Uint8Array) {
    super(message);
    this.name = 'SmimeError';
    this.code = code;
    this.keyId = keyId === undefined ? undefined : shown(keyId);
  }
}

/** It goes into Warning headers and logs, and a KEKIdentifier may be of any length. */
const LONGEST_SHOWN = 16;

const shown = (keyId: Uint8Array): string =>
  Buffer.from(keyId.subarray(0, LONGEST_SHOWN)).toString('hex') + (keyId.length > LONGEST_SHOWN ? '...' : '');
