import { HeaderLine, reasonPhrase, SipMessage } from '../message/index.ts';
import type { BoundPoint } from '../transport/index.ts';
import { appendAppHeaders, cutAtNul, looksLikeSdp } from './headers.ts';

export interface AppResponseOptions {
  /** For the To header where the request has no tag. */
  readonly toTag: string;
  /** Responses that make or refresh a dialog repeat Record-Route (12.1.1). */
  readonly recordRoute: boolean;
  /** Contact where the application gives none; undefined: none is due. */
  readonly contact: string | undefined;
  /** Set for reliable provisional responses (RFC 3262 3). */
  readonly rseq: number | undefined;
  /** Listen point that stands for `localhost`. */
  readonly point: BoundPoint | undefined;
  readonly inDialog: boolean;
  readonly strict: boolean;
}

/** A response as the application wants it, completed as RFC 3261 8.2.6 and section 5 of the contract say. */
export function buildAppResponse(request: SipMessage, app: SipMessage, options: AppResponseOptions): SipMessage {
  const lines: HeaderLine[] = [];
  for (const line of request.lines) {
    switch (line.name) {
      case 'via':
      case 'from':
      case 'call-id':
      case 'cseq':
        lines.push(line);
        break;
      case 'to':
        lines.push(line.address.tag === undefined ? line.withValue(`${line.value};tag=${options.toTag}`) : line);
        break;
      case 'record-route':
        if (options.recordRoute) lines.push(line);
        break;
    }
  }
  appendAppHeaders(lines, app, 'response', options.point, options.strict && options.inDialog);
  if (options.contact !== undefined && !app.has('contact')) lines.push(HeaderLine.of('contact', options.contact));
  if (options.rseq !== undefined) lines.push(HeaderLine.of('rseq', String(options.rseq)));
  const body = options.strict ? cutAtNul(app.body) : app.body;
  if (body.length > 0 && !app.has('content-type') && looksLikeSdp(body)) {
    lines.push(HeaderLine.of('content-type', 'application/sdp'));
  }
  lines.push(HeaderLine.of('content-length', String(body.length)));
  // An application that names no reason gets the registered one.
  const line = /^SIP\/2\.0 \d{3}\s*$/.test(app.startLine)
    ? `SIP/2.0 ${app.status} ${reasonPhrase(app.status)}`
    : app.startLine;
  return new SipMessage({ status: app.status, line }, lines, body);
}
