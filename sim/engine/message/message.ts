import { type Address, parseAddress } from './address.ts';
import { SipParseError } from './errors.ts';
import { HeaderLine } from './header.ts';
import { canonicalName, isList, spell } from './names.ts';
import { isDigits, isToken, splitList, trimSpace } from './scan.ts';
import type { Via } from './via.ts';

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/**
 * A SIP request or response. Header lines are kept as they came, in order; an operation changes only the lines it names.
 *
 * All text going in and coming out is a byte string: one octet per character, so that nothing is lost whatever encoding
 * a peer used. Text with characters beyond ASCII passes through {@link toBytes} and {@link toText}.
 *
 * Header names may be given in any spelling; lower-case long forms ("call-id") are the fastest.
 */
export class SipMessage {
  /** How many octets it was read from, whatever has changed since; undefined for one that was made here. */
  readonly octetsRead: number | undefined;
  #startLine: string;
  #method: string;
  #requestUri: string;
  #status: number;
  #lines: HeaderLine[];
  #body: Buffer;
  /** The message on the wire, while nothing changed since it was read or written. */
  #wire: Buffer | undefined;

  /**
   * For the parser and the builders: `method` is '' for a response, `status` 0 for a request; `wire` the octets that the
   * other arguments were read from.
   */
  constructor(
    start: { readonly method?: string; readonly requestUri?: string; readonly status?: number; readonly line: string },
    lines: HeaderLine[],
    body: Buffer,
    wire?: Buffer,
  ) {
    this.#startLine = start.line;
    this.#method = start.method ?? '';
    this.#requestUri = start.requestUri ?? '';
    this.#status = start.status ?? 0;
    this.#lines = lines;
    this.#body = body;
    this.#wire = wire;
    this.octetsRead = wire?.length;
  }

  get isRequest(): boolean {
    return this.#status === 0;
  }

  get startLine(): string {
    return this.#startLine;
  }

  /** The request's method; of a response the method in CSeq ('' if it has none). */
  get method(): string {
    return this.#status === 0 ? this.#method : (this.cseq?.method ?? '');
  }

  /** '' for a response. */
  get requestUri(): string {
    return this.#requestUri;
  }

  set requestUri(uri: string) {
    this.#requestUri = uri;
    this.#startLine = `${this.#method} ${uri} SIP/2.0`;
    this.#wire = undefined;
  }

  /** 0 for a request. */
  get status(): number {
    return this.#status;
  }

  /** Reason phrase as a byte string; '' for a request. */
  get reason(): string {
    return this.#status === 0 ? '' : this.#startLine.slice(12);
  }

  get body(): Buffer {
    return this.#body;
  }

  /** Replaces the body and writes Content-Length to match. */
  set body(body: Buffer) {
    this.#body = body;
    this.setValue('content-length', String(body.length));
  }

  /** The header lines in order; not to be changed by hand. */
  get lines(): readonly HeaderLine[] {
    return this.#lines;
  }

  /** The value of the first line with this name, unfolded; undefined if there is none. */
  get(name: string): string | undefined {
    return this.#line(name)?.value;
  }

  has(name: string): boolean {
    return this.#line(name) !== undefined;
  }

  /** All values of a header in order; comma-joined values are taken apart where the header's grammar is a list. */
  getAll(name: string): string[] {
    const key = keyOf(name);
    const values: string[] = [];
    for (const line of this.#lines) {
      if (line.name !== key) continue;
      if (isList(key)) values.push(...splitList(line.value));
      else values.push(line.value);
    }
    return values;
  }

  /** Adds a line above the first one of that name, or on top of the headers. */
  insertFirst(name: string, value: string): void {
    const key = keyOf(name);
    const at = this.#lines.findIndex((line) => line.name === key);
    this.#lines.splice(Math.max(at, 0), 0, HeaderLine.of(key, value));
    this.#wire = undefined;
  }

  /** Adds a line below the last one of that name, or at the end of the headers. */
  append(name: string, value: string): void {
    const key = keyOf(name);
    const last = this.#lines.findLastIndex((line) => line.name === key);
    this.#lines.splice(last < 0 ? this.#lines.length : last + 1, 0, HeaderLine.of(key, value));
    this.#wire = undefined;
  }

  /** Replaces the first value of a list header, leaving those joined to it; adds the header if it is missing. */
  replaceTop(name: string, value: string): void {
    this.#changeTop(keyOf(name), value);
  }

  /** Removes the first value of a list header; returns it, or undefined if there was none. */
  removeTop(name: string): string | undefined {
    const key = keyOf(name);
    const top = this.#line(key)?.top;
    if (top !== undefined) this.#changeTop(key, undefined);
    return top;
  }

