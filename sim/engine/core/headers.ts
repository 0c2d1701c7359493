import { HeaderLine, type SipMessage, splitList } from '../message/index.ts';
import type { BoundPoint } from '../transport/index.ts';
import { uriHost } from './addresses.ts';

/** Headers that an application cannot set: the stack's own (contract, sections 5 and 6). */
const STACK_OWNED: ReadonlySet<string> = new Set(['via', 'content-length', 'rseq', 'record-route']);
/** Of a response besides: taken from the request. */
const FROM_REQUEST: ReadonlySet<string> = new Set(['from', 'to', 'call-id', 'cseq', 'route']);
/** Of a request besides: written by the stack, with the application's value where it may have one. */
const REQUEST_HEAD: ReadonlySet<string> = new Set(['from', 'to', 'call-id', 'cseq', 'max-forwards']);
/** Of a request inside a dialog besides. */
const DIALOG_HEAD: ReadonlySet<string> = new Set(['from', 'to', 'call-id', 'cseq', 'max-forwards', 'route']);

export type HeaderScope = 'response' | 'request' | 'dialog-request';

const SKIPPED: Readonly<Record<HeaderScope, ReadonlySet<string>>> = {
  response: FROM_REQUEST,
  request: REQUEST_HEAD,
  'dialog-request': DIALOG_HEAD,
};

/** Headers in which `localhost` stands for the engine's own address. */
const LOCALHOST_HEADERS: ReadonlySet<string> = new Set(['from', 'to', 'contact', 'p-asserted-identity']);
const LOCALHOST = /@localhost(?::\d+)?(?=[;>?\s,]|$)/g;

/** Replaces the host `localhost` after `@` by the address of a listen point. */
export function replaceLocalhost(value: string, point: BoundPoint | undefined): string {
  if (point === undefined || !value.includes('@localhost')) return value;
  return value.replace(LOCALHOST, `@${uriHost(point.host)}:${point.port}`);
}

/**
 * From, To or Contact with every URI in angle brackets, as sofia writes them: drachtio-srf itself gives bare ones
 * (`callingNumber`), and there are peers that look for the brackets. The parameters of a bare URI are the header's (20.10).
 */
export function withBrackets(value: string): string {
  if (value === '' || value === '*') return value;
  const elements = splitList(value);
  if (elements.every((element) => element.includes('<'))) return value;
  return elements
    .map((element) => (element.includes('<') ? element : element.replace(/^([^\s;]+)/, '<$1>')))
    .join(', ');
}

/**
 * Appends an application's header lines, spelt as the standards spell them, leaving out what the stack writes itself.
 * @param dropLocalhost drachtio-server loses such a header inside a dialog (section 5); so does strict mode.
 */
export function appendAppHeaders(
  lines: HeaderLine[],
  app: SipMessage,
  scope: HeaderScope,
  point: BoundPoint | undefined,
  dropLocalhost: boolean,
): void {
  const skipped = SKIPPED[scope];
  for (const { name, value: given } of app.lines) {
    if (STACK_OWNED.has(name) || skipped.has(name)) continue;
    const value = name === 'contact' ? withBrackets(given) : given;
    // RFC 3261 7.3.1 allows some headers to be empty (Supported); undefined ones of JavaScript callers are none.
    if (LOCALHOST_HEADERS.has(name) && value.includes('@localhost')) {
      if (!dropLocalhost) lines.push(HeaderLine.of(name, replaceLocalhost(value, point)));
      continue;
    }
    lines.push(HeaderLine.of(name, value));
  }
}

const SDP_START = Buffer.from('v=0');

/** Whether a body without Content-Type is taken for SDP. */
export function looksLikeSdp(body: Buffer): boolean {
  return body.length >= 3 && body.compare(SDP_START, 0, 3, 0, 3) === 0;
}

/** drachtio-server passes bodies through C strings: they end at the first NUL (section 5). */
export function cutAtNul(body: Buffer): Buffer {
  const nul = body.indexOf(0);
  return nul === -1 ? body : body.subarray(0, nul);
}
