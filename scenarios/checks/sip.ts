/** What scenarios ask of SIP messages that were seen on an interface. */
import { expect } from 'chai';
import { bodyOf, headerOf, headersOf } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';

/** The header's value; an assertion fails when it is missing. */
export function header(record: MessageRecord, name: string, compact?: string): string {
  const value = headerOf(record.bytes, name, compact);
  expect(value, `header field ${name} of ${startLine(record)}`).to.be.a('string');
  return value!;
}

export const optionalHeader = (record: MessageRecord, name: string): string | undefined => headerOf(record.bytes, name);

export const headers = (record: MessageRecord, name: string): string[] => headersOf(record.bytes, name);

export const body = (record: MessageRecord): string => Buffer.from(bodyOf(record.bytes)).toString('latin1');

export const wholeText = (record: MessageRecord): string => Buffer.from(record.bytes).toString('latin1');

export const startLine = (record: MessageRecord): string => wholeText(record).split('\r\n', 1)[0]!;

/** The URI of a name-addr or addr-spec, without parameters outside the brackets. */
export function uri(value: string): string {
  return /<([^>]*)>/.exec(value)?.[1] ?? value.split(';', 1)[0]!.trim();
}

/** A digest parameter of an Authorization or WWW-Authenticate value, unquoted; undefined when absent. */
export function digest(value: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|[,\\s])${name}=(?:"([^"]*)"|([^,\\s]*))`, 'i').exec(value);
  return match?.[1] ?? match?.[2];
}
