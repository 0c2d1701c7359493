import { createHash } from 'node:crypto';
import type { KmsTable, PairingTable, SakkeArithmetic } from './arithmetic.ts';
import { IbcError } from './errors.ts';
import { type Decapsulated, decapsulate, encapsulate, extractRsk, validateRsk } from './sakke.ts';

/**
 * SAKKE as its users see it: asynchronous, by octets, tables kept warm out of sight. {@link LocalSakkeEngine} runs in the
 * caller's thread, `IbcPool` (pool.ts) in worker threads. Secrets passed in stay the caller's to zero.
 */
export interface SakkeEngine {
  /** Seals an SSV (16 octets) to identifier b under Z_T (257 octets): 273 octets (RFC 6508 section 6.2.1). */
  encapsulate(zT: Uint8Array, b: Uint8Array, ssv: Uint8Array): Promise<Uint8Array>;
  /** Opens SED with an RSK, the mandatory TEST included (RFC 6508 section 6.2.2); rejects with `sakke-test-failed`. */
  decapsulate(zT: Uint8Array, b: Uint8Array, rsk: Uint8Array, sed: Uint8Array): Promise<Decapsulated>;
  /** RSK of an identifier under the master secret z_T (RFC 6508 section 6.1.1), 257 octets. */
  extractRsk(masterSecret: Uint8Array, id: Uint8Array): Promise<Uint8Array>;
  /** The receiver's check of its RSK (RFC 6508 section 6.1.2). Leaves the RSK's table warm. */
  validateRsk(zT: Uint8Array, id: Uint8Array, rsk: Uint8Array): Promise<boolean>;
  /** True when Z_T is on the curve and of order q: asked once for each KMS certificate. */
  validatePublicKey(zT: Uint8Array): Promise<boolean>;
  /** Builds the receiver's table ahead of its first use. */
  prepare(rsk: Uint8Array): Promise<void>;
  /** Zeroes and drops the table of an RSK. */
  forget(rsk: Uint8Array): Promise<void>;
  /** How many SEDs were opened only with the stripped mask that some vendors send (sakke.ts). */
  readonly strippedMasks: number;
  /** Zeroes every table; nothing works afterwards. */
  close(): Promise<void>;
}

export interface EngineLimits {
  /** Receivers' tables kept, least recently used dropped first; 350 kB each. */
  readonly receivers?: number;
  /** KMS tables kept. */
  readonly kmss?: number;
}

/** SAKKE in this thread: for tests, tools and the inside of a pool worker. */
export class LocalSakkeEngine implements SakkeEngine {
  readonly #arithmetic: SakkeArithmetic;
  readonly #kmsTables: LeastRecentlyUsed<KmsTable>;
  readonly #pairingTables: LeastRecentlyUsed<PairingTable>;
  strippedMasks = 0;

  /** The arithmetic becomes the engine's: `close()` disposes of it. */
  constructor(arithmetic: SakkeArithmetic, limits: EngineLimits = {}) {
    this.#arithmetic = arithmetic;
    this.#kmsTables = new LeastRecentlyUsed(limits.kmss ?? 4);
    this.#pairingTables = new LeastRecentlyUsed(limits.receivers ?? 64);
  }

  async encapsulate(zT: Uint8Array, b: Uint8Array, ssv: Uint8Array): Promise<Uint8Array> {
    return encapsulate(this.#arithmetic, this.#kms(zT), b, ssv);
  }

  async decapsulate(zT: Uint8Array, b: Uint8Array, rsk: Uint8Array, sed: Uint8Array): Promise<Decapsulated> {
    const opened = decapsulate(this.#arithmetic, this.#kms(zT), b, this.#pairing(rsk), sed);
    if (opened.maskForm === 'stripped') this.strippedMasks++;
    return opened;
  }

  async extractRsk(masterSecret: Uint8Array, id: Uint8Array): Promise<Uint8Array> {
    return extractRsk(this.#arithmetic, masterSecret, id);
  }

  async validateRsk(zT: Uint8Array, id: Uint8Array, rsk: Uint8Array): Promise<boolean> {
    const kms = this.#kms(zT);
    let table: PairingTable;
    try {
      table = this.#pairing(rsk);
    } catch (error) {
      if (error instanceof IbcError && error.code === 'bad-point') return false; // not of order q
      throw error;
    }
    return validateRsk(this.#arithmetic, kms, id, table);
  }

  async validatePublicKey(zT: Uint8Array): Promise<boolean> {
    return this.#arithmetic.isInSubgroup(zT);
  }

  async prepare(rsk: Uint8Array): Promise<void> {
    this.#pairing(rsk);
  }

  async forget(rsk: Uint8Array): Promise<void> {
    this.#pairingTables.drop(nameOf(rsk));
  }

  async close(): Promise<void> {
    this.#kmsTables.clear();
    this.#pairingTables.clear();
    this.#arithmetic.dispose();
  }

  #kms(zT: Uint8Array): KmsTable {
    return this.#kmsTables.take(nameOf(zT), () => this.#arithmetic.prepareKms(zT));
  }

  #pairing(rsk: Uint8Array): PairingTable {
    return this.#pairingTables.take(nameOf(rsk), () => this.#arithmetic.preparePairing(rsk));
  }
}

/** Tables by name; what falls out is disposed of. */
class LeastRecentlyUsed<T extends { dispose(): void }> {
  readonly #capacity: number;
  readonly #items = new Map<string, T>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  take(name: string, make: () => T): T {
    const item = this.#items.get(name) ?? make();
    this.#items.delete(name);
    this.#items.set(name, item);
    if (this.#items.size > this.#capacity) this.drop(this.#items.keys().next().value!);
    return item;
  }

  drop(name: string): void {
    this.#items.get(name)?.dispose();
    this.#items.delete(name);
  }

  clear(): void {
    for (const name of [...this.#items.keys()]) this.drop(name);
  }
}

/** A table is found by a hash of the point: no copy of a secret key lives on as a map key. */
export function nameOf(point: Uint8Array): string {
  return createHash('sha256').update(point).digest('base64');
}
