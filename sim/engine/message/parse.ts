import { type Fault, SipParseError } from './errors.ts';
import { HeaderLine } from './header.ts';
import { DEFAULT_LIMITS, type MessageLimits } from './limits.ts';
import { SipMessage } from './message.ts';
import { canonicalName } from './names.ts';
import { isDigits, isToken } from './scan.ts';
import { validate } from './validate.ts';

/**
 * Where the octets come from, which decides how the end of the body is found and how strictly the headers are checked:
 * - `datagram`: UDP, and WebSocket messages (RFC 7118 5): Content-Length may be missing; octets beyond it are dropped
 *   (RFC 3261 18.3).
 * - `stream`: exactly one message as cut out by {@link StreamFramer}: Content-Length is required.
 * - `app`: text from an application over the control port: any header may be missing, and the body is all that
 *   follows the blank line; a Content-Length is written to match it.
 */
export type ParseMode = 'datagram' | 'stream' | 'app';

/** Reads one message. Never throws on account of the octets: what is wrong with them comes back as a value. */
export function parseMessage(
  bytes: Buffer,
  mode: ParseMode,
  limits: MessageLimits = DEFAULT_LIMITS,
): SipMessage | SipParseError {
  try {
    return parse(bytes, mode, limits);
  } catch (error) {
    if (error instanceof SipParseError) return error;
    throw error;
  }
}

function parse(octets: Buffer, mode: ParseMode, limits: MessageLimits): SipMessage {
  const bytes = mode === 'datagram' && octets[0] === CR ? withoutLineEnds(octets) : octets;
  const blank = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  const headEnd = blank < 0 ? bytes.length : blank;
  const tooLarge = headEnd > limits.headBytes;
  const head = bytes.toString('latin1', 0, tooLarge ? limits.headBytes : headEnd);

  const firstEnd = head.indexOf('\r');
  const line = firstEnd < 0 ? head : head.slice(0, firstEnd);
  const start = parseStartLine(line);
  const lines: HeaderLine[] = [];
  // Kept while reading, so that a message refused for a late fault can still be answered from its sound headers.
  let fault = start.fault;
  if (line.includes('\n')) fault ??= ['start-line', 'a lone LF in the start line'];
  const flaw = readLines(head, line.length, limits.headerCount, lines);
  fault ??= flaw;
  if (tooLarge) fault = ['headers-too-large', `more than ${limits.headBytes} octets of headers`];
  else if (blank < 0 && mode !== 'app') fault ??= ['headers-unfinished', 'no blank line ends the headers'];

  const bodyAt = blank < 0 ? bytes.length : blank + 4;
  if (mode === 'app') {
    if (fault) throw new SipParseError(fault[0], fault[1], 'drop');
    const message = new SipMessage(start, lines, EMPTY);
    message.body = bytes.subarray(bodyAt);
    return message;
  }

  const length = contentLength(lines);
  const available = bytes.length - bodyAt;
  const bodyLength = typeof length === 'number' ? length : available;
  // First of all faults: after it the start of the next message on a stream is not known.
  if (length === 'malformed') fault = ['content-length', 'malformed Content-Length'];
  else if (length === undefined && mode === 'stream') fault ??= ['content-length', 'no Content-Length on a stream'];
  else if (bodyLength > limits.bodyBytes) {
    fault ??= ['body-too-large', `a body of ${bodyLength} octets; at most ${limits.bodyBytes} are taken`];
  } else if (bodyLength > available) {
    fault ??= ['content-length', `Content-Length is ${bodyLength}, but ${available} octets follow the headers`];
  }
  const end = Math.min(bytes.length, bodyAt + bodyLength);
  // A version in other letters (7.1: it is case-insensitive) is written as everybody reads it.
  const asRead = !fault && start.line === line;
  const wire = asRead ? (end === bytes.length ? bytes : bytes.subarray(0, end)) : undefined;
  const message = new SipMessage(start, lines, fault ? EMPTY : bytes.subarray(bodyAt, end), wire);
  fault ??= validate(message);
  if (fault) throw refuse(fault, start, message);
  return message;
}

interface StartLine {
  readonly line: string;
  readonly method?: string;
  readonly requestUri?: string;
  readonly status?: number;
  readonly fault?: Fault;
}

const EMPTY = Buffer.alloc(0);
/** A Content-Length above this is no length of anything (RFC 4475 3.1.2.4). */
const LONGEST = 999_999_999;
const CR = 13;
const LF = 10;

