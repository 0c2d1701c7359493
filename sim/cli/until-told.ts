/** Resolves with the signal when the process is asked to end; a second one ends it at once. */
export function untilToldToStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // A process that waits for nothing but a signal would end by itself.
    const alive = setInterval(() => {}, 1 << 30);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        clearInterval(alive);
        resolve(signal);
      });
    }
  });
}
