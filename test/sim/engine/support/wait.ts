/** Waits for conditions, never for time: each wait has a bound, and says what did not come. */

const PATIENCE_MS = 5_000;

/** Resolves when `condition` holds; looks again after every turn of the event loop. */
export async function until(what: string, condition: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Lets everything that is under way in this process happen: a few dozen turns of the event loop. */
export async function settle(turns = 40): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Things that arrived and were not asked for yet; `next` waits for the first that fits. */
export class Inbox<T> {
  readonly items: T[] = [];
  readonly #describe: (item: T) => string;

  constructor(describe: (item: T) => string) {
    this.#describe = describe;
  }

  put(item: T): void {
    this.items.push(item);
  }

  async next(what: string, fits: (item: T) => boolean = () => true): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = this.items.findIndex(fits);
      if (at >= 0) return this.items.splice(at, 1)[0]!;
      if (performance.now() > end) {
        const seen = this.items.map(this.#describe).join(', ') || 'nothing';
        throw new Error(`waited ${PATIENCE_MS} ms for ${what}; there is ${seen}`);
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}
