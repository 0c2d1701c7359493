import type { Timer, TimerOwner } from '../timers.ts';
import { T1, T2, T4, TRANSACTION_LIFETIME } from './constants.ts';
import type { ClientFailure, Path, TransactionContext } from './context.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';
type TimerName = 'E' | 'F' | 'K';

/** The TU of a non-INVITE client transaction. */
export interface NonInviteClientUser<Response> {
  /** Every provisional response and the first final one. */
  onResponse(response: Response, status: number): void;
  onFailure(failure: ClientFailure): void;
}

/**
 * RFC 3261 17.1.2.
 *
 * ```
 *                   request from TU: send
 *                            v
 *   E: send again      +-----------+  F, transport error: tell TU
 *   (T1 doubling       |  trying   |------------------------------+
 *    to T2)            +-----------+                              |
 *      200-699: to TU    |      | 1xx: to TU                      |
 *              +---------+      v                                 |
 *              |         +------------+  F, transport error       |
 *              |         | proceeding |-------------------------->|
 *              |         +------------+  E: send again (T2)       |
 *              |                | 200-699: to TU                  |
 *              v                v                                 |
 *           +----------------------+  any response: absorb        |
 *           |      completed       |                              |
 *           +----------------------+                              |
 *                      | K (at once on reliable transports)       |
 *                      v                                          |
 *                +------------+ <---------------------------------+
 *                | terminated |
 *                +------------+
 * ```
 */
export class NonInviteClientTransaction<Response> implements TimerOwner<TimerName> {
  readonly kind = 'non-invite-client';
  readonly key: string;
  readonly #reliable: boolean;
  #state: NonInviteClientState = 'trying';
  readonly #context: TransactionContext;
  /** What is needed until the final response, and not while timer K runs. */
  #user: NonInviteClientUser<Response> | undefined;
  #path: Path | undefined;
  #request: Buffer | undefined;
  #retransmit: Timer | undefined;
  #expiry: Timer | undefined;
  #interval = T1;

  constructor(
    key: string,
    request: Buffer,
    path: Path,
    context: TransactionContext,
    user: NonInviteClientUser<Response>,
  ) {
    this.key = key;
    this.#reliable = path.reliable;
    this.#path = path;
    this.#request = request;
    this.#context = context;
    this.#user = user;
  }

  get state(): NonInviteClientState {
    return this.#state;
  }

  start(): void {
    this.#enter('trying');
    this.#path!.send(this.#request!);
  }

  /** A response with this transaction's branch, from the wire. */
  receive(response: Response, status: number): void {
    if (this.#state === 'completed' || this.#state === 'terminated') return;
    const user = this.#user!;
    this.#enter(status < 200 ? 'proceeding' : 'completed');
    user.onResponse(response, status);
  }

  /** The transport could not deliver (17.1.4). */
  transportError(): void {
    if (this.#state !== 'trying' && this.#state !== 'proceeding') return;
    this.#fail('transport');
  }

  /** Ends the transaction at once and in silence. */
  terminate(): void {
    if (this.#state !== 'terminated') this.#enter('terminated');
  }

  onTimer(name: TimerName): void {
    switch (name) {
      case 'E':
        this.#path!.send(this.#request!);
        this.#interval = this.#state === 'proceeding' ? T2 : Math.min(this.#interval * 2, T2);
        this.#retransmit = this.#context.wheel.set(this, 'E', this.#interval);
        break;
      case 'F':
        this.#fail('timeout');
        break;
      case 'K':
        this.#enter('terminated');
        break;
    }
  }

  #fail(failure: ClientFailure): void {
    const user = this.#user!;
    this.#enter('terminated');
    user.onFailure(failure);
  }

  #enter(state: NonInviteClientState): void {
    const { wheel } = this.#context;
    this.#state = state;
    switch (state) {
      case 'trying':
        if (!this.#reliable) this.#retransmit = wheel.set(this, 'E', T1);
        this.#expiry = wheel.set(this, 'F', TRANSACTION_LIFETIME);
        break;
      case 'proceeding':
        // E and F run on; the next E is followed by one of T2.
        break;
      case 'completed':
        this.#release();
        if (this.#reliable) this.#enter('terminated');
        else this.#expiry = wheel.set(this, 'K', T4);
        break;
      case 'terminated':
        this.#release();
        this.#context.forget(this.key, this);
        break;
    }
  }

  #release(): void {
    const { wheel } = this.#context;
    wheel.clear(this.#retransmit);
    wheel.clear(this.#expiry);
    this.#user = undefined;
    this.#path = undefined;
    this.#request = undefined;
  }
}
