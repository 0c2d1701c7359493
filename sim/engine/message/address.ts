import { type Params, parseParams, quotedEnd, skipSpace, tokenEnd, trimSpace, unquote } from './scan.ts';
import { parseUri, type SipUri } from './uri.ts';

/** A name-addr or addr-spec with its header parameters: From, To, Contact, Route, Record-Route, Path, ... */
export interface Address {
  /** Display name, quotes removed and escapes resolved, as a byte string; undefined if there is none. */
  readonly display: string | undefined;
  /** The URI as written. */
  readonly uri: string;
  readonly parsedUri: SipUri;
  /** Header parameters (after the ">"), names in lower case, values as written. */
  readonly params: Params;
  readonly tag: string | undefined;
}

/** Reads one (unfolded) address; undefined if it breaks the grammar (RFC 3261 20.10, 25.1). */
export function parseAddress(text: string): Address | undefined {
  let display: string | undefined;
  let open = skipSpace(text, 0);
  if (text.charCodeAt(open) === 34) {
    const end = quotedEnd(text, open);
    if (end < 0) return undefined;
    display = unquote(text.slice(open, end));
    open = skipSpace(text, end);
    if (text.charCodeAt(open) !== 60) return undefined;
  } else if (text.charCodeAt(open) !== 60) {
    const angle = text.indexOf('<', open);
    if (angle < 0) return addrSpec(text, open);
    display = trimSpace(text.slice(open, angle));
    if (!isTokens(display)) return undefined;
    open = angle;
  }
  const close = text.indexOf('>', open);
  if (close < 0) return undefined;
  const params = parseParams(text, close + 1);
  return params && address(display, text.slice(open + 1, close), params);
}

/** Without angle brackets parameters belong to the header, and "?" and "," may not stand in the URI (20.10). */
function addrSpec(text: string, start: number): Address | undefined {
  const semicolon = text.indexOf(';', start);
  const end = semicolon < 0 ? text.length : semicolon;
  const uri = trimSpace(text.slice(start, end));
  if (/[?,]/.test(uri)) return undefined;
  const params = parseParams(text, end);
  return params && address(undefined, uri, params);
}

function address(display: string | undefined, uri: string, params: Params): Address | undefined {
  const parsedUri = parseUri(uri);
  return parsedUri && { display, uri, parsedUri, params, tag: params.get('tag') };
}

/** display-name = *(token LWS) */
function isTokens(text: string): boolean {
  for (let i = 0; i < text.length; i = skipSpace(text, i)) {
    const end = tokenEnd(text, i);
    if (end === i) return false;
    i = end;
  }
  return true;
}
