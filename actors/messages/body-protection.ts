/**
 * What stands between an MC body and the SIP message that carries it, the same at both ends: protects an entity under a
 * CEK and opens what arrives. Everything that a profile demands of a body is decided behind this one seam.
 */
import { CekError } from '../security/cek/errors.ts';
import { KEY_ID_OCTETS, keyIdOctets } from '../security/cek/key-id.ts';
import type { UsableCek } from '../security/cek/key-store.ts';
import { EccsiVerifier } from '../security/ibc/eccsi-native.ts';
import type { KmsCertificate } from '../security/ibc/key-set.ts';
import type { IdentitySigner } from '../security/ibc/signer.ts';
import { acceptedKeyPeriods, computeUid, keyPeriodNoAt } from '../security/ibc/uid.ts';
import {
  type ExpectedSigner,
  type Profile,
  protect,
  SmimeError,
  smimeTypeOf,
  unprotect,
} from '../security/smime/profiles.ts';
import { type Deviation, deviateOctets } from './deviation.ts';
import { type MimeEntity, MimeError, mediaTypeOf, mimeEntity, parseMime, serialiseMime } from './mime.ts';

export interface OpenedBody {
  /** The key that opened the body; its user is one of the two who could have sealed it. */
  readonly cek: UsableCek;
  readonly entity: MimeEntity;
}

/**
 * Finds the key of a Key ID (8 hex digits). What it throws comes through unchanged; a CekError only when the body names no other
 * key that is held.
 */
export type OpeningKey = (keyId: string) => UsableCek | Promise<UsableCek>;

/** What a scenario may have made wrong on purpose on the way from the entity to the body. */
export interface BodyChanges {
  /** Sees the signer before it signs. */
  readonly signer?: (signer: IdentitySigner) => IdentitySigner;
  /** Sees the CMS octets before they are put into base64. */
  readonly cms?: (cms: Uint8Array) => Uint8Array;
}

export interface BodyProtection {
  /**
   * Protects an inner entity; the result goes into a SIP message as it is.
   * @param changes for scenarios that send wrong octets
   * @throws SmimeError `SMIME_BAD_KEY` when bodies are to be signed and there is no key material to sign with
   */
  protect(entity: MimeEntity, key: UsableCek, changes?: BodyChanges): Promise<MimeEntity>;
  /**
   * Opens a protected body and checks everything that the profile demands.
   * @throws SmimeError, MimeError, and what `openingKey` throws (CekError)
   */
  open(body: MimeEntity, openingKey: OpeningKey): Promise<OpenedBody>;
}

