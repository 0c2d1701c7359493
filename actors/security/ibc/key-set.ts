import { FIELD_OCTETS, POINT_OCTETS, type SakkeArithmetic } from './arithmetic.ts';
import { eccsiPublicKey, generateEccsiMaster, isEccsiPoint } from './eccsi.ts';
import { nativeExtractEccsiKey, nativeValidateEccsiKey } from './eccsi-native.ts';
import type { SakkeEngine } from './engine.ts';
import { IbcError } from './errors.ts';
import { equal, expectLength, zero } from './octets.ts';
import { generateSakkeMaster, sakkePublicKey } from './sakke.ts';
import { computeUid, type KeyPeriods } from './uid.ts';

/** The values of a KmsCertificate that cryptography needs (TS 33.180 D.3.2.2); XML is the KMS interface's matter. */
export interface KmsCertificate extends KeyPeriods {
  /** PubEncKey: Z_T, 257 octets. */
  readonly pubEncKey: Uint8Array;
  /** PubAuthKey: KPAK, 65 octets. */
  readonly pubAuthKey: Uint8Array;
}

/** The values of a KmsKeySet (TS 33.180 D.3.3.2) in clear: one user, one key period. */
export interface UserKeySet {
  readonly userUri: string;
  /** UserID: the UID of TS 33.180 F.2.1, 32 octets. */
  readonly uid: Uint8Array;
  readonly keyPeriodNo: number;
  /** UserDecryptKey: 257 octets, secret. */
  readonly rsk: Uint8Array;
  /** UserSigningKeySSK: 32 octets, secret. */
  readonly ssk: Uint8Array;
  /** UserPubTokenPVT: 65 octets, public. */
  readonly pvt: Uint8Array;
}

/** What a KMS must keep secret, and keep. */
export interface MasterSecrets {
  /** z_T of SAKKE, 128 octets. */
  readonly zT: Uint8Array;
  /** KSAK of ECCSI, 32 octets. */
  readonly ksak: Uint8Array;
}

/** A new KMS: master secrets, and the certificate values that follow from them. */
export function generateKms(
  periods: KeyPeriods,
  arithmetic: SakkeArithmetic,
): { master: MasterSecrets; certificate: KmsCertificate } {
  const { zT, ZT } = generateSakkeMaster(arithmetic);
  const { ksak, kpak } = generateEccsiMaster();
  return { master: { zT, ksak }, certificate: { ...namesOf(periods), pubEncKey: ZT, pubAuthKey: kpak } };
}

/** The certificate values of master secrets read from a store. `bad-scalar` when one is out of range. */
export function certificateOf(master: MasterSecrets, periods: KeyPeriods, arithmetic: SakkeArithmetic): KmsCertificate {
  return {
    ...namesOf(periods),
    pubEncKey: sakkePublicKey(arithmetic, master.zT),
    pubAuthKey: eccsiPublicKey(master.ksak),
  };
}

function namesOf({ kmsUri, userKeyPeriod, userKeyOffset }: KeyPeriods): KeyPeriods {
  return { kmsUri, userKeyPeriod, userKeyOffset };
}

/** Extracts what the KMS gives a user for one key period. `bad-scalar`, `bad-key-period`, `bad-identity`. */
export async function extractKeySet(
  engine: SakkeEngine,
  master: MasterSecrets,
  certificate: KmsCertificate,
  userUri: string,
  keyPeriodNo: number,
): Promise<UserKeySet> {
  expectLength(master.zT, FIELD_OCTETS, 'z_T');
  const uid = computeUid(userUri, certificate, keyPeriodNo);
  const rsk = await engine.extractRsk(master.zT, uid);
  const { ssk, pvt } = nativeExtractEccsiKey({ ksak: master.ksak, kpak: certificate.pubAuthKey }, uid);
  return { userUri, uid, keyPeriodNo, rsk, ssk, pvt };
}

/**
 * What a user must check before it uses a key set: its UID is the one of TS 33.180 F.2.1 (`bad-identity`), SSK and PVT fit
 * KPAK (RFC 6507 section 5.1.2, `ssk-invalid`), the RSK pairs with Z_T (RFC 6508 section 6.1.2, `rsk-invalid`).
 * Leaves the RSK's table warm in the engine.
 */
export async function validateKeySet(
  engine: SakkeEngine,
  keySet: UserKeySet,
  certificate: KmsCertificate,
): Promise<void> {
  if (!equal(keySet.uid, computeUid(keySet.userUri, certificate, keySet.keyPeriodNo))) {
    throw new IbcError(
      'bad-identity',
      'the UserID is not the UID of TS 33.180 F.2.1 for this user, KMS and key period',
    );
  }
  if (!nativeValidateEccsiKey(certificate.pubAuthKey, keySet.uid, keySet)) {
    throw new IbcError(
      'ssk-invalid',
      'SSK and PVT do not fit the KMS certificate (RFC 6507 section 5.1.2): ask the KMS again',
    );
  }
  if (
    keySet.rsk.length !== POINT_OCTETS ||
    !(await engine.validateRsk(certificate.pubEncKey, keySet.uid, keySet.rsk))
  ) {
    throw new IbcError(
      'rsk-invalid',
      'the RSK does not fit the KMS certificate (RFC 6508 section 6.1.2): ask the KMS again',
    );
  }
}

/**
 * What anybody must check before trusting a KMS certificate's values: both keys are points of their curves, Z_T is of order q,
 * the key period is a positive whole number of seconds. `certificate-invalid`.
 */
export async function validateCertificate(engine: SakkeEngine, certificate: KmsCertificate): Promise<void> {
  const { userKeyPeriod, userKeyOffset } = certificate;
  const wrong =
    !Number.isSafeInteger(userKeyPeriod) ||
    userKeyPeriod <= 0 ||
    !Number.isSafeInteger(userKeyOffset) ||
    userKeyOffset < 0
      ? 'UserKeyPeriod or UserKeyOffset'
      : !isEccsiPoint(certificate.pubAuthKey)
        ? 'PubAuthKey'
        : !(await engine.validatePublicKey(certificate.pubEncKey))
          ? 'PubEncKey'
          : undefined;
  if (wrong !== undefined) throw new IbcError('certificate-invalid', `the KMS certificate's ${wrong} is not valid`);
}

/** Zeroes the secret parts of a key set, and its table in the engine. */
export async function disposeKeySet(engine: SakkeEngine, keySet: UserKeySet): Promise<void> {
  await engine.forget(keySet.rsk);
  zero(keySet.rsk, keySet.ssk);
}
