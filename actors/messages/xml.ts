/**
 * XML as the MC bodies use it: elements with namespaces, attributes, child elements and text. DTDs, entities other than
 * the five of XML 1.0 4.6, and anything beyond the bounds are refused, so nothing that a peer sends can expand or fetch.
 */
import { XMLBuilder, XMLParser, XMLValidator } from 'fast-xml-parser';

export type XmlErrorCode = 'XML_MALFORMED' | 'XML_FORBIDDEN' | 'XML_TOO_LARGE' | 'XML_UNEXPECTED';

/** A document that is refused. The message names elements, never their content. */
export class XmlError extends Error {
  readonly code: XmlErrorCode;

  constructor(code: XmlErrorCode, message: string) {
    super(message);
    this.name = 'XmlError';
    this.code = code;
  }
}

export interface XmlElement {
  /** Local name. */
  readonly name: string;
  /** Namespace name, empty for none. */
  readonly namespace: string;
  /** By qualified name as written; namespace declarations are left out. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Character data of this element alone, in order, not trimmed. */
  readonly text: string;
}

export interface XmlLimits {
  readonly octets: number;
  readonly depth: number;
  readonly elements: number;
}

export const XML_LIMITS: XmlLimits = { octets: 256 * 1024, depth: 24, elements: 4096 };

/** An element to be written; children inherit nothing, the writer declares namespaces where they change. */
export function xmlElement(
  namespace: string,
  name: string,
  content: string | readonly XmlElement[] = [],
  attributes: Readonly<Record<string, string>> = {},
): XmlElement {
  const text = typeof content === 'string' ? content : '';
  return { namespace, name, attributes, children: typeof content === 'string' ? [] : content, text };
}

/** Child elements of one name in one namespace. */
export function childrenOf(parent: XmlElement, name: string, namespace = parent.namespace): XmlElement[] {
  return parent.children.filter((child) => child.name === name && child.namespace === namespace);
}

/** The only child of that name, undefined when there is none. @throws XmlError `XML_UNEXPECTED` when there are several */
export function childOf(parent: XmlElement, name: string, namespace = parent.namespace): XmlElement | undefined {
  const found = childrenOf(parent, name, namespace);
  if (found.length > 1) throw new XmlError('XML_UNEXPECTED', `<${parent.name}> has more than one <${name}>`);
  return found[0];
}

type Ordered = Record<string, unknown>;
const ATTRIBUTES = ':@';
const TEXT = '#text';
const CDATA = '#cdata';
const NAME = /^[\p{L}_][\p{L}\p{N}_.-]*(:[\p{L}_][\p{L}\p{N}_.-]*)?$/u;
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

/**
 * Reads a document (UTF-8) into its root element.
 * @throws XmlError `XML_TOO_LARGE`, `XML_FORBIDDEN` (DTD, foreign entity, other encoding), `XML_MALFORMED`
 */
export function parseXml(octets: Uint8Array | string, limits: XmlLimits = XML_LIMITS): XmlElement {
  if (octets.length > limits.octets) throw new XmlError('XML_TOO_LARGE', `a document above ${limits.octets} octets`);
  const text = typeof octets === 'string' ? octets : decodeUtf8(octets);
  if (/<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(text)) {
    throw new XmlError('XML_FORBIDDEN', 'a document type definition is not accepted here');
  }
  const encoding = /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  if (encoding !== undefined && !/^(utf-8|us-ascii)$/i.test(encoding)) {
    throw new XmlError('XML_FORBIDDEN', 'only UTF-8 documents are accepted here');
  }
  // The validator passes text behind the root element over, and the parser drops it.
  if (!/>\s*$/.test(text) || XMLValidator.validate(text) !== true)
    throw new XmlError('XML_MALFORMED', 'the document is not well-formed XML');
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    processEntities: false, // done below, where an unknown entity is refused and not passed through
    ignoreDeclaration: true,
    ignorePiTags: true,
    cdataPropName: CDATA,
  });
  let nodes: Ordered[];
  try {
    nodes = parser.parse(text) as Ordered[];
  } catch {
    throw new XmlError('XML_MALFORMED', 'the document is not well-formed XML');
  }
  const roots = nodes.filter((node) => !(TEXT in node));
  const stray = nodes.some((node) => TEXT in node && String(node[TEXT]).trim() !== '');
  if (roots.length !== 1 || stray) throw new XmlError('XML_MALFORMED', 'the document has not exactly one root element');
  const budget = { left: limits.elements };
  return toElement(roots[0]!, { xml: XML_NAMESPACE, '': '' }, limits.depth, budget);
}

