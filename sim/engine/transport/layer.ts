import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { buildResponse, type ParseMode, parseMessage, type SipMessage, SipParseError } from '../message/index.ts';
import { choosePoint, peerKey, resolveHost } from './addresses.ts';
import { connect } from './connect.ts';
import type { Connection, ConnectionEvents, ConnectionSetup } from './connection.ts';
import { TransportError } from './errors.ts';
import { type BoundPoint, defaultPort, type Flow, type ListenPoint, type Protocol, type Target } from './flow.ts';
import { DEFAULT_TRANSPORT_LIMITS, type TransportLimits } from './limits.ts';
import { Listener } from './listener.ts';
import { responseRoute, stampSource, topVia } from './source.ts';
import { socketOf, UdpSocket } from './udp.ts';

export interface TransportOptions {
  readonly clock: Clock;
  /**
   * Called for each well-formed message; the top Via of a request has received and rport filled in (RFC 3261 18.2.1,
   * RFC 3581). If it throws a SipParseError on account of a header that only it reads, the message counts as refused.
   */
  readonly onMessage: (message: SipMessage, flow: Flow) => void;
  /** A connection ended, for whatever reason. Not called for UDP. */
  readonly onFlowClosed?: (flow: Flow) => void;
  /** Something thrown that nobody thought of, while a message was taken or a failure was told: it ends here. */
  readonly onError?: (error: unknown) => void;
  /** A message was refused; the layer has answered it, or dropped it, or closed the connection already. */
  readonly onRefused?: (error: SipParseError, flow: Flow) => void;
  readonly limits?: Partial<TransportLimits>;
  /** Host names (lower case) to numeric addresses; the RFC 3263 minimum. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Trusted authorities for outgoing TLS and WSS, PEM. Without it the system's. */
  readonly ca?: string | Buffer | (string | Buffer)[];
  /** Whether certificates of TLS and WSS servers connected to are checked; default true. */
  readonly verifyPeers?: boolean;
}

/** Ports besides its own at which a peer may say that it is to be found over a connection: enough, and bounded. */
const MOST_ALIASES = 8;

