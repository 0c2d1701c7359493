/**
 * What the KMS must keep secret, and keep: z_T (RFC 6508 section 2.3.1), KSAK (RFC 6507 section 5.1.1) and the key under
 * which the store keeps CEKs and key sets. In a file of mode 0600, or handed in by whoever starts the KMS.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface KmsSecrets {
  /** 128 octets. */
  readonly zT: Uint8Array;
  /** 32 octets. */
  readonly ksak: Uint8Array;
  /** AES-256, 32 octets. */
  readonly storeKey: Uint8Array;
}

export type MasterSecretsErrorCode = 'KMS_SECRETS_PERMISSIONS' | 'KMS_SECRETS_MALFORMED' | 'KMS_SECRETS_UNUSABLE';

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
 * @throws MasterSecretsError `KMS_SECRETS_PERMISSIONS` when others than the owner may use it, `KMS_SECRETS_MALFORMED`,
 *   `KMS_SECRETS_UNUSABLE` when it cannot be read or made
 */
export async function loadOrCreateSecrets(file: string, create: () => KmsSecrets): Promise<KmsSecrets> {
  try {
    await mkdir(dirname(file), { recursive: true });
    return (await read(file)) ?? (await make(file, create())) ?? (await read(file)) ?? unusable(file, 'ENOENT');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof MasterSecretsError || code === undefined) throw error;
    return unusable(file, code);
  }
}

/** Undefined when there is no such file. The file that is opened is the one that is looked at. */
async function read(file: string): Promise<KmsSecrets | undefined> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    if (((await handle.stat()).mode & 0o077) !== 0) {
      throw new MasterSecretsError(
        'KMS_SECRETS_PERMISSIONS',
        `${file} may be used by others than its owner: run chmod 600 on it, and make new secrets if somebody may have read it`,
      );
    }
    return parseSecrets(await handle.readFile('utf8'), file);
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file of mode 0600 and gives it its name when it is complete, so that neither a crash nor another KMS that starts
 * at the same time ever meets half of it. Undefined when the name is taken: then the other one's secrets count.
 */
async function make(file: string, secrets: KmsSecrets): Promise<KmsSecrets | undefined> {
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(formatSecrets(secrets));
    await handle.sync();
    await link(draft, file);
    return secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  } finally {
    await handle.close();
    await unlink(draft);
  }
}

export function zeroSecrets(secrets: KmsSecrets): void {
  for (const octets of [secrets.zT, secrets.ksak, secrets.storeKey]) octets.fill(0);
}

function unusable(file: string, why: string): never {
  throw new MasterSecretsError(
    'KMS_SECRETS_UNUSABLE',
    `${file} cannot be read or made (${why}): its folder must be one that this process may write to`,
  );
}

const malformed = (from: string, why: string): MasterSecretsError =>
  new MasterSecretsError('KMS_SECRETS_MALFORMED', `the master secrets in ${from} cannot be used: ${why}`);
