import type { SipMessage } from '../message/index.ts';
import type { Timer, TimerOwner } from '../timers.ts';
import type { Flow } from '../transport/index.ts';
import { T1, T2, T4, TRANSACTION_LIFETIME } from './constants.ts';
import type { Path, TransactionContext } from './context.ts';

export type InviteServerState = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
type TimerName = 'G' | 'H' | 'I' | 'L';

/** The TU of an INVITE server transaction, once there is one. */
export interface InviteServerUser {
  /** A CANCEL for this INVITE arrived (9.2); it has not been answered. */
  onCancel(cancel: SipMessage, flow: Flow): void;
  /** No ACK came for a non-2xx final response (timer H). */
  onAckTimeout?(): void;
}

/**
 * RFC 3261 17.2.1 as corrected by RFC 6026 7.1.
 *
 * ```
 *                      INVITE received: 100 sent
 *                               |
 *            INVITE: repeat     v      101-199 from TU: send
 *            last 1xx   +--------------+
 *                  +----|  proceeding  |----+
 *                  +--->|              |<---+
 *                       +--------------+
 *          300-699 from TU |        | 2xx from TU: send
 *            send          |        +------------------------+
 *                          v                                 v
 *   INVITE: repeat   +-----------+                     +----------+  INVITE: absorb
 *   G: repeat   +----| completed |                     | accepted |  2xx from TU: send
 *               +--->|           |--- H: failure ----+ |          |  ACK: to TU
 *                    +-----------+                   | +----------+
 *                          | ACK                     |       | L
 *                          v                         v       v
 *                    +-----------+                 +------------+
 *   ACK: absorb      | confirmed |------ I ------->| terminated |
 *                    +-----------+                 +------------+
 * ```
 */
export class InviteServerTransaction implements TimerOwner<TimerName> {
  readonly kind = 'invite-server';
  readonly key: string;
  readonly path: Path;
  user: InviteServerUser | undefined;
  #state: InviteServerState = 'proceeding';
  #context: TransactionContext;
  #last: Buffer | undefined;
  #retransmit: Timer | undefined;
  #expiry: Timer | undefined;
  #interval = T1;

  constructor(key: string, path: Path, context: TransactionContext) {
    this.key = key;
    this.path = path;
    this.#context = context;
  }

  get state(): InviteServerState {
    return this.#state;
  }

  /** The request again, from the wire. */
  retransmission(): void {
    if ((this.#state === 'proceeding' || this.#state === 'completed') && this.#last !== undefined) {
      this.path.send(this.#last);
    }
  }

  /** An ACK with this transaction's branch: it acknowledges a non-2xx response and goes no further. */
  acknowledged(): void {
    if (this.#state === 'completed') this.#enter('confirmed');
  }

  /** A response from the TU. @returns false if the state allows none. */
  respond(status: number, octets: Buffer): boolean {
    if (this.#state === 'proceeding') {
      if (status < 200) this.#last = octets;
      else if (status < 300) this.#enter('accepted');
      else {
        this.#last = octets;
        this.#enter('completed');
      }
      this.path.send(octets);
      return true;
    }
    if (this.#state === 'accepted' && status >= 200 && status < 300) {
      this.path.send(octets);
      return true;
    }
    return false;
  }

  /** Ends the transaction at once and in silence. */
  terminate(): void {
    if (this.#state !== 'terminated') this.#enter('terminated');
  }

  onTimer(name: TimerName): void {
    switch (name) {
      case 'G':
        this.path.send(this.#last!);
        this.#interval = Math.min(this.#interval * 2, T2);
        this.#retransmit = this.#context.wheel.set(this, 'G', this.#interval);
        break;
      case 'H':
        this.#enter('terminated');
        this.user?.onAckTimeout?.();
        break;
      case 'I':
      case 'L':
        this.#enter('terminated');
        break;
    }
  }

  #enter(state: InviteServerState): void {
    const { wheel } = this.#context;
    this.#state = state;
    wheel.clear(this.#retransmit);
    wheel.clear(this.#expiry);
    switch (state) {
      case 'completed':
        if (!this.path.reliable) this.#retransmit = wheel.set(this, 'G', T1);
        this.#expiry = wheel.set(this, 'H', TRANSACTION_LIFETIME);
        break;
      case 'confirmed':
        this.#last = undefined;
        if (this.path.reliable) this.#enter('terminated');
        else this.#expiry = wheel.set(this, 'I', T4);
        break;
      case 'accepted':
        this.#last = undefined;
        this.#expiry = wheel.set(this, 'L', TRANSACTION_LIFETIME);
        break;
      case 'terminated':
        this.#last = undefined;
        this.#context.forget(this.key, this);
        break;
      case 'proceeding':
        break;
    }
  }
}
