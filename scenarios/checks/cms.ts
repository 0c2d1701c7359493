/** What step 4 reads of a protected body from outside (RFC 5083, RFC 5084, RFC 3565; RFC 5652 8 for profile `direct`). */
import { OctetString } from '@peculiar/asn1-schema';
import { expect } from 'chai';
import {
  AuthEnvelopedData,
  contentOf,
  EncryptedData,
  GcmParameters,
  OID,
  parse,
  unwrap,
} from '../../actors/security/smime/asn1.ts';
import { keyIdOf } from '../../actors/security/smime/encrypted-data.ts';
import type { Profile } from '../../actors/security/smime/profiles.ts';
import { ACTOR_KINDS } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { reading } from './reading.ts';
import { body, header } from './sip.ts';

const hex = (octets: ArrayBuffer | Uint8Array): string =>
  Buffer.from(octets instanceof Uint8Array ? octets : new Uint8Array(octets)).toString('hex');

/** The profile of bodies that the MCPTT service provider has chosen. */
export async function profileInUse(t: StepContext): Promise<Profile> {
  return (await t.actor('mcptt-as').read<{ profile: Profile }>('policy')).profile;
}

/** What a report says of the profile `direct`, whose AES-256-CBC has no tag (docs/requirements.md, choice 1). */
export const INTEGRITY_OF_DIRECT = 'rests on the ECCSI signature alone: EncryptedData has no tag';

/** What no two bodies may have in common, in hex: the nonce (the IV of `direct`), and the wrapped content key where there is one (the wrap is deterministic). */
export interface Fresh {
  readonly wrappedKey?: string;
  readonly nonce: string;
}

/**
 * Asserts that the body of a SIP message is what the profile says: CMS AuthEnvelopedData with AES-256-GCM, whose content key the
 * CEK of this Key ID wraps, or, for `direct`, CMS EncryptedData under that CEK; and, where the profile signs, that its content
 * is long enough to hold an ECCSI signature.
 */
export function expectProtected(record: MessageRecord, keyId: string, profile: Profile): Fresh {
  const form = profile === 'direct' ? 'encrypted-data' : 'authEnveloped-data';
  expectSmimeType(record, form);
  expect(header(record, 'Content-Transfer-Encoding').toLowerCase(), 'Content-Transfer-Encoding').to.equal('base64');
  const text = body(record).replace(/\s/g, '');
  const octets = Buffer.from(text, 'base64');
  expect(octets.toString('base64'), 'body, in base64').to.equal(text);
  const { contentType, content } = reading('the CMS message', () => unwrap(octets));
  expect(contentType, 'CMS content type').to.equal(profile === 'direct' ? OID.encryptedData : OID.authEnvelopedData);
  const [fresh, ciphertext] = profile === 'direct' ? encryptedData(content, keyId) : authEnvelopedData(content, keyId);
  if (profile !== 'kek')
    expect(ciphertext, 'octets of the content, signature and all').to.be.greaterThan(SIGNED_AT_LEAST);
  return fresh;
}

/** Asserts the type of a protected body (RFC 8551 3.2.2), however its parameter is written. */
export function expectSmimeType(record: MessageRecord, smimeType: string): void {
  expect(header(record, 'Content-Type'), 'Content-Type').to.match(
    new RegExp(`^application/pkcs7-mime\\s*;.*smime-type\\s*=\\s*"?${smimeType}(?![\\w-])`, 'i'),
  );
}

/**
 * Asserts that no two of these bodies were encrypted with the same content key (pCR choice 1), or, for EncryptedData, under the
 * same IV; holds the sender of the second. A body that is seen on several interfaces is one.
 */
export function expectFresh(t: StepContext, sealed: readonly MessageRecord[]): void {
  const bodies = new Map<string, MessageRecord>();
  for (const record of sealed) {
    const text = body(record).replace(/\s/g, '');
    if (!bodies.has(text)) bodies.set(text, record);
  }
  const seen = new Set<string>();
  for (const [text, record] of bodies) {
    const sender = record.direction === 'sent' ? t.actor(record.actor).kind : record.peer;
    t.hold(ACTOR_KINDS.find((kind) => kind === sender) ?? 'sip-core', 'RFC 5083 2.2, RFC 5084 1.5');
    t.about(record);
    const fresh = reading('the CMS message', () => freshOf(Buffer.from(text, 'base64')));
    expect(seen.has(fresh), 'content key (or IV) of the body, used for another body before').to.equal(false);
    seen.add(fresh);
  }
}

/** The wrapped content key, in hex (the wrap is deterministic); of EncryptedData the IV. */
function freshOf(octets: Uint8Array): string {
  const { contentType, content } = unwrap(octets);
  if (contentType !== OID.encryptedData)
    return hex(parse(content, AuthEnvelopedData).recipientInfos[0]!.kekri!.encryptedKey.buffer);
  const { parameters } = parse(content, EncryptedData).encryptedContentInfo.contentEncryptionAlgorithm;
  return hex(parse(parameters!, OctetString).buffer);
}

/** @returns what must be fresh, and how long the ciphertext is */
function authEnvelopedData(content: ArrayBuffer, keyId: string): [Fresh, number] {
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
  const ciphertext = reading('the encrypted content', () => contentOf(info)).length;
  return [{ wrappedKey: hex(kekri.encryptedKey.buffer), nonce: hex(gcm.nonce.buffer) }, ciphertext];
}

/** The same of RFC 5652 clause 8. */
function encryptedData(content: ArrayBuffer, keyId: string): [Fresh, number] {
  const message = reading('the CMS message', () => parse(content, EncryptedData));
  expect(hex(reading('the Key ID', () => keyIdOf(message))), 'Key ID in the attributes').to.equal(keyId);
  const info = message.encryptedContentInfo;
  const { algorithm, parameters } = info.contentEncryptionAlgorithm;
  expect(algorithm, 'content encryption').to.equal(OID.aes256Cbc);
  const iv = reading('the IV', () => parse(parameters ?? new ArrayBuffer(0), OctetString)).buffer;
  expect(iv.byteLength, 'octets of the IV').to.equal(16);
  return [{ nonce: hex(iv) }, reading('the encrypted content', () => contentOf(info)).length];
}

/** Profiles that sign: UID (32) and ECCSI signature (129) with the CMS SignedData round them. */
const SIGNED_AT_LEAST = 32 + 129;
