import { parseAddress } from './address.ts';
import { HeaderLine } from './header.ts';
import type { SipMessage as Message } from './message.ts';
import { SipMessage } from './message.ts';
import { canonicalName } from './names.ts';
import { reasonPhrase } from './reasons.ts';

const EMPTY = Buffer.alloc(0);

/** Headers as [name, value] pairs, in the order in which they are to stand. Byte strings. */
export type HeaderList = Iterable<readonly [name: string, value: string]>;

/** A request with these headers and body; Content-Length is added. */
export function buildRequest(
  method: string,
  requestUri: string,
  headers: HeaderList = [],
  body: Buffer = EMPTY,
): Message {
  const lines: HeaderLine[] = [];
  for (const [name, value] of headers) lines.push(HeaderLine.of(canonicalName(name) ?? name, value));
  const request = new SipMessage({ method, requestUri, line: `${method} ${requestUri} SIP/2.0` }, lines, body);
  request.body = body;
  return request;
}

/** A To that is malformed, in a request that is refused for it, is searched for what looks like a tag. */
function hasTag(to: string): boolean {
  const address = parseAddress(to);
  return address === undefined ? /;[ \t]*tag[ \t]*=/i.test(to) : address.tag !== undefined;
}

/** Header lines that a response takes over from its request (RFC 3261 8.2.6.2). */
const COPIED = new Set(['via', 'from', 'to', 'call-id', 'cseq']);

/**
 * A response to a request: Via, From, To, Call-ID and CSeq as they came, Record-Route too if `recordRoute` is set (for
 * responses that make a dialog, 12.1.1), Timestamp for a 100 (8.2.6.1), an empty body. A To tag is added if `toTag` is
 * given and To has none. The request may be the `partial` of a {@link SipParseError}; what it lacks is left out.
 */
export function buildResponse(
  request: Message,
  status: number,
  reason: string = reasonPhrase(status),
  options: { readonly toTag?: string; readonly recordRoute?: boolean } = {},
): Message {
  const lines: HeaderLine[] = [];
  for (const line of request.lines) {
    if (line.name === 'to' && options.toTag !== undefined && !hasTag(line.value)) {
      lines.push(line.withValue(`${line.value};tag=${options.toTag}`));
    } else if (
      COPIED.has(line.name) ||
      (options.recordRoute === true && line.name === 'record-route') ||
      (status === 100 && line.name === 'timestamp')
    ) {
      lines.push(line);
    }
  }
  lines.push(HeaderLine.of('content-length', '0'));
  return new SipMessage({ status, line: `SIP/2.0 ${status} ${reason}` }, lines, EMPTY);
}
