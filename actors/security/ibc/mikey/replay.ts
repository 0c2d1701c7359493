/**
 * Remembers accepted messages for as long as their timestamps would still be accepted (RFC 3830 section 5.4). Narrow on purpose: a
 * cluster can keep it in a shared store.
 */
export interface ReplayCache {
  /**
   * True when the message is new, and remembers it; false when it was seen before, or cannot be told from one that was.
   * `digest` names the message (SHA-256 of what its signature covers, hexadecimal); `sentAt` is its T payload and `expiresAt` the last moment at which
   * the timestamp check would still accept it, both in milliseconds since 1970.
   */
  admit(digest: string, sentAt: number, expiresAt: number, now: number): boolean | Promise<boolean>;

  /** Takes back an admission: the message could not be opened this time, and may be tried again. */
  withdraw(digest: string): void | Promise<void>;
}

/**
 * A replay cache of bounded size in memory. When it is full it forgets the oldest eighth and from then on refuses everything
 * sent no later than those: under a flood the accepted window narrows, but no replay passes.
 */
export class MemoryReplayCache implements ReplayCache {
  readonly #capacity: number;
  readonly #seen = new Map<string, { readonly sentAt: number; readonly expiresAt: number }>();
  #floor = Number.NEGATIVE_INFINITY;

  constructor(capacity = 65_536) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#seen.size;
  }

  admit(digest: string, sentAt: number, expiresAt: number, now: number): boolean {
    if (sentAt <= this.#floor || this.#seen.has(digest)) return false;
    if (this.#seen.size >= this.#capacity) this.#makeRoom(now);
    if (sentAt <= this.#floor) return false;
    this.#seen.set(digest, { sentAt, expiresAt });
    return true;
  }

  withdraw(digest: string): void {
    this.#seen.delete(digest);
  }

  #makeRoom(now: number): void {
    for (const [digest, { expiresAt }] of this.#seen) if (expiresAt < now) this.#seen.delete(digest);
    if (this.#seen.size < this.#capacity) return;
    const byAge = [...this.#seen].sort((a, b) => a[1].sentAt - b[1].sentAt);
    for (const [digest, { sentAt }] of byAge.slice(0, Math.ceil(this.#capacity / 8))) {
      this.#floor = Math.max(this.#floor, sentAt);
      this.#seen.delete(digest);
    }
  }
}
