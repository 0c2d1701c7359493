import { type Fault, SipParseError } from './errors.ts';
import type { SipMessage } from './message.ts';
import { spell } from './names.ts';
import { isDigits, isWord } from './scan.ts';
import { parseUri } from './uri.ts';

/** Headers of which a message may have one only, and which decide where it belongs (RFC 3261 8.1.1, RFC 4475 3.3.8). */
const SINGLE = ['call-id', 'cseq', 'from', 'to', 'max-forwards'] as const;
const REQUIRED = ['via', 'call-id', 'cseq', 'from', 'to'] as const;

/**
 * Checks what every layer above relies on: the Request-URI, the mandatory headers of RFC 3261 8.1.1 and the headers that
 * messages are routed by. Other headers are the business of whoever reads them. Max-Forwards may be missing: it is in
 * requests of RFC 2543 elements (RFC 4475 3.4.1).
 */
export function validate(message: SipMessage): Fault | undefined {
  for (const name of REQUIRED) if (!message.has(name)) return ['header-missing', `no ${spell(name)} header`];
  let seen = 0;
  for (const line of message.lines) {
    const bit = 1 << SINGLE.indexOf(line.name as (typeof SINGLE)[number]);
    if (bit > 0 && (seen & bit) !== 0) return ['header-repeated', `more than one ${spell(line.name)} header`];
    if (bit > 0) seen |= bit;
  }
  if (!isWord(message.callId!.replace('@', ''))) return ['header-value', 'malformed Call-ID header'];
  try {
    // A branch of the magic cookie alone identifies no transaction (RFC 4475 3.2.1).
    if (message.via!.branch === 'z9hG4bK') return ['header-value', 'the Via branch is the magic cookie alone'];
    void message.from;
    void message.to;
    void message.contacts;
    void message.routes;
    void message.recordRoutes;
    const { method } = message.cseq!;
    if (!message.isRequest) return undefined;
    if (method !== message.method) return ['method-mismatch', 'the methods in CSeq and request line differ'];
  } catch (error) {
    if (error instanceof SipParseError) return [error.code, error.message];
    throw error;
  }
  const hops = message.get('max-forwards');
  if (hops !== undefined && (!isDigits(hops) || Number(hops) > 255)) {
    return ['header-value', 'Max-Forwards is not a number from 0 to 255'];
  }
  if (parseUri(message.requestUri) === undefined) return ['request-uri', 'malformed Request-URI'];
  return undefined;
}
