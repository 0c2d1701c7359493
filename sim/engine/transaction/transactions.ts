import type { SipMessage } from '../message/index.ts';
import { Table } from '../table.ts';
import type { TimerWheel } from '../timers.ts';
import type { Flow } from '../transport/index.ts';
import type { Path, TransactionContext } from './context.ts';
import { type CompletedTransaction, FinalResponses } from './final-responses.ts';
import { InviteClientTransaction, type InviteClientUser } from './invite-client.ts';
import { InviteServerTransaction } from './invite-server.ts';
import { clientKey } from './keys.ts';
import { NonInviteClientTransaction, type NonInviteClientUser } from './non-invite-client.ts';
import { NonInviteServerTransaction } from './non-invite-server.ts';

/** A response as the transport handed it over. */
export interface ReceivedResponse {
  readonly message: SipMessage;
  readonly flow: Flow;
}

export type ServerTransaction = InviteServerTransaction | NonInviteServerTransaction;
export type ClientTransaction =
  | InviteClientTransaction<ReceivedResponse>
  | NonInviteClientTransaction<ReceivedResponse>;

/** The TU of a client transaction of either kind. */
export type ClientUser = InviteClientUser<ReceivedResponse> & NonInviteClientUser<ReceivedResponse>;

/** All transactions of an engine, by the keys of keys.ts. */
export class Transactions {
  readonly #servers = new Table<ServerTransaction>();
  readonly #finals: FinalResponses;
  readonly #clients = new Table<ClientTransaction>();
  readonly #serverContext: TransactionContext;
  readonly #clientContext: TransactionContext;

  constructor(wheel: TimerWheel) {
    this.#finals = new FinalResponses(wheel);
    // A key may have been taken by a successor (same branch, long after): only the holder is forgotten.
    this.#serverContext = {
      wheel,
      forget: (key, held) => this.#servers.delete(key, held as ServerTransaction),
    };
    this.#clientContext = {
      wheel,
      forget: (key, held) => this.#clients.delete(key, held as ClientTransaction),
    };
  }

  /** How many are alive, for figures and leak tests. */
  get size(): { readonly servers: number; readonly clients: number } {
    return { servers: this.#servers.size + this.#finals.size, clients: this.#clients.size };
  }

  /** The transaction that a request with this key belongs to (17.2.3). */
  findServer(key: string): ServerTransaction | CompletedTransaction | undefined {
    return this.#servers.get(key) ?? this.#finals.find(key);
  }

  createInviteServer(key: string, path: Path): InviteServerTransaction {
    const transaction = new InviteServerTransaction(key, path, this.#serverContext);
    this.#servers.set(key, transaction);
    return transaction;
  }

  createNonInviteServer(key: string, path: Path): NonInviteServerTransaction {
    const transaction = new NonInviteServerTransaction(key, path, this.#serverContext, this.#finals);
    this.#servers.set(key, transaction);
    return transaction;
  }

  /** Makes the client transaction of a request whose top Via has `branch`. It sends nothing until `start`. */
  createClient(method: string, branch: string, request: Buffer, path: Path, user: ClientUser): ClientTransaction {
    const key = clientKey(branch, method);
    const transaction =
      method === 'INVITE'
        ? new InviteClientTransaction<ReceivedResponse>(key, request, path, this.#clientContext, user)
        : new NonInviteClientTransaction<ReceivedResponse>(key, request, path, this.#clientContext, user);
    this.#clients.set(key, transaction);
    return transaction;
  }

  /** @returns false if no transaction awaits the response. */
  receiveResponse(message: SipMessage, flow: Flow): boolean {
    const branch = message.via?.branch;
    const method = message.cseq?.method;
    if (branch === undefined || method === undefined) return false;
    const transaction = this.#clients.get(clientKey(branch, method));
    if (transaction === undefined) return false;
    transaction.receive({ message, flow }, message.status);
    return true;
  }

  /** Ends all in silence: the engine stops. */
  stop(): void {
    for (const transaction of [...this.#servers.values(), ...this.#clients.values()]) transaction.terminate();
    this.#finals.clear();
  }
}