/** All listeners and connections of one engine. */
export class TransportLayer {
  readonly #options: TransportOptions;
  readonly #limits: TransportLimits;
  readonly #points: (UdpSocket | Listener)[] = [];
  readonly #connections = new Map<string, Connection>();
  /** Connections by {@link peerKey}: the peer's address, and the port that it said it may be reached at (RFC 5923). */
  readonly #byPeer = new Map<string, Connection>();
  readonly #peerKeys = new WeakMap<Connection, Set<string>>();
  readonly #halfOpen = new Set<Connection>();
  readonly #events: ConnectionEvents;
  #serial = 0;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits };
    this.#events = {
      onOpen: (connection) => {
        this.#halfOpen.delete(connection);
        this.#remember(connection, connection.remotePort);
      },
      onFrame: (octets, broken, connection) => {
        const mode = connection.protocol === 'tcp' || connection.protocol === 'tls' ? 'stream' : 'datagram';
        this.#receive(octets, mode, connection, broken, connection);
      },
      onMoved: (connection, from) => {
        const key = peerKey(connection.protocol, from, connection.remotePort);
        if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
        this.#remember(connection, connection.remotePort);
      },
      onClosed: (connection) => this.#forget(connection),
    };
  }

  /** Opens a listener; rejects with TransportError `listen-failed`. */
  async listen(point: ListenPoint): Promise<BoundPoint> {
    try {
      const bound =
        point.protocol === 'udp'
          ? await UdpSocket.bind(point.host, point.port, (octets, flow) => this.#receive(octets, 'datagram', flow))
          : await this.#openListener(point);
      this.#points.push(bound);
      return { protocol: bound.protocol, host: bound.host, port: bound.port };
    } catch (cause) {
      const where = `${point.protocol} ${point.host}:${point.port}`;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TransportError('listen-failed', `cannot listen on ${where}: ${why}`, { cause });
    }
  }

  /** The open listeners, in the order in which they were opened. */
  get listenPoints(): readonly BoundPoint[] {
    return this.#points;
  }

  /** How many connections are open or being opened. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** The listen point whose address belongs in Via and Contact of what is sent to `to`; undefined if none fits. */
  localPoint(to: Flow | Target): BoundPoint | undefined {
    const remote = 'remoteAddress' in to ? to.remoteAddress : this.resolve(to.host);
    return remote === undefined ? undefined : choosePoint(this.#points, to, remote);
  }

  /** The numeric address of a host: itself if numeric, else from the host table; undefined if unknown. */
  resolve(host: string): string | undefined {
    return resolveHost(host, this.#options.hosts ?? {});
  }

  /** The connection with this flow id; undefined once it is closed (and for UDP, which has none). */
  flow(id: string): Flow | undefined {
    const connection = this.#connections.get(id);
    return connection?.usable ? connection : undefined;
  }

  /**
   * Sends octets over a flow, or to a target: over UDP, an open connection to it, or a new one. `onFailure` is called at
   * most once, never before `send` returns. The result is the flow used (its local address is known once it is
   * connected); undefined when there is none to use, after which `onFailure` is called.
   */
  send(octets: Buffer, to: Flow | Target, onFailure?: (error: TransportError) => void): Flow | undefined {
    const failed =
      onFailure &&
      ((error: TransportError): void => {
        try {
          onFailure(error);
        } catch (thrown) {
          this.#options.onError?.(thrown);
        }
      });
    try {
      const flow = 'remoteAddress' in to ? this.#open(to) : this.#flowTo(to);
      const socket = socketOf(flow);
      if (socket) socket.send(octets, flow.remoteAddress, flow.remotePort, failed);
      else this.#connections.get(flow.id)?.send(octets, failed);
      return flow;
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      if (failed) setImmediate(failed, error);
      return undefined;
    }
  }

  /** Sends a response where {@link responseRoute} says. */
  sendResponse(response: SipMessage, flow: Flow, failed?: (error: TransportError) => void): Flow | undefined {
    const octets = response.serialise();
    const { first, otherwise } = responseRoute(response, flow);
    return this.send(octets, first, otherwise ? () => void this.send(octets, otherwise, failed) : failed);
  }

  /** Closes everything; afterwards `send` fails with `closed`. */
  async close(): Promise<void> {
    this.#closed = true;
    const closing = this.#points.splice(0).map((point) => point.close());
    for (const connection of [...this.#connections.values()]) connection.close();
    await Promise.all(closing);
  }

  #openListener(point: ListenPoint): Promise<Listener> {
    const { headBytes, bodyBytes, connections, halfOpen } = this.#limits;
    const admit = (protocol: Protocol): ConnectionSetup | undefined =>
      this.#closed || this.#connections.size >= connections || this.#halfOpen.size >= halfOpen
        ? undefined
        : this.#setup(protocol);
    return Listener.open(point, headBytes + bodyBytes, admit, (connection) => {
      if (connection.state === 'handshake') this.#halfOpen.add(connection);
      this.#connections.set(connection.id, connection);
    });
  }

  #setup(protocol: Protocol): ConnectionSetup {
    this.#serial += 1;
    const { clock } = this.#options;
    return { protocol, id: `${protocol}-${this.#serial}`, clock, limits: this.#limits, events: this.#events };
  }

  /** The flow itself if it may still be used. */
  #open(flow: Flow): Flow {
    if (this.#closed) throw new TransportError('closed', 'the transport layer is closed');
    if (socketOf(flow) || this.flow(flow.id)) return flow;
    throw new TransportError('connection-lost', `the ${flow.protocol} connection ${flow.id} is closed`);
  }

  #flowTo(to: Target): Flow {
    if (this.#closed) throw new TransportError('closed', 'the transport layer is closed');
    const address = this.resolve(to.host);
    if (address === undefined) {
      throw new TransportError('unresolvable', `${to.host} is neither numeric nor in the host table`);
    }
    const known = this.#byPeer.get(peerKey(to.protocol, address, to.port));
    if (known?.usable) return known;
    const point = choosePoint(this.#points, to, address);
    if (point === undefined) throw new TransportError('no-listen-point', `nothing listens on ${to.protocol} here`);
    if (point instanceof UdpSocket) return point.flowTo(address, to.port);
    if (this.#connections.size >= this.#limits.connections) {
      throw new TransportError('too-many-connections', `${this.#limits.connections} connections are open already`);
    }
    const setup = { ...this.#setup(to.protocol), outgoingTo: { address, port: to.port } };
    const trust = { ca: this.#options.ca, verify: this.#options.verifyPeers ?? true };
    const whereNow = (): string | undefined => this.resolve(to.host);
    const connection = connect(setup, { address, port: to.port, name: to.host, whereNow }, trust);
    this.#connections.set(connection.id, connection);
    this.#remember(connection, to.port);
    return connection;
  }

  #remember(connection: Connection, port: number): void {
    const key = peerKey(connection.protocol, connection.remoteAddress, port);
    if (this.#byPeer.get(key)?.usable) return;
    const keys = this.#peerKeys.get(connection) ?? new Set();
    if (keys.size > MOST_ALIASES) return;
    this.#byPeer.set(key, connection);
    this.#peerKeys.set(connection, keys.add(key));
  }

  #forget(connection: Connection): void {
    this.#halfOpen.delete(connection);
    for (const key of this.#peerKeys.get(connection) ?? []) {
      if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
    }
    if (this.#connections.delete(connection.id)) this.#options.onFlowClosed?.(connection);
  }

  #receive(octets: Buffer, mode: ParseMode, flow: Flow, broken = false, connection?: Connection): void {
    // What one message of one peer leads to must not end the process.
    try {
      this.#take(octets, mode, flow, broken, connection);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  #take(octets: Buffer, mode: ParseMode, flow: Flow, broken: boolean, connection: Connection | undefined): void {
    const message = parseMessage(octets, mode, this.#limits);
    if (message instanceof SipParseError) {
      this.#refuse(message, flow);
      if (broken || (mode === 'stream' && message.code === 'content-length')) connection?.finish();
      return;
    }
    if (message.isRequest) {
      stampSource(message, flow);
      const via = message.via;
      // RFC 5923 5: the peer takes requests on this connection too. Its address is taken from the connection.
      if (connection && via?.params.has('alias')) this.#remember(connection, via.port ?? defaultPort(flow.protocol));
    }
    try {
      this.#options.onMessage(message, flow);
    } catch (error) {
      if (!(error instanceof SipParseError)) throw error;
      const answerable = message.isRequest && message.method !== 'ACK';
      this.#refuse(new SipParseError(error.code, error.message, answerable ? 400 : 'drop', message), flow);
    }
  }

  #refuse(error: SipParseError, flow: Flow): void {
    if (error.refusal !== 'drop' && error.partial) {
      if (topVia(error.partial)) stampSource(error.partial, flow);
      const toTag = statelessTag(error.partial);
      this.sendResponse(buildResponse(error.partial, error.refusal, undefined, { toTag }), flow);
    }
    this.#options.onRefused?.(error, flow);
  }
}

/**
 * The To tag of an answer that no transaction sends (RFC 3261 8.2.6.2: every one but 100 has one), the same each time that
 * its request comes again (8.2.7).
 */
function statelessTag(request: SipMessage): string {
  const hash = createHash('sha256');
  for (const { name, raw } of request.lines) if (IDENTIFYING.has(name)) hash.update(raw, 'latin1');
  return hash.digest('hex').slice(0, 16);
}

const IDENTIFYING = new Set(['via', 'from', 'call-id', 'cseq']);
