import { hostEnd } from './scan.ts';

/**
 * A URI as SIP uses it. For sip and sips: the parts of RFC 3261 19.1.1, escapes kept as written. For any other scheme
 * `opaque` holds everything after the colon, of tel and urn up to the first ";" (RFC 3966: the number), and `host` is ''.
 */
export interface SipUri {
  /** Lower case. */
  readonly scheme: string;
  readonly user?: string;
  readonly password?: string;
  /** Lower case as written otherwise; an IPv6 reference keeps its brackets. */
  readonly host: string;
  readonly port?: number;
  /** Names in lower case; undefined for a parameter without "=". */
  readonly params: ReadonlyMap<string, string | undefined>;
  /** Header name in lower case to escaped value. */
  readonly headers: ReadonlyMap<string, string>;
  readonly opaque?: string;
}

const NONE: ReadonlyMap<string, never> = new Map<string, never>();
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
/** userinfo: unreserved, escaped, user-unreserved and ":" (RFC 3261 25.1); "#" is tolerated, dial strings carry it. */
const USERINFO = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/:#]|%[0-9A-Fa-f]{2})*$/;
const PARAMS = /^(?:[A-Za-z0-9\-_.!~*'()[\]/:&+$=;]|%[0-9A-Fa-f]{2})*$/;
const HEADERS = /^(?:[A-Za-z0-9\-_.!~*'()[\]/?:+$=&;@,]|%[0-9A-Fa-f]{2})*$/;
const OPAQUE = /^[\x21-\x7e]+$/;

/** Parses an absolute URI; undefined if the text breaks the grammar of its scheme. */
export function parseUri(text: string): SipUri | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  const written = text.slice(0, colon);
  const scheme = written === 'sip' || written === 'sips' ? written : written.toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(scheme, text, colon + 1);
  if (!SCHEME.test(scheme) || !OPAQUE.test(text) || /[<>"]/.test(text) || text.length === colon + 1) return undefined;
  // What a semicolon means is the scheme's business; to tel and urn it begins parameters.
  const semicolon = scheme === 'tel' || scheme === 'urn' ? text.indexOf(';', colon) : -1;
  const end = semicolon < 0 ? text.length : semicolon;
  const params = semicolon < 0 ? NONE : uriParams(text.slice(semicolon + 1));
  if (params === undefined) return undefined;
  return { scheme, host: '', opaque: text.slice(colon + 1, end), params, headers: NONE };
}

function parseSipUri(scheme: string, text: string, start: number): SipUri | undefined {
  let i = start;
  let user: string | undefined;
  let password: string | undefined;
  const at = text.indexOf('@', start);
  // A user part may hold "?" and ";", so the first "@" ends it, wherever that stands (19.1.1: elsewhere it is escaped).
  if (at >= 0) {
    const userinfo = text.slice(start, at);
    if (userinfo === '' || !USERINFO.test(userinfo)) return undefined;
    const colon = userinfo.indexOf(':');
    user = colon < 0 ? userinfo : userinfo.slice(0, colon);
    if (user === '') return undefined;
    if (colon >= 0) password = userinfo.slice(colon + 1);
    i = at + 1;
  }
  const end = hostEnd(text, i);
  if (end === i) return undefined;
  const host = text.slice(i, end).toLowerCase();
  i = end;
  let port: number | undefined;
  if (text.charCodeAt(i) === 58) {
    let k = i + 1;
    while (k < text.length && text.charCodeAt(k) >= 48 && text.charCodeAt(k) <= 57) k++;
    if (k === i + 1 || k - i > 6) return undefined;
    port = Number(text.slice(i + 1, k));
    if (port > 65535) return undefined;
    i = k;
  }
  let params: ReadonlyMap<string, string | undefined> = NONE;
  let headers: ReadonlyMap<string, string> = NONE;
  if (text.charCodeAt(i) === 59) {
    const question = text.indexOf('?', i);
    const to = question < 0 ? text.length : question;
    const read = uriParams(text.slice(i + 1, to));
    if (read === undefined) return undefined;
    params = read;
    i = to;
  }
  if (text.charCodeAt(i) === 63) {
    const read = uriHeaders(text.slice(i + 1));
    if (read === undefined) return undefined;
    headers = read;
    i = text.length;
  }
  if (i !== text.length) return undefined;
  return {
    scheme,
    host,
    params,
    headers,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(port === undefined ? {} : { port }),
  };
}

function uriParams(text: string): ReadonlyMap<string, string | undefined> | undefined {
  if (!PARAMS.test(text)) return undefined;
  const params = new Map<string, string | undefined>();
  for (const part of text.split(';')) {
    if (part === '') return undefined;
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    if (name === '') return undefined;
    if (!params.has(name)) params.set(name, equals < 0 ? undefined : part.slice(equals + 1));
  }
  return params;
}

function uriHeaders(text: string): ReadonlyMap<string, string> | undefined {
  if (!HEADERS.test(text)) return undefined;
  const headers = new Map<string, string>();
  for (const part of text.split('&')) {
    const equals = part.indexOf('=');
    if (equals <= 0) return undefined;
    headers.set(part.slice(0, equals).toLowerCase(), part.slice(equals + 1));
  }
  return headers;
}

/** Resolves %HH escapes; the result is a byte string. Malformed escapes stay. */
export function unescapeUri(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
