/** The control handle of an actor in another process or container. */
import { setTimeout } from 'node:timers/promises';
import { Agent, fetch } from 'undici';
import type { MessageRecord } from '../trace/record.ts';
import {
  type ActorControl,
  type ActorKind,
  ControlError,
  type ControlErrorCode,
  type Json,
  type JsonObject,
  type TlsIdentity,
} from './actor.ts';
import { type ControlAnswer, fromLine, LIFE_HEADER, PATHS } from './wire.ts';

/** Longest that a verb may take; scenarios have shorter guards of their own. */
const ANSWER_MS = 60_000;
/** Verbs that run at one time; more wait for their turn, since a TLS handshake costs more than most verbs. */
const CONNECTIONS = 32;
/**
 * Longest that a connection may take to be established. An actor that starts again in another place leaves attempts at the old
 * one without any answer; the next attempt finds the new one.
 */
const CONNECT_MS = 2_000;
/** Attempts to connect for one verb or reading; nothing has been sent before one succeeds. */
const CONNECT_ATTEMPTS = 5;
/** How long a connection lies idle before it is closed. */
const IDLE_MS = 10_000;
/** Longest that records may lag behind the answer of the verb that made them. */
const RECORDS_MS = 30_000;
const OFFSET_SAMPLES = 5;
/** Pause before the record stream of an actor that went away is asked for again. */
const RECONNECT_MS = 100;

export interface RemoteActor {
  readonly name: string;
  readonly kind: ActorKind;
  /** Base URL of the control interface, `https://host:port`. */
  readonly url: string;
  /** The runner's certificate (see {@link RUNNER_URI}). */
  readonly tls: TlsIdentity;
}

interface RecordStream {
  readonly isOfTheLifeAskedFor: boolean;
  readonly body: ReadableStream;
}

export class RemoteControl implements ActorControl {
  readonly name: string;
  readonly kind: ActorKind;
  readonly #url: string;
  readonly #agent: Agent;
  readonly #closed = new AbortController();
  readonly #listeners = new Set<(record: MessageRecord) => void>();
  readonly #waiters = new Set<() => void>();
  /** Sequence number of the next record to come; undefined before the stream has been opened. */
  #next: number | undefined;
  #life = '';
  #run: string | undefined;
  #streaming: Promise<void> | undefined;

