/**
 * The inner MIME entity signed by its sender's identity: CMS SignedData (RFC 5652 clause 5) with an ECCSI signature
 * (RFC 6507), inside a MIME entity `application/pkcs7-mime; smime-type=signed-data` (RFC 8551 clause 3.5.2).
 *
 *     signature = ECCSI(UID, DER of SET OF { contentType, signingTime, messageDigest = SHA-256(entity) })
 *
 * SignerIdentifier is a subjectKeyIdentifier that holds the UID of TS 33.180 F.2.1, which names the verification key:
 * no certificate is needed.
 */
import { createHash } from 'node:crypto';
import {
  Attribute,
  CMSVersion,
  DigestAlgorithmIdentifier,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  SignatureAlgorithmIdentifier,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
  SigningTime,
} from '@peculiar/asn1-cms';
import { AsnConvert, AsnObjectIdentifierConverter } from '@peculiar/asn1-schema';
import { SubjectKeyIdentifier } from '@peculiar/asn1-x509';
import {
  formatMediaType,
  type MimeEntity,
  mediaTypeOf,
  mimeEntity,
  parseMime,
  serialiseMime,
} from '../../messages/mime.ts';
import {
  asParsed,
  derOfAttributes,
  encapsulatedContentOf,
  OID,
  octetString,
  parse,
  serialize,
  unwrap,
  wrap,
} from './asn1.ts';
import { SmimeError } from './errors.ts';

/**
 * ECCSI with SHA-256 as a signature algorithm. None is registered, so it stands under the arc for UUIDs (X.667), made
 * from the UUID d89dfec1-5ff5-4f59-b899-f0a87357739f.
 */
export const ECCSI_WITH_SHA256 = '2.25.287933604749104126743054113619525989279';

const ECCSI_AS_PARSED = asParsed(ECCSI_WITH_SHA256);

/** DER of the object identifier id-data: the value of the contentType attribute. */
const ID_DATA = AsnObjectIdentifierConverter.toASN(OID.data).toBER();

export const UID_OCTETS = 32;
export const SIGNATURE_OCTETS = 129;

