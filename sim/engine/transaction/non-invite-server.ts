import type { Path, TransactionContext } from './context.ts';
import type { FinalResponses } from './final-responses.ts';

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
 * From completed on the final response is all that is needed: {@link FinalResponses} keeps it until J, and this object is
 * let go.
 */
export class NonInviteServerTransaction {
  readonly kind = 'non-invite-server';
  readonly key: string;
  readonly path: Path;
  #state: NonInviteServerState = 'trying';
  readonly #context: TransactionContext;
  readonly #finals: FinalResponses;
  #provisional: Buffer | undefined;

  constructor(key: string, path: Path, context: TransactionContext, finals: FinalResponses) {
    this.key = key;
    this.path = path;
    this.#context = context;
    this.#finals = finals;
  }

  get state(): NonInviteServerState {
    return this.#state;
  }

  /** The request again, from the wire, before the final response. */
  retransmission(): void {
    if (this.#provisional !== undefined) this.path.send(this.#provisional);
  }

  /** A response from the TU. @returns false if a final one went before. */
  respond(status: number, octets: Buffer): boolean {
    if (this.#state === 'completed' || this.#state === 'terminated') return false;
    this.path.send(octets);
    if (status < 200) {
      this.#provisional = octets;
      this.#state = 'proceeding';
    } else if (this.path.reliable) this.#end('terminated');
    else {
      this.#finals.add(this.key, this.path, octets);
      this.#end('completed');
    }
    return true;
  }

  /** Ends the transaction at once and in silence. */
  terminate(): void {
    if (this.#state === 'trying' || this.#state === 'proceeding') this.#end('terminated');
  }

  #end(state: 'completed' | 'terminated'): void {
    this.#state = state;
    this.#provisional = undefined;
    this.#context.forget(this.key, this);
  }
}
