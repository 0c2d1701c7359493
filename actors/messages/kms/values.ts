/** Text of elements to values and back. What the schema has already checked is not checked again here. */
import { childOf, type XmlElement, XmlError } from '../xml.ts';
import { KmsMessageError } from './errors.ts';

/** The trimmed text of an optional child; undefined when there is none. */
export function textOf(parent: XmlElement, name: string): string | undefined {
  try {
    const child = childOf(parent, name);
    return child === undefined ? undefined : trimmed(child.text);
  } catch (error) {
    if (error instanceof XmlError) throw unexpected(error.message);
    throw error;
  }
}

/** Without the white space of XML at its ends (XML 1.0 2.3, S), as the schemas see it; any other belongs to the value. */
export function trimmed(text: string): string {
  const isSpace = (at: number): boolean => ' \t\r\n'.includes(text[at]!);
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(start)) start += 1;
  while (end > start && isSpace(end - 1)) end -= 1;
  return text.slice(start, end);
}

export function requiredText(parent: XmlElement, name: string): string {
  const text = textOf(parent, name);
  if (text === undefined) throw unexpected(`<${parent.name}> has no <${name}>`);
  return text;
}

export function requiredChild(parent: XmlElement, name: string): XmlElement {
  const child = childOf(parent, name);
  if (child === undefined) throw unexpected(`<${parent.name}> has no <${name}>`);
  return child;
}

/** xsd:dateTime of a time in milliseconds since 1970, with its zone (the standard's examples leave it out). */
export const dateTime = (time: number): string => new Date(time).toISOString();

/** Milliseconds since 1970; a dateTime without a zone is taken as UTC, which is what other vendors mean by it. */
export function timeOf(text: string): number {
  const zoned = /(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? text : `${text}Z`;
  const time = Date.parse(zoned);
  if (Number.isNaN(time)) throw unexpected('a time is not one that this century knows');
  return time;
}

export const optionalTime = (parent: XmlElement, name: string): number | undefined => {
  const text = textOf(parent, name);
  return text === undefined ? undefined : timeOf(text);
};

export const hex = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex').toUpperCase();

/** A hexBinary child of exactly `length` octets. The message never quotes it: it may be a key. */
export function hexChild(parent: XmlElement, name: string, length: number): Uint8Array {
  const text = requiredText(parent, name);
  if (text.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(text)) {
    throw unexpected(`<${name}> is not ${length} octets in hexadecimal`);
  }
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export const unexpected = (message: string): KmsMessageError => new KmsMessageError('KMS_XML_UNEXPECTED', message);

/** Properties of `values` that are not undefined: what `exactOptionalPropertyTypes` wants. */
export function defined<T extends object>(values: { [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
