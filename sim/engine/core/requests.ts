import type { Dialog } from '../dialog/dialog.ts';
import { HeaderLine, parseAddress, SipMessage } from '../message/index.ts';
import type { BoundPoint } from '../transport/index.ts';
import { uriHost } from './addresses.ts';
import { appendAppHeaders, cutAtNul, looksLikeSdp, replaceLocalhost, withBrackets } from './headers.ts';

/** RFC 3261 8.1.1.6. */
const MAX_FORWARDS = '70';

/** `Via` of a request that leaves through a listen point; rport asks for symmetric responses (RFC 3581). */
export function viaValue(point: BoundPoint, branch: string): string {
  return `SIP/2.0/${point.protocol.toUpperCase()} ${uriHost(point.host)}:${point.port};rport;branch=${branch}`;
}

export interface OutsideDialog {
  readonly point: BoundPoint;
  /** `<sip:…>` of the listen point. */
  readonly contact: string;
  readonly branch: string;
  readonly newTag: () => string;
  readonly newCallId: () => string;
  readonly strict: boolean;
}

/** An application's request outside any dialog, completed as RFC 3261 8.1.1 and section 6 of the contract say. */
export function buildOutsideDialog(text: SipMessage, options: OutsideDialog): SipMessage {
  const { method } = text;
  const { point } = options;
  const from = withTag(withBrackets(replaceLocalhost(text.get('from') || options.contact, point)), options.newTag);
  const to = withBrackets(replaceLocalhost(text.get('to') || `<${text.requestUri}>`, point));
  const number = /^\d+/.exec(text.get('cseq') ?? '')?.[0] ?? '1';
  const lines = [
    HeaderLine.of('via', viaValue(point, options.branch)),
    HeaderLine.of('max-forwards', text.get('max-forwards') || MAX_FORWARDS),
    HeaderLine.of('from', from),
    HeaderLine.of('to', to),
    HeaderLine.of('call-id', text.get('call-id') || options.newCallId()),
    HeaderLine.of('cseq', `${number} ${method}`),
  ];
  appendAppHeaders(lines, text, 'request', point, false);
  if ((method === 'INVITE' || method === 'SUBSCRIBE') && !text.has('contact')) {
    lines.push(HeaderLine.of('contact', options.contact));
  }
  return finish(text, method, text.requestUri, lines, options.strict);
}

export interface InsideDialog {
  readonly point: BoundPoint;
  readonly contact: string;
  readonly branch: string;
  readonly sequence: number;
  readonly strict: boolean;
  /** Written by the stack instead of the application's (RAck). */
  readonly extra?: readonly (readonly [name: string, value: string])[];
}

const ADDS_CONTACT: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER']);

/** A request inside a dialog (12.2.1.1): target, route set, tags and CSeq are the dialog's, whatever the text says. */
export function buildInsideDialog(dialog: Dialog, method: string, text: SipMessage, options: InsideDialog): SipMessage {
  const { requestUri, routes } = dialog.routing();
  const { point } = options;
  const lines = [
    HeaderLine.of('via', viaValue(point, options.branch)),
    ...routes.map((route) => HeaderLine.of('route', route)),
    HeaderLine.of('max-forwards', MAX_FORWARDS),
    HeaderLine.of('from', dialog.local),
    HeaderLine.of('to', dialog.remote),
    HeaderLine.of('call-id', dialog.callId),
    HeaderLine.of('cseq', `${options.sequence} ${method}`),
  ];
  const overridden = options.extra ?? [];
  const app =
    overridden.length === 0
      ? text
      : without(
          text,
          overridden.map(([name]) => name),
        );
  appendAppHeaders(lines, app, 'dialog-request', point, options.strict);
  for (const [name, value] of overridden) lines.push(HeaderLine.of(name, value));
  if (ADDS_CONTACT.has(method) && !text.has('contact')) lines.push(HeaderLine.of('contact', options.contact));
  return finish(text, method, requestUri, lines, options.strict);
}

/** Whether a body lacks the Content-Type that the stack cannot guess. */
export function lacksContentType(text: SipMessage): boolean {
  return text.body.length > 0 && !text.has('content-type') && !looksLikeSdp(text.body);
}

/** The ACK for a non-2xx final response (17.1.1.3), which the stack sends by itself. */
export function buildFailureAck(invite: SipMessage, response: SipMessage): SipMessage {
  const lines: HeaderLine[] = [];
  let viaTaken = false;
  for (const line of invite.lines) {
    if (line.name === 'via') {
      if (!viaTaken) lines.push(line.withValue(line.top));
      viaTaken = true;
    } else if (
      line.name === 'route' ||
      line.name === 'from' ||
      line.name === 'call-id' ||
      line.name === 'max-forwards'
    ) {
      lines.push(line);
    } else if (line.name === 'to') lines.push(line.withValue(response.get('to') ?? line.value));
    else if (line.name === 'cseq') lines.push(line.withValue(`${invite.cseq!.number} ACK`));
  }
  lines.push(HeaderLine.of('content-length', '0'));
  return request('ACK', invite.requestUri, lines, EMPTY);
}

/** The CANCEL of a request (9.1): the same top Via, Route, From, To, Call-ID and CSeq number. */
export function buildCancel(invite: SipMessage, extra: readonly HeaderLine[] = []): SipMessage {
  const lines: HeaderLine[] = [];
  let viaTaken = false;
  for (const line of invite.lines) {
    if (line.name === 'via') {
      if (!viaTaken) lines.push(line.withValue(line.top));
      viaTaken = true;
    } else if (['route', 'from', 'to', 'call-id', 'max-forwards'].includes(line.name)) lines.push(line);
    else if (line.name === 'cseq') lines.push(line.withValue(`${invite.cseq!.number} CANCEL`));
  }
  lines.push(...extra, HeaderLine.of('content-length', '0'));
  return request('CANCEL', invite.requestUri, lines, EMPTY);
}

const EMPTY = Buffer.alloc(0);

function finish(
  text: SipMessage,
  method: string,
  requestUri: string,
  lines: HeaderLine[],
  strict: boolean,
): SipMessage {
  const body = strict ? cutAtNul(text.body) : text.body;
  if (body.length > 0 && !text.has('content-type')) lines.push(HeaderLine.of('content-type', 'application/sdp'));
  lines.push(HeaderLine.of('content-length', String(body.length)));
  return request(method, requestUri, lines, body);
}

function request(method: string, requestUri: string, lines: HeaderLine[], body: Buffer): SipMessage {
  return new SipMessage({ method, requestUri, line: `${method} ${requestUri} SIP/2.0` }, lines, body);
}

function without(text: SipMessage, names: readonly string[]): SipMessage {
  const copy = text.clone();
  for (const name of names) copy.remove(name);
  return copy;
}

/** From needs a tag (8.1.1.3). A bare addr-spec may bear one as well. */
function withTag(value: string, newTag: () => string): string {
  return parseAddress(value)?.tag === undefined ? `${value};tag=${newTag()}` : value;
}