function decodeUtf8(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new XmlError('XML_MALFORMED', 'the document is not UTF-8');
  }
}

function toElement(
  node: Ordered,
  scope: Readonly<Record<string, string>>,
  depth: number,
  budget: { left: number },
): XmlElement {
  if (depth <= 0 || budget.left-- <= 0)
    throw new XmlError('XML_TOO_LARGE', 'the document is too deep or has too many elements');
  const qualified = Object.keys(node).find((key) => key !== ATTRIBUTES)!;
  if (!NAME.test(qualified)) throw new XmlError('XML_MALFORMED', 'an element name is malformed');
  const raw = (node[ATTRIBUTES] ?? {}) as Record<string, unknown>;
  const inner: Record<string, string> = { ...scope };
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(raw)) {
    if (!NAME.test(name)) throw new XmlError('XML_MALFORMED', 'an attribute name is malformed');
    const text = unescapeXml(String(value));
    if (name === 'xmlns') inner[''] = text;
    else if (name.startsWith('xmlns:')) inner[name.slice(6)] = text;
    else attributes[name] = text;
  }
  const colon = qualified.indexOf(':');
  const prefix = colon < 0 ? '' : qualified.slice(0, colon);
  const namespace = Object.hasOwn(inner, prefix) ? inner[prefix] : undefined;
  if (namespace === undefined) throw new XmlError('XML_MALFORMED', 'an element uses a prefix that is not declared');
  const children: XmlElement[] = [];
  let text = '';
  for (const child of node[qualified] as Ordered[]) {
    if (TEXT in child) text += unescapeXml(String(child[TEXT]));
    else if (CDATA in child)
      text += (child[CDATA] as Record<string, string>[]).map((piece) => piece[TEXT] ?? '').join('');
    else children.push(toElement(child, inner, depth - 1, budget));
  }
  return { name: qualified.slice(colon + 1), namespace, attributes, children, text };
}

const PREDEFINED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Replaces character references and the five entities of XML 1.0 4.6; every other `&` is an error. */
function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}))?(;?)/g, (_, decimal, hex, name, end) => {
    const point = decimal === undefined ? (hex === undefined ? undefined : parseInt(hex, 16)) : Number(decimal);
    const value =
      point === undefined ? PREDEFINED[name ?? ''] : isXmlChar(point) ? String.fromCodePoint(point) : undefined;
    if (value === undefined || end !== ';')
      throw new XmlError('XML_FORBIDDEN', 'an entity that XML does not predefine');
    return value;
  });
}

/** XML 1.0 2.2, Char. */
function isXmlChar(point: number): boolean {
  return (
    point === 9 ||
    point === 10 ||
    point === 13 ||
    (point >= 0x20 && point <= 0xd7ff) ||
    (point >= 0xe000 && point <= 0xfffd) ||
    (point >= 0x10000 && point <= 0x10ffff)
  );
}

/**
 * Writes a document with its XML declaration; default namespace declarations only, where the namespace changes.
 * @throws XmlError `XML_UNEXPECTED` when a name or a character cannot stand in XML
 */
export function serialiseXml(root: XmlElement): string {
  const builder = new XMLBuilder({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    suppressEmptyNode: true,
    suppressBooleanAttributes: false,
    processEntities: false,
  });
  return `<?xml version="1.0" encoding="UTF-8"?>${builder.build([toOrdered(root, '')])}`;
}

function toOrdered(element: XmlElement, inherited: string): Ordered {
  if (!NAME.test(element.name)) throw new XmlError('XML_UNEXPECTED', 'an element name that XML does not allow');
  const attributes: Record<string, string> =
    element.namespace === inherited ? {} : { xmlns: escapeXml(element.namespace) };
  for (const [name, value] of Object.entries(element.attributes)) attributes[name] = escapeXml(value);
  const content: Ordered[] = element.children.map((child) => toOrdered(child, element.namespace));
  if (element.text !== '') content.unshift({ [TEXT]: escapeXml(element.text) });
  return { [element.name]: content, ...(Object.keys(attributes).length > 0 ? { [ATTRIBUTES]: attributes } : {}) };
}

function escapeXml(text: string): string {
  for (const character of text) {
    if (!isXmlChar(character.codePointAt(0)!))
      throw new XmlError('XML_UNEXPECTED', 'a character that XML cannot carry');
  }
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/'/g, '&apos;')
    .replace(/[\t\n\r]/g, (c) => `&#${c.charCodeAt(0)};`);
}