/** Signs as one identity in one key period. */
export interface Signer {
  /** UID of the identity in the key period, 32 octets. */
  readonly uid: Uint8Array;
  /** ECCSI signature over the octets, 129 octets. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Checks a signature against the KMS's public authentication key. */
export interface Verifier {
  verify(uid: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
}

export interface Verified {
  readonly entity: Uint8Array;
  /** UID that the signature belongs to. Whose it is remains to be asked. */
  readonly uid: Uint8Array;
  /** When the signer says that it signed; undefined when it does not say. */
  readonly signedAt: Date | undefined;
}

/**
 * Signs a MIME entity.
 * @param at signing time, milliseconds since 1970 (whole seconds are kept)
 * @returns the signed MIME entity
 * @throws SmimeError `SMIME_BAD_KEY`
 */
export async function sign(entity: Uint8Array, signer: Signer, at: number): Promise<Uint8Array> {
  const attributes = [
    attribute(OID.contentType, ID_DATA),
    attribute(OID.signingTime, AsnConvert.serialize(new SigningTime(new Date(Math.floor(at / 1000) * 1000)))),
    attribute(OID.messageDigest, AsnConvert.serialize(octetString(sha256(entity)))),
  ];
  const signature = await signer.sign(derOfAttributes(attributes));
  if (signer.uid.length !== UID_OCTETS || signature.length !== SIGNATURE_OCTETS) {
    throw new SmimeError('SMIME_BAD_KEY', `a UID has ${UID_OCTETS} octets, a signature ${SIGNATURE_OCTETS}`);
  }
  const digestAlgorithm = new DigestAlgorithmIdentifier({ algorithm: OID.sha256 });
  const message = new SignedData({
    // RFC 5652 clauses 5.1 and 5.3: 3, because the signer is named by a key identifier.
    version: CMSVersion.v3,
    digestAlgorithms: new DigestAlgorithmIdentifiers([digestAlgorithm]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType: OID.data,
      eContent: new EncapsulatedContent({ single: octetString(entity) }),
    }),
    signerInfos: new SignerInfos([
      new SignerInfo({
        version: CMSVersion.v3,
        sid: new SignerIdentifier({ subjectKeyIdentifier: new SubjectKeyIdentifier(Uint8Array.from(signer.uid)) }),
        digestAlgorithm,
        signedAttrs: inDerOrder(attributes),
        signatureAlgorithm: new SignatureAlgorithmIdentifier({ algorithm: ECCSI_WITH_SHA256 }),
        signature: octetString(signature),
      }),
    ]),
  });
  const contentType = formatMediaType('application/pkcs7-mime', { 'smime-type': 'signed-data', name: 'smime.p7m' });
  // Binary, because it travels inside an encryption that knows only octets.
  const headers = [['Content-Transfer-Encoding', 'binary']] as const;
  return serialiseMime(mimeEntity(contentType, wrap(OID.signedData, message), headers));
}

/**
 * Checks the signature of a signed MIME entity under the UID that it names.
 * @throws SmimeError `SMIME_SIGNATURE_MISSING`, `SMIME_SIGNATURE_FORGED`, `SMIME_UNSUPPORTED`, `SMIME_MALFORMED`
 */
export async function verify(signed: Uint8Array, verifier: Verifier): Promise<Verified> {
  const message = readSignedData(signed);
  const [info, second] = message.signerInfos;
  if (info === undefined) throw new SmimeError('SMIME_SIGNATURE_MISSING', 'the SignedData has no signer');
  if (second !== undefined) throw new SmimeError('SMIME_UNSUPPORTED', 'the SignedData has more than one signer');
  const uid = uidOf(info);
  if (
    info.signatureAlgorithm.algorithm !== ECCSI_AS_PARSED ||
    info.digestAlgorithm.algorithm !== OID.sha256 ||
    message.encapContentInfo.eContentType !== OID.data
  ) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'expected ECCSI with SHA-256 over id-data');
  }
  const entity = encapsulatedContentOf(message.encapContentInfo);

  // RFC 5652 clause 5.3: with signed attributes, contentType and messageDigest must be among them, each once.
  const attributes = info.signedAttrs ?? [];
  const contentType = only(attributes, OID.contentType);
  const digest = only(attributes, OID.messageDigest);
  if (contentType === undefined || digest === undefined) {
    throw forged('the signed attributes name no content type or no digest');
  }
  if (!same(contentType, ID_DATA) || !same(digest, AsnConvert.serialize(octetString(sha256(entity))))) {
    throw forged('the content is not what was signed');
  }
  const signature = new Uint8Array(info.signature.buffer);
  if (signature.length !== SIGNATURE_OCTETS || !(await verifier.verify(uid, derOfAttributes(attributes), signature))) {
    throw forged('the signature does not fit the signer it names');
  }
  const time = only(attributes, OID.signingTime);
  const signingTime = time === undefined ? undefined : parse(time, SigningTime);
  return { entity, uid, signedAt: signingTime?.utcTime ?? signingTime?.generalTime };
}

function readSignedData(signed: Uint8Array): SignedData {
  let outer: MimeEntity;
  try {
    outer = parseMime(signed);
    const { type, parameters } = mediaTypeOf(outer);
    if (type !== 'application/pkcs7-mime' || parameters['smime-type']?.toLowerCase() !== 'signed-data') throw missing();
  } catch {
    throw missing();
  }
  const { contentType, content } = unwrap(outer.content);
  if (contentType !== OID.signedData) throw missing();
  return parse(content, SignedData);
}

function uidOf(info: SignerInfo): Uint8Array {
  const uid = info.sid.subjectKeyIdentifier;
  if (uid?.byteLength !== UID_OCTETS) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'the signer is not named by a UID of 32 octets');
  }
  return new Uint8Array(uid.buffer);
}

/** The value of an attribute that occurs once and has one value (RFC 5652 clause 11). */
function only(attributes: readonly Attribute[], type: string): ArrayBuffer | undefined {
  const found = attributes.filter(({ attrType }) => attrType === type);
  if (found.length === 0) return undefined;
  const values = found.flatMap(({ attrValues }) => attrValues);
  if (values.length !== 1) throw forged('a signed attribute is repeated');
  return values[0];
}

const attribute = (attrType: string, value: ArrayBuffer): Attribute => new Attribute({ attrType, attrValues: [value] });

const inDerOrder = (attributes: readonly Attribute[]): Attribute[] =>
  [...attributes].sort((a, b) => Buffer.compare(serialize(a), serialize(b)));

const same = (a: ArrayBuffer, b: ArrayBuffer): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

const sha256 = (octets: Uint8Array): Uint8Array => createHash('sha256').update(octets).digest();

const missing = (): SmimeError => new SmimeError('SMIME_SIGNATURE_MISSING', 'the body is not signed');

const forged = (why: string): SmimeError => new SmimeError('SMIME_SIGNATURE_FORGED', why);
