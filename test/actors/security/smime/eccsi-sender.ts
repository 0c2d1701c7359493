import { eccsiSign, eccsiVerify, extractEccsiKey, generateEccsiMaster } from '../../../../actors/security/ibc/eccsi.ts';
import { computeUid } from '../../../../actors/security/ibc/uid.ts';
import type { Signer, Verifier } from '../../../../actors/security/smime/profiles.ts';

export type TestSender = Signer & Verifier;

const master = generateEccsiMaster();
const periods = { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 };

/** An identity with real ECCSI key material (RFC 6507), all of one KMS; it also verifies. */
export function createTestSender(user: string, keyPeriodNo: number): TestSender {
  const { kpak } = master;
  const uid = computeUid(user, periods, keyPeriodNo);
  const key = extractEccsiKey(master, uid);
  return {
    uid,
    sign: (message) => eccsiSign(kpak, uid, key, message),
    verify: (signer, message, signature) => eccsiVerify(kpak, signer, message, signature),
  };
}
