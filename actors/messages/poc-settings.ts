/** application/poc-settings+xml (RFC 4354 with the extensions of TS 24.379 7.4.1.2): the client's service settings. */
import { type MimeEntity, mimeEntity } from './mime.ts';
import { childOf, parseXml, serialiseXml, type XmlElement, XmlError, xmlElement } from './xml.ts';

export const POC_SETTINGS_TYPE = 'application/poc-settings+xml';
const POC_NAMESPACE = 'urn:oma:params:xml:ns:poc:poc-settings';
const MCS_NAMESPACE = 'urn:3gpp:mcsSettings:1.0';

export interface PocSettings {
  /** `id` of the entity: instance id URN of the client (TS 24.379 7.2.1A NOTE 2). */
  readonly entity: string;
  readonly 'answer-mode'?: string;
  /** Which of the user's profiles is in use, a decimal index. */
  readonly 'user-profile-index'?: string;
}

/** The document as a MIME entity. */
export function buildPocSettings(settings: PocSettings): MimeEntity {
  const content: XmlElement[] = [];
  if (settings['answer-mode'] !== undefined) {
    const mode = xmlElement(POC_NAMESPACE, 'answer-mode', settings['answer-mode']);
    content.push(xmlElement(POC_NAMESPACE, 'am-settings', [mode]));
  }
  if (settings['user-profile-index'] !== undefined) {
    const index = xmlElement(MCS_NAMESPACE, 'user-profile-index', settings['user-profile-index']);
    content.push(xmlElement(MCS_NAMESPACE, 'selected-user-profile-index', [index]));
  }
  const entity = xmlElement(POC_NAMESPACE, 'entity', content, { id: settings.entity });
  return mimeEntity(POC_SETTINGS_TYPE, serialiseXml(xmlElement(POC_NAMESPACE, 'poc-settings', [entity])));
}

/** Reads the document. @throws XmlError as parseXml, and `XML_UNEXPECTED` when it is none or has not one entity */
export function parsePocSettings(octets: Uint8Array): PocSettings {
  const root = parseXml(octets);
  const entity = childOf(root, 'entity', POC_NAMESPACE);
  const id = entity?.attributes.id?.trim();
  if (root.name !== 'poc-settings' || root.namespace !== POC_NAMESPACE || entity === undefined || !id) {
    throw new XmlError(
      'XML_UNEXPECTED',
      `the document is no poc-settings of ${POC_NAMESPACE} with one identified entity`,
    );
  }
  const settings = childOf(entity, 'am-settings');
  const mode = settings && childOf(settings, 'answer-mode');
  const selected = childOf(entity, 'selected-user-profile-index', MCS_NAMESPACE);
  const index = selected && childOf(selected, 'user-profile-index');
  return {
    entity: id,
    ...(mode === undefined ? {} : { 'answer-mode': mode.text.trim() }),
    ...(index === undefined ? {} : { 'user-profile-index': index.text.trim() }),
  };
}
