/**
 * Opens the body of a request from a UE and says whose it is. Every way in which a body cannot be opened has its own
 * answer, none of which shows plaintext or key (requirement MIME-2).
 */
import { type BodyProtection, isProtected } from '../messages/body-protection.ts';
import { type MimeEntity, MimeError, mediaTypeOf } from '../messages/mime.ts';
import { type Undecipherable, undecipherableText, WARNINGS } from '../messages/sip-headers.ts';
import { XmlError } from '../messages/xml.ts';
import { CekError } from '../security/cek/errors.ts';
import type { CekKeyStore, UsableCek } from '../security/cek/key-store.ts';
import { SmimeError } from '../security/smime/errors.ts';
import type { Sender } from './admission.ts';
import { Refusal } from './errors.ts';
import type { SipMessage } from './sip-server.ts';

export interface OpenedRequest {
  /** The key that opened it; undefined for a body in clear, which policy then allows. */
  readonly cek: UsableCek | undefined;
  readonly entity: MimeEntity;
}

export interface OpeningContext {
  readonly protection: BodyProtection;
  readonly ceks: CekKeyStore;
  readonly required: boolean;
}

const ACCEPTED = 'application/pkcs7-mime, multipart/mixed';

/**
 * @throws Refusal 403 for a body in clear under policy, 415 for another type, 493 for one that cannot be opened, 400 for
 *   one that is malformed
 */
export async function openRequest(
  message: SipMessage,
  sender: Sender,
  context: OpeningContext,
): Promise<OpenedRequest> {
  const body = readEntity(message);
  if (!isProtected(body)) {
    if (mediaTypeOf(body).type !== 'multipart/mixed') throw new Refusal(415, undefined, { Accept: ACCEPTED });
    if (context.required) throw new Refusal(403, WARNINGS.protectionRequired);
    return { cek: undefined, entity: body };
  }
  let keyId: string | undefined;
  try {
    return await context.protection.open(body, (id) => {
      keyId = id;
      const cek = context.ceks.opening(id);
      // A key is good for the SIP session it was made for: the identity that the core asserts must be registered with it.
      if (!sender.sessions.some(({ sipSession }) => sipSession === cek.sipSession)) {
        throw new Refusal(493, undecipherableText(id, 'of another user'));
      }
      return cek;
    });
  } catch (error) {
    throw refusalOf(error, keyId);
  }
}

function readEntity(message: SipMessage): MimeEntity {
  try {
    const body = message.entity();
    if (body === undefined) throw new Refusal(415, undefined, { Accept: ACCEPTED });
    // RFC 3261 8.2.3: no coding is understood, and what cannot be decoded is not taken for what it is not.
    const coding = message.header('Content-Encoding')?.trim().toLowerCase() ?? 'identity';
    if (coding !== 'identity') throw new Refusal(415, undefined, { 'Accept-Encoding': 'identity' });
    mediaTypeOf(body);
    return body;
  } catch (error) {
    throw refusalOf(error, undefined);
  }
}

/**
 * The answer to whatever went wrong while a body was read; what is not about the body comes back as it is.
 * @param keyId for errors that name none
 */
export function refusalOf(error: unknown, keyId: string | undefined): unknown {
  if (error instanceof CekError) {
    const why: Undecipherable = error.code === 'CEK_RETIRED' ? 'retired' : 'unknown';
    return new Refusal(493, undecipherableText(error.keyId ?? keyId, why));
  }
  if (error instanceof SmimeError) {
    const signature = SIGNATURE_WARNINGS[error.code];
    if (signature !== undefined) return new Refusal(403, signature);
    const why: Undecipherable = error.code === 'SMIME_UNKNOWN_KEY' ? 'unknown' : 'cannot be opened';
    return new Refusal(493, undecipherableText(error.keyId ?? keyId, why));
  }
  if (error instanceof MimeError || error instanceof XmlError) return new Refusal(400, '399 malformed body');
  return error;
}

/** IBC-1: a body that opens but is not signed by its sender is refused, and says which check failed. */
const SIGNATURE_WARNINGS: Readonly<Partial<Record<SmimeError['code'], string>>> = {
  SMIME_SIGNATURE_MISSING: '399 body signature missing',
  SMIME_SIGNATURE_FORGED: '399 body signature forged',
  SMIME_OTHER_SIGNER: '399 body signed by another identity',
  SMIME_OTHER_KEY_PERIOD: '399 body signed in another key period',
};
