/**
 * Key IDs of CEKs: four octets, as the K-IDs of TS 33.180 annex G, purpose tag in the top four bits. Annex G uses 0 to 6;
 * 0xF is this testbed's CEK. In XML, logs and APIs a Key ID is 8 hexadecimal digits in lower case; in a KEKIdentifier,
 * four octets.
 */
import { randomBytes } from 'node:crypto';
import { CekError } from './errors.ts';

export const CEK_PURPOSE_TAG = 0xf;
export const KEY_ID_OCTETS = 4;
const KEY_ID = /^f[0-9a-f]{7}$/;

/** 28 random bits below the tag. Whether it is new is for the KMS's store to say. */
export function randomKeyId(random: (octets: number) => Uint8Array = randomBytes): string {
  const octets = Buffer.from(random(KEY_ID_OCTETS));
  octets[0] = (CEK_PURPOSE_TAG << 4) | (octets[0]! & 0x0f);
  return octets.toString('hex');
}

/** @throws CekError `CEK_BAD_KEY_ID` */
export function keyIdOctets(keyId: string): Uint8Array {
  if (!KEY_ID.test(keyId)) throw badKeyId();
  return new Uint8Array(Buffer.from(keyId, 'hex'));
}

/** @throws CekError `CEK_BAD_KEY_ID` */
export function keyIdOf(octets: Uint8Array): string {
  const keyId = Buffer.from(octets).toString('hex');
  if (!KEY_ID.test(keyId)) throw badKeyId();
  return keyId;
}

const badKeyId = (): CekError =>
  new CekError('CEK_BAD_KEY_ID', 'a Key ID is four octets whose top four bits are 0xF (testbed CEK)');
