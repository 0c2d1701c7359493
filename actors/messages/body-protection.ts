/**
 * What stands between an MC body and the SIP message that carries it, the same at both ends: protects an entity under a
 * CEK and opens what arrives. Everything that a profile demands of a body is decided behind this one seam.
 */
import { keyIdOctets, keyIdOf } from '../security/cek/key-id.ts';
import type { UsableCek } from '../security/cek/key-store.ts';
import { open, seal } from '../security/smime/auth-enveloped.ts';
import { type MimeEntity, MimeError, mediaTypeOf, mimeEntity, parseMime, serialiseMime } from './mime.ts';

/** docs/interfaces.md, "Protected bodies". */
export const PROTECTED_TYPE = 'application/pkcs7-mime; smime-type=authEnveloped-data; name="smime.p7m"';

/** Protection profiles; `kek+sign` and `direct` are those of the CMS choice that every run prints. */
export type BodyProfile = 'kek' | 'kek+sign' | 'direct';

export interface OpenedBody {
  /** The key that opened the body; its user is who could have sealed it. */
  readonly cek: UsableCek;
  readonly entity: MimeEntity;
}

/** Finds the key of a Key ID (8 hex digits). What it throws comes through unchanged. */
export type OpeningKey = (keyId: string) => UsableCek | Promise<UsableCek>;

export interface BodyProtection {
  /**
   * Protects an inner entity; the result goes into a SIP message as it is.
   * @param change for scenarios that send wrong octets: sees the CMS octets before they are put into base64
   */
  protect(entity: MimeEntity, key: UsableCek, change?: (cms: Uint8Array) => Uint8Array): Promise<MimeEntity>;
  /**
   * Opens a protected body and checks everything that the profile demands.
   * @throws SmimeError, MimeError, and what `openingKey` throws (CekError)
   */
  open(body: MimeEntity, openingKey: OpeningKey): Promise<OpenedBody>;
}

/** Whether a body claims to be protected, whatever it really is. */
export function isProtected(body: MimeEntity): boolean {
  return mediaTypeOf(body).type === 'application/pkcs7-mime';
}

/** Profile `kek`: confidentiality and integrity under the CEK, no signature. */
export function kekProtection(): BodyProtection {
  return {
    protect: (entity, key, change = (cms) => cms) => {
      const cms = seal(serialiseMime(entity), { keyId: keyIdOctets(key.keyId), cek: key.key });
      return Promise.resolve(protectedEntity(change(cms)));
    },
    open: async (body, openingKey) => {
      if (!isProtected(body)) throw new MimeError('MIME_MALFORMED', 'the body is no application/pkcs7-mime');
      let cek: UsableCek | undefined;
      const { entity } = await open(body.content, async (octets) => {
        cek = await openingKey(keyIdOf(octets));
        return cek.key;
      });
      return { cek: cek!, entity: parseMime(entity) };
    },
  };
}

/** SIP bodies of both stacks are text: the CMS octets travel as base64. */
const protectedEntity = (cms: Uint8Array): MimeEntity =>
  mimeEntity(PROTECTED_TYPE, cms, [
    ['Content-Transfer-Encoding', 'base64'],
    ['Content-Disposition', 'attachment;handling=required'],
  ]);
