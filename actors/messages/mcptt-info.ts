/**
 * application/vnd.3gpp.mcptt-info+xml (TS 24.379 annex F.1). The protected body hides the whole document, so every
 * element stays `type="Normal"`; `type="Encrypted"` (what Release 13 did instead) is refused by name.
 */
import { type MimeEntity, mimeEntity } from './mime.ts';
import { childOf, parseXml, serialiseXml, type XmlElement, XmlError, xmlElement } from './xml.ts';

export const MCPTT_INFO_TYPE = 'application/vnd.3gpp.mcptt-info+xml';
export const MCPTT_INFO_NAMESPACE = 'urn:3gpp:ns:mcpttInfo:1.0';

/** Elements of mcptt-Params by their names in the schema; absent = not in the document. */
export interface McpttInfo {
  readonly 'mcptt-access-token'?: string;
  readonly 'session-type'?: string;
  readonly 'mcptt-request-uri'?: string;
  readonly 'mcptt-calling-user-id'?: string;
  readonly 'mcptt-called-party-id'?: string;
  readonly 'mcptt-calling-group-id'?: string;
  readonly 'emergency-ind'?: string;
  readonly 'alert-ind'?: string;
  readonly 'imminentperil-ind'?: string;
  readonly 'broadcast-ind'?: string;
  readonly 'mcptt-client-id'?: string;
}

type Form = 'mcpttString' | 'mcpttURI' | 'mcpttBoolean' | 'plain';

/** mcptt-ParamsType is a sequence: the order here is the order on the wire. */
const FORMS: Readonly<Record<keyof McpttInfo, Form>> = {
  'mcptt-access-token': 'mcpttString',
  'session-type': 'plain',
  'mcptt-request-uri': 'mcpttURI',
  'mcptt-calling-user-id': 'mcpttURI',
  'mcptt-called-party-id': 'mcpttURI',
  'mcptt-calling-group-id': 'mcpttURI',
  'emergency-ind': 'mcpttBoolean',
  'alert-ind': 'mcpttBoolean',
  'imminentperil-ind': 'mcpttBoolean',
  'broadcast-ind': 'plain',
  'mcptt-client-id': 'mcpttString',
};

/** The document as a MIME entity. */
export function buildMcpttInfo(info: McpttInfo): MimeEntity {
  const params = (Object.keys(FORMS) as (keyof McpttInfo)[]).flatMap((name): XmlElement[] => {
    const value = info[name];
    if (value === undefined) return [];
    const form = FORMS[name];
    if (form === 'plain') return [xmlElement(MCPTT_INFO_NAMESPACE, name, value)];
    const content = [xmlElement(MCPTT_INFO_NAMESPACE, form, value)];
    return [xmlElement(MCPTT_INFO_NAMESPACE, name, content, { type: 'Normal' })];
  });
  const root = xmlElement(MCPTT_INFO_NAMESPACE, 'mcpttinfo', [
    xmlElement(MCPTT_INFO_NAMESPACE, 'mcptt-Params', params),
  ]);
  return mimeEntity(MCPTT_INFO_TYPE, serialiseXml(root));
}

/**
 * Reads the document. Elements that this project does not use are passed over, as the schema's `any` asks.
 * @throws XmlError as parseXml, and `XML_UNEXPECTED` for another root, a repeated element or `type="Encrypted"`
 */
export function parseMcpttInfo(octets: Uint8Array): McpttInfo {
  const root = parseXml(octets);
  const params = childOf(root, 'mcptt-Params', MCPTT_INFO_NAMESPACE);
  if (root.name !== 'mcpttinfo' || root.namespace !== MCPTT_INFO_NAMESPACE || params === undefined) {
    throw new XmlError('XML_UNEXPECTED', `the document is no mcpttinfo of ${MCPTT_INFO_NAMESPACE} with mcptt-Params`);
  }
  const info: Partial<Record<keyof McpttInfo, string>> = {};
  for (const name of Object.keys(FORMS) as (keyof McpttInfo)[]) {
    const element = childOf(params, name);
    if (element === undefined) continue;
    if (element.attributes.type === 'Encrypted') {
      throw new XmlError(
        'XML_UNEXPECTED',
        `<${name}> is type="Encrypted"; the whole body is protected here, send it Normal`,
      );
    }
    const form = FORMS[name];
    const holder = form === 'plain' ? element : childOf(element, form);
    if (holder === undefined) throw new XmlError('XML_UNEXPECTED', `<${name}> has no <${form}>`);
    info[name] = holder.text.trim();
  }
  return info;
}
