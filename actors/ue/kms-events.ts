/**
 * The client's event stream from the KMS (HTTP-1): server-sent events, opened again after every loss with the id of the last
 * event that was dealt with, so that none is missed and none counts before it has been taken.
 */
import { randomBytes } from 'node:crypto';
import { EventSource, type FetchLike } from 'eventsource';
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';
import { recordingFetch, spanOf } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { type CekNews, parseCekEvent } from '../messages/kms/cek.ts';
import type { Fetch } from '../messages/kms/https.ts';

export interface KmsEventsOptions {
  readonly url: string;
  readonly fetch: Fetch;
  /** A KMS token that is valid now. */
  readonly token: () => string | Promise<string>;
  /** Deals with one event; the next waits for it. */
  readonly take: (news: CekNews) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
}

/** `lost`: the KMS has refused, or not answered, so often in a row that somebody has to look. */
export type KmsEventsState = 'connecting' | 'open' | 'lost' | 'closed';

const ATTEMPTS = 30;
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 10_000;

export class KmsEvents {
  readonly #options: KmsEventsOptions;
  #source: EventSource | undefined;
  #lastId = '';
  #failures = 0;
  #working: Promise<void> = Promise.resolve();
  #pause: TimerHandle | undefined;
  #span: string | undefined;
  #state: KmsEventsState = 'connecting';
  readonly #watching = new Set<() => void>();

  constructor(options: KmsEventsOptions) {
    this.#options = options;
    this.#connect();
  }

  get state(): KmsEventsState {
    return this.#state;
  }

  /** Resolves once the stream is open, or can no longer be: see {@link state}. */
  async settled(): Promise<KmsEventsState> {
    while (this.#state === 'connecting') await new Promise<void>((resolve) => this.#watching.add(resolve));
    return this.#state;
  }

  /** As after a lost connection: opens the stream again. */
  reconnect(): void {
    if (this.#state === 'closed') return;
    this.#source?.close();
    this.#pause?.cancel();
    this.#failures = 0;
    this.#become('connecting');
    this.#connect();
  }

  /** Loses the connection without a word; the stream is opened again after the pause that follows every loss. */
  drop(): void {
    if (this.#state === 'closed') return;
    this.#source?.close();
    this.#become('connecting');
    this.#again();
  }

  async close(): Promise<void> {
    this.#become('closed');
    this.#source?.close();
    this.#pause?.cancel();
    await this.#working;
  }

  #connect(): void {
    const source = new EventSource(this.#options.url, { fetch: this.#fetch });
    this.#source = source;
    source.addEventListener('open', () => {
      this.#failures = 0;
      if (this.#state !== 'closed') this.#become('open');
    });
    for (const type of ['cek', 'cek-end']) {
      source.addEventListener(type, (event) => this.#arrived(type, event.lastEventId, String(event.data)));
    }
    source.addEventListener('error', (event) => {
      if (this.#source !== source || this.#state === 'closed') return;
      this.#options.log.debug({ status: event.code ?? null }, 'the event stream from the KMS was lost');
      this.#become('connecting');
      // Every loss comes through here, so that there is one pace and one bound for all of them.
      source.close();
      this.#again();
    });
  }

  #again(): void {
    this.#failures += 1;
    if (this.#failures >= ATTEMPTS) {
      this.#options.log.error({ attempts: ATTEMPTS }, 'the event stream from the KMS cannot be opened');
      this.#become('lost');
      return;
    }
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failures - 1));
    this.#pause = this.#options.clock.setTimer(pause, () => this.#connect());
  }

  #arrived(type: string, id: string, data: string): void {
    const { report, take, log } = this.#options;
    const bytes = Buffer.from(`id: ${id}\nevent: ${type}\ndata: ${data}\n\n`, 'utf8');
    const correlation = this.#span === undefined ? {} : { correlation: `${this.#span}/event-${id}` };
    report({ direction: 'received', interface: 'HTTP-1', peer: 'kms', protocol: 'http', bytes, ...correlation });
    this.#working = this.#working.then(async () => {
      try {
        await take(parseCekEvent(data));
      } catch (error) {
        const { code, message } = error as { code?: unknown; message: string };
        log.error({ id, type, code: String(code), error: message }, 'an event from the KMS was not taken');
      }
      this.#lastId = id;
    });
  }

  readonly #fetch: FetchLike = async (url, init) => {
    await this.#working;
    const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
    this.#span = spanOf(traceparent);
    const headers: Record<string, string> = {
      accept: init.headers.Accept,
      traceparent,
      authorization: `Bearer ${await this.#options.token()}`,
      ...(this.#lastId === '' ? {} : { 'last-event-id': this.#lastId }),
    };
    const send = recordingFetch(this.#options.fetch, this.#options.report, { interface: 'HTTP-1', peer: 'kms' });
    return send(String(url), { headers, signal: init.signal as AbortSignal });
  };

  #become(state: KmsEventsState): void {
    this.#state = state;
    for (const seen of this.#watching) seen();
    this.#watching.clear();
  }
}
