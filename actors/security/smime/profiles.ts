/**
 * The entry point: a MIME entity is protected and opened by the name of a profile. README.md says what each profile
 * protects and what it does not.
 *
 *     kek         AuthEnvelopedData(entity)
 *     kek+sign    AuthEnvelopedData(SignedData(entity))
 *     direct      EncryptedData(entity), or EncryptedData(SignedData(entity)) when there is a signer
 */
import { EnvelopedData } from '@peculiar/asn1-cms';
import { AuthEnvelopedData, EncryptedData, OID, parse, unwrap } from './asn1.ts';
import { type ContentKey, type FindKey, open, seal } from './auth-enveloped.ts';
import { decrypt, encrypt, keyIdOf } from './encrypted-data.ts';
import { SmimeError } from './errors.ts';
import { type Signer, sign, type Verifier, verify } from './signed-data.ts';

export const PROFILES = ['kek', 'kek+sign', 'direct'] as const;
export type Profile = (typeof PROFILES)[number];

/** UIDs of the identity that a receiver expects to have signed. */
export interface ExpectedSigner {
  /** Its UIDs in the key periods that are accepted now. */
  readonly accepted: readonly Uint8Array[];
  /** Its UIDs in other key periods, so that these can be told from somebody else's. */
  readonly otherPeriods?: readonly Uint8Array[];
}

export interface ProtectOptions {
  readonly profile: Profile;
  readonly key: ContentKey;
  /** Needed by `kek+sign`, used by `direct` when given, not used by `kek`. */
  readonly signer?: Signer;
  /** Signing time, milliseconds since 1970. */
  readonly now: number;
}

export interface UnprotectOptions {
  readonly profile: Profile;
  readonly findKey: FindKey;
  /** Needed by `kek+sign`; makes a signature necessary in `direct`; not used by `kek`. */
  readonly verifier?: Verifier;
  /**
   * Tells whose signature is expected, from the Key ID and from the entity, whose signature has been found good for the
   * UID that it names. Without it the caller compares `signer` itself.
   */
  readonly expectSigner?: (opened: Unprotected) => ExpectedSigner | Promise<ExpectedSigner>;
}

export interface Unprotected {
  readonly keyId: Uint8Array;
  /** The inner MIME entity. */
  readonly entity: Uint8Array;
  /** UID of the identity that signed, undefined when the profile asks for no signature. */
  readonly signer: Uint8Array | undefined;
  readonly signedAt: Date | undefined;
}

/**
 * Protects a MIME entity.
 * @param entity headers and body of the inner entity
 * @returns DER, to be carried in base64 as `application/pkcs7-mime` with {@link smimeTypeOf} the profile
 * @throws SmimeError `SMIME_BAD_KEY`
 */
export async function protect(entity: Uint8Array, options: ProtectOptions): Promise<Uint8Array> {
  const { profile, key, signer, now } = options;
  if (profile === 'kek') return seal(entity, key);
  if (profile === 'kek+sign' && signer === undefined) {
    throw new SmimeError('SMIME_BAD_KEY', 'profile kek+sign needs a signer: fetch key material from the KMS first');
  }
  const inner = signer === undefined ? entity : await sign(entity, signer, now);
  return profile === 'direct' ? encrypt(inner, key) : seal(inner, key);
}

/**
 * Opens a protected body.
 * @param der the CMS message, its transfer encoding removed
 * @throws SmimeError, which names the Key ID wherever the body does, and what `findKey`, `verifier` and `expectSigner` throw
 */
export async function unprotect(der: Uint8Array, options: UnprotectOptions): Promise<Unprotected> {
  try {
    return await openAndVerify(der, options);
  } catch (error) {
    if (!(error instanceof SmimeError) || error.keyId !== undefined) throw error;
    throw new SmimeError(error.code, error.message, readKeyId(der));
  }
}

async function openAndVerify(der: Uint8Array, options: UnprotectOptions): Promise<Unprotected> {
  const { profile, findKey, verifier, expectSigner } = options;
  const { keyId, entity } = await (profile === 'direct' ? decrypt(der, findKey) : open(der, findKey));
  if (profile === 'kek' || (profile === 'direct' && verifier === undefined)) {
    return { keyId, entity, signer: undefined, signedAt: undefined };
  }
  if (verifier === undefined) {
    throw new SmimeError('SMIME_BAD_KEY', 'profile kek+sign needs a verifier: fetch the KMS certificate first', keyId);
  }
  const verified = await verify(entity, verifier).catch((error: unknown) => {
    // Of several receivers, the key that opened it.
    throw error instanceof SmimeError ? new SmimeError(error.code, error.message, keyId) : error;
  });
  const opened = { keyId, entity: verified.entity, signer: verified.uid, signedAt: verified.signedAt };
  if (expectSigner !== undefined) checkSigner(verified.uid, await expectSigner(opened), keyId);
  return opened;
}

/**
 * Compares the UID of a signature with those of the identity it should come from.
 * @throws SmimeError `SMIME_OTHER_SIGNER`, `SMIME_OTHER_KEY_PERIOD`
 */
export function checkSigner(uid: Uint8Array, expected: ExpectedSigner, keyId?: Uint8Array): void {
  const among = (uids: readonly Uint8Array[] = []): boolean => uids.some((other) => Buffer.compare(other, uid) === 0);
  if (among(expected.accepted)) return;
  if (among(expected.otherPeriods)) {
    throw new SmimeError('SMIME_OTHER_KEY_PERIOD', 'signed with key material of another key period', keyId);
  }
  throw new SmimeError('SMIME_OTHER_SIGNER', 'signed by another identity than the sender of the message', keyId);
}

/** Value of the `smime-type` parameter: RFC 8551 clause 3.2.2 (RFC 5083's form); none is registered for EncryptedData. */
export const smimeTypeOf = (profile: Profile): string =>
  profile === 'direct' ? 'encrypted-data' : 'authEnveloped-data';

/**
 * The Key ID that a body names, whatever its form and whether it can be opened: good for a 493's Warning, not for trusting.
 * Of several KEKRecipientInfos the first. Undefined when it names none.
 */
export function readKeyId(der: Uint8Array): Uint8Array | undefined {
  try {
    const { contentType, content } = unwrap(der);
    if (contentType === OID.encryptedData) return keyIdOf(parse(content, EncryptedData));
    // EnvelopedData is opened in no profile, and names its receivers in the same way.
    const form: new () => Pick<EnvelopedData, 'recipientInfos'> =
      contentType === OID.authEnvelopedData ? AuthEnvelopedData : EnvelopedData;
    const kekids = [...parse(content, form).recipientInfos].flatMap(({ kekri }) => kekri?.kekid ?? []);
    return kekids[0] === undefined ? undefined : new Uint8Array(kekids[0].keyIdentifier.buffer);
  } catch {
    return undefined; // opening says what is wrong with it
  }
}

export { type ContentKey, type FindKey, type Opened, open, seal } from './auth-enveloped.ts';
export { SmimeError, type SmimeErrorCode } from './errors.ts';
export type { Signer, Verifier } from './signed-data.ts';
