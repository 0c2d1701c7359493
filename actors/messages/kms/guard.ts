/**
 * What a body must pass before any XML parser sees it: one linear scan that bounds size, depth and the number of elements,
 * and refuses document types and every entity that XML does not predefine, so nothing can expand, recurse or fetch.
 * Processing instructions say nothing on this interface and are taken out.
 */
import { KmsMessageError } from './errors.ts';

export interface XmlBounds {
  readonly octets: number;
  readonly depth: number;
  readonly elements: number;
}

/** A KmsRequest is small; a CekPush or a `sessions` answer carries about 1 kB for each CEK. */
export const REQUEST_BOUNDS: XmlBounds = { octets: 64 * 1024, depth: 16, elements: 1_000 };
export const RESPONSE_BOUNDS: XmlBounds = { octets: 8 * 1024 * 1024, depth: 16, elements: 50_000 };

/** XML 1.0 2.2, Char, for what UTF-8 can hold; and a byte order mark that is not the first thing. */
const NOT_XML = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|^\ufeff/;

/** XML 1.0 2.6: named, and not `xml` in any spelling, which would be a declaration in the wrong place. */
const INSTRUCTION = /^<\?(?!xml[\s?])[\p{L}_:]/iu;

const PREDEFINED = /^&(?:lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});/;

/**
 * @returns the document as text
 * @throws KmsMessageError `KMS_XML_TOO_LARGE`, `KMS_XML_FORBIDDEN`, `KMS_XML_MALFORMED`
 */
export function guardXml(octets: Uint8Array, bounds: XmlBounds): string {
  if (octets.length > bounds.octets) throw tooLarge(`it has more than ${bounds.octets} octets`);
  const text = decode(octets);
  const encoding = /^<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  if (encoding !== undefined && !/^utf-8$/i.test(encoding)) {
    throw new KmsMessageError('KMS_XML_FORBIDDEN', 'the body declares an encoding other than UTF-8');
  }
  let depth = 0;
  let elements = 0;
  let at = 0;
  let kept = '';
  let keptUpTo = 0;
  const skipPast = (end: string): void => {
    const found = text.indexOf(end, at);
    if (found < 0) throw malformed();
    at = found + end.length;
  };
  while (at < text.length) {
    const character = text[at]!;
    if (character === '&') {
      if (!PREDEFINED.test(text.slice(at, at + 12))) throw forbidden('an entity that XML does not predefine');
      at = text.indexOf(';', at) + 1;
    } else if (character !== '<') {
      at += 1;
    } else if (text.startsWith('<!--', at)) {
      skipPast('-->');
    } else if (text.startsWith('<![CDATA[', at)) {
      skipPast(']]>');
    } else if (text.startsWith('<!', at)) {
      throw forbidden('a document type');
    } else if (text.startsWith('<?', at)) {
      const start = at;
      skipPast('?>');
      if (start === 0) continue; // the XML declaration, or the parser's to refuse
      if (!INSTRUCTION.test(text.slice(start, start + 6)))
        throw malformed('a processing instruction has no name that it may have');
      kept += text.slice(keptUpTo, start);
      keptUpTo = at;
    } else if (text.startsWith('</', at)) {
      depth -= 1;
      skipPast('>');
    } else {
      const end = endOfTag(text, at);
      elements += 1;
      if (elements > bounds.elements) throw tooLarge(`it has more than ${bounds.elements} elements`);
      if (text[end - 1] !== '/') depth += 1;
      if (depth > bounds.depth) throw tooLarge(`it is more than ${bounds.depth} elements deep`);
      at = end + 1;
    }
  }
  return kept + text.slice(keptUpTo);
}

/** Index of the `>` that ends the tag at `start`; one inside a quoted attribute value does not count. */
function endOfTag(text: string, start: number): number {
  let quote = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at]!;
    if (quote !== '') {
      if (character === '&' && !PREDEFINED.test(text.slice(at, at + 12))) {
        throw forbidden('an entity that XML does not predefine');
      }
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '>') return at;
    else if (character === '<') throw malformed();
  }
  throw malformed();
}

/**
 * Without its byte order mark. A NUL (UTF-16 passes for UTF-8 with those) or a second mark could make the parser see other
 * characters than this scan does.
 */
function decode(octets: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new KmsMessageError('KMS_XML_MALFORMED', 'the body is not UTF-8');
  }
  if (NOT_XML.test(text)) throw new KmsMessageError('KMS_XML_MALFORMED', 'the body holds what is no character of XML');
  return text;
}

const tooLarge = (why: string): KmsMessageError =>
  new KmsMessageError('KMS_XML_TOO_LARGE', `the body is refused unread: ${why}`);
const forbidden = (what: string): KmsMessageError =>
  new KmsMessageError('KMS_XML_FORBIDDEN', `the body holds ${what}, which is never accepted here`);
const malformed = (why = 'a tag or a comment does not end'): KmsMessageError =>
  new KmsMessageError('KMS_XML_MALFORMED', `the body is not well-formed XML: ${why}`);
