import { randomBytes, randomUUID } from 'node:crypto';

/** RFC 3261 8.1.1.7: what every branch made by this specification begins with. */
export const MAGIC_COOKIE = 'z9hG4bK';

/**
 * Identifiers of one engine. Those that must be unpredictable (tags, Call-IDs) are random; branches need only be
 * unique, and are a random prefix of the engine and a count.
 */
export class Ids {
  readonly #branchPrefix = `${MAGIC_COOKIE}-${randomBytes(6).toString('base64url')}-`;
  #branches = 0;

  branch(): string {
    return this.#branchPrefix + (this.#branches++).toString(36);
  }

  /** True for a branch made by this engine. */
  isOwnBranch(branch: string): boolean {
    return branch.startsWith(this.#branchPrefix);
  }

  /** RFC 3261 19.3: at least 32 bits of randomness; base 36 keeps drachtio-srf's `token` patterns happy. */
  tag(): string {
    return randomUUID().replaceAll('-', '').slice(0, 13);
  }

  callId(): string {
    return randomUUID();
  }

  /** Message, transaction and connection ids of the control protocol. */
  uuid(): string {
    return randomUUID();
  }
}
