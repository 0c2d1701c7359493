import { IbcError } from '../errors.ts';
import { expectLength, toInteger, toOctets } from '../octets.ts';
import { kdf } from './key-parameters.ts';

/**
 * A user-specific key identifier from a K-ID, or the K-ID from it (TS 33.180 F.1.3): the purpose tag stays, the 28 low bits are
 * xored with the low bits of KDF(K, FC 0x50 || P0 = receiver's MC service ID || L0). 4 octets in, 4 octets out.
 */
export function userKeyId(key: Uint8Array, keyId: Uint8Array, receiverUri: string): Uint8Array {
  expectLength(keyId, 4, 'the key identifier');
  const salt = toInteger(kdf(key, 0x50, Buffer.from(receiverUri, 'utf8'))) & 0x0fff_ffffn;
  return toOctets(toInteger(keyId) ^ salt, 4);
}

/** The purpose tag: the top four bits of a key identifier (TS 33.180 annex G). 0xF is the testbed's CEK. */
export function purposeTag(keyId: Uint8Array): number {
  const first = keyId[0];
  if (first === undefined) throw new IbcError('bad-length', 'a key identifier has 4 octets');
  return first >> 4;
}
