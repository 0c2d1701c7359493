/**
 * The pushes to the MCPTT server: taken from the store in the order in which they were queued, sent in batches, repeated with
 * growing pauses until the server has acknowledged each. What was queued before a restart is sent after it.
 */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import type { CekNews } from '../messages/kms/cek.ts';
import type { Audit } from './audit.ts';
import type { KmsStore, QueuedPush } from './store.ts';

export interface PusherParts {
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  /** What to send for a queued push, sealed anew each time; undefined when there is nothing to tell any more. */
  readonly compose: (push: QueuedPush) => Promise<CekNews | undefined>;
  /** Sends; resolves with the Key IDs that the server acknowledges, rejects when it cannot be reached or refuses. */
  readonly post: (news: readonly CekNews[]) => Promise<readonly string[]>;
  readonly delivered: (push: QueuedPush) => Promise<void>;
}

const BATCH = 32;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

export class Pusher {
  readonly #parts: PusherParts;
  #running: Promise<void> | undefined;
  #woken = false;
  #stopped = false;
  #failures = 0;
  #endPause: (() => void) | undefined;

  constructor(parts: PusherParts) {
    this.#parts = parts;
  }

  /** There is something to push. */
  wake(): void {
    this.#woken = true;
    if (this.#stopped || this.#running !== undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#woken) this.wake();
    });
  }

  /** The server may be reachable now: does not wait for the rest of a pause. */
  retryNow(): void {
    this.#failures = 0;
    this.#endPause?.();
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#woken && !this.#stopped) {
      this.#woken = false;
      try {
        await this.#drain();
      } catch (error) {
        this.#woken = true;
        this.#failures += 1;
        const reason = error instanceof Error ? error.message : String(error);
        this.#parts.audit.write('push-failed', { attempt: this.#failures, reason });
        this.#parts.log.warn({ attempt: this.#failures, reason }, 'the MCPTT server did not take a push');
        await this.#pause(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failures - 1)));
      }
    }
  }

  async #drain(): Promise<void> {
    for (;;) {
      const queued = await this.#parts.store.queuedPushes(BATCH);
      if (queued.length === 0 || this.#stopped) return;
      await this.#deliver(queued);
      this.#failures = 0;
    }
  }

  async #deliver(queued: readonly QueuedPush[]): Promise<void> {
    const { compose, post, delivered, audit } = this.#parts;
    const composed = await Promise.all(queued.map(async (push) => ({ push, news: await compose(push) })));
    const news = composed.map((item) => item.news).filter((item) => item !== undefined);
    const acknowledged = new Set(news.length === 0 ? [] : await post(news));
    let missing = 0;
    for (const { push, news: sent } of composed) {
      if (sent !== undefined && !acknowledged.has(push.keyId)) {
        missing += 1;
        continue;
      }
      if (sent !== undefined) audit.write('pushed', { keyId: push.keyId, what: push.what, to: 'server' });
      await delivered(push);
    }
    if (missing > 0) throw new Error(`the MCPTT server did not acknowledge ${missing} of ${news.length} Key IDs`);
  }

  /** Growing pauses, each shortened by up to a quarter at random so that replicas do not move in step. */
  #pause(longest: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#endPause = undefined;
        resolve();
      };
      const timer = this.#parts.clock.setTimer(longest * (1 - Math.random() / 4), end);
      this.#endPause = end;
    });
  }
}
