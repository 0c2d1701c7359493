/**
 * Resolves with the signal when the process is asked to end; a second one ends it at once.
 *
 * @param over aborted when nobody waits for that any more
 */
export function untilToldToStop(over?: AbortSignal): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // A process that waits for nothing but a signal would end by itself.
    const alive = setInterval(() => {}, 1 << 30);
    const forget = (): void => clearInterval(alive);
    over?.addEventListener('abort', forget, { once: true });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        forget();
        resolve(signal);
      });
    }
  });
}
