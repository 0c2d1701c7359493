/** Waiting, with a bound, for what another process has to do first. */
import { setTimeout } from 'node:timers/promises';
import { TopologyError } from './topology.ts';

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

export interface Waiting {
  /** Told what is waited for and why, at once and whenever the reason is another one. */
  readonly tell?: (what: string) => void;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/**
 * Asks until there is an answer; what is made by another process may not be there yet.
 *
 * @throws PeerMissing when there is none within `waitMs` milliseconds, or when the wait is ended
 * @throws TopologyError at once when what is there is wrong: waiting does not mend it
 */
export async function answered<T>(
  problem: string,
  waitMs: number,
  ask: () => Promise<T> | T,
  { tell, signal }: Waiting = {},
): Promise<T> {
  const end = Date.now() + waitMs;
  let told = '';
  for (;;) {
    try {
      return await ask();
    } catch (cause) {
      if (cause instanceof TopologyError && cause.code === 'TOPOLOGY_INVALID') throw cause;
      const { message } = cause as Error;
      if (signal?.aborted) throw new PeerMissing(`${problem}, and the wait was ended: ${message}`);
      if (Date.now() >= end) throw new PeerMissing(`${problem} after ${waitMs} ms: ${message}`);
      if (told !== message) tell?.(`${problem}: ${message}`);
      told = message;
      await setTimeout(PROBE_EVERY, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
  }
}
