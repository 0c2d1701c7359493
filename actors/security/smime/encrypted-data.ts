/**
 * CMS EncryptedData (RFC 5652 clause 8): the CEK itself encrypts, with AES-256-CBC, and the Key ID rides in an
 * unprotected attribute. The literal reading of the pCR, for comparison; **no integrity of its own**: a changed body
 * opens to something else, and a wrong key is noticed only when the padding does not fit. README.md says more.
 * `openssl cms -EncryptedData_decrypt -secretkey CEK` opens it.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  Attribute,
  ContentEncryptionAlgorithmIdentifier,
  EncryptedContent,
  EncryptedContentInfo,
} from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { Attributes, asParsed, contentOf, EncryptedData, OID, octetString, parse, unwrap, wrap } from './asn1.ts';
import { type ContentKey, checkKey, type FindKey, type Opened } from './auth-enveloped.ts';
import { SmimeError } from './errors.ts';

/** Attribute that holds the Key ID as an OCTET STRING, from the UUID 2f2971da-6106-46c4-9b59-05484dfdf9cc (X.667). */
export const KEY_ID_ATTRIBUTE = '2.25.62688909187143248407629966535150139852';
const KEY_ID_AS_PARSED = asParsed(KEY_ID_ATTRIBUTE);

const IV_OCTETS = 16;

/**
 * Encrypts a MIME entity under the CEK.
 * @returns DER of ContentInfo(EncryptedData)
 * @throws SmimeError `SMIME_BAD_KEY`
 */
export function encrypt(entity: Uint8Array, key: ContentKey): Uint8Array {
  checkKey(key);
  const iv = randomBytes(IV_OCTETS);
  const cbc = createCipheriv('aes-256-cbc', key.cek, iv);
  const message = new EncryptedData();
  // RFC 5652 clause 8: 2, because there are unprotected attributes.
  message.version = 2;
  message.encryptedContentInfo = new EncryptedContentInfo({
    contentType: OID.data,
    contentEncryptionAlgorithm: new ContentEncryptionAlgorithmIdentifier({
      algorithm: OID.aes256Cbc,
      parameters: AsnConvert.serialize(octetString(iv)),
    }),
    encryptedContent: new EncryptedContent({
      value: octetString(Buffer.concat([cbc.update(entity), cbc.final()])),
    }),
  });
  message.unprotectedAttrs = new Attributes([
    new Attribute({ attrType: KEY_ID_ATTRIBUTE, attrValues: [AsnConvert.serialize(octetString(key.keyId))] }),
  ]);
  return wrap(OID.encryptedData, message);
}

/**
 * Decrypts what {@link encrypt} made, DER or BER. That this succeeds proves nothing about who made it.
 * @throws SmimeError
 */
export async function decrypt(der: Uint8Array, findKey: FindKey): Promise<Opened> {
  const message = read(der);
  const keyId = keyIdOf(message);
  const cek = await findKey(keyId);
  if (cek === undefined) throw new SmimeError('SMIME_UNKNOWN_KEY', 'no key is known for the Key ID of the body', keyId);
  checkKey({ cek });
  const info = message.encryptedContentInfo;
  const parameters = info.contentEncryptionAlgorithm.parameters ?? new ArrayBuffer(0);
  const iv = new Uint8Array(parse(parameters, OctetString).buffer);
  if (iv.length !== IV_OCTETS) throw new SmimeError('SMIME_MALFORMED', 'the IV of AES-256-CBC has 16 octets', keyId);
  const ciphertext = contentOf(info);
  try {
    const cbc = createDecipheriv('aes-256-cbc', cek, iv);
    return { keyId, entity: new Uint8Array(Buffer.concat([cbc.update(ciphertext), cbc.final()])) };
  } catch {
    throw new SmimeError('SMIME_UNDECIPHERABLE', 'the key of this Key ID does not open the body', keyId);
  }
}

function read(der: Uint8Array): EncryptedData {
  const { contentType, content } = unwrap(der);
  if (contentType !== OID.encryptedData) {
    throw new SmimeError('SMIME_WRONG_PROFILE', `expected CMS EncryptedData, got content type ${contentType}`);
  }
  const message = parse(content, EncryptedData);
  const info = message.encryptedContentInfo;
  if (info.contentType !== OID.data || info.contentEncryptionAlgorithm.algorithm !== OID.aes256Cbc) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'expected EncryptedData holding id-data under AES-256-CBC');
  }
  return message;
}

/**
 * The Key ID of the unprotected attribute.
 * @throws SmimeError when there is none, or several
 */
export function keyIdOf(message: EncryptedData): Uint8Array {
  const values = [...(message.unprotectedAttrs ?? [])]
    .filter(({ attrType }) => attrType === KEY_ID_AS_PARSED)
    .flatMap(({ attrValues }) => attrValues);
  if (values.length !== 1) throw new SmimeError('SMIME_UNSUPPORTED', 'the body names no Key ID, or several');
  return new Uint8Array(parse(values[0]!, OctetString).buffer);
}
