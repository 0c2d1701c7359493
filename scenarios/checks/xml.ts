/** Reads single elements out of XML that scenarios look at; a namespace prefix does not matter. */

const pattern = (name: string): RegExp => new RegExp(`<(?:[\\w-]+:)?${name}\\b[^>]*>([^<]*)<`, 'g');

/** Text of every element of that name, in order. */
export const elements = (xml: string, name: string): string[] =>
  [...xml.matchAll(pattern(name))].map((m) => m[1]!.trim());

export const hasElement = (xml: string, name: string): boolean => new RegExp(`<(?:[\\w-]+:)?${name}[\\s>/]`).test(xml);
