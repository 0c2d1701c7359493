/** Who the KMS is: its master secrets, and the public keys that belong to them. */
import type { KmsCertificate } from '../messages/kms/key-material.ts';
import { createArithmetic } from '../security/ibc/backend.ts';
import { eccsiPublicKey, generateEccsiMaster } from '../security/ibc/eccsi.ts';
import { generateSakkeMaster, sakkePublicKey } from '../security/ibc/sakke.ts';
import { type KmsConfig, USER_KEY_PERIOD } from './config.ts';
import { drawSecrets } from './identity-keys.ts';
import { type KmsSecrets, loadOrCreateSecrets, parseSecrets } from './master-secrets.ts';

/**
 * Secrets from the configuration, from their file, or new.
 * @param file where they are kept; absent = nowhere
 * @throws as parseSecrets and loadOrCreateSecrets
 */
export async function identityOf(
  config: Pick<KmsConfig, 'kmsUri' | 'masterSecrets' | 'userKeyPeriod' | 'userKeyOffset'>,
  file: string | undefined,
): Promise<{ secrets: KmsSecrets; certificate: KmsCertificate }> {
  const arithmetic = createArithmetic();
  try {
    const draw = (): KmsSecrets =>
      drawSecrets({ zT: () => generateSakkeMaster(arithmetic).zT, ksak: () => generateEccsiMaster().ksak });
    const given = config.masterSecrets;
    const secrets =
      given !== undefined
        ? parseSecrets(given, 'the configuration')
        : file === undefined
          ? draw()
          : await loadOrCreateSecrets(file, draw);
    const certificate: KmsCertificate = {
      role: 'Root',
      kmsUri: config.kmsUri,
      userKeyPeriod: config.userKeyPeriod ?? USER_KEY_PERIOD,
      userKeyOffset: config.userKeyOffset ?? 0,
      pubEncKey: sakkePublicKey(arithmetic, secrets.zT),
      pubAuthKey: eccsiPublicKey(secrets.ksak),
    };
    return { secrets, certificate };
  } finally {
    arithmetic.dispose();
  }
}
