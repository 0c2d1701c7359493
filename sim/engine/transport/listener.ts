import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { plainAddress } from './addresses.ts';
import type { Connection, ConnectionSetup } from './connection.ts';
import { type BoundPoint, isSecure, type ListenPoint, type Protocol } from './flow.ts';
import { StreamConnection } from './stream.ts';
import { WebSocketConnection, WebSocketUpgrader } from './websocket.ts';

/** What the layer decides about an accepted socket: undefined means that it is over a limit and is closed. */
export type Admission = (protocol: Protocol) => ConnectionSetup | undefined;

/** A listening socket for TCP, TLS, WS or WSS. */
export class Listener implements BoundPoint {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  readonly #server: Server;

  private constructor(protocol: Protocol, server: Server) {
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not listening on an address');
    this.protocol = protocol;
    this.host = plainAddress(bound.address);
    this.port = bound.port;
    this.#server = server;
  }

  /** Listens; rejects with the system's error, or OpenSSL's if key and certificate are of no use. */
  static async open(
    point: ListenPoint,
    maxPayload: number,
    admit: Admission,
    accepted: (connection: Connection) => void,
  ): Promise<Listener> {
    const secure = isSecure(point.protocol);
    if (secure && point.tls === undefined) throw new Error(`${point.protocol} needs a key and a certificate`);
    const context = secure ? createSecureContext({ minVersion: 'TLSv1.2', ...point.tls }) : undefined;
    const upgrader = point.protocol.startsWith('ws') ? new WebSocketUpgrader(maxPayload) : undefined;
    const server = createServer({ noDelay: true }, (raw) => {
      const setup = admit(point.protocol);
      if (setup === undefined) raw.destroy();
      else accepted(receive(setup, raw, context, upgrader));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: point.host, port: point.port, ipv6Only: isIPv6(point.host), backlog: 1024 }, () => {
        server.off('error', reject);
        server.on('error', () => undefined); // a failed accept (no descriptors left) must not end the process
        resolve();
      });
    });
    return new Listener(point.protocol, server);
  }

  /** Stops listening; connections are the layer's to close. Resolves when the last of them is gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

function receive(
  setup: ConnectionSetup,
  raw: Socket,
  context: SecureContext | undefined,
  upgrader: WebSocketUpgrader | undefined,
): Connection {
  const socket = context ? new TLSSocket(raw, { isServer: true, secureContext: context }) : raw;
  if (upgrader === undefined) return new StreamConnection(setup, socket, context ? 'secure' : undefined);
  const connection = new WebSocketConnection(setup, socket);
  upgrader.expect(socket, connection);
  return connection;
}
