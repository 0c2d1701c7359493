/** This project's elements at the extension points of the KMS interface: namespace `urn:mcptt-testbed:cek:1.0`. */
import { childOf, childrenOf, type XmlElement, xmlElement } from '../xml.ts';
import { RESPONSE_BOUNDS, type XmlBounds } from './guard.ts';
import { CEK_NAMESPACE } from './namespaces.ts';
import { readKmsDocument, writeKmsDocument } from './schema.ts';
import { dateTime, defined, requiredText, textOf, timeOf, trimmed, unexpected } from './values.ts';

export const CEK_END_REASONS = ['deregistered', 'logged-off', 'revoked', 'expired', 'superseded'] as const;
export type CekEndReason = (typeof CEK_END_REASONS)[number];

/** Key IDs are 8 hexadecimal digits, lower case, in all of these. Times are milliseconds since 1970. */
export interface CekRequest {
  readonly sipSession: string;
  /** The Key ID held, if any. */
  readonly keyId?: string;
  /** How many messages the asker has sealed and opened with it. */
  readonly messages?: number;
}

export interface Cek {
  readonly keyId: string;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly notBefore: number;
  /** For a key that has been superseded: the end of the overlap. */
  readonly notAfter: number;
  /** `pending-ack`: the MCPTT server has not acknowledged it yet, so nothing may be sealed with it yet. */
  readonly state: 'active' | 'pending-ack';
  /** The key that this one takes over from, which opens until `notAfter` and no longer seals. */
  readonly supersedes?: { readonly keyId: string; readonly notAfter: number };
  /** MIKEY-SAKKE I_MESSAGE with the CEK, sealed to the receiver's UID and signed by the KMS's. */
  readonly iMessage: Uint8Array;
}

/** Which key has ended: by Key ID, or all of a SIP session, or those of one user of it. */
export interface CekEnd {
  readonly keyId?: string;
  readonly userUri?: string;
  readonly sipSession?: string;
  readonly reason: CekEndReason;
}

const element = (name: string, content: string | readonly XmlElement[], attributes: Record<string, string> = {}) =>
  xmlElement(CEK_NAMESPACE, name, content, attributes);
const optional = (name: string, text: string | undefined): XmlElement[] =>
  text === undefined ? [] : [element(name, text)];

export function cekRequestElement(request: CekRequest): XmlElement {
  return element('CekRequest', [
    element('SipSession', request.sipSession),
    ...optional('KeyId', request.keyId),
    ...optional('Messages', request.messages?.toString()),
  ]);
}

export function readCekRequest(from: XmlElement): CekRequest {
  const messages = textOf(from, 'Messages');
  return {
    sipSession: requiredText(from, 'SipSession'),
    ...defined<CekRequest>({
      keyId: textOf(from, 'KeyId')?.toLowerCase(),
      messages: messages === undefined ? undefined : Number(messages),
    }),
  };
}

export function cekElement(cek: Cek): XmlElement {
  return element('Cek', [
    element('KeyId', cek.keyId),
    element('UserUri', cek.userUri),
    element('ClientId', cek.clientId),
    element('SipSession', cek.sipSession),
    element('NotBefore', dateTime(cek.notBefore)),
    element('NotAfter', dateTime(cek.notAfter)),
    element('State', cek.state),
    ...(cek.supersedes === undefined
      ? []
      : [element('Supersedes', cek.supersedes.keyId, { NotAfter: dateTime(cek.supersedes.notAfter) })]),
    element('IMessage', Buffer.from(cek.iMessage).toString('base64')),
  ]);
}

export function readCek(from: XmlElement): Cek {
  const superseded = childOf(from, 'Supersedes');
  return {
    keyId: requiredText(from, 'KeyId').toLowerCase(),
    userUri: requiredText(from, 'UserUri'),
    clientId: requiredText(from, 'ClientId'),
    sipSession: requiredText(from, 'SipSession'),
    notBefore: timeOf(requiredText(from, 'NotBefore')),
    notAfter: timeOf(requiredText(from, 'NotAfter')),
    state: requiredText(from, 'State') === 'active' ? 'active' : 'pending-ack',
    ...(superseded === undefined
      ? {}
      : {
          supersedes: {
            keyId: trimmed(superseded.text).toLowerCase(),
            notAfter: timeOf(trimmed(superseded.attributes.NotAfter ?? '')),
          },
        }),
    iMessage: new Uint8Array(Buffer.from(requiredText(from, 'IMessage'), 'base64')),
  };
}

export function cekEndElement(end: CekEnd): XmlElement {
  const which =
    end.keyId !== undefined
      ? [element('KeyId', end.keyId)]
      : [...optional('UserUri', end.userUri), element('SipSession', end.sipSession ?? '')];
  return element('CekEnd', [...which, element('Reason', end.reason)]);
}

export function readCekEnd(from: XmlElement): CekEnd {
  return {
    reason: requiredText(from, 'Reason') as CekEndReason,
    ...defined<CekEnd>({
      keyId: textOf(from, 'KeyId')?.toLowerCase(),
      userUri: textOf(from, 'UserUri'),
      sipSession: textOf(from, 'SipSession'),
    }),
  };
}

/** One item of a push, or of a client's event stream. */
export type CekNews = { readonly cek: Cek } | { readonly end: CekEnd };

const newsElement = (news: CekNews): XmlElement => ('cek' in news ? cekElement(news.cek) : cekEndElement(news.end));

function readNews(from: XmlElement): CekNews {
  if (from.name === 'Cek') return { cek: readCek(from) };
  if (from.name === 'CekEnd') return { end: readCekEnd(from) };
  throw unexpected(`<${from.name}> where <Cek> or <CekEnd> belongs`);
}

/** The body that the KMS posts to the MCPTT server. */
export const buildCekPush = (news: readonly CekNews[]): Uint8Array =>
  writeKmsDocument(element('CekPush', news.map(newsElement)));

/** @throws KmsMessageError */
export function parseCekPush(octets: Uint8Array, bounds: XmlBounds = RESPONSE_BOUNDS): CekNews[] {
  const root = readKmsDocument(octets, bounds);
  if (root.name !== 'CekPush') throw unexpected(`<${root.name}> where <CekPush> belongs`);
  return root.children.map(readNews);
}

export const cekAckElement = (keyIds: readonly string[]): XmlElement =>
  element(
    'CekAck',
    keyIds.map((keyId) => element('KeyId', keyId)),
  );

export const readCekAck = (from: XmlElement): string[] =>
  childrenOf(from, 'KeyId').map((keyId) => trimmed(keyId.text).toLowerCase());

/** The MCPTT server's answer to a push: the Key IDs that it has taken, or forgotten when they had ended. */
export const buildCekAck = (keyIds: readonly string[]): Uint8Array => writeKmsDocument(cekAckElement(keyIds));

/** @throws KmsMessageError */
export function parseCekAck(octets: Uint8Array): string[] {
  const root = readKmsDocument(octets, RESPONSE_BOUNDS);
  if (root.name !== 'CekAck') throw unexpected(`<${root.name}> where <CekAck> belongs`);
  return readCekAck(root);
}

/** `data:` of one server-sent event: base64 of the XML element. */
export const buildCekEvent = (news: CekNews): string =>
  Buffer.from(writeKmsDocument(newsElement(news))).toString('base64');

/** @throws KmsMessageError */
export const parseCekEvent = (data: string): CekNews =>
  readNews(readKmsDocument(Buffer.from(data, 'base64'), RESPONSE_BOUNDS));
