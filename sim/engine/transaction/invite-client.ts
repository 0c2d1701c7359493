import type { Timer, TimerOwner } from '../timers.ts';
import { T1, TIMER_D, TRANSACTION_LIFETIME } from './constants.ts';
import type { ClientFailure, Path, TransactionContext } from './context.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
type TimerName = 'A' | 'B' | 'D' | 'M';

/** The TU of an INVITE client transaction; `Response` is whatever the layer above reads responses into. */
export interface InviteClientUser<Response> {
  /** A response that the machine does not keep to itself: every provisional and 2xx, the first non-2xx final. */
  onResponse(response: Response, status: number): void;
  /** The ACK for a non-2xx final response (17.1.1.3). */
  buildAck(response: Response): Buffer;
  onFailure(failure: ClientFailure): void;
}

/**
 * RFC 3261 17.1.1 as corrected by RFC 6026 7.2.
 *
 * ```
 *                     INVITE from TU: send
 *                            v
 *   A: send again      +-----------+ B, transport error: tell TU
 *               +------|  calling  |---------------------------+
 *               +----->|           |                           |
 *                      +-----------+                           |
 *       300-699: ACK    |    | 1xx to TU        2xx to TU      |
 *       to TU           |    v                                 |
 *       +---------------|  +------------+ transport error      |
 *       |               |  | proceeding |--------------------->|
 *       |   300-699:    |  +------------+ 64*T1 after CANCEL   |
 *       |   ACK, to TU  |    |        | 2xx to TU              |
 *       v               v    v        v                        |
 *   +-------------------------+    +----------+ 2xx to TU      |
 *   | completed               |    | accepted |                |
 *   | 300-699: ACK again      |    +----------+                |
 *   +-------------------------+         | M                    |
 *            | D                        v                      |
 *            +-------------------> +------------+ <------------+
 *                                  | terminated |
 *                                  +------------+
 * ```
 */
export class InviteClientTransaction<Response> implements TimerOwner<TimerName> {
  readonly kind = 'invite-client';
  readonly key: string;
  readonly path: Path;
  #state: InviteClientState = 'calling';
  readonly #context: TransactionContext;
  readonly #user: InviteClientUser<Response>;
  #request: Buffer | undefined;
  #ack: Buffer | undefined;
  #retransmit: Timer | undefined;
  #expiry: Timer | undefined;
  #interval = T1;

  constructor(key: string, request: Buffer, path: Path, context: TransactionContext, user: InviteClientUser<Response>) {
    this.key = key;
    this.path = path;
    this.#request = request;
    this.#context = context;
    this.#user = user;
  }

  get state(): InviteClientState {
    return this.#state;
  }

  start(): void {
    this.#enter('calling');
    this.path.send(this.#request!);
  }

  /** A response with this transaction's branch, from the wire. */
  receive(response: Response, status: number): void {
    switch (this.#state) {
      case 'calling':
      case 'proceeding':
        if (status < 200) {
          if (this.#state === 'calling') this.#enter('proceeding');
        } else if (status < 300) this.#enter('accepted');
        else {
          this.#ack = this.#user.buildAck(response);
          this.path.send(this.#ack);
          this.#enter('completed');
        }
        this.#user.onResponse(response, status);
        break;
      case 'accepted':
        if (status >= 200 && status < 300) this.#user.onResponse(response, status);
        break;
      case 'completed':
        if (status >= 300) this.path.send(this.#ack!);
        break;
      case 'terminated':
        break;
    }
  }

  /** The transport could not deliver (17.1.4). */
  transportError(): void {
    if (this.#state !== 'calling' && this.#state !== 'proceeding') return;
    this.#enter('terminated');
    this.#user.onFailure('transport');
  }

  /** A CANCEL for the INVITE went out, or its call is over: if that is not heeded within 64*T1, no answer will come (9.1). */
  cancelled(): void {
    if (this.#state !== 'proceeding') return;
    const { wheel } = this.#context;
    wheel.clear(this.#expiry);
    this.#expiry = wheel.set(this, 'B', TRANSACTION_LIFETIME);
  }

  /** Ends the transaction at once and in silence. */
  terminate(): void {
    if (this.#state !== 'terminated') this.#enter('terminated');
  }

  onTimer(name: TimerName): void {
    switch (name) {
      case 'A':
        this.path.send(this.#request!);
        this.#interval *= 2;
        this.#retransmit = this.#context.wheel.set(this, 'A', this.#interval);
        break;
      case 'B':
        this.#enter('terminated');
        this.#user.onFailure('timeout');
        break;
      case 'D':
      case 'M':
        this.#enter('terminated');
        break;
    }
  }

  #enter(state: InviteClientState): void {
    const { wheel } = this.#context;
    this.#state = state;
    wheel.clear(this.#retransmit);
    wheel.clear(this.#expiry);
    switch (state) {
      case 'calling':
        if (!this.path.reliable) this.#retransmit = wheel.set(this, 'A', T1);
        this.#expiry = wheel.set(this, 'B', TRANSACTION_LIFETIME);
        break;
      case 'proceeding':
        this.#request = undefined;
        break;
      case 'accepted':
        this.#request = undefined;
        this.#expiry = wheel.set(this, 'M', TRANSACTION_LIFETIME);
        break;
      case 'completed':
        this.#request = undefined;
        if (this.path.reliable) this.#enter('terminated');
        else this.#expiry = wheel.set(this, 'D', TIMER_D);
        break;
      case 'terminated':
        this.#request = undefined;
        this.#context.forget(this.key, this);
        break;
    }
  }
}
