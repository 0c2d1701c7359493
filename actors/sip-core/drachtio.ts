/**
 * drachtio-srf as the core uses it: connected with a bound, typed, and telling each message that the application sees.
 * Everything else in this folder knows SIP through these few functions only.
 */
import type { Socket } from 'node:net';
import Srf from 'drachtio-srf';
import type { Clock } from '../../sim/engine/clock.ts';
import type { InterfaceName } from '../../sim/trace/record.ts';
import { SipCoreError } from './config.ts';

/** Header fields as drachtio-srf takes and gives them: lower-case names, values of one name joined by commas. */
export type Headers = Record<string, string>;

/** A message as drachtio-srf parsed it; `raw` is the text that crossed the control port. */
export interface SipMessage {
  readonly raw: string;
  readonly headers: Readonly<Headers>;
  readonly body: string | undefined;
  get(name: string): string | undefined;
}

export interface SipRequest extends SipMessage {
  readonly method: string;
  readonly uri: string;
  /** `tcp`, `tls` or `udp`; WebSocket shows as the transport below it. */
  readonly protocol: string;
  readonly source_address: string;
  readonly source_port: number;
  /** `host:port` that a request outside a dialog arrived at. */
  readonly receivedOn?: string;
}

export interface SipResponse extends SipMessage {
  readonly status: number;
  readonly reason: string;
}

interface RawResponse extends SipResponse {
  readonly finalResponseSent: boolean;
  send(
    status: number,
    reason: string | undefined,
    content: { headers?: Headers; body?: string },
    sent: (error: unknown, message?: SipMessage) => void,
  ): void;
}

interface RawRequest extends SipRequest {
  on(event: 'response', listener: (response: SipResponse) => void): void;
  proxy(options: object, done: (error: unknown, results?: ProxyResults) => void): void;
}

interface ProxyResults {
  readonly responses: readonly { readonly msgs: readonly { readonly msg: SipMessage }[] }[];
  readonly finalStatus?: number;
}

/** The part of Srf that is used; the package's own types leave out the callback forms that are needed here. */
interface RawSrf {
  connect(options: object): void;
  on(event: 'connect', listener: (error: Error | null, hostports?: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'close', listener: () => void): void;
  use(method: string, handler: (request: RawRequest, response: RawResponse) => void): void;
  request(uri: string, options: object, sent: (error: unknown, request?: RawRequest) => void): void;
  /** The client of the control port and its connections, of which there is one at most. */
  readonly app: { readonly client?: { readonly wp: { closing?: boolean }; readonly mapServer: Map<Socket, unknown> } };
}

/** Which interface a message is on, for its record. */
export interface Hop {
  readonly interface: InterfaceName;
  readonly peer: string;
}

export interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Headers;
  readonly body?: string;
}

export interface OutgoingRequest {
  readonly method: string;
  readonly uri: string;
  /** Next hop, when it is not the Request-URI. */
  readonly nextHop?: string;
  readonly headers: Headers;
  readonly body?: string;
}

/** An incoming request and the ways to deal with it. */
export interface Incoming {
  readonly request: SipRequest;
  readonly hop: Hop;
  /** Sends the final response. @returns it as it went out */
  answer(answer: Answer): Promise<SipMessage>;
  /** Has the engine proxy the request, Record-Route included. @returns the final status, undefined when there was none */
  proxy(destination: string, headers: Headers, to: Hop): Promise<number | undefined>;
}

export interface DrachtioOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly connectMs: number;
  readonly clock: Clock;
  /** Tells one message. */
  readonly tell: (direction: 'sent' | 'received', hop: Hop, raw: string) => void;
  /** The hop that an incoming request came over. */
  readonly hopOf: (request: SipRequest) => Hop;
  readonly onRequest: (incoming: Incoming) => Promise<void>;
  /** A handler failed, or the control connection did. */
  readonly onError: (error: unknown, what: string) => void;
}

const METHODS = [
  'register',
  'publish',
  'message',
  'invite',
  'options',
  'subscribe',
  'notify',
  'info',
  'refer',
] as const;

const lost = (): SipCoreError =>
  new SipCoreError('SIP_CORE_SEND_FAILED', 'The connection to the SIP engine has been lost.');

export class Drachtio {
  readonly #options: DrachtioOptions;
  #srf: RawSrf | undefined;
  #hostports: readonly string[] = [];
  #connected = false;
  /** What waits for the engine; it would wait for ever once the connection is gone. */
  readonly #waiting = new Set<(error: SipCoreError) => void>();

