/**
 * The CMS structures that are used here and that @peculiar/asn1-cms lacks, and the one place where received octets
 * become structures. Declared by calling the decorators as functions, so that types can be stripped.
 */

import {
  Attribute,
  ContentInfo,
  type EncapsulatedContentInfo,
  EncryptedContentInfo,
  RecipientInfos,
} from '@peculiar/asn1-cms';
import {
  AsnArray,
  AsnConvert,
  AsnIntegerConverter,
  AsnProp,
  AsnPropTypes,
  AsnType,
  AsnTypeTypes,
  OctetString,
} from '@peculiar/asn1-schema';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { SmimeError } from './errors.ts';

/** Longest CMS message that is looked at, in octets. SIP bodies of this testbed stay far below. */
export const LARGEST_MESSAGE = 1 << 20;

/** RFC 5652, RFC 5083, RFC 5084, RFC 3565, RFC 5754. */
export const OID = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  encryptedData: '1.2.840.113549.1.7.6',
  authEnvelopedData: '1.2.840.113549.1.9.16.1.23',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  aes256Wrap: '2.16.840.1.101.3.4.1.45',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  aes256Gcm: '2.16.840.1.101.3.4.1.46',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

/** `SET OF Attribute` under whatever tag the context gives it. */
export class Attributes extends AsnArray<Attribute> {
  constructor(items?: Attribute[]) {
    super(items);
    Object.setPrototypeOf(this, Attributes.prototype);
  }
}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(Attributes);

/** RFC 5083 clause 2.1. originatorInfo [0] carries certificates and CRLs, of which there are none here: refused. */
export class AuthEnvelopedData {
  version = 0;
  recipientInfos = new RecipientInfos();
  authEncryptedContentInfo = new EncryptedContentInfo();
  authAttrs?: Attributes;
  mac = new OctetString();
  unauthAttrs?: Attributes;
}
AsnProp({ type: AsnPropTypes.Integer })(AuthEnvelopedData.prototype, 'version');
AsnProp({ type: RecipientInfos })(AuthEnvelopedData.prototype, 'recipientInfos');
AsnProp({ type: EncryptedContentInfo })(AuthEnvelopedData.prototype, 'authEncryptedContentInfo');
AsnProp({ type: Attributes, context: 1, implicit: true, optional: true })(AuthEnvelopedData.prototype, 'authAttrs');
AsnProp({ type: OctetString })(AuthEnvelopedData.prototype, 'mac');
AsnProp({ type: Attributes, context: 2, implicit: true, optional: true })(AuthEnvelopedData.prototype, 'unauthAttrs');

/** RFC 5084 clause 3.2. */
export class GcmParameters {
  nonce = new OctetString();
  icvLength = 12;
}
AsnProp({ type: OctetString })(GcmParameters.prototype, 'nonce');
AsnProp({ type: AsnPropTypes.Integer, converter: AsnIntegerConverter, defaultValue: 12 })(
  GcmParameters.prototype,
  'icvLength',
);

/** RFC 5652 clause 8. */
export class EncryptedData {
  version = 0;
  encryptedContentInfo = new EncryptedContentInfo();
  unprotectedAttrs?: Attributes;
}
AsnProp({ type: AsnPropTypes.Integer })(EncryptedData.prototype, 'version');
AsnProp({ type: EncryptedContentInfo })(EncryptedData.prototype, 'encryptedContentInfo');
AsnProp({ type: Attributes, context: 1, implicit: true, optional: true })(EncryptedData.prototype, 'unprotectedAttrs');

/** What a constructed OCTET STRING is but for its tag (X.690 clause 8.7.3). */
class OctetStrings extends AsnArray<OctetString> {
  constructor(items?: OctetString[]) {
    super(items);
    Object.setPrototypeOf(this, OctetStrings.prototype);
  }
}
AsnType({ type: AsnTypeTypes.Sequence, itemType: OctetString })(OctetStrings);
const CONSTRUCTED_OCTET_STRING = 0x24;
const SEQUENCE = 0x30;

/** Plenty for what a CMS message without certificates holds, and little for who wants to wear a parser out. */
const PARSER_BOUNDS = { maxDepth: 24, maxNodes: 2048, maxContentLength: LARGEST_MESSAGE, parseEmbedded: false };

/**
 * Reads one structure, BER or DER.
 * @throws SmimeError `SMIME_MALFORMED`, whatever the parser had to say
 */
export function parse<T>(octets: ArrayBuffer | Uint8Array, structure: new () => T): T {
  try {
    return AsnConvert.parse(octets, structure, { berOptions: PARSER_BOUNDS });
  } catch {
    throw new SmimeError('SMIME_MALFORMED', `the body is no well-formed CMS ${structure.name}`);
  }
}

