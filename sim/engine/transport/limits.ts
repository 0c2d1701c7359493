import { DEFAULT_LIMITS, type MessageLimits } from '../message/index.ts';

/**
 * What peers may cost. Every limit has a defined outcome:
 * - head, header count, body (see {@link MessageLimits}): 400 or 413; on a stream the connection closes after it where
 *   the start of the next message is not known (head, body).
 * - `connections`: a further connection is closed at once.
 * - `halfOpen`: accepted connections whose TLS or WebSocket handshake is outstanding; a further one is closed at once.
 * - `handshakeMs`: a handshake that takes longer: closed.
 * - `idleMs`: a connection that brought nothing for so long: closed.
 * - `messageMs`: a message begun but not finished within this time: closed.
 * - `backlogBytes`: octets waiting to be written on one connection; a message that would exceed it fails with
 *   `backlog-full`, and the connection is closed, since its peer does not read.
 * - `connectMs`: an outgoing connection not established in this time: `connect-timeout`.
 */
export interface TransportLimits extends MessageLimits {
  readonly connections: number;
  readonly halfOpen: number;
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly messageMs: number;
  readonly backlogBytes: number;
  readonly connectMs: number;
}

export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  ...DEFAULT_LIMITS,
  connections: 20_000,
  halfOpen: 1_000,
  handshakeMs: 10_000,
  idleMs: 900_000,
  messageMs: 30_000,
  backlogBytes: 4_194_304,
  connectMs: 5_000,
};
