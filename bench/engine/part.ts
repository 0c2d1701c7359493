import { PerformanceObserver } from 'node:perf_hooks';

/** What a part tells of itself. */
export interface Usage {
  /** Seconds of CPU since its start. */
  readonly cpu: number;
  /** Resident set, and of it the heap of JavaScript in use and what lies outside it, MB. */
  readonly memory: number;
  readonly heap: number;
  readonly external: number;
  /** Pauses for garbage collection since last asked, milliseconds. */
  readonly pauses: readonly number[];
}

/**
 * Makes this process a part of the benchmark: `ready` once, then what `tell` says whenever asked (its usage, if nothing
 * else), until told to stop.
 */
export function serve(ready: unknown, stop: () => unknown, tell: () => unknown = observeUsage()): void {
  process.on('message', (message) => {
    if (message === 'tell') process.send?.(tell());
    else void Promise.resolve(stop()).finally(() => process.exit(0));
  });
  process.send?.(ready);
}

function observeUsage(): () => Usage {
  let pauses: number[] = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration);
  }).observe({ entryTypes: ['gc'] });
  const megabytes = (octets: number): number => Math.round(octets / 1024 / 1024);
  return () => {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    const told = pauses;
    pauses = [];
    return {
      cpu: (user + system) / 1e6,
      memory: megabytes(rss),
      heap: megabytes(heapUsed),
      external: megabytes(external),
      pauses: told,
    };
  };
}

/** What the parent said that this part should do. */
export function input<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T;
}