/** DER of a structure. */
export const serialize = (structure: unknown): Uint8Array => new Uint8Array(AsnConvert.serialize(structure));

/** DER of `ContentInfo` (RFC 5652 clause 3) round a structure. */
export const wrap = (contentType: string, structure: unknown): Uint8Array =>
  serialize(new ContentInfo({ contentType, content: AsnConvert.serialize(structure) }));

/**
 * Reads a `ContentInfo` that must be all there is.
 * @throws SmimeError `SMIME_TOO_LARGE`, `SMIME_MALFORMED`
 */
export function unwrap(message: Uint8Array): ContentInfo {
  if (message.length > LARGEST_MESSAGE) {
    throw new SmimeError('SMIME_TOO_LARGE', `the body has more than ${LARGEST_MESSAGE} octets`);
  }
  if (endOfElement(message, 0, message.length, 0) !== message.length) {
    throw new SmimeError('SMIME_MALFORMED', 'the body is not exactly one BER element');
  }
  return parse(message, ContentInfo);
}

/** The octets of an encrypted content, in one piece (DER) or in many (BER, as OpenSSL streams it). */
export function contentOf(info: EncryptedContentInfo): Uint8Array {
  const { value, constructedValue } = info.encryptedContent ?? {};
  const pieces = value === undefined ? constructedValue : [value];
  if (pieces === undefined) throw new SmimeError('SMIME_MALFORMED', 'the CMS message holds no content');
  return Buffer.concat(pieces.map(({ buffer }) => new Uint8Array(buffer)));
}

/** The octets of an encapsulated content, in one piece or in many likewise. */
export function encapsulatedContentOf({ eContent }: EncapsulatedContentInfo): Uint8Array {
  if (eContent?.single !== undefined) return new Uint8Array(eContent.single.buffer);
  const pieces = new Uint8Array(eContent?.any ?? new ArrayBuffer(0)).slice();
  if (pieces[0] !== CONSTRUCTED_OCTET_STRING) {
    throw new SmimeError('SMIME_MALFORMED', 'the CMS message holds no content');
  }
  pieces[0] = SEQUENCE;
  return Buffer.concat(parse(pieces, OctetStrings).map(({ buffer }) => new Uint8Array(buffer)));
}

/**
 * DER of a SET OF attributes with its own tag, as it goes into a tag or a signature (RFC 5083 clause 2.2, RFC 5652
 * clause 5.4) whatever encoding and order it travelled in.
 */
export function derOfAttributes(attributes: readonly Attribute[]): Uint8Array {
  try {
    const sorted = attributes
      .map((attribute) => ({ attribute, der: serialize(attribute) }))
      .sort((a, b) => Buffer.compare(a.der, b.der));
    return serialize(new Attributes(sorted.map(({ attribute }) => attribute)));
  } catch {
    throw new SmimeError('SMIME_MALFORMED', 'an attribute of the CMS message has no DER');
  }
}

/**
 * An object identifier in the form that the parser gives it: arcs of 2.25 (X.667) are too large for asn1js, which reads
 * them as hexadecimal groups instead of a number.
 */
export const asParsed = (objectIdentifier: string): string =>
  parse(serialize(new AlgorithmIdentifier({ algorithm: objectIdentifier })), AlgorithmIdentifier).algorithm;

/** Copies octets into a buffer of their own, as the ASN.1 library wants them. */
export const octetString = (octets: Uint8Array): OctetString => new OctetString(Uint8Array.from(octets));

/**
 * Where the BER element at `start` ends; -1 when its lengths, or those of an element inside, do not fit, or when it is
 * nested too deep. asn1js is generous in both.
 */
function endOfElement(octets: Uint8Array, start: number, limit: number, depth: number): number {
  if (depth > PARSER_BOUNDS.maxDepth || start + 2 > limit) return -1;
  const constructed = (octets[start]! & 0x20) !== 0;
  const first = octets[start + 1]!;
  let at = start + 2;
  if (first === 0x80) {
    if (!constructed) return -1;
    while (at >= 0 && at + 2 <= limit) {
      if (octets[at] === 0 && octets[at + 1] === 0) return at + 2;
      at = endOfElement(octets, at, limit, depth + 1);
    }
    return -1;
  }
  let length = first;
  if (first > 0x80) {
    const count = first & 0x7f;
    if (count > 4 || at + count > limit) return -1;
    for (length = 0; at < start + 2 + count; at++) length = length * 256 + octets[at]!;
  }
  const end = at + length;
  if (end > limit) return -1;
  if (!constructed) return end;
  while (at >= 0 && at < end) at = endOfElement(octets, at, end, depth + 1);
  return at;
}
