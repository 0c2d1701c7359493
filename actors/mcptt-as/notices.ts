/**
 * What the KMS has yet to hear of: CEKs that have ended at the server (7.x.3). Each end is kept until the KMS has acknowledged
 * it, over a restart of the server too, or until it no longer matters.
 */
import { randomUUID } from 'node:crypto';
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';

/** Which CEKs have ended: those of a SIP session, or of one of its users; or just the ones that are named. */
export interface EndedAtServer {
  readonly sipSession: string;
  readonly userUri?: string;
  readonly reason: string;
  /** The Key IDs that the server held. */
  readonly keyIds: readonly string[];
  /** Only these Key IDs: the session, or the user on it, may have begun anew since. */
  readonly only?: boolean;
}

export interface Notice extends EndedAtServer {
  readonly id: string;
  /** When it is given up, milliseconds since 1970. */
  readonly until: number;
}

/** Narrow and asynchronous, so that replicas can share what is to be told. */
export interface NoticeStore {
  /** Adds, or replaces the one of the same id. */
  put(notice: Notice): Promise<void>;
  delete(notice: Notice): Promise<void>;
  all(): Promise<Notice[]>;
}

export function memoryNoticeStore(): NoticeStore {
  const notices = new Map<string, Notice>();
  return {
    put: (notice) => Promise.resolve(void notices.set(notice.id, notice)),
    delete: ({ id }) => Promise.resolve(void notices.delete(id)),
    all: () => Promise.resolve([...notices.values()]),
  };
}

export interface NoticesOptions {
  readonly store: NoticeStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells the KMS; resolves once it has acknowledged. */
  readonly tellKms: (ended: EndedAtServer) => Promise<void>;
  /** Whether the session may have other CEKs by now than those that ended: a late notice then names Key IDs only. */
  readonly mayHaveBegunAnew: (ended: EndedAtServer) => Promise<boolean>;
}

/** Delays before the KMS is told again, when it could not be reached; the last goes on. */
const AGAIN_MS = [1_000, 5_000, 30_000];
/** A day: by then the KMS has ended the key by itself, unless policy lets keys live for longer. */
const KEPT_MS = 86_400_000;

export class Notices {
  readonly #options: NoticesOptions;
  readonly #timers = new Map<string, TimerHandle>();
  #stopped = false;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /**
   * Keeps an end, to be done before anything is forgotten by which it could be found again.
   * @returns tells the KMS, without waiting for it
   */
  async keep(ended: EndedAtServer): Promise<() => void> {
    const { store, clock } = this.#options;
    const notice = { ...ended, id: randomUUID(), until: clock.now() + KEPT_MS };
    await store.put(notice);
    return () => void this.#tell(notice, 0);
  }

  /** After a restart: tells what was kept. Resolves when each has been tried once. */
  async resume(): Promise<void> {
    this.#stopped = false;
    this.#disarm();
    await Promise.all((await this.#options.store.all()).map((notice) => this.#tellLate(notice, 0)));
  }

  stop(): void {
    this.#stopped = true;
    this.#disarm();
  }

  #disarm(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  async #tellLate(notice: Notice, attempt: number): Promise<void> {
    const only = await this.#options.mayHaveBegunAnew(notice);
    await this.#tell({ ...notice, only }, attempt);
  }

  async #tell(notice: Notice, attempt: number): Promise<void> {
    const { store, clock, log, tellKms } = this.#options;
    const { id, until, ...ended } = notice;
    try {
      if (ended.only !== true || ended.keyIds.length > 0) await tellKms(ended);
      await store.delete(notice);
    } catch (error) {
      const delay = AGAIN_MS[attempt] ?? AGAIN_MS.at(-1)!;
      const again = !this.#stopped && clock.now() + delay <= until;
      log.warn(
        { error: (error as Error).message, again: again ? delay : 'never' },
        'the KMS could not be told that a CEK has ended',
      );
      if (again) {
        const later = (): void => {
          this.#timers.delete(id);
          this.#tellLate(notice, attempt + 1).catch((failure: Error) =>
            log.error({ error: failure.message }, 'an end of a CEK is kept, and told after a restart'),
          );
        };
        // Told by both the end itself and a resume: the later one goes on.
        this.#timers.get(id)?.cancel();
        this.#timers.set(id, clock.setTimer(delay, later));
      } else if (!this.#stopped) await store.delete(notice).catch(() => undefined);
    }
  }
}