export interface ProtectionOptions {
  /** `kek` never signs; `kek+sign` and `direct` do, in both directions. */
  readonly profile: Profile;
  /** Signs as this end; undefined until the KMS has given key material. Not asked for by profile `kek`. */
  readonly signer: () => IdentitySigner | undefined;
  /** The KMS's public keys, by which signatures are checked; undefined until they have been fetched. */
  readonly certificate: () => KmsCertificate | undefined;
  /** The identity at the other end, which must have signed what was sealed under this key. */
  readonly peerOf: (cek: UsableCek) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Whether a body claims to be protected, whatever it really is. */
export function isProtected(body: MimeEntity): boolean {
  return mediaTypeOf(body).type === 'application/pkcs7-mime';
}

/**
 * The deviations at `cms` that concern octets: `flip` `signature` makes one bit of the ECCSI signature wrong, any other path is
 * an offset into the CMS message (deviation.ts).
 */
export function bodyChanges(deviations: readonly Deviation[]): BodyChanges {
  const forged = deviations.some(({ at, op, path }) => at === 'cms' && op === 'flip' && path === 'signature');
  return {
    ...(forged ? { signer: forging } : {}),
    cms: (octets) => deviateOctets(deviations, 'cms', octets),
  };
}

/** Whether the deviations take the signature away (`remove` `signature`): then {@link unsignedBody} protects. */
export const isUnsigned = (deviations: readonly Deviation[]): boolean =>
  deviations.some(({ at, op, path }) => at === 'cms' && op === 'remove' && path === 'signature');

/** The signer whose signatures have one bit wrong, in s (RFC 6507 5.2.1: r || s || PVT, r and s of 32 octets). */
const forging = (signer: IdentitySigner): IdentitySigner => ({
  ...signer,
  sign: (message) => {
    const signature = signer.sign(message);
    signature[63]! ^= 1;
    return signature;
  },
});

/** How many key periods back and ahead are told apart from another signer's. */
const TOLD_APART = 12;

/** One end of protected bodies. */
export function createBodyProtection(options: ProtectionOptions): BodyProtection {
  const { profile } = options;
  const eccsi = new EccsiVerifier();
  return {
    protect: async (entity, key, { signer: changeSigner, cms: changeCms } = {}) => {
      const own = profile === 'kek' ? undefined : options.signer();
      if (profile !== 'kek' && own === undefined) throw noMaterial('signer');
      const signer = own === undefined ? undefined : (changeSigner?.(own) ?? own);
      const cms = await protect(serialiseMime(entity), {
        profile,
        key: { keyId: keyIdOctets(key.keyId), cek: key.key },
        ...(signer === undefined ? {} : { signer }),
        now: options.now(),
      });
      return protectedEntity(profile, changeCms?.(cms) ?? cms);
    },
    open: async (body, openingKey) => {
      if (!isProtected(body)) throw new MimeError('MIME_MALFORMED', 'the body is no application/pkcs7-mime');
      let cek: UsableCek | undefined;
      let notHeld: CekError | undefined;
      const certificate = profile === 'kek' ? undefined : options.certificate();
      // Without it nobody could say who signed, and in profile `direct` not even that a bit was changed.
      if (profile !== 'kek' && certificate === undefined) throw noMaterial('verifier');
      const { entity } = await unprotect(body.content, {
        profile,
        findKey: async (octets) => {
          if (octets.length !== KEY_ID_OCTETS) return undefined;
          try {
            cek = await openingKey(Buffer.from(octets).toString('hex'));
          } catch (error) {
            // Of several receivers that a body names, any may be this one: why a key is not held is told when none is.
            if (!(error instanceof CekError)) throw error;
            notHeld ??= error;
            return undefined;
          }
          return cek.key;
        },
        ...(certificate === undefined
          ? {}
          : {
              verifier: {
                verify: (uid, message, signature) => eccsi.verify(certificate.pubAuthKey, uid, message, signature),
              },
              expectSigner: () => uidsOf(options.peerOf(cek!), certificate, options.now()),
            }),
      }).catch((error: unknown) => {
        throw error instanceof SmimeError && error.code === 'SMIME_UNKNOWN_KEY' ? (notHeld ?? error) : error;
      });
      return { cek: cek!, entity: parseMime(entity) };
    },
  };
}

/** Profile `kek`: confidentiality and integrity under the CEK, no signature, no key material needed. */
export const kekProtection = (): BodyProtection =>
  createBodyProtection({
    profile: 'kek',
    signer: () => undefined,
    certificate: () => undefined,
    peerOf: () => '',
    now: () => 0,
  });

/** A body without the signature that the profile demands, for scenarios that send one. */
export async function unsignedBody(
  profile: Profile,
  entity: MimeEntity,
  key: UsableCek,
  changeCms: (cms: Uint8Array) => Uint8Array = (cms) => cms,
): Promise<MimeEntity> {
  const form = profile === 'direct' ? 'direct' : 'kek';
  const cms = await protect(serialiseMime(entity), {
    profile: form,
    key: { keyId: keyIdOctets(key.keyId), cek: key.key },
    now: 0,
  });
  return protectedEntity(form, changeCms(cms));
}

const noMaterial = (what: string): SmimeError =>
  new SmimeError('SMIME_BAD_KEY', `this profile needs a ${what}: fetch key material from the KMS first`);

/** UIDs under which an identity may have signed, and those of key periods that are not accepted now. */
function uidsOf(identity: string, certificate: KmsCertificate, now: number): ExpectedSigner {
  const accepted = acceptedKeyPeriods(certificate, now);
  const present = keyPeriodNoAt(certificate, now);
  const others = Array.from({ length: 2 * TOLD_APART + 1 }, (_, i) => present - TOLD_APART + i).filter(
    (no) => no >= 0 && !accepted.includes(no),
  );
  const uid = (no: number): Uint8Array => computeUid(identity, certificate, no);
  return { accepted: accepted.map(uid), otherPeriods: others.map(uid) };
}

/** docs/interfaces.md, "Protected bodies". SIP bodies of both stacks are text: the CMS octets travel as base64. */
const protectedEntity = (profile: Profile, cms: Uint8Array): MimeEntity =>
  mimeEntity(`application/pkcs7-mime; smime-type=${smimeTypeOf(profile)}; name="smime.p7m"`, cms, [
    ['Content-Transfer-Encoding', 'base64'],
    ['Content-Disposition', 'attachment;handling=required'],
  ]);
