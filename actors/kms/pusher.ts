/**
 * The pushes to the MCPTT server: taken from the store in the order in which they were queued, sent in batches, repeated with
 * growing pauses until the server has acknowledged each. While it cannot be reached everything waits; what it leaves out of an
 * answer waits alone, and holds up no other. What was queued before a restart is sent after it.
 */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import type { CekNews } from '../messages/kms/cek.ts';
import type { Audit } from './audit.ts';
import { DueTimer } from './due-timer.ts';
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
  /** By the id of a push: how often the server has not acknowledged it, and when it is sent again. */
  readonly #refused = new Map<number, { attempt: number; again: number }>();
  readonly #again: DueTimer;

  constructor(parts: PusherParts) {
    this.#parts = parts;
    const work = (): Promise<void> => Promise.resolve(this.wake());
    this.#again = new DueTimer({ clock: parts.clock, log: parts.log, work, failure: 'pushes could not be sent again' });
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
    this.#refused.clear();
    this.#endPause?.();
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.#again.stop();
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
        await this.#pause(pauseAfter(this.#failures));
      }
    }
  }

  /** Sends what is queued, but for what was refused and is not due again. @throws Error when the server cannot be reached */
  async #drain(): Promise<void> {
    const now = this.#parts.clock.now();
    const waits = (id: number): boolean => (this.#refused.get(id)?.again ?? now) > now;
    for (let after = 0; ; ) {
      const queued = await this.#parts.store.queuedPushes(BATCH, after);
      if (queued.length === 0 || this.#stopped) break;
      after = queued.at(-1)!.id;
      const due = queued.filter(({ id }) => !waits(id));
      if (due.length > 0) await this.#deliver(due);
    }
    for (const [id, { again }] of this.#refused) {
      if (waits(id)) this.#again.by(again);
      // It was due, and is queued no more: its CEK has ended.
      else this.#refused.delete(id);
    }
  }

  async #deliver(queued: readonly QueuedPush[]): Promise<void> {
    const { compose, post, delivered, audit } = this.#parts;
    const composed = await Promise.all(queued.map(async (push) => ({ push, news: await compose(push) })));
    const news = composed.map((item) => item.news).filter((item) => item !== undefined);
    const acknowledged = new Set(news.length === 0 ? [] : await post(news));
    if (news.length > 0) this.#failures = 0;
    for (const { push, news: sent } of composed) {
      if (sent !== undefined && !acknowledged.has(push.keyId)) {
        this.#putOff(push);
        continue;
      }
      if (sent !== undefined) audit.write('pushed', { keyId: push.keyId, what: push.what, to: 'server' });
      this.#refused.delete(push.id);
      await delivered(push);
    }
  }

  /** The server has answered, and not acknowledged this one. */
  #putOff({ id, keyId, what }: QueuedPush): void {
    const { audit, log, clock } = this.#parts;
    const attempt = (this.#refused.get(id)?.attempt ?? 0) + 1;
    this.#refused.set(id, { attempt, again: clock.now() + pauseAfter(attempt) });
    audit.write('push-failed', { attempt, keyId, what, reason: 'the MCPTT server did not acknowledge it' });
    log.warn({ attempt, keyId, what }, 'the MCPTT server did not acknowledge a push');
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#endPause = undefined;
        resolve();
      };
      const timer = this.#parts.clock.setTimer(ms, end);
      this.#endPause = end;
    });
  }
}

/** Growing pauses, each shortened by up to a quarter at random so that replicas do not move in step. */
const pauseAfter = (attempt: number): number =>
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (1 - Math.random() / 4);