  /** Removes every line of that name. */
  remove(name: string): void {
    const key = keyOf(name);
    if (!this.#lines.some((line) => line.name === key)) return;
    this.#lines = this.#lines.filter((line) => line.name !== key);
    this.#wire = undefined;
  }

  /** Makes this the only value of the header, in place of its first line, or at the end. */
  setValue(name: string, value: string): void {
    const key = keyOf(name);
    const at = this.#lines.findIndex((line) => line.name === key);
    if (at < 0) this.#lines.push(HeaderLine.of(key, value));
    else {
      this.#lines[at] = this.#lines[at]!.withValue(value);
      for (let i = this.#lines.length - 1; i > at; i--) if (this.#lines[i]!.name === key) this.#lines.splice(i, 1);
    }
    this.#wire = undefined;
  }

  // Typed views. Undefined: no such header. A malformed one throws SipParseError `header-value`; a message that came
  // through `parseMessage` from the wire has none of these malformed.

  /** The top Via. */
  get via(): Via | undefined {
    return this.#line('via')?.via;
  }

  get callId(): string | undefined {
    return this.get('call-id');
  }

  get cseq(): CSeq | undefined {
    const value = this.get('cseq');
    return value === undefined ? undefined : parseCSeq(value);
  }

  get from(): Address | undefined {
    return this.#line('from')?.address;
  }

  get to(): Address | undefined {
    return this.#line('to')?.address;
  }

  /** All Contact addresses; '*' for `Contact: *`. */
  get contacts(): Address[] | '*' {
    const values = this.getAll('contact');
    return values.length === 1 && values[0] === '*' ? '*' : values.map((value) => addressIn('contact', value));
  }

  /** The first Contact address; undefined if there is none or it is `*`. */
  get contact(): Address | undefined {
    const line = this.#line('contact');
    return line === undefined || line.value === '*' ? undefined : line.address;
  }

  get routes(): Address[] {
    return this.#addresses('route');
  }

  get recordRoutes(): Address[] {
    return this.#addresses('record-route');
  }

  get paths(): Address[] {
    return this.#addresses('path');
  }

  get maxForwards(): number | undefined {
    return this.#number('max-forwards');
  }

  get expires(): number | undefined {
    return this.#number('expires');
  }

  get contentLength(): number | undefined {
    return this.#number('content-length');
  }

  /** The message as it goes on the wire. Do not write into the result: it may be what came from the peer. */
  serialise(): Buffer {
    this.#wire ??= this.#write();
    return this.#wire;
  }

  /** An independent copy; header lines and body octets are shared, which is safe since neither is ever changed. */
  clone(): SipMessage {
    return new SipMessage(
      { line: this.#startLine, method: this.#method, requestUri: this.#requestUri, status: this.#status },
      this.#lines.slice(),
      this.#body,
      this.#wire,
    );
  }

  /** Start line and header lines as text, body left out: for logs. */
  toString(): string {
    return [this.#startLine, ...this.#lines.map((line) => line.raw)].join('\r\n');
  }

  #line(name: string): HeaderLine | undefined {
    for (const line of this.#lines) if (line.name === name) return line;
    const key = keyOf(name);
    return key === name ? undefined : this.#lines.find((line) => line.name === key);
  }

  #addresses(name: string): Address[] {
    return this.getAll(name).map((value) => addressIn(name, value));
  }

  #number(name: string): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (!isDigits(value)) throw malformed(name);
    return Number(value);
  }

  #changeTop(key: string, value: string | undefined): void {
    const at = this.#lines.findIndex((line) => line.name === key);
    const line = this.#lines[at];
    if (line === undefined) {
      if (value !== undefined) this.#lines.push(HeaderLine.of(key, value));
    } else {
      const next = line.withTop(value);
      this.#lines.splice(at, 1, ...(next === undefined ? [] : [next]));
    }
    this.#wire = undefined;
  }

  #write(): Buffer {
    let head = `${this.#startLine}\r\n`;
    let counted = false;
    for (const line of this.#lines) {
      head += line.raw;
      head += '\r\n';
      if (line.name === 'content-length') counted = true;
    }
    // A stream needs it (RFC 3261 18.3) and a datagram bears it.
    head += counted ? '\r\n' : `Content-Length: ${this.#body.length}\r\n\r\n`;
    const wire = Buffer.allocUnsafe(head.length + this.#body.length);
    wire.write(head, 0, 'latin1');
    this.#body.copy(wire, head.length);
    return wire;
  }
}

function keyOf(name: string): string {
  const key = canonicalName(name);
  if (key === undefined) throw new SipParseError('header-line', `"${name}" is no header field name`);
  return key;
}

function malformed(name: string): SipParseError {
  return new SipParseError('header-value', `malformed ${spell(name)} header`);
}

function addressIn(name: string, value: string): Address {
  const address = parseAddress(value);
  if (address === undefined) throw malformed(name);
  return address;
}

/** CSeq = 1*DIGIT LWS Method; the number below 2^31 (RFC 3261 8.1.1.5). */
function parseCSeq(value: string): CSeq {
  let i = 0;
  let number = 0;
  for (; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    number = number * 10 + digit;
  }
  const method = trimSpace(value.slice(i));
  if (i === 0 || number > 0x7fffffff || method.length === value.length - i || !isToken(method)) throw malformed('cseq');
  return { number, method };
}

/** Text to byte string: UTF-8, as SIP wants it (RFC 3261 7). */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Byte string to text. */
export function toText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}
