/** One timer for whichever of many moments comes first. What is due is looked up in the store when it fires, so none is kept here. */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';

/** When the work failed, as it does while the store cannot be read or written, it is done again so much later. */
const AGAIN_MS = 10_000;

export interface DueTimerParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Does what is due and calls {@link DueTimer.by} for what will be. */
  readonly work: () => Promise<void>;
  /** What the log says when it failed. */
  readonly failure: string;
}

export class DueTimer {
  readonly #parts: DueTimerParts;
  #timer: TimerHandle | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: DueTimerParts) {
    this.#parts = parts;
  }

  /** The work is to be done at `time` (milliseconds since 1970) at the latest, once whatever is under way has ended. */
  by(time: number): void {
    if (time >= this.#dueAt || this.#stopped) return;
    const { clock, log, work, failure } = this.#parts;
    this.#dueAt = time;
    this.#timer?.cancel();
    this.#timer = clock.setTimer(Math.max(0, time - clock.now()), () => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#working = this.#working.then(work).catch((error: unknown) => {
        log.error({ error }, failure);
        this.by(clock.now() + AGAIN_MS);
      });
    });
  }

  /** Resolves when the work under way has ended; none begins any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#working;
  }
}
