/** Why the KMS refuses: a stable code, the number and text that stand in the KmsError, and the HTTP status. */
const REFUSALS = {
  /** Not the XML that the schema asks for. */
  KMS_BAD_XML: [1001, 400],
  /** Well-formed, but it lacks what this resource needs. */
  KMS_BAD_REQUEST: [1002, 400],
  /** KmsUri is another KMS's. */
  KMS_WRONG_KMS: [1003, 400],
  /** ClientReqUrl is not the URL that was posted to. */
  KMS_WRONG_URL: [1004, 400],
  /** Time is not recent. */
  KMS_STALE_TIME: [1005, 400],
  KMS_TOO_LARGE: [1006, 413],
  /** An Authorization that could be read in two ways (RFC 6750 section 3.1, invalid_request). */
  KMS_BAD_AUTHORIZATION: [1007, 400],
  /** Not HTTP as RFC 9112 has it. */
  KMS_BAD_HTTP: [1008, 400],
  KMS_HEAD_TOO_LARGE: [1009, 431],
  KMS_TOO_SLOW: [1010, 408],
  /** No bearer token and no client certificate (RFC 6750 section 3.1: no error code then). */
  KMS_NO_TOKEN: [2001, 401],
  KMS_INVALID_TOKEN: [2002, 401],
  KMS_INSUFFICIENT_SCOPE: [2003, 403],
  /** Key material of somebody else. */
  KMS_OTHER_IDENTITY: [2004, 403],
  KMS_DENIED_BY_POLICY: [2005, 403],
  /** For users only, or for the MCPTT server only. */
  KMS_NOT_FOR_THIS_PARTY: [2006, 403],
  KMS_UNKNOWN_RESOURCE: [3001, 404],
  KMS_UNKNOWN_CEK: [3002, 404],
  KMS_NO_SUCH_KEY_PERIOD: [3003, 404],
  KMS_WRONG_METHOD: [3004, 405],
  /** The CEK named has ended, or belongs to another SIP session. */
  KMS_CONFLICT: [3005, 409],
  KMS_MEDIA_TYPE: [3006, 415],
  KMS_TOO_MANY_REQUESTS: [4001, 429],
  /** Something that the KMS needs cannot be reached just now. */
  KMS_UNAVAILABLE: [4002, 503],
} as const satisfies Record<string, readonly [errorCode: number, status: number]>;

export type KmsRefusalCode = keyof typeof REFUSALS;

export class KmsRefusal extends Error {
  readonly code: KmsRefusalCode;
  /** ErrorCode of the KmsError. */
  readonly errorCode: number;
  /** HTTP status. */
  readonly status: number;
  /** Seconds until a repetition makes sense, for 429 and 503. */
  readonly retryAfter: number | undefined;

  constructor(code: KmsRefusalCode, message: string, retryAfter?: number) {
    super(message);
    this.name = 'KmsRefusal';
    this.code = code;
    [this.errorCode, this.status] = REFUSALS[code];
    this.retryAfter = retryAfter;
  }
}
