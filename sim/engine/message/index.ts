/** SIP messages on bytes: reading, changing, writing. */
export { type Address, parseAddress } from './address.ts';
export { buildRequest, buildResponse, type HeaderList } from './build.ts';
export { type Refusal, SipParseError, type SipParseErrorCode } from './errors.ts';
export { StreamFramer } from './framer.ts';
export { HeaderLine } from './header.ts';
export { DEFAULT_LIMITS, type MessageLimits } from './limits.ts';
export { type CSeq, SipMessage, toBytes, toText } from './message.ts';
export { type ParseMode, parseMessage } from './parse.ts';
export { reasonPhrase } from './reasons.ts';
export { type Params, splitList, splitParams, trimSpace, withoutThirdColon } from './scan.ts';
export { parseUri, type SipUri, unescapeUri } from './uri.ts';
export { parseVia, type Via } from './via.ts';
