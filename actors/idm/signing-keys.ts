/** The IdM's signing keys and cookie secret: made on first start, kept in the state folder where there is one. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JWK } from 'oidc-provider';
import { IdmError } from './config.ts';

export interface IdmSecrets {
  /** Private keys as JWK; the first signs, the others are published so that what they signed can still be checked. */
  readonly signing: readonly JWK[];
  readonly cookie: string;
}

const FILE = 'idm-keys.json';

/** Keys of the algorithms that the IdM can sign with (RFC 7518 3.1); all but ES256 are for deviating tokens. */
const KEY_PAIRS = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
} as const;
export type SigningAlgorithm = keyof typeof KEY_PAIRS;

export const SIGNING_ALGORITHMS = Object.keys(KEY_PAIRS) as readonly SigningAlgorithm[];

export const isSigningAlgorithm = (name: string): name is SigningAlgorithm => Object.hasOwn(KEY_PAIRS, name);

/** A private key of its own name. */
export function newSigningKey(alg: SigningAlgorithm = 'ES256'): JWK {
  const jwk = KEY_PAIRS[alg]().privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomBytes(8).toString('hex'), use: 'sig', alg } as JWK;
}

/**
 * Reads the secrets in a folder, or makes them there; without a folder they are made for this start only.
 * @throws IdmError `IDM_BAD_STATE` when others may read them or they cannot be understood
 */
export async function loadSecrets(folder: string | undefined): Promise<IdmSecrets> {
  const fresh: IdmSecrets = { signing: [newSigningKey()], cookie: randomBytes(32).toString('base64url') };
  if (folder === undefined) return fresh;
  const file = join(folder, FILE);
  let text: string;
  try {
    if (((await stat(file)).mode & 0o077) !== 0) {
      throw new IdmError('IDM_BAD_STATE', `${file} may be read by others than its owner: run chmod 600 on it`);
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await saveSecrets(folder, fresh);
    return fresh;
  }
  try {
    const secrets = JSON.parse(text) as IdmSecrets;
    if (secrets.signing.length > 0 && secrets.cookie.length > 0) return secrets;
  } catch {
    // Falls through to the same refusal.
  }
  throw new IdmError('IDM_BAD_STATE', `${file} cannot be read: remove it and log in again`);
}

/** Replaces the secrets in a folder at once, readable by the owner only; does nothing without a folder. */
export async function saveSecrets(folder: string | undefined, secrets: IdmSecrets): Promise<void> {
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  const partial = join(folder, `${FILE}.${randomBytes(4).toString('hex')}`);
  await writeFile(partial, JSON.stringify(secrets), { mode: 0o600 });
  await rename(partial, join(folder, FILE));
}
