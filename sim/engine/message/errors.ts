import type { SipMessage } from './message.ts';

/** Why a byte string was refused; stable, for counters, logs and tests. */
export type SipParseErrorCode =
  | 'empty'
  | 'start-line'
  | 'version'
  | 'status-code'
  | 'request-uri'
  | 'header-line'
  | 'header-missing'
  | 'header-value'
  | 'header-repeated'
  | 'method-mismatch'
  | 'content-length'
  | 'headers-unfinished'
  | 'too-many-headers'
  | 'headers-too-large'
  | 'body-too-large';

/** What is wrong, and how to say it. */
export type Fault = readonly [code: SipParseErrorCode, text: string];

/** What to do with the refused bytes: answer with this status, or say nothing (a response, an ACK, not SIP at all). */
export type Refusal = 400 | 413 | 505 | 'drop';

/**
 * Bytes that are no acceptable SIP message. `partial` holds whatever headers could be read, so that a request can be
 * answered (`buildResponse(partial, status, reason)`); it is undefined when nothing sensible could be read.
 */
export class SipParseError extends Error {
  override readonly name = 'SipParseError';
  readonly code: SipParseErrorCode;
  readonly refusal: Refusal;
  readonly partial: SipMessage | undefined;

  constructor(code: SipParseErrorCode, message: string, refusal: Refusal = 400, partial?: SipMessage) {
    super(message);
    this.code = code;
    this.refusal = refusal;
    this.partial = partial;
  }
}
