/**
 * CMS AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084) under a content key of its own per message, which the
 * CEK wraps (RFC 3394, RFC 3565) in a KEKRecipientInfo whose KEKIdentifier is the Key ID. `openssl cms -decrypt
 * -secretkey CEK -secretkeyid KEYID` opens it.
 *
 *     sender: CEK ──AES-256 wrap──> content key ──AES-256-GCM──> entity
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  ContentEncryptionAlgorithmIdentifier,
  EncryptedContent,
  EncryptedContentInfo,
  KEKIdentifier,
  KEKRecipientInfo,
  KeyEncryptionAlgorithmIdentifier,
  RecipientInfo,
  RecipientInfos,
} from '@peculiar/asn1-cms';
import {
  AuthEnvelopedData,
  contentOf,
  derOfAttributes,
  GcmParameters,
  OID,
  octetString,
  parse,
  serialize,
  unwrap,
  wrap,
} from './asn1.ts';
import { SmimeError } from './errors.ts';

/** A CEK (32 octets) and the Key ID (4 octets) that the KMS gave it. */
export interface ContentKey {
  readonly keyId: Uint8Array;
  readonly cek: Uint8Array;
}

/** Finds the CEK of a Key ID; undefined when there is none. What it throws comes through unchanged. */
export type FindKey = (keyId: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

export interface Opened {
  /** The Key ID of the CEK that opened the message. */
  readonly keyId: Uint8Array;
  /** The inner MIME entity. */
  readonly entity: Uint8Array;
}

export const CEK_OCTETS = 32;
export const KEY_ID_OCTETS = 4;
const NONCE_OCTETS = 12;
const TAG_OCTETS = 16;
/** RFC 3394 clause 2.2.3.1. */
const WRAP_IV = Buffer.alloc(8, 0xa6);
const WRAPPED_KEY_OCTETS = CEK_OCTETS + 8;
/** A body for more receivers than this is nobody's honest mistake. */
const MOST_RECIPIENTS = 16;

/**
 * Seals a MIME entity.
 * @param entity the inner MIME entity, headers and body
 * @returns DER of ContentInfo(AuthEnvelopedData)
 * @throws SmimeError `SMIME_BAD_KEY`
 */
export function seal(entity: Uint8Array, key: ContentKey): Uint8Array {
  checkKey(key);
  const contentKey = randomBytes(CEK_OCTETS);
  const nonce = randomBytes(NONCE_OCTETS);
  const gcm = createCipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: TAG_OCTETS });
  const ciphertext = Buffer.concat([gcm.update(entity), gcm.final()]);
  const wrapper = createCipheriv('id-aes256-wrap', key.cek, WRAP_IV);
  const wrapped = Buffer.concat([wrapper.update(contentKey), wrapper.final()]);
  contentKey.fill(0);

  const parameters = new GcmParameters();
  parameters.nonce = octetString(nonce);
  parameters.icvLength = TAG_OCTETS;
  const message = new AuthEnvelopedData();
  message.recipientInfos = new RecipientInfos([
    new RecipientInfo({
      kekri: new KEKRecipientInfo({
        kekid: new KEKIdentifier({ keyIdentifier: octetString(key.keyId) }),
        // RFC 3565 clause 2.3.2: the parameters of AES key wrap are absent.
        keyEncryptionAlgorithm: new KeyEncryptionAlgorithmIdentifier({ algorithm: OID.aes256Wrap }),
        encryptedKey: octetString(wrapped),
      }),
    }),
  ]);
  message.authEncryptedContentInfo = new EncryptedContentInfo({
    contentType: OID.data,
    contentEncryptionAlgorithm: new ContentEncryptionAlgorithmIdentifier({
      algorithm: OID.aes256Gcm,
      parameters: bufferOf(serialize(parameters)),
    }),
    encryptedContent: new EncryptedContent({ value: octetString(ciphertext) }),
  });
  message.mac = octetString(gcm.getAuthTag());
  return wrap(OID.authEnvelopedData, message);
}

/**
 * Opens what {@link seal} or another CMS implementation made, DER or BER. Of several recipients the first whose key is
 * known and fits is used. No octet of the plaintext leaves before the tag over all of it has been checked.
 * @throws SmimeError
 */
export async function open(der: Uint8Array, findKey: FindKey): Promise<Opened> {
  const message = read(der);
  const recipients = kekRecipients(message);
  let known: Uint8Array | undefined;
  for (const recipient of recipients) {
    const keyId = keyIdOf(recipient);
    const cek = await findKey(keyId);
    if (cek === undefined) continue;
    checkKey({ cek });
    known ??= keyId;
    const entity = tryToOpen(message, recipient, cek);
    if (entity !== undefined) return { keyId, entity };
  }
  if (known !== undefined) {
    throw new SmimeError('SMIME_UNDECIPHERABLE', 'the key of this Key ID does not open the body', known);
  }
  throw new SmimeError('SMIME_UNKNOWN_KEY', 'no key is known for the Key ID of the body', keyIdOf(recipients[0]!));
}

