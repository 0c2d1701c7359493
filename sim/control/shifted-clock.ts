import { type Clock, ManualClock, systemClock, type TimerHandle } from '../engine/clock.ts';

/**
 * Real time with jumps: runs like the clock beneath it, and `advance` moves it ahead at once, firing in order what
 * falls due. Lets a scenario about hours run in milliseconds while sockets and timeouts live in real time.
 */
export class ShiftedClock implements Clock {
  readonly #base: Clock;
  readonly #manual: ManualClock;
  #shift: number;
  #wake: TimerHandle | undefined;
  readonly #deadlines = new Map<object, number>();
  #held = false;

  /** @param shift milliseconds by which this clock is ahead of `base` from the start */
  constructor(base: Clock = systemClock, shift = 0) {
    this.#base = base;
    this.#shift = shift;
    this.#manual = new ManualClock(this.now());
  }

  /** Milliseconds by which this clock is ahead of the one beneath. */
  get shift(): number {
    return this.#shift;
  }

  now(): number {
    return this.#base.now() + this.#shift;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    this.#catchUp();
    const key = {};
    const deadline = this.now() + Math.max(0, delayMs);
    this.#deadlines.set(key, deadline);
    const timer = this.#manual.setTimer(deadline - this.#manual.now(), () => {
      this.#deadlines.delete(key);
      callback();
    });
    this.#arm();
    return {
      cancel: () => {
        timer.cancel();
        this.#deadlines.delete(key);
        this.#arm();
      },
    };
  }

  /**
   * Moves what this clock shows ahead by `ms`, and fires nothing before {@link release}. Clocks of several machines are moved so
   * together: when the first timer fires, no machine's clock is behind another's.
   */
  hold(ms: number): void {
    this.#held = true;
    this.#shift += ms;
  }

  /** Fires in order what has fallen due since {@link hold}. */
  async release(): Promise<void> {
    this.#held = false;
    await this.advance(0);
  }

  /** Moves this clock ahead by `ms`, in whole steps from deadline to deadline, letting I/O run between them. */
  async advance(ms: number): Promise<void> {
    const target = this.now() + ms;
    for (;;) {
      const next = Math.min(...this.#deadlines.values());
      this.#shift += Math.max(0, Math.min(next, target) - this.now());
      this.#catchUp();
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (next > target) break;
    }
    this.#arm();
  }

  #catchUp(): void {
    if (this.#held) return;
    const behind = this.now() - this.#manual.now();
    if (behind > 0) this.#manual.advance(behind);
  }

  /** Keeps one timer of the clock beneath, for the earliest deadline. */
  #arm(): void {
    const next = this.#deadlines.size === 0 ? undefined : Math.min(...this.#deadlines.values());
    this.#wake?.cancel();
    this.#wake =
      next === undefined
        ? undefined
        : this.#base.setTimer(Math.max(0, next - this.now()), () => {
            this.#catchUp();
            this.#arm();
          });
  }
}
