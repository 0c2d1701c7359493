/**
 * Runs callbacks after the frames of this turn of the event loop have been written and another turn has begun.
 *
 * drachtio-srf loses a response that it reads together with the acknowledgement of its request (contract, section 6):
 * the promise of `srf.request` resolves after both. Two `setImmediate` make sure that an application in this very
 * process polls its socket in between.
 */
export class AfterTurn {
  #waiting: (() => void)[] = [];
  readonly #onError: (error: unknown) => void;
  #stopped = false;

  /** @param onError receives what a callback throws: those behind it run all the same. */
  constructor(onError: (error: unknown) => void = () => undefined) {
    this.#onError = onError;
  }

  run(callback: () => void): void {
    this.#waiting.push(callback);
    if (this.#waiting.length > 1) return;
    setImmediate(() => {
      const batch = this.#waiting;
      this.#waiting = [];
      setImmediate(() => {
        if (this.#stopped) return;
        for (const due of batch) {
          try {
            due();
          } catch (error) {
            this.#onError(error);
          }
        }
      });
    });
  }

  /** Drops what waits. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = [];
  }
}