function read(der: Uint8Array): AuthEnvelopedData {
  const { contentType, content } = unwrap(der);
  if (contentType !== OID.authEnvelopedData) {
    // EnvelopedData with the same KEKRecipientInfo among them: taking it would allow the downgrade of RFC 9709.
    throw new SmimeError('SMIME_WRONG_PROFILE', `expected CMS AuthEnvelopedData, got content type ${contentType}`);
  }
  const message = parse(content, AuthEnvelopedData);
  const info = message.authEncryptedContentInfo;
  // RFC 5083 clause 2.1: version is 0. Other content types would need a content-type attribute (clause 2.1, authAttrs).
  if (message.version !== 0 || info.contentType !== OID.data) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'expected AuthEnvelopedData version 0 holding id-data');
  }
  if (info.contentEncryptionAlgorithm.algorithm !== OID.aes256Gcm) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'the content is not encrypted with AES-256-GCM');
  }
  return message;
}

function kekRecipients(message: AuthEnvelopedData): KEKRecipientInfo[] {
  if (message.recipientInfos.length > MOST_RECIPIENTS) {
    throw new SmimeError('SMIME_UNSUPPORTED', `the body is for more than ${MOST_RECIPIENTS} receivers`);
  }
  const recipients = [...message.recipientInfos].flatMap(({ kekri }) => kekri ?? []);
  if (recipients.length === 0) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'the body names no Key ID: it has no KEKRecipientInfo');
  }
  const wrapped = recipients.filter(
    ({ version, keyEncryptionAlgorithm: { algorithm } }) => version === 4 && algorithm === OID.aes256Wrap,
  );
  if (wrapped.length === 0) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'the content key is not wrapped with id-aes256-wrap');
  }
  return wrapped;
}

const keyIdOf = (recipient: KEKRecipientInfo): Uint8Array => new Uint8Array(recipient.kekid.keyIdentifier.buffer);

/** The plaintext, or undefined when a check value does not fit: which one it was is nobody's business. */
function tryToOpen(message: AuthEnvelopedData, recipient: KEKRecipientInfo, cek: Uint8Array): Uint8Array | undefined {
  const info = message.authEncryptedContentInfo;
  const parameters = parse(info.contentEncryptionAlgorithm.parameters ?? new ArrayBuffer(0), GcmParameters);
  const tag = new Uint8Array(message.mac.buffer);
  const nonce = new Uint8Array(parameters.nonce.buffer);
  if (nonce.length !== NONCE_OCTETS || parameters.icvLength !== TAG_OCTETS || tag.length !== TAG_OCTETS) {
    throw new SmimeError('SMIME_UNSUPPORTED', 'expected a nonce of 12 and a tag of 16 octets', keyIdOf(recipient));
  }
  const wrapped = new Uint8Array(recipient.encryptedKey.buffer);
  const ciphertext = contentOf(info);
  if (wrapped.length !== WRAPPED_KEY_OCTETS) return undefined;

  let contentKey: Buffer | undefined;
  const pieces: Buffer[] = [];
  try {
    const unwrapper = createDecipheriv('id-aes256-wrap', cek, WRAP_IV);
    contentKey = unwrapper.update(wrapped); // all of it: key wrap is done in one piece
    unwrapper.final();
    const gcm = createDecipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: TAG_OCTETS });
    gcm.setAuthTag(tag);
    // RFC 5083 clause 2.2: the DER of the attributes, under the tag of SET OF, is the additional authenticated data.
    if (message.authAttrs !== undefined) gcm.setAAD(derOfAttributes(message.authAttrs));
    pieces.push(gcm.update(ciphertext));
    pieces.push(gcm.final());
    return new Uint8Array(Buffer.concat(pieces));
  } catch {
    return undefined;
  } finally {
    contentKey?.fill(0);
    for (const piece of pieces) piece.fill(0);
  }
}

/** @throws SmimeError `SMIME_BAD_KEY` when a CEK or Key ID is not of its size */
export function checkKey({ keyId, cek }: { readonly keyId?: Uint8Array; readonly cek: Uint8Array }): void {
  if (cek.length !== CEK_OCTETS) throw new SmimeError('SMIME_BAD_KEY', `a CEK has ${CEK_OCTETS} octets`, keyId);
  if (keyId !== undefined && keyId.length !== KEY_ID_OCTETS) {
    throw new SmimeError('SMIME_BAD_KEY', `a Key ID has ${KEY_ID_OCTETS} octets`, keyId);
  }
}

const bufferOf = (octets: Uint8Array): ArrayBuffer => Uint8Array.from(octets).buffer;