  constructor(options: DrachtioOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** `proto/host:port` of each listener of the engine. */
  get hostports(): readonly string[] {
    return this.#hostports;
  }

  /** Connects and registers for requests. @throws SipCoreError SIP_CORE_NO_ENGINE */
  async connect(): Promise<void> {
    const { host, port, secret, connectMs, clock } = this.#options;
    const srf = new Srf() as unknown as RawSrf;
    this.#srf = srf;
    for (const method of METHODS) srf.use(method, (request, response) => this.#take(request, response));
    srf.on('error', (error) => this.#options.onError(error, 'control connection'));
    srf.on('close', () => this.#lose());
    await new Promise<void>((resolve, reject) => {
      const where = `the SIP engine's control port ${host}:${port}`;
      const guard = clock.setTimer(connectMs, () => {
        reject(new SipCoreError('SIP_CORE_NO_ENGINE', `Nothing answered at ${where} within ${connectMs} ms.`));
      });
      srf.on('connect', (error, hostports) => {
        guard.cancel();
        if (error !== null) {
          reject(new SipCoreError('SIP_CORE_NO_ENGINE', `${where} refused the secret; check drachtio.secret.`));
          return;
        }
        this.#connected = true;
        this.#hostports = (hostports ?? '').split(',').filter((hostport) => hostport !== '');
        resolve();
      });
      srf.connect({ host, port, secret });
    }).catch((error: unknown) => {
      this.close();
      throw error;
    });
  }

  /** Sends a request outside any dialog and waits for its final response; the engine's timer F bounds the wait. */
  request(outgoing: OutgoingRequest, hop: Hop): Promise<SipResponse> {
    const { method, uri, nextHop, headers, body } = outgoing;
    const srf = this.#srf;
    if (srf === undefined || !this.#connected) {
      return Promise.reject(lost());
    }
    const options = {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(nextHop === undefined ? {} : { proxy: nextHop }),
    };
    return this.#await((resolve, reject) => {
      srf.request(uri, options, (error, request) => {
        if (error || request === undefined) {
          reject(new SipCoreError('SIP_CORE_SEND_FAILED', `The SIP engine did not send ${method}: ${String(error)}`));
          return;
        }
        this.#options.tell('sent', hop, request.raw);
        request.on('response', (response) => {
          this.#options.tell('received', hop, response.raw);
          if (response.status >= 200) resolve(response);
        });
      });
    });
  }

  close(): void {
    const srf = this.#srf;
    this.#srf = undefined;
    if (srf === undefined) return;
    const { client } = srf.app;
    if (client !== undefined) {
      // srf.disconnect() would forget half a frame and then choke on its other half, which ends the process; and it leaves
      // a client whose engine went away first reconnecting for ever.
      client.wp.closing = true;
      for (const socket of client.mapServer.keys()) {
        socket.removeAllListeners('data').resume();
        socket.destroySoon();
      }
    }
    this.#lose();
  }

  #lose(): void {
    this.#connected = false;
    for (const fail of this.#waiting) fail(lost());
    this.#waiting.clear();
  }

  /** A promise that also ends when the connection does. */
  #await<T>(start: (resolve: (value: T) => void, reject: (error: SipCoreError) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      const settled = (): boolean => this.#waiting.delete(reject);
      start(
        (value) => settled() && resolve(value),
        (error) => settled() && reject(error),
      );
    });
  }

  #take(request: RawRequest, response: RawResponse): void {
    const hop = this.#options.hopOf(request);
    this.#options.tell('received', hop, request.raw);
    const incoming: Incoming = {
      request,
      hop,
      answer: (answer) => this.#answer(response, answer, hop),
      proxy: (destination, headers, to) => this.#proxy(request, destination, headers, to),
    };
    this.#options.onRequest(incoming).catch((error: unknown) => {
      this.#options.onError(error, `${request.method} request`);
      // When even this cannot be sent there is nobody left to tell.
      if (!response.finalResponseSent) incoming.answer({ status: 500 }).catch(() => undefined);
    });
  }

  #answer(response: RawResponse, { status, reason, headers, body }: Answer, hop: Hop): Promise<SipMessage> {
    const content = { ...(headers === undefined ? {} : { headers }), ...(body === undefined ? {} : { body }) };
    return this.#await((resolve, reject) => {
      const sent = (error: unknown, message?: SipMessage): void => {
        if (error || message === undefined) {
          reject(new SipCoreError('SIP_CORE_SEND_FAILED', `The SIP engine did not send ${status}: ${String(error)}`));
          return;
        }
        this.#options.tell('sent', hop, message.raw);
        resolve(message);
      };
      try {
        response.send(status, reason, content, sent);
      } catch {
        // drachtio-srf knows a list of statuses; another one leaves as its class's general one (RFC 3261 8.1.3.2).
        response.send(Math.floor(status / 100) * 100, reason, content, sent);
      }
    });
  }

  #proxy(request: RawRequest, destination: string, headers: Headers, to: Hop): Promise<number | undefined> {
    return this.#await((resolve, reject) => {
      request.proxy({ destination: [destination], remainInDialog: true, headers }, (error, results) => {
        if (error || results === undefined) {
          reject(
            new SipCoreError(
              'SIP_CORE_SEND_FAILED',
              `The SIP engine did not proxy ${request.method}: ${String(error)}`,
            ),
          );
          return;
        }
        for (const { msgs } of results.responses) {
          for (const { msg } of msgs) this.#options.tell('received', to, msg.raw);
        }
        resolve(results.finalStatus);
      });
    });
  }
}
