import type { Timer, TimerOwner } from '../timers.ts';
import { TRANSACTION_LIFETIME } from './constants.ts';
import type { Path, TransactionContext } from './context.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';

/**
 * RFC 3261 17.2.2.
 *
 * ```
 *                 request received
 *                       v
 *                  +---------+  request: absorb
 *                  | trying  |
 *                  +---------+
 *       1xx: send    |     |  200-699: send
 *                    v     |
 *   request:   +------------+
 *   repeat 1xx | proceeding |
 *              +------------+
 *   200-699:         |     |
 *   send             v     v
 *              +------------+  request: repeat final response
 *              | completed  |
 *              +------------+
 *                    | J (at once on reliable transports)
 *                    v
 *              +------------+
 *              | terminated |
 *              +------------+
 * ```
 */
export class NonInviteServerTransaction implements TimerOwner<'J'> {
  readonly kind = 'non-invite-server';
  readonly key: string;
  readonly path: Path;
  #state: NonInviteServerState = 'trying';
  readonly #context: TransactionContext;
  /**
   * The last response as a byte string. Thousands wait here for timer J, and each as a Buffer would keep the whole pool
   * alive that it was cut from.
   */
  #last: string | undefined;
  #expiry: Timer | undefined;

  constructor(key: string, path: Path, context: TransactionContext) {
    this.key = key;
    this.path = path;
    this.#context = context;
  }

  get state(): NonInviteServerState {
    return this.#state;
  }

  /** The request again, from the wire. */
  retransmission(): void {
    if (this.#last !== undefined) this.path.send(Buffer.from(this.#last, 'latin1'));
  }

  /** A response from the TU. @returns false if a final one went before. */
  respond(status: number, octets: Buffer): boolean {
    if (this.#state === 'completed' || this.#state === 'terminated') return false;
    this.path.send(octets);
    if (status < 200 || !this.path.reliable) this.#last = octets.toString('latin1');
    this.#enter(status < 200 ? 'proceeding' : 'completed');
    return true;
  }

  /** Ends the transaction at once and in silence. */
  terminate(): void {
    if (this.#state !== 'terminated') this.#enter('terminated');
  }

  onTimer(): void {
    this.#enter('terminated');
  }

  #enter(state: NonInviteServerState): void {
    this.#state = state;
    switch (state) {
      case 'completed':
        if (this.path.reliable) this.#enter('terminated');
        else this.#expiry = this.#context.wheel.set(this, 'J', TRANSACTION_LIFETIME);
        break;
      case 'terminated':
        this.#last = undefined;
        this.#context.wheel.clear(this.#expiry);
        this.#context.forget(this.key, this);
        break;
      case 'trying':
      case 'proceeding':
        break;
    }
  }
}
