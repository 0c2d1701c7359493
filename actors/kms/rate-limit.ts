/** Token buckets, one for each user or server: a burst at once, then so many a minute. */
import type { Clock } from '../../sim/engine/clock.ts';

export class RateLimit {
  readonly #clock: Clock;
  readonly #limits: () => { readonly burst: number; readonly perMinute: number };
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(clock: Clock, limits: () => { readonly burst: number; readonly perMinute: number }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Takes one request of `whose`. @returns 0 when it may go on, else the seconds to wait */
  take(whose: string): number {
    const { burst, perMinute } = this.#limits();
    const now = this.#clock.now();
    const bucket = this.#buckets.get(whose) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + (Math.max(0, now - bucket.at) * perMinute) / 60_000);
    bucket.at = now;
    this.#buckets.set(whose, bucket);
    if (bucket.left >= 1) {
      bucket.left -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil(((1 - bucket.left) * 60) / Math.max(perMinute, 1e-9)));
  }
}
