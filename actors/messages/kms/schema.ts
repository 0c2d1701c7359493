/**
 * Bodies of HTTP-1, read: guarded, parsed and validated against the project's own schemas, `mcsec-kms.xsd` (TS 33.180
 * clauses D.2.2 and D.3) and, for each of this project's elements inside, `cek.xsd`.
 */
import { readFileSync } from 'node:fs';
import {
  XmlElement as LibxmlElement,
  ParseOption,
  XmlCData,
  XmlDocument,
  XmlLibError,
  XmlText,
  XsdValidator,
} from 'libxml2-wasm';
import { serialiseXml, type XmlElement } from '../xml.ts';
import { KmsMessageError } from './errors.ts';
import { guardXml, type XmlBounds } from './guard.ts';
import { CEK_NAMESPACE, KMS_NAMESPACE } from './namespaces.ts';

/** Nothing is loaded, substituted or fetched, whatever the document says (it has passed the guard already). */
const OPTIONS =
  ParseOption.XML_PARSE_NO_XXE |
  ParseOption.XML_PARSE_NONET |
  ParseOption.XML_PARSE_NO_SYS_CATALOG |
  ParseOption.XML_PARSE_IGNORE_ENC;

/** A compiled schema lives as long as the process; compiling costs milliseconds, validating microseconds. */
const compiled = new Map<string, XsdValidator>();

function validatorFor(namespace: string): XsdValidator {
  let validator = compiled.get(namespace);
  if (validator === undefined) {
    const file = namespace === CEK_NAMESPACE ? './cek.xsd' : './mcsec-kms.xsd';
    const schema = XmlDocument.fromBuffer(readFileSync(new URL(file, import.meta.url)));
    try {
      validator = XsdValidator.fromDoc(schema);
    } finally {
      schema.dispose();
    }
    compiled.set(namespace, validator);
  }
  return validator;
}

/**
 * Reads one body into its root element.
 * @param octets the body as it came in
 * @throws KmsMessageError `KMS_XML_TOO_LARGE`, `KMS_XML_FORBIDDEN`, `KMS_XML_MALFORMED`, or `KMS_XML_INVALID` when it is
 *   well-formed but breaks a schema
 */
export function readKmsDocument(octets: Uint8Array, bounds: XmlBounds): XmlElement {
  const text = guardXml(octets, bounds);
  let document: XmlDocument;
  try {
    document = XmlDocument.fromString(text, { option: OPTIONS });
  } catch (error) {
    throw new KmsMessageError('KMS_XML_MALFORMED', 'the body is not well-formed XML', { cause: error });
  }
  try {
    validate(document);
    return toElement(document.root);
  } finally {
    document.dispose();
  }
}

/** Writes a document with its XML declaration, UTF-8. */
export function writeKmsDocument(root: XmlElement): Uint8Array {
  return Buffer.from(serialiseXml(root), 'utf8');
}

function validate(document: XmlDocument): void {
  const { namespaceUri, name } = document.root;
  if (namespaceUri !== KMS_NAMESPACE && namespaceUri !== CEK_NAMESPACE) {
    throw new KmsMessageError(
      'KMS_XML_INVALID',
      `the body's root element is in a namespace that is not of this interface`,
    );
  }
  try {
    validatorFor(namespaceUri).validate(document);
    if (namespaceUri === CEK_NAMESPACE) return;
    // The schema of TS 33.180 passes what it does not know (processContents="lax"): our own elements are checked here.
    for (const found of document.find('//cek:*[namespace-uri(..) != namespace-uri(.)]', { cek: CEK_NAMESPACE })) {
      if (found instanceof LibxmlElement) validatorFor(CEK_NAMESPACE).validate(found);
    }
  } catch (error) {
    if (!(error instanceof XmlLibError)) throw error;
    throw new KmsMessageError('KMS_XML_INVALID', `<${name}> breaks the schema: ${rulesBroken(error)}`);
  }
}

/** libxml2's texts with long values taken out: they quote the content, and that may be a key. Names stand in braces. */
function rulesBroken(error: XmlLibError): string {
  const first = error.details[0]?.message ?? 'a rule';
  return first
    .replace(/\{(?:urn|http):[^}]*\}|[^\s'{}]{24,}/g, (part) => (part.startsWith('{') ? part : 'a long value'))
    .trim()
    .slice(0, 300);
}

function toElement(node: LibxmlElement): XmlElement {
  const children: XmlElement[] = [];
  let text = '';
  for (let child = node.firstChild; child !== null; child = child.next) {
    if (child instanceof LibxmlElement) children.push(toElement(child));
    else if (child instanceof XmlText || child instanceof XmlCData) text += child.content;
  }
  const attributes = Object.fromEntries(
    node.attrs.map((attribute) => [
      attribute.prefix === '' ? attribute.name : `${attribute.prefix}:${attribute.name}`,
      attribute.value,
    ]),
  );
  return { name: node.name, namespace: node.namespaceUri, attributes, children, text };
}
