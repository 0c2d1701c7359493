import { hostEnd, type Params, parseParams, skipSpace, tokenEnd } from './scan.ts';

/** One Via value (RFC 3261 20.42, RFC 3581). */
export interface Via {
  /** Upper case: UDP, TCP, TLS, WS, WSS, SCTP, ... */
  readonly transport: string;
  /** sent-by host as written; an IPv6 reference keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  /** undefined: no rport parameter; true: present without a value (the client asks for it); otherwise its value. */
  readonly rport: number | true | undefined;
}

/** Reads one (unfolded) Via value; undefined if it breaks the grammar or is not SIP/2.0. */
export function parseVia(text: string): Via | undefined {
  let i = literal(text, 0, 'SIP');
  if (i >= 0) i = separator(text, i);
  if (i >= 0) i = literal(text, i, '2.0');
  if (i >= 0) i = separator(text, i);
  if (i < 0) return undefined;
  const end = tokenEnd(text, i);
  if (end === i) return undefined;
  const transport = text.slice(i, end).toUpperCase();
  i = skipSpace(text, end);
  if (i === end) return undefined;
  const hostStop = hostEnd(text, i);
  if (hostStop === i) return undefined;
  const host = text.slice(i, hostStop);
  i = skipSpace(text, hostStop);
  let port: number | undefined;
  if (text.charCodeAt(i) === 58) {
    const from = skipSpace(text, i + 1);
    i = from;
    while (text.charCodeAt(i) >= 48 && text.charCodeAt(i) <= 57) i++;
    port = Number(text.slice(from, i));
    if (i === from || i - from > 5 || port > 65535) return undefined;
  }
  const params = parseParams(text, i);
  if (params === undefined) return undefined;
  const rport = params.get('rport');
  return {
    transport,
    host,
    port,
    params,
    branch: params.get('branch'),
    received: params.get('received'),
    rport: params.has('rport') ? (rport === undefined || rport === '' ? true : Number(rport)) : undefined,
  };
}

function literal(text: string, i: number, word: string): number {
  if (text.startsWith(word, i)) return i + word.length;
  return text.slice(i, i + word.length).toUpperCase() === word ? i + word.length : -1;
}

/** SLASH = SWS "/" SWS */
function separator(text: string, i: number): number {
  i = skipSpace(text, i);
  return text.charCodeAt(i) === 47 ? skipSpace(text, i + 1) : -1;
}
