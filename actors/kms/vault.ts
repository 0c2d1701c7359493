/** How secrets lie in the store: AES-256-GCM under the store key, bound to the record that they belong to. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const NONCE = 12;
const TAG = 16;

export class VaultError extends Error {
  readonly code = 'KMS_STORE_KEY';
  constructor() {
    super('a secret in the store does not open: the store belongs to other master secrets, or has been changed');
    this.name = 'VaultError';
  }
}

export class Vault {
  readonly #key: Uint8Array;

  /** @param key AES-256 key, 32 octets; stays the caller's */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** nonce(12) || ciphertext || tag(16); `record` names what it belongs to and is authenticated with it. */
  seal(secret: Uint8Array, record: string): Uint8Array {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(record, 'utf8'));
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws VaultError */
  open(sealed: Uint8Array, record: string): Uint8Array {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE), { authTagLength: TAG })
        .setAAD(Buffer.from(record, 'utf8'))
        .setAuthTag(sealed.subarray(sealed.length - TAG));
      const opened = decipher.update(sealed.subarray(NONCE, sealed.length - TAG));
      decipher.final();
      return opened;
    } catch {
      throw new VaultError();
    }
  }
}
