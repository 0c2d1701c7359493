/** What scenarios ask of SIP messages that were seen on an interface. */
import { expect } from 'chai';
import { splitValues } from '../../actors/messages/sip-headers.ts';
import { bodyOf, headerOf, headersOf } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';

/** A message, seen on an interface or enclosed in one. */
type Message = Pick<MessageRecord, 'bytes'>;

/** The header's value; an assertion fails when it is missing. */
export function header(record: Message, name: string): string {
  const value = headerOf(record.bytes, name);
  expect(value, `header field ${name} of ${startLine(record)}`).to.be.a('string');
  return value!;
}

export const optionalHeader = (record: Message, name: string): string | undefined => headerOf(record.bytes, name);

export const headers = (record: Message, name: string): string[] => headersOf(record.bytes, name);

export const body = (record: Message): string => Buffer.from(bodyOf(record.bytes)).toString('latin1');

export const wholeText = (record: Message): string => Buffer.from(record.bytes).toString('latin1');

export const startLine = (record: Message): string => wholeText(record).split('\r\n', 1)[0]!;

/** Whether it is a final answer to a request of that method. */
export const isFinalTo = (record: Message, method: string): boolean =>
  /^SIP\/2\.0 [2-6]/.test(startLine(record)) && (optionalHeader(record, 'CSeq') ?? '').endsWith(` ${method}`);

/** The URI of a name-addr or addr-spec, without parameters outside the brackets. */
export function uri(value: string): string {
  return /<([^>]*)>/.exec(value)?.[1] ?? value.split(';', 1)[0]!.trim();
}

/** Every URI in the header fields of that name, of which one may hold several (RFC 3325 9.1). */
export const uris = (record: Message, name: string): string[] =>
  headersOf(record.bytes, name).flatMap(splitValues).map(uri);

/** A digest parameter of an Authorization or WWW-Authenticate value, unquoted; undefined when absent. */
export function digest(value: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|[,\\s])${name}\\s*=\\s*(?:"([^"]*)"|([^,\\s]*))`, 'i').exec(value);
  return match?.[1] ?? match?.[2];
}

/** Seconds that a REGISTER asks for, or that its 200 grants (RFC 3261 10.2.1.1, 10.3); NaN when it says nothing. */
export function granted(record: Message): number {
  const inContact = /;\s*expires\s*=\s*(\d+)/i.exec(headerOf(record.bytes, 'Contact') ?? '')?.[1];
  return Number(inContact ?? headerOf(record.bytes, 'Expires') ?? Number.NaN);
}

/** A message or one part of its body: header section and content, as latin1. */
export interface Part {
  readonly type: string;
  readonly content: string;
}

/** The parts of a multipart body, or the one part that it is (RFC 2046 5.1). */
export function parts(record: Message): Part[] {
  const contentType = header(record, 'Content-Type');
  const boundary = /^multipart\/.*;\s*boundary\s*=\s*"?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) return [{ type: contentType, content: body(record) }];
  const [, ...pieces] = `\r\n${body(record)}`.split(`\r\n--${boundary}`);
  return pieces.slice(0, -1).map((piece) => {
    const end = piece.indexOf('\r\n\r\n');
    const type = /^content-type\s*:\s*(.*)$/im.exec(piece.slice(0, end))?.[1] ?? 'text/plain';
    return { type: type.trim(), content: piece.slice(end + 4) };
  });
}
