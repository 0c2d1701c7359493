import type { Clock, TimerHandle } from '../clock.ts';
import { TransportError } from './errors.ts';
import type { Flow, Protocol } from './flow.ts';
import type { TransportLimits } from './limits.ts';

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** The handshake is done. */
  readonly onOpen: (connection: Connection) => void;
  /** One message; `broken`: nothing more will come, since the stream cannot be cut any further. */
  readonly onFrame: (octets: Buffer, broken: boolean, connection: Connection) => void;
  /** While it was being established, its address changed; `from` is the one before. */
  readonly onMoved: (connection: Connection, from: string) => void;
  /** Called once. */
  readonly onClosed: (connection: Connection) => void;
}

export interface ConnectionSetup {
  readonly protocol: Protocol;
  readonly id: string;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly events: ConnectionEvents;
  /** For an outgoing one, where it goes; the time-out is then `connectMs`. */
  readonly outgoingTo?: { readonly address: string; readonly port: number };
}

/**
 * A connection-oriented flow with its deadlines.
 *
 * ```
 *   handshake ──► open ──► closing ──► closed
 *       └───────────┴─────────────────────▲      (failure or deadline)
 * ```
 * handshake: TCP connect, TLS, WebSocket upgrade outstanding; closing: last octets being written, input ignored.
 */
export abstract class Connection implements Flow {
  readonly id: string;
  readonly protocol: Protocol;
  localAddress = '';
  localPort = 0;
  remoteAddress: string;
  remotePort: number;
  protected readonly limits: TransportLimits;
  protected readonly events: ConnectionEvents;
  readonly #clock: Clock;
  readonly #outgoing: boolean;
  #state: 'handshake' | 'open' | 'closing' | 'closed' = 'handshake';
  #failure: TransportError | undefined;
  /**
   * Messages that wait for the end of the handshake. Not left to the socket: TLS would send them before the peer's
   * certificate has been checked.
   */
  #waiting: { readonly octets: Buffer; readonly failed: ((error: TransportError) => void) | undefined }[] = [];
  /** When the present state began, when input last came, and since when a message is unfinished. */
  #since: number;
  #heard: number;
  #unfinishedSince: number | undefined;
  #timer: TimerHandle | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(setup: ConnectionSetup) {
    this.id = setup.id;
    this.protocol = setup.protocol;
    this.limits = setup.limits;
    this.events = setup.events;
    this.#clock = setup.clock;
    this.#outgoing = setup.outgoingTo !== undefined;
    this.remoteAddress = setup.outgoingTo?.address ?? '';
    this.remotePort = setup.outgoingTo?.port ?? 0;
    this.#since = this.#heard = setup.clock.now();
    this.#watch();
  }

  get state(): 'handshake' | 'open' | 'closing' | 'closed' {
    return this.#state;
  }

  /** Whether messages may be sent: also during the handshake, after which they leave. */
  get usable(): boolean {
    return this.#state === 'handshake' || this.#state === 'open';
  }

  /** Sends one message; `failed` is called later, at most once. */
  send(octets: Buffer, failed?: (error: TransportError) => void): void {
    if (!this.usable) {
      if (failed) setImmediate(failed, this.#reason());
    } else if (this.#backlog() + octets.length > this.limits.backlogBytes) {
      const error = new TransportError('backlog-full', `${this.protocol} peer ${this.remoteAddress} does not read`);
      if (failed) setImmediate(failed, error);
      this.#fail(error);
    } else if (this.#state === 'handshake') {
      this.#waiting.push({ octets, failed });
    } else {
      this.#transmit(octets, failed);
    }
  }

  /** Lets what is queued leave, then closes; input is ignored from now on. */
  finish(): void {
    if (!this.usable) return;
    if (this.#state === 'handshake') {
      this.close();
      return;
    }
    this.#state = 'closing';
    this.#since = this.#clock.now();
    this.#watch();
    this.shutdown();
  }

  /** Closes at once. */
  close(): void {
    this.#fail(new TransportError('connection-lost', `${this.protocol} connection was closed`));
  }

  protected abstract transmit(octets: Buffer, done?: (error?: Error | null) => void): void;
  /** Octets transmitted but not yet written. */
  protected abstract queued(): number;
  /** Begins an orderly close. */
  protected abstract shutdown(): void;
  protected abstract destroy(): void;

  protected opened(local: { address: string; port: number }, remote: { address: string; port: number }): void {
    if (this.#state !== 'handshake') return;
    this.localAddress = local.address;
    this.localPort = local.port;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.#state = 'open';
    this.#since = this.#heard = this.#clock.now();
    this.#watch();
    for (const { octets, failed } of this.#waiting.splice(0)) this.#transmit(octets, failed);
    this.events.onOpen(this);
  }

  /** Input came; `unfinished`: it ended within a message, which `anew` began in it. */
  protected heard(unfinished: boolean, anew = false): void {
    this.#heard = this.#clock.now();
    if (!unfinished || anew) this.#unfinishedSince = undefined;
    if (unfinished && this.#unfinishedSince === undefined) {
      this.#unfinishedSince = this.#heard;
      this.#watch();
    }
  }

  /** The connection has ended, with an error of the system or without. */
  protected ended(cause?: Error): void {
    if (cause === undefined) this.close();
    else {
      const code = this.#state === 'handshake' && this.#outgoing ? 'connect-failed' : 'connection-lost';
      const peer = `${this.protocol} ${this.remoteAddress}:${this.remotePort}`;
      this.#fail(new TransportError(code, `${peer}: ${cause.message}`, { cause }));
    }
  }

  #fail(reason: TransportError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#failure = reason;
    this.#timer?.cancel();
    this.destroy();
    for (const { failed } of this.#waiting.splice(0)) if (failed) setImmediate(failed, reason);
    this.events.onClosed(this);
  }

  #transmit(octets: Buffer, failed?: (error: TransportError) => void): void {
    this.transmit(octets, failed && ((error) => error && failed(this.#reason(error))));
  }

  #backlog(): number {
    return this.#waiting.reduce((sum, { octets }) => sum + octets.length, this.queued());
  }

  #reason(cause?: Error): TransportError {
    if (this.#failure) return this.#failure;
    return new TransportError('connection-lost', cause?.message ?? 'the connection is being closed', { cause });
  }

  #deadline(): number {
    const { connectMs, handshakeMs, idleMs, messageMs } = this.limits;
    if (this.#state === 'handshake') return this.#since + (this.#outgoing ? connectMs : handshakeMs);
    if (this.#state === 'closing') return this.#since + handshakeMs;
    const message = this.#unfinishedSince === undefined ? Number.POSITIVE_INFINITY : this.#unfinishedSince + messageMs;
    return Math.min(this.#heard + idleMs, message);
  }

  /** Keeps one timer, at or before the deadline: moving a deadline later costs nothing until the timer fires. */
  #watch(): void {
    const deadline = this.#deadline();
    if (this.#timerAt <= deadline) return;
    this.#timer?.cancel();
    this.#timerAt = deadline;
    this.#timer = this.#clock.setTimer(deadline - this.#clock.now(), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      if (this.#clock.now() < this.#deadline()) this.#watch();
      else this.#expire();
    });
  }

  #expire(): void {
    if (this.#state !== 'handshake' || !this.#outgoing) {
      this.close();
      return;
    }
    const peer = `${this.remoteAddress}:${this.remotePort}`;
    const waited = `${this.limits.connectMs} ms`;
    this.#fail(new TransportError('connect-timeout', `no ${this.protocol} connection to ${peer} within ${waited}`));
  }
}
