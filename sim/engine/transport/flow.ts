/** The transports of RFC 3261 18 and RFC 7118. */
export type Protocol = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

/**
 * The path on which a message came or went: a connection, or for UDP a pair of addresses. Answers to a message go back
 * over its flow (RFC 3261 18.2.2), and a registered contact behind a connection is reached over it (RFC 5626 5.3).
 */
export interface Flow {
  /** Unique among the flows of a TransportLayer; for UDP the same for the same pair of addresses. */
  readonly id: string;
  readonly protocol: Protocol;
  /** Addresses are numeric, IPv6 without brackets. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Where to send when no flow is given. `host` is numeric (IPv6 with or without brackets) or in the host table. */
export interface Target {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  /** The listen point to speak from, where that matters. */
  readonly localAddress?: string;
  readonly localPort?: number;
}

/** A socket to listen on. Port 0 lets the system choose. */
export interface ListenPoint {
  readonly protocol: Protocol;
  /** A numeric address, IPv6 without brackets; '::' and '0.0.0.0' listen on all of their family. */
  readonly host: string;
  readonly port: number;
  /** For tls and wss: PEM. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
}

/** Where a listener really listens. */
export interface BoundPoint {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
}

/** Whether lost messages are the transport's business (then transactions do not retransmit, RFC 3261 17). */
export const isReliable = (protocol: Protocol): boolean => protocol !== 'udp';

export const isSecure = (protocol: Protocol): boolean => protocol === 'tls' || protocol === 'wss';

/** RFC 3261 19.1.2, RFC 7118 5.3.2: 5061 for TLS, 80 and 443 for WebSocket, else 5060. */
export function defaultPort(protocol: Protocol): number {
  return protocol === 'tls' ? 5061 : protocol === 'ws' ? 80 : protocol === 'wss' ? 443 : 5060;
}
