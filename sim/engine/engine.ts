import { type Clock, systemClock } from './clock.ts';
import type { AppConnection } from './control/connection.ts';
import { Controller } from './control/controller.ts';
import { STRICT_FRAMES, WIDE_FRAMES } from './control/framing.ts';
import { type RequestHandler, RequestHandlers } from './control/outbound.ts';
import { Routes } from './control/routes.ts';
import { ControlServer, type ControlTls } from './control/server.ts';
import { LocalAddresses } from './core/addresses.ts';
import { AfterTurn } from './core/after-turn.ts';
import { CallRecords } from './core/cdr.ts';
import type { Core, Log } from './core/core.ts';
import { Dispatcher } from './core/dispatcher.ts';
import { FlowCache } from './core/flow-cache.ts';
import { Uac } from './core/uac.ts';
import { Uas } from './core/uas.ts';
import { Calls } from './dialog/calls.ts';
import { Dialogs } from './dialog/dialogs.ts';
import { EngineError } from './errors.ts';
import { Ids } from './ids.ts';
import { SipParseError } from './message/index.ts';
import { ProxyCore } from './proxy/proxy.ts';
import { TimerWheel } from './timers.ts';
import { Transactions } from './transaction/transactions.ts';
import { type BoundPoint, type Protocol, TransportLayer, type TransportLimits } from './transport/index.ts';

export interface EngineTls {
  /** PEM, certificate chain. */
  readonly certificate: string | Buffer;
  /** PEM. */
  readonly privateKey: string | Buffer;
  /** PEM: authorities trusted for outgoing TLS and WSS. */
  readonly ca?: string | Buffer;
}

