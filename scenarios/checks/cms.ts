/** What step 4 reads of a protected body from outside (RFC 5083, RFC 5084, RFC 3565; profile `kek` and `kek+sign`). */
import { expect } from 'chai';
import { AuthEnvelopedData, contentOf, GcmParameters, OID, parse, unwrap } from '../../actors/security/smime/asn1.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { reading } from './reading.ts';
import { body, header } from './sip.ts';

const hex = (octets: ArrayBuffer): string => Buffer.from(octets).toString('hex');

/** What no two bodies may have in common: the wrapped content key (the wrap is deterministic) and the nonce; hex. */
export interface Fresh {
  readonly wrappedKey: string;
  readonly nonce: string;
}

/**
 * Asserts that the body of a SIP message is CMS AuthEnvelopedData with AES-256-GCM, whose content key the CEK of this Key ID
 * wraps, and that its content is long enough to hold an ECCSI signature.
 */
export function expectProtected(record: MessageRecord, keyId: string): Fresh {
  expect(header(record, 'Content-Type', 'c'), 'Content-Type').to.match(
    /^application\/pkcs7-mime\s*;.*smime-type="?authEnveloped-data/i,
  );
  expect(header(record, 'Content-Transfer-Encoding').toLowerCase(), 'Content-Transfer-Encoding').to.equal('base64');
  const text = body(record).replace(/\s/g, '');
  const octets = Buffer.from(text, 'base64');
  expect(octets.toString('base64'), 'body, in base64').to.equal(text);
  const { contentType, content } = reading('the CMS message', () => unwrap(octets));
  expect(contentType, 'CMS content type').to.equal(OID.authEnvelopedData);
  const message = reading('the CMS message', () => parse(content, AuthEnvelopedData));
  expect(message.recipientInfos.length, 'receivers').to.equal(1);
  const { kekri } = message.recipientInfos[0]!;
  if (kekri === undefined) return expect.fail('the receiver is not named by a KEKRecipientInfo');
  expect(hex(kekri.kekid.keyIdentifier.buffer), 'Key ID in the KEKIdentifier').to.equal(keyId);
  expect(kekri.keyEncryptionAlgorithm.algorithm, 'key wrap').to.equal(OID.aes256Wrap);
  expect(kekri.encryptedKey.byteLength, 'octets of the wrapped content key').to.equal(40);
  const info = message.authEncryptedContentInfo;
  const { algorithm, parameters } = info.contentEncryptionAlgorithm;
  expect(algorithm, 'content encryption').to.equal(OID.aes256Gcm);
  const gcm = reading('the GCM parameters', () => parse(parameters ?? new ArrayBuffer(0), GcmParameters));
  expect(gcm.nonce.byteLength, 'octets of the nonce').to.equal(12);
  expect([gcm.icvLength, message.mac.byteLength], 'octets of the tag, as said and as sent').to.deep.equal([16, 16]);
  expect(
    reading('the encrypted content', () => contentOf(info)).length,
    'octets of the content, signature and all',
  ).to.be.greaterThan(SIGNED_AT_LEAST);
  return { wrappedKey: hex(kekri.encryptedKey.buffer), nonce: hex(gcm.nonce.buffer) };
}

/** Profile kek+sign: UID (32) and ECCSI signature (129) with the CMS SignedData round them. */
const SIGNED_AT_LEAST = 32 + 129;
