import type { TimerWheel } from '../timers.ts';

/** What a transaction sends through: a connection, or a UDP socket with the peer's address. */
export interface Path {
  /** False for UDP alone: retransmissions and the waits for them are needed (RFC 3261 17). */
  readonly reliable: boolean;
  /** Where it leads: paths with the very same end may stand for one another. */
  readonly to: object;
  /** Hands octets to the transport. Failure is told later, by `transportError` of the transactions that use the path. */
  send(octets: Buffer): void;
}

/** Why a client transaction ended without a response: timer B or F, or a path that does not deliver. */
export type ClientFailure = 'timeout' | 'transport';

/** What all transactions of an engine share. */
export interface TransactionContext {
  readonly wheel: TimerWheel;
  /** Takes a transaction that has terminated out of the table. */
  forget(key: string, transaction: object): void;
}
