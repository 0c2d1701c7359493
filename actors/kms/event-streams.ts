/**
 * Server-sent events to the clients (docs/interfaces.md, HTTP-1): `event: cek` or `cek-end`, `id:` the store's, `data:` base64
 * of the XML element. A stream starts after `Last-Event-ID`, or with everything that the store has for the client, so that
 * nothing falls between the answer to a request and the opening of the stream.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSession, type Session } from 'better-sse';
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';
import { spanOf } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { buildCekEvent, type CekNews } from '../messages/kms/cek.ts';
import type { Audit } from './audit.ts';
import type { KmsStore, StoredEvent } from './store.ts';

export interface EventStreamsParts {
  readonly store: KmsStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly report: Report;
  /** What to send for an event, sealed anew each time; undefined when its CEK has ended since. */
  readonly compose: (event: StoredEvent) => Promise<CekNews | undefined>;
}

interface Stream {
  readonly userUri: string;
  readonly clientId: string | undefined;
  readonly mayHaveKeys: () => boolean;
  readonly session: Session;
  readonly response: ServerResponse;
  /** Names the exchange in message records; the client's records have the same. */
  readonly span: string | undefined;
  sent: number;
  pumping: Promise<void> | undefined;
  again: boolean;
}

/** The session notices an end only once the connection has closed; between the two nothing may be written. */
const isOpen = ({ session, response }: Stream): boolean => session.isConnected && !response.writableEnded;

const BATCH = 64;
/** What a client waits before it connects again, milliseconds. */
const RETRY = 500;
const KEEP_ALIVE = 15_000;

export class EventStreams {
  readonly #parts: EventStreamsParts;
  readonly #streams = new Set<Stream>();

  constructor(parts: EventStreamsParts) {
    this.#parts = parts;
  }

  get open(): number {
    return this.#streams.size;
  }

  /**
   * Turns a request into a stream, which ends with the connection or when the token does.
   * @param whose `mayHaveKeys` is what policy says at the moment; without it the client learns of ends alone
   * @param after the last event that the client has, 0 for none; one that there has not been counts as none
   * @param until when the client's authorization ends, milliseconds since 1970: it then comes again with another token
   */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    whose: { userUri: string; clientId?: string; mayHaveKeys: () => boolean },
    after: number,
    until: number,
  ): Promise<void> {
    const sent = after > (await this.#parts.store.newestEvent()) ? 0 : after;
    const span = spanOf(request.headers.traceparent as string | undefined);
    const { rawHeaders, method, url } = request;
    const lines = rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
    this.#report('received', `${method} ${url} HTTP/1.1\r\n${lines}\r\n`, span, 'request');
    this.#report('sent', 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n', span, 'response');
    const session = await createSession(request, response, { retry: RETRY, keepAlive: KEEP_ALIVE, serializer: String });
    const stream: Stream = {
      userUri: whose.userUri,
      clientId: whose.clientId,
      mayHaveKeys: whose.mayHaveKeys,
      session,
      response,
      span,
      sent,
      pumping: undefined,
      again: false,
    };
    const ending: TimerHandle = this.#parts.clock.setTimer(until - this.#parts.clock.now(), () => response.end());
    this.#streams.add(stream);
    // What the connection does not take any more, the client asks for when it comes again.
    response.on('error', (error) => this.#parts.log.debug({ error: error.message }, 'an event stream broke'));
    session.once('disconnected', () => {
      ending.cancel();
      this.#streams.delete(stream);
    });
    this.#pump(stream);
  }

  /** There are new events for a user. */
  notify(userUri: string): void {
    for (const stream of this.#streams) if (stream.userUri === userUri) this.#pump(stream);
  }

  async stop(): Promise<void> {
    for (const stream of [...this.#streams]) await stream.pumping;
    this.#streams.clear();
  }

  #pump(stream: Stream): void {
    stream.again = true;
    stream.pumping ??= this.#send(stream)
      .catch((error: unknown) => {
        // The client comes again with Last-Event-ID and misses nothing.
        this.#parts.log.warn({ error }, 'an event stream broke');
        stream.response.destroy();
      })
      .finally(() => {
        stream.pumping = undefined;
        if (stream.again && isOpen(stream)) this.#pump(stream);
      });
  }

  async #send(stream: Stream): Promise<void> {
    while (stream.again) {
      stream.again = false;
      for (;;) {
        const whose = {
          userUri: stream.userUri,
          ...(stream.clientId === undefined ? {} : { clientId: stream.clientId }),
        };
        const events = await this.#parts.store.eventsAfter(whose, stream.sent, BATCH);
        if (events.length === 0) break;
        for (const event of events) {
          const withheld = event.what === 'cek' && !stream.mayHaveKeys();
          const news = withheld ? undefined : await this.#parts.compose(event);
          if (!isOpen(stream)) return;
          if (news !== undefined) this.#push(stream, event, news);
          stream.sent = event.id;
        }
      }
    }
  }

  #push(stream: Stream, { keyId, what, userUri, clientId, ...event }: StoredEvent, news: CekNews): void {
    const [id, type] = [String(event.id), what === 'cek' ? 'cek' : 'cek-end'];
    const data = buildCekEvent(news);
    this.#parts.audit.write('pushed', { keyId, what, to: 'client', userUri, clientId });
    this.#report('sent', `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`, stream.span, `event-${id}`);
    stream.session.push(data, type, id);
  }

  #report(direction: 'sent' | 'received', text: string, span: string | undefined, part: string): void {
    const correlation = span === undefined ? {} : { correlation: `${span}/${part}` };
    const bytes = Buffer.from(text, 'utf8');
    this.#parts.report({ direction, interface: 'HTTP-1', peer: 'ue', protocol: 'http', bytes, ...correlation });
  }
}