export interface EngineOptions {
  /** SIP sockets. Port 0 lets the system choose. tls and wss need `tls`. */
  readonly listen: readonly { readonly protocol: Protocol; readonly host: string; readonly port: number }[];
  /** The control port. drachtio's secret is no protection: bind it to loopback. */
  readonly control: {
    readonly host: string;
    readonly port: number;
    readonly secret: string;
    /** Given: applications connect with TLS; with `ca`, they must show a certificate of it. */
    readonly tls?: ControlTls;
  };
  /** Applications to connect to for each new request of a method; before those that have connected by themselves. */
  readonly requestHandlers?: readonly RequestHandler[];
  readonly tls?: EngineTls;
  /** Host names to numeric addresses. */
  readonly hosts?: Readonly<Record<string, string>>;
  readonly limits?: Partial<TransportLimits>;
  /** Applies the limits of a real drachtio-server, so that what works here works there. Default true. */
  readonly strict?: boolean;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface EngineAddresses {
  readonly control: { readonly host: string; readonly port: number };
  /** In the order of `listen`. */
  readonly listen: readonly BoundPoint[];
}

/** Counts of what an engine holds, for figures and leak tests. */
export interface EngineFigures {
  readonly applications: number;
  /** Verbs that some application serves. */
  readonly routes: number;
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly dialogs: number;
  readonly unanswered: number;
  readonly timers: number;
  readonly registeredFlows: number;
}

/**
 * A SIP stack behind drachtio's control protocol: drachtio-srf applications connect to `control` as they would to a
 * drachtio-server.
 *
 * @example
 * const engine = new Engine({
 *   listen: [{ protocol: 'udp', host: '127.0.0.1', port: 0 }],
 *   control: { host: '127.0.0.1', port: 0, secret: 'cymru' },
 * });
 * const { control } = await engine.start();
 * srf.connect({ host: control.host, port: control.port, secret: 'cymru' });
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #core: Core;
  readonly #wheel: TimerWheel;
  readonly #transactions: Transactions;
  readonly #afterTurn: AfterTurn;
  readonly #transport: TransportLayer;
  readonly #control: ControlServer;
  readonly #uas: Uas;
  readonly #routes = new Routes<AppConnection>();
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: EngineOptions) {
    this.#options = options;
    const { tls, limits, hosts } = options;
    const strict = options.strict ?? true;
    const clock = options.clock ?? systemClock;
    const log: Log = options.log ?? (() => undefined);
    this.#wheel = new TimerWheel(clock, (error) => log('warn', `a timer failed: ${describe(error)}`));
    this.#afterTurn = new AfterTurn((error) => log('warn', `a frame failed: ${describe(error)}`));
    this.#transactions = new Transactions(this.#wheel);
    this.#transport = new TransportLayer({
      clock,
      onMessage: (message, flow) => {
        try {
          dispatcher.receive(message, flow);
        } catch (error) {
          // A malformed header that only the layers above look at: the transport layer answers with 400.
          if (error instanceof SipParseError) throw error;
          // One message must not end the process, whatever it is that nobody thought of.
          log('warn', `${message.method} ${message.callId ?? ''}: ${describe(error)}`);
        }
      },
      onFlowClosed: (flow) => this.#core.flows.forget(flow),
      onError: (error) => log('warn', `a message failed: ${describe(error)}`),
      onRefused: (error, flow) => log('info', `refused from ${flow.remoteAddress}: ${error.message}`),
      ...(limits === undefined ? {} : { limits }),
      ...(hosts === undefined ? {} : { hosts }),
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    });
    const ids = new Ids();
    const core: Core = {
      clock,
      wheel: this.#wheel,
      ids,
      transport: this.#transport,
      local: new LocalAddresses(this.#transport),
      transactions: this.#transactions,
      dialogs: new Dialogs(this.#wheel),
      flows: new FlowCache(clock, this.#transport),
      afterTurn: this.#afterTurn,
      records: new CallRecords(clock, this.#routes),
      log,
      strict,
    };
    this.#core = core;
    const routes = this.#routes;
    const calls = new Calls(core);
    const uas = new Uas(core, routes, calls);
    const uac = new Uac(core, calls);
    calls.connect(uas, uac);
    this.#uas = uas;
    const dispatcher = new Dispatcher(core, calls, uas);
    const proxy = new ProxyCore(core, uas);
    const { host, port, secret } = options.control;
    this.#control = new ControlServer(
      {
        host,
        port,
        limits: strict ? STRICT_FRAMES : WIDE_FRAMES,
        newId: () => ids.uuid(),
        ...(options.control.tls === undefined ? {} : { tls: options.control.tls }),
      },
      new Controller({ core, routes, calls, uas, uac, proxy, secret }),
    );
    const handlers = new RequestHandlers(options.requestHandlers ?? []);
    uas.bring = (method) => {
      const socket = handlers.connect(method);
      return socket === undefined ? undefined : this.#control.adopt(socket, true);
    };
  }

  /** Opens all sockets. @throws {EngineError} `ERR_ENGINE_LISTEN`, after which the engine is stopped. */
  async start(): Promise<EngineAddresses> {
    if (this.#state !== 'new') throw new EngineError('ERR_ENGINE_STATE', 'an engine starts once: make a new one');
    this.#state = 'running';
    try {
      const listen: BoundPoint[] = [];
      for (const point of this.#options.listen) listen.push(await this.#open(point));
      return { control: await this.#control.listen(), listen };
    } catch (error) {
      await this.stop();
      if (error instanceof EngineError) throw error;
      throw new EngineError('ERR_ENGINE_LISTEN', describe(error), { cause: error });
    }
  }

  /** Closes every socket and drops every timer; what was under way ends in silence. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#afterTurn.stop();
    await this.#control.close();
    this.#transactions.stop();
    this.#wheel.stop();
    await this.#transport.close();
  }

  get figures(): EngineFigures {
    const { servers, clients } = this.#transactions.size;
    return {
      applications: this.#control.connections.size,
      routes: this.#routes.size,
      serverTransactions: servers,
      clientTransactions: clients,
      dialogs: this.#core.dialogs.size,
      unanswered: this.#uas.pending,
      timers: this.#wheel.pending,
      registeredFlows: this.#core.flows.size,
    };
  }

  async #open(point: EngineOptions['listen'][number]): Promise<BoundPoint> {
    const secure = point.protocol === 'tls' || point.protocol === 'wss';
    const { tls } = this.#options;
    if (secure && tls === undefined) {
      throw new EngineError('ERR_ENGINE_CONFIG', `${point.protocol} needs the option tls: certificate and private key`);
    }
    return this.#transport.listen(secure ? { ...point, tls: { key: tls!.privateKey, cert: tls!.certificate } } : point);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
