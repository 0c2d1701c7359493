/**
 * Time as everything in the testbed sees it. Whatever waits for a lifetime takes a `Clock`, so that scenarios about
 * hours run in milliseconds on a {@link ManualClock} and in real time on {@link systemClock}.
 */

/** A pending timer; `cancel()` after it fired does nothing. */
export interface TimerHandle {
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Calls `callback` once, `delayMs` milliseconds from now. Must not keep a process alive by itself. */
  setTimer(delayMs: number, callback: () => void): TimerHandle;
}

/** setTimeout keeps its delay in 31 bits; anything longer is waited for in pieces of this size. */
const LONGEST_DELAY = 0x7fffffff;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const piece = Math.min(left, LONGEST_DELAY);
      timer = setTimeout(() => (left > piece ? arm(left - piece) : callback()), piece);
      timer.unref();
    };
    arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A clock that moves only when told to: `advance(ms)` fires what falls due, in order of time. */
export class ManualClock implements Clock {
  #now: number;
  #sequence = 0;
  readonly #pending = new Map<number, { at: number; callback: () => void }>();

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** How many timers wait: a test that leaks one sees it here. */
  get pending(): number {
    return this.#pending.size;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const id = this.#sequence++;
    this.#pending.set(id, { at: this.#now + Math.max(0, delayMs), callback });
    return { cancel: () => this.#pending.delete(id) };
  }

  /** Moves time on by `ms`, firing due timers in order, those that they set included. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: { id: number; at: number; callback: () => void } | undefined;
      for (const [id, timer] of this.#pending) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = { id, ...timer };
      }
      if (next === undefined) break;
      this.#pending.delete(next.id);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }

  /** Like {@link advance}, but lets promises and I/O run after each fired timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#pending.values()].filter((t) => t.at <= end).map((t) => t.at);
      const target = due.length === 0 ? end : Math.min(...due);
      this.advance(Math.max(0, target - this.#now));
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (due.length === 0) return;
    }
  }
}
