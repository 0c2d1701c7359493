/** KmsCertificate and KmsKeySet (TS 33.180 clauses D.3.2.2 and D.3.3.2): what identity based cryptography runs on. */
import { type XmlElement, xmlElement } from '../xml.ts';
import { KMS_NAMESPACE, XSI_NAMESPACE } from './namespaces.ts';
import { dateTime, defined, hex, hexChild, optionalTime, requiredText, textOf, unexpected } from './values.ts';

/** Public: the KMS's own keys and how its users' UIDs are made. */
export interface KmsCertificate {
  readonly role: 'Root' | 'External';
  readonly kmsUri: string;
  readonly certUri?: string;
  readonly issuer?: string;
  /** Milliseconds since 1970, as all times here. */
  readonly validFrom?: number;
  readonly validTo?: number;
  /** Seconds: P3 and P4 of the UID (TS 33.180 clause F.2.1). */
  readonly userKeyPeriod: number;
  readonly userKeyOffset: number;
  /** Z_T, 257 octets. */
  readonly pubEncKey: Uint8Array;
  /** KPAK, 65 octets. */
  readonly pubAuthKey: Uint8Array;
}

/** Secret: one user's keys for one key period. */
export interface KmsKeySet {
  readonly kmsUri: string;
  readonly userUri: string;
  /** The UID, 32 octets. */
  readonly userId: Uint8Array;
  readonly keyPeriodNo: number;
  readonly validFrom?: number;
  readonly validTo?: number;
  /** RSK, 257 octets. */
  readonly userDecryptKey: Uint8Array;
  /** SSK, 32 octets. */
  readonly userSigningKeySsk: Uint8Array;
  /** PVT, 65 octets. */
  readonly userPubTokenPvt: Uint8Array;
}

const element = (name: string, content: string | readonly XmlElement[], attributes: Record<string, string> = {}) =>
  xmlElement(KMS_NAMESPACE, name, content, attributes);
const optional = (name: string, text: string | undefined): XmlElement[] =>
  text === undefined ? [] : [element(name, text)];
const time = (value: number | undefined): string | undefined => (value === undefined ? undefined : dateTime(value));

export function kmsCertificateElement(certificate: KmsCertificate): XmlElement {
  return element(
    'KmsCertificate',
    [
      ...optional('CertUri', certificate.certUri),
      element('KmsUri', certificate.kmsUri),
      ...optional('Issuer', certificate.issuer),
      ...optional('ValidFrom', time(certificate.validFrom)),
      ...optional('ValidTo', time(certificate.validTo)),
      element('UserIdFormat', '2'),
      element('UserKeyPeriod', String(certificate.userKeyPeriod)),
      element('UserKeyOffset', String(certificate.userKeyOffset)),
      element('PubEncKey', hex(certificate.pubEncKey)),
      element('PubAuthKey', hex(certificate.pubAuthKey)),
      element('ParameterSet', '1'),
    ],
    { Version: '1.1.0', Role: certificate.role },
  );
}

/** @throws KmsMessageError `KMS_XML_UNEXPECTED` for another UID format or parameter set: its keys would be misused */
export function readKmsCertificate(from: XmlElement): KmsCertificate {
  if (requiredText(from, 'UserIdFormat') !== '2') throw unexpected('<UserIdFormat> is not 2, the UID of clause F.2.1');
  if ((textOf(from, 'ParameterSet') ?? '1') !== '1') throw unexpected('<ParameterSet> is not 1');
  if (isRevoked(from)) throw unexpected('the KMS certificate says that it is revoked');
  return {
    role: from.attributes.Role === 'External' ? 'External' : 'Root',
    kmsUri: requiredText(from, 'KmsUri'),
    userKeyPeriod: Number(requiredText(from, 'UserKeyPeriod')),
    userKeyOffset: Number(requiredText(from, 'UserKeyOffset')),
    pubEncKey: hexChild(from, 'PubEncKey', 257),
    pubAuthKey: hexChild(from, 'PubAuthKey', 65),
    ...defined<KmsCertificate>({
      certUri: textOf(from, 'CertUri'),
      issuer: textOf(from, 'Issuer'),
      validFrom: optionalTime(from, 'ValidFrom'),
      validTo: optionalTime(from, 'ValidTo'),
    }),
  };
}

/** An xsd:boolean: `true` or `1`. */
const isRevoked = (from: XmlElement): boolean => ['true', '1'].includes(textOf(from, 'Revoked') ?? 'false');

/** xsi:type is always written and never needed on input: vendors differ. */
const keyContent = (name: string, octets: Uint8Array): XmlElement =>
  element(name, hex(octets), { 'xmlns:xsi': XSI_NAMESPACE, 'xsi:type': 'KeyContentType' });

export function kmsKeySetElement(keySet: KmsKeySet): XmlElement {
  return element(
    'KmsKeySet',
    [
      element('KmsUri', keySet.kmsUri),
      element('UserUri', keySet.userUri),
      element('UserID', hex(keySet.userId).toLowerCase()),
      ...optional('ValidFrom', time(keySet.validFrom)),
      ...optional('ValidTo', time(keySet.validTo)),
      element('KeyPeriodNo', String(keySet.keyPeriodNo)),
      keyContent('UserDecryptKey', keySet.userDecryptKey),
      keyContent('UserSigningKeySSK', keySet.userSigningKeySsk),
      keyContent('UserPubTokenPVT', keySet.userPubTokenPvt),
    ],
    { Version: '1.1.0' },
  );
}

export function readKmsKeySet(from: XmlElement): KmsKeySet {
  if (isRevoked(from)) throw unexpected('the key set says that it is revoked');
  const userId = requiredText(from, 'UserID');
  return {
    kmsUri: requiredText(from, 'KmsUri'),
    userUri: requiredText(from, 'UserUri'),
    userId: new Uint8Array(Buffer.from(userId, userId.length === 64 ? 'hex' : 'base64')),
    keyPeriodNo: Number(requiredText(from, 'KeyPeriodNo')),
    userDecryptKey: hexChild(from, 'UserDecryptKey', 257),
    userSigningKeySsk: hexChild(from, 'UserSigningKeySSK', 32),
    userPubTokenPvt: hexChild(from, 'UserPubTokenPVT', 65),
    ...defined<KmsKeySet>({ validFrom: optionalTime(from, 'ValidFrom'), validTo: optionalTime(from, 'ValidTo') }),
  };
}
