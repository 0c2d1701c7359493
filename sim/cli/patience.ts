/** Waiting, with a bound, for what another process has to do first. */
import { setTimeout } from 'node:timers/promises';

/** Milliseconds between two looks. */
export const PROBE_EVERY = 100;

/** Somebody or something that cannot be done without did not come in time. */
export class PeerMissing extends Error {
  readonly code = 'PEER_MISSING';

  constructor(message: string) {
    super(message);
    this.name = 'PeerMissing';
  }
}

/** Asks until there is an answer; what is made by another process may not be there yet. */
export async function answered<T>(problem: string, waitMs: number, ask: () => Promise<T> | T): Promise<T> {
  const end = Date.now() + waitMs;
  for (;;) {
    try {
      return await ask();
    } catch (cause) {
      if (Date.now() > end) throw new PeerMissing(`${problem} after ${waitMs} ms: ${(cause as Error).message}`);
      await setTimeout(PROBE_EVERY);
    }
  }
}