  constructor(actor: RemoteActor) {
    this.name = actor.name;
    this.kind = actor.kind;
    this.#url = actor.url;
    const { certificate, privateKey, ca } = actor.tls;
    this.#agent = new Agent({
      connect: { cert: certificate, key: privateKey, ca, timeout: CONNECT_MS },
      connections: CONNECTIONS,
      keepAliveMaxTimeout: IDLE_MS,
      bodyTimeout: 0,
      headersTimeout: ANSWER_MS,
    });
  }

  /**
   * Begins to follow the actor's records, from those on that it makes after this call.
   * @param run names a run that wants the actor for itself, until it closes or is gone; without it anybody may follow
   * @throws ControlError `CONTROL_BUSY` while another run has the actor
   */
  async open(run?: string): Promise<void> {
    const { records, life, error } = await this.#ask(`${PATHS.read}/health`, {});
    if (life === '') throw refused(error);
    this.#life = life;
    this.#next = records;
    this.#run = run;
    this.#streaming = this.#follow(await this.#records());
  }

  async do<T>(verb: string, args: JsonObject = {}): Promise<T> {
    return (await this.#call(`${PATHS.do}/${encodeURIComponent(verb)}`, args)) as T;
  }

  async read<T>(what: string, args: JsonObject = {}): Promise<T> {
    return (await this.#call(`${PATHS.read}/${encodeURIComponent(what)}`, args)) as T;
  }

  onRecord(listener: (record: MessageRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** How far the actor's wall clock is ahead of this process's, by the sample with the shortest round trip. */
  async clockOffset(): Promise<number> {
    let best = { round: Number.POSITIVE_INFINITY, offset: 0 };
    for (let i = 0; i < OFFSET_SAMPLES; i++) {
      const sent = performance.timeOrigin + performance.now();
      const response = await this.#fetch('GET', PATHS.clock);
      const { now } = (await response.json()) as { now: number };
      const back = performance.timeOrigin + performance.now();
      if (back - sent < best.round) best = { round: back - sent, offset: now - (sent + back) / 2 };
    }
    return best.offset;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#streaming;
    await this.#agent.destroy();
  }

  async #call(path: string, args: JsonObject): Promise<Json> {
    const answer = await this.#ask(path, args);
    this.#live(answer.life);
    await this.#recordsUpTo(answer.records);
    if (answer.error !== undefined) throw refused(answer.error);
    return (answer.value ?? null) as Json;
  }

  async #ask(path: string, args: JsonObject): Promise<ControlAnswer> {
    const response = await this.#fetch('POST', path, JSON.stringify(args));
    return (await response.json()) as ControlAnswer;
  }

  /** @param bounds of the whole exchange, its body included; the head of an answer has one in any case */
  async #fetch(
    method: 'GET' | 'POST',
    path: string,
    body?: string,
    bounds: readonly AbortSignal[] = [AbortSignal.timeout(ANSWER_MS)],
  ): Promise<Awaited<ReturnType<typeof fetch>>> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const signal = AbortSignal.any([this.#closed.signal, ...bounds]);
    for (let attempt = 1; ; attempt++) {
      try {
        return await fetch(this.#url + path, {
          method,
          headers,
          dispatcher: this.#agent,
          signal,
          ...(body === undefined ? {} : { body }),
        });
      } catch (cause) {
        const { name, message } = cause as Error;
        const reason = (cause as Error).cause as NodeJS.ErrnoException | undefined;
        if (reason?.code === 'UND_ERR_CONNECT_TIMEOUT' && attempt < CONNECT_ATTEMPTS && !signal.aborted) continue;
        throw new ControlError(
          name === 'TimeoutError' ? 'CONTROL_TIMEOUT' : 'CONTROL_UNREACHABLE',
          `${this.name} at ${this.#url} did not answer: ${reason?.message ?? message}`,
        );
      }
    }
  }

  /** Waits until the stream has delivered all records below `count`. */
  async #recordsUpTo(count: number): Promise<void> {
    if (this.#next === undefined || this.#next >= count) return;
    await new Promise<void>((resolve, reject) => {
      const timer = globalThis.setTimeout(() => {
        this.#waiters.delete(check);
        reject(
          new ControlError(
            'CONTROL_TIMEOUT',
            `${this.name} made ${count} records, but only ${this.#next} came within ${RECORDS_MS} ms`,
          ),
        );
      }, RECORDS_MS);
      const check = (): void => {
        if ((this.#next ?? 0) < count) return;
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve();
      };
      this.#waiters.add(check);
    });
  }

  /** A restarted actor counts from zero again. */
  #live(life: string): void {
    if (this.#next === undefined || life === '' || life === this.#life) return;
    this.#life = life;
    this.#next = 0;
  }

  /** Asks for the record stream. @throws ControlError `CONTROL_BUSY` */
  async #records(): Promise<RecordStream> {
    const query = new URLSearchParams({
      from: String(this.#next),
      ...(this.#run === undefined ? {} : { run: this.#run }),
    });
    const asked = this.#life;
    const response = await this.#fetch('GET', `${PATHS.records}?${query.toString()}`, undefined, []);
    if (response.status !== 200) throw refused(((await response.json()) as ControlAnswer).error);
    const life = response.headers.get(LIFE_HEADER) ?? '';
    this.#live(life);
    return { isOfTheLifeAskedFor: life === asked, body: response.body! };
  }

  /** Reads the record stream, and takes it up again where it broke, until closed. */
  async #follow(first: RecordStream): Promise<void> {
    const { signal } = this.#closed;
    for (let stream: RecordStream | undefined = first; !signal.aborted; stream = undefined) {
      try {
        const { isOfTheLifeAskedFor, body } = stream ?? (await this.#records());
        // Else the number asked for was another life's, whether this answer is the first to tell or a verb's was.
        if (isOfTheLifeAskedFor) await this.#readRecords(body);
        else await body.cancel();
      } catch {
        // Away for now; a verb or reading that needs the actor says so, with its bound.
      }
      await setTimeout(RECONNECT_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #readRecords(body: ReadableStream): Promise<void> {
    let rest = '';
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#deliver(fromLine(line));
    }
  }

  #deliver(record: MessageRecord): void {
    this.#next = record.sequence + 1;
    for (const listener of this.#listeners) listener(record);
    for (const waiter of [...this.#waiters]) waiter();
  }
}

const refused = (error: ControlAnswer['error']): ControlError =>
  new ControlError(
    (error?.code ?? 'CONTROL_FAILED') as ControlErrorCode,
    error?.message ?? 'the control interface refused, and did not say why',
    error?.actorCode,
    error?.detail,
  );