function refuse(fault: Fault, start: StartLine, message: SipMessage): SipParseError {
  const [code, text] = fault;
  // Responses are never answered, nor is an ACK (RFC 3261 17); nor what has no Via to answer to, since it is not SIP.
  const answerable = start.method !== undefined && start.method !== 'ACK' && message.has('via');
  if (!answerable) return new SipParseError(code, text, 'drop', start.method === undefined ? undefined : message);
  const status = code === 'version' ? 505 : code === 'body-too-large' ? 413 : 400;
  return new SipParseError(code, text, status, message);
}

/** CRLFs before a start line mean nothing (RFC 3261 7.5); StreamFramer has taken off those of streams. */
function withoutLineEnds(octets: Buffer): Buffer {
  let at = 0;
  while (octets[at] === CR && octets[at + 1] === LF) at += 2;
  return octets.subarray(at);
}

/** Request-Line = Method SP Request-URI SP SIP-Version; Status-Line = SIP-Version SP Status-Code SP Reason-Phrase. */
function parseStartLine(line: string): StartLine {
  if (line === '') return { line, fault: ['empty', 'no start line'] };
  if (line.slice(0, 4).toUpperCase() === 'SIP/') return parseStatusLine(line);
  const first = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  const method = line.slice(0, first);
  if (first <= 0 || !isToken(method)) return { line, fault: ['start-line', 'no request line and no status line'] };
  const version = line.slice(last + 1);
  const requestUri = line.slice(first + 1, Math.max(last, first + 1));
  const request = { line, method, requestUri };
  if (version !== 'SIP/2.0') {
    if (version.toUpperCase() === 'SIP/2.0') return { ...request, line: `${method} ${requestUri} SIP/2.0` };
    if (/^SIP\/\d+\.\d+$/i.test(version)) return { ...request, fault: ['version', `${version} is not SIP/2.0`] };
    return { ...request, fault: ['start-line', 'the request line does not end in a SIP version'] };
  }
  if (first === last) return { ...request, fault: ['request-uri', 'no Request-URI'] };
  return request;
}

function parseStatusLine(line: string): StartLine {
  const code = line.slice(8, 11);
  const status = Number(code);
  if (line.slice(0, 8).toUpperCase() !== 'SIP/2.0 ') {
    return { line, fault: ['version', 'a response, but not of SIP/2.0'] };
  }
  // Without the blank before an empty reason phrase it is broken too, but common enough to be let through.
  if (!isDigits(code) || status < 100 || status > 699 || (line.length > 11 && line.charCodeAt(11) !== 32)) {
    return { line, fault: ['status-code', 'the status code is not three digits from 100 to 699'] };
  }
  return { line: `SIP/2.0 ${line.slice(8)}`, status };
}

/** Cuts the head, from the end of its start line on, into header lines; returns the first fault found. */
function readLines(head: string, from: number, most: number, lines: HeaderLine[]): Fault | undefined {
  let fault: Fault | undefined;
  for (let at = from; at < head.length; ) {
    if (head.charCodeAt(at) !== 13 || head.charCodeAt(at + 1) !== 10) {
      return ['header-line', 'a line does not end in CRLF'];
    }
    const begin = at + 2;
    if (begin >= head.length) break;
    if (lines.length === most) return ['too-many-headers', `more than ${most} header lines`];
    let end = lineEnd(head, begin);
    // A line that starts with white space continues the one before (RFC 3261 7.3.1).
    while (isSpace(head.charCodeAt(end + 2)) && end < head.length) end = lineEnd(head, end + 2);
    const raw = head.slice(begin, end);
    const colon = raw.indexOf(':');
    const name = colon <= 0 ? undefined : canonicalName(trimEnd(raw, colon));
    if (name === undefined) fault ??= ['header-line', 'a header line without a name'];
    else if (raw.includes('\n') && /(^|[^\r])\n|\r[^\n]/.test(raw)) fault ??= ['header-line', 'a lone CR or LF'];
    else lines.push(new HeaderLine(name, raw, colon + 1));
    at = end;
  }
  return fault;
}

function lineEnd(head: string, from: number): number {
  const end = head.indexOf('\r', from);
  return end < 0 ? head.length : end;
}

const isSpace = (code: number): boolean => code === 32 || code === 9;

/** HCOLON = *( SP / HTAB ) ":" SWS */
function trimEnd(raw: string, colon: number): string {
  let end = colon;
  while (end > 0 && isSpace(raw.charCodeAt(end - 1))) end--;
  return raw.slice(0, end);
}

/** Several Content-Length headers are as good as a malformed one (RFC 4475 3.3.9): nobody knows which one to trust. */
function contentLength(lines: readonly HeaderLine[]): number | 'malformed' | undefined {
  let found: number | undefined;
  for (const line of lines) {
    if (line.name !== 'content-length') continue;
    if (found !== undefined || !isDigits(line.value) || Number(line.value) > LONGEST) return 'malformed';
    found = Number(line.value);
  }
  return found;
}
