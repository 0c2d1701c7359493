import type { JsonObject } from '../../sim/control/actor.ts';

export type UeErrorCode =
  /** A verb's argument is missing or of the wrong kind. */
  | 'UE_ARGUMENT'
  /** The UE was not told of an actor that the verb needs. */
  | 'UE_NO_PEER'
  /** No connection to the SIP core. */
  | 'UE_NO_CONNECTION'
  /** The SIP core did not answer in time. */
  | 'UE_TIMEOUT'
  /** The verb needs a registration (step 1). */
  | 'UE_NOT_REGISTERED'
  /** The verb is not possible in the registration's state. */
  | 'UE_REGISTRATION_STATE'
  /** The SIP core refused the registration. */
  | 'UE_REGISTRATION_REFUSED'
  /** The network could not prove that it knows this subscriber (TS 33.102 6.3.3). */
  | 'UE_NETWORK_NOT_AUTHENTICATED'
  /** No such MCPTT user on this UE. */
  | 'UE_UNKNOWN_USER'
  /** The verb needs tokens (step 3a). */
  | 'UE_NOT_LOGGED_IN'
  /** The verb needs a CEK (step 3b). */
  | 'UE_NO_KEY'
  /** The verb needs a service authorization (step 4). */
  | 'UE_NOT_BOUND'
  /** The verb is not possible in the state of the user's client. */
  | 'UE_CLIENT_STATE'
  /** A SIP request was refused; `detail` has `status` and `warning`. */
  | 'UE_REQUEST_REFUSED'
  /** A body from the MCPTT server is missing, not protected, or cannot be opened. */
  | 'UE_BODY_REFUSED'
  /** No such call. */
  | 'UE_UNKNOWN_CALL'
  /** The UE was stopped, or its SIP session ended, while it waited. */
  | 'UE_STOPPED';

/** What a verb of the UE fails with. `detail` is JSON without secrets. */
export class UeError extends Error {
  readonly code: UeErrorCode;
  readonly detail: JsonObject;

  constructor(code: UeErrorCode, message: string, detail: JsonObject = {}) {
    super(message);
    this.name = 'UeError';
    this.code = code;
    this.detail = detail;
  }
}
