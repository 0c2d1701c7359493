/** Makes this process a part of the benchmark: `ready` once, then its usage whenever asked, until told to stop. */
export function serve(ready: unknown, stop: () => unknown): void {
  process.on('message', (message) => {
    if (message === 'usage') {
      globalThis.gc?.();
      const { user, system } = process.cpuUsage();
      process.send?.({ cpu: (user + system) / 1e6, memory: Math.round(process.memoryUsage.rss() / 1024 / 1024) });
    } else {
      void Promise.resolve(stop()).finally(() => process.exit(0));
    }
  });
  process.send?.(ready);
}

/** What the parent said that this part should do. */
export function input<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T;
}
