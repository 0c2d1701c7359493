import { type EccsiKey, hashHs } from './eccsi.ts';
import { type EccsiVerifier, signWithHs } from './eccsi-native.ts';
import { IbcError } from './errors.ts';
import type { KmsCertificate, UserKeySet } from './key-set.ts';
import { zero } from './octets.ts';

/** Signs as one identity in one key period; for MIKEY and for CMS SignedData alike. */
export interface IdentitySigner {
  readonly userUri: string;
  /** 32 octets (TS 33.180 F.2.1): names the verification key. */
  readonly uid: Uint8Array;
  readonly keyPeriodNo: number;
  /** The ECCSI signature over the octets, 129 octets: r || s || PVT (RFC 6507 section 5.2.1). */
  sign(message: Uint8Array): Uint8Array;
  /** Zeroes the signer's copy of the SSK; `sign` throws `disposed` afterwards. */
  dispose(): void;
}

/** A signer for a key set that {@link validateKeySet} has accepted; it keeps a copy of the SSK and of HS. */
export function createSigner(keySet: UserKeySet, certificate: KmsCertificate): IdentitySigner {
  const key: EccsiKey = { ssk: keySet.ssk.slice(), pvt: keySet.pvt.slice() };
  const HS = hashHs(certificate.pubAuthKey, keySet.uid, key.pvt);
  let disposed = false;
  return {
    userUri: keySet.userUri,
    uid: keySet.uid.slice(),
    keyPeriodNo: keySet.keyPeriodNo,
    sign: (message) => {
      if (disposed) throw new IbcError('disposed', 'this signer has been disposed of');
      return signWithHs(HS, key, message);
    },
    dispose: () => {
      disposed = true;
      zero(key.ssk);
    },
  };
}

/** Verifies under the UID that a signature names, for one KMS; whose UID it is remains to be asked. */
export interface IdentityVerifier {
  /** True when the signature (129 octets) is the UID's (32 octets) over the message (RFC 6507 section 5.2.2). */
  verify(uid: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** A verifier for the users of one KMS; verifiers of several may share the cache of known senders. */
export function createVerifier(known: EccsiVerifier, certificate: KmsCertificate): IdentityVerifier {
  const kpak = certificate.pubAuthKey;
  return { verify: (uid, message, signature) => known.verify(kpak, uid, message, signature) };
}
