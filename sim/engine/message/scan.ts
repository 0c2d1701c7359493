import { isIPv6 } from 'node:net';

/**
 * Scanning of byte strings: JavaScript strings in which each character is one octet of the message (latin1), so that
 * nothing is lost between reading and writing, whatever encoding the sender used.
 */

const SPACE = 32;
const TAB = 9;
const QUOTE = 34;
const BACKSLASH = 92;

/** Character classes of RFC 3261 25.1, one bit each. */
const TOKEN_BIT = 1;
const HOST_BIT = 2;
const DIGIT_BIT = 4;
const WORD_BIT = 8;

const CLASSES = new Uint8Array(256);
const mark = (characters: string, bit: number): void => {
  for (const c of characters) CLASSES[c.charCodeAt(0)]! |= bit;
};
const DIGITS = '0123456789';
const ALPHANUM = `${DIGITS}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz`;
mark(DIGITS, DIGIT_BIT);
mark(ALPHANUM, TOKEN_BIT | HOST_BIT | WORD_BIT);
mark("-.!%*_+`'~", TOKEN_BIT | WORD_BIT);
mark('-._', HOST_BIT); // "_" is not in the grammar but common in host names of containers
mark('()<>:\\"/[]?{}', WORD_BIT);

const every = (text: string, bit: number): boolean => {
  for (let i = 0; i < text.length; i++) if ((CLASSES[text.charCodeAt(i)]! & bit) === 0) return false;
  return text.length > 0;
};

/** token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~") */
export const isToken = (text: string): boolean => every(text, TOKEN_BIT);
/** word, of which callid is made: token characters and ()<>:\"/[]?{} */
export const isWord = (text: string): boolean => every(text, WORD_BIT);
/** 1*DIGIT */
export const isDigits = (text: string): boolean => every(text, DIGIT_BIT);

/** Where the run of token characters that starts at `i` ends. */
export function tokenEnd(text: string, i: number): number {
  while (i < text.length && (CLASSES[text.charCodeAt(i)]! & TOKEN_BIT) !== 0) i++;
  return i;
}

/** Where the host (name, IPv4 address or IPv6 reference) that starts at `i` ends; `i` itself if there is none. */
export function hostEnd(text: string, i: number): number {
  if (text.charCodeAt(i) === 91) {
    const close = text.indexOf(']', i);
    return close > i && isIPv6(withoutThirdColon(text.slice(i + 1, close))) ? close + 1 : i;
  }
  while (i < text.length && (CLASSES[text.charCodeAt(i)]! & HOST_BIT) !== 0) i++;
  return i;
}

/** The grammar of RFC 3261 allows `2001:db8:::192.0.2.1`, which is to be taken for the same with two colons (RFC 5118 4.10). */
export function withoutThirdColon(address: string): string {
  return address.replace(/:::(?=\d+\.)/, '::');
}

/** Skips spaces and tabs (values are unfolded before they are scanned). */
export function skipSpace(text: string, i: number): number {
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== SPACE && c !== TAB) break;
  }
  return i;
}

/**
 * Takes white space off both ends. Not String.trim: that takes the octet A0 for a space, which ends many a character of
 * UTF-8.
 */
export function trimSpace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isWhite(text.charCodeAt(from))) from++;
  while (to > from && isWhite(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

/** Makes one line of a folded value: each fold, with the white space around it, is one space (RFC 3261 7.3.1). */
export function unfold(text: string): string {
  return text.includes('\r\n') ? text.split('\r\n').map(trimSpace).join(' ') : text;
}

const isWhite = (code: number): boolean => code === SPACE || code === TAB || code === 13 || code === 10;

/** Where the quoted-string that opens at `i` ends (after its closing quote); -1 if it is not closed. */
export function quotedEnd(text: string, i: number): number {
  for (let k = i + 1; k < text.length; k++) {
    const c = text.charCodeAt(k);
    if (c === BACKSLASH) k++;
    else if (c === QUOTE) return k + 1;
  }
  return -1;
}

/** The content of a quoted-string, escapes resolved; other text comes back as it is. */
export function unquote(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== QUOTE) return text;
  const inner = text.slice(1, -1);
  return inner.includes('\\') ? inner.replace(/\\([\s\S])/g, '$1') : inner;
}

/**
 * Where the list element that starts at `from` ends: at the next comma outside quotes and angle brackets, or at the
 * end of the text.
 */
export function elementEnd(text: string, from: number): number {
  let angle = false;
  for (let i = from; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        if (angle) break;
        const end = quotedEnd(text, i);
        if (end < 0) return text.length;
        i = end - 1;
        break;
      }
      case 60:
        angle = true;
        break;
      case 62:
        angle = false;
        break;
      case 44:
        if (!angle) return i;
        break;
    }
  }
  return text.length;
}

/** The elements of a comma-separated list, trimmed; empty elements are left out. */
export function splitList(text: string): string[] {
  if (!text.includes(',')) return text === '' ? [] : [text];
  const elements: string[] = [];
  for (let from = 0; from <= text.length; ) {
    const end = elementEnd(text, from);
    const element = trimSpace(text.slice(from, end));
    if (element !== '') elements.push(element);
    from = end + 1;
  }
  return elements;
}

/** What stands before, between and after the semicolons outside quotes: a value, then each of its parameters. */
export function splitParams(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = quotedEnd(text, i);
      i = end < 0 ? text.length : end - 1;
    } else if (c === 59) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

/** Parameters by lower-case name; the value as written (quotes included), undefined for a parameter without "=". */
export type Params = ReadonlyMap<string, string | undefined>;

export const NO_PARAMS: Params = new Map();

/**
 * Reads `*( SEMI name [ EQUAL value ] )` from `i` to the end of the text. Undefined if anything else is found there.
 * gen-value = token / host / quoted-string (RFC 3261 25.1).
 */
export function parseParams(text: string, i: number): Params | undefined {
  i = skipSpace(text, i);
  if (i === text.length) return NO_PARAMS;
  const params = new Map<string, string | undefined>();
  while (i < text.length) {
    if (text.charCodeAt(i) !== 59) return undefined;
    const start = skipSpace(text, i + 1);
    const end = tokenEnd(text, start);
    if (end === start) return undefined;
    const name = text.slice(start, end).toLowerCase();
    i = skipSpace(text, end);
    let value: string | undefined;
    if (text.charCodeAt(i) === 61) {
      const from = skipSpace(text, i + 1);
      const to = valueEnd(text, from);
      if (to < 0) return undefined;
      value = text.slice(from, to);
      i = skipSpace(text, to);
    }
    if (!params.has(name)) params.set(name, value);
  }
  return params;
}

function valueEnd(text: string, i: number): number {
  const c = text.charCodeAt(i);
  if (c === QUOTE) return quotedEnd(text, i);
  if (c === 91) {
    const end = hostEnd(text, i);
    return end === i ? -1 : end;
  }
  // Bare IPv6 addresses in received= (RFC 5118 4.5) and media types: anything up to ";", "," or white space.
  let k = i;
  for (; k < text.length; k++) {
    const d = text.charCodeAt(k);
    if (d === 59 || d === 44 || d === SPACE || d === TAB) break;
    if (d === QUOTE || d === 60 || d === 62) return -1;
  }
  return k;
}
