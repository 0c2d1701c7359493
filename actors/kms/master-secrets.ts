/**
 * What the KMS must keep secret, and keep: z_T (RFC 6508 section 2.3.1), KSAK (RFC 6507 section 5.1.1) and the key under
 * which the store keeps CEKs and key sets. In a file of mode 0600, or handed in by whoever starts the KMS.
 */
import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface KmsSecrets {
  /** 128 octets. */
  readonly zT: Uint8Array;
  /** 32 octets. */
  readonly ksak: Uint8Array;
  /** AES-256, 32 octets. */
  readonly storeKey: Uint8Array;
}

export type MasterSecretsErrorCode = 'KMS_SECRETS_PERMISSIONS' | 'KMS_SECRETS_MALFORMED';

export class MasterSecretsError extends Error {
  readonly code: MasterSecretsErrorCode;

  constructor(code: MasterSecretsErrorCode, message: string) {
    super(message);
    this.name = 'MasterSecretsError';
    this.code = code;
  }
}

const SIZES = { zT: 128, ksak: 32, storeKey: 32 } as const;

/** The file's text: one JSON object, hexadecimal values. */
export function formatSecrets(secrets: KmsSecrets): string {
  const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');
  const values = { version: 1, zT: hex(secrets.zT), ksak: hex(secrets.ksak), storeKey: hex(secrets.storeKey) };
  return `${JSON.stringify(values, null, 2)}\n`;
}

/** @throws MasterSecretsError `KMS_SECRETS_MALFORMED`; the message never quotes the text */
export function parseSecrets(text: string, from: string): KmsSecrets {
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw malformed(from, 'it is not JSON');
  }
  if (values.version !== 1) throw malformed(from, 'its version is not 1');
  const octets = (name: keyof typeof SIZES): Uint8Array => {
    const value = values[name];
    if (typeof value !== 'string' || value.length !== 2 * SIZES[name] || !/^[0-9a-f]*$/i.test(value)) {
      throw malformed(from, `${name} is not ${SIZES[name]} octets in hexadecimal`);
    }
    return new Uint8Array(Buffer.from(value, 'hex'));
  };
  return { zT: octets('zT'), ksak: octets('ksak'), storeKey: octets('storeKey') };
}

/**
 * Reads the file, or makes it with `create` where there is none.
 * @throws MasterSecretsError `KMS_SECRETS_PERMISSIONS` when others than the owner may read it, `KMS_SECRETS_MALFORMED`
 */
export async function loadOrCreateSecrets(file: string, create: () => KmsSecrets): Promise<KmsSecrets> {
  await mkdir(dirname(file), { recursive: true });
  try {
    // Exclusive: of two that start at once, one makes it and the other reads it.
    const handle = await open(file, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    try {
      const secrets = create();
      await handle.writeFile(formatSecrets(secrets));
      await handle.sync();
      return secrets;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (((await stat(file)).mode & 0o077) !== 0) {
    throw new MasterSecretsError(
      'KMS_SECRETS_PERMISSIONS',
      `${file} may be used by others than its owner: run chmod 600 on it, and make new secrets if somebody may have read it`,
    );
  }
  const handle = await open(file, 'r');
  try {
    return parseSecrets(await handle.readFile('utf8'), file);
  } finally {
    await handle.close();
  }
}

export function zeroSecrets(secrets: KmsSecrets): void {
  for (const octets of [secrets.zT, secrets.ksak, secrets.storeKey]) octets.fill(0);
}

const malformed = (from: string, why: string): MasterSecretsError =>
  new MasterSecretsError('KMS_SECRETS_MALFORMED', `the master secrets in ${from} cannot be used: ${why}`);
