import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { EngineError } from '../errors.ts';
import { AppConnection, type ConnectionEvents } from './connection.ts';
import type { FrameLimits, Leader } from './framing.ts';

export interface ControlTls {
  readonly certificate: string | Buffer;
  readonly privateKey: string | Buffer;
  /** Given: clients must show a certificate of this authority. */
  readonly ca?: string | Buffer;
}

export interface ControlServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: ControlTls;
  readonly limits: FrameLimits;
  readonly newId: () => string;
}

/** The control port: accepts applications and keeps the list of those connected. */
export class ControlServer {
  readonly connections = new Set<AppConnection>();
  readonly #options: ControlServerOptions;
  readonly #events: ConnectionEvents;
  readonly #server: Server;

  constructor(options: ControlServerOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = {
      message: (connection: AppConnection, message: Leader) => events.message(connection, message),
      closed: (connection, reason) => {
        this.connections.delete(connection);
        events.closed(connection, reason);
      },
    };
    const accept = (socket: Socket): void => {
      this.adopt(socket);
    };
    const { tls } = options;
    this.#server =
      tls === undefined
        ? createServer(accept)
        : createTlsServer(
            {
              cert: tls.certificate,
              key: tls.privateKey,
              ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
            },
            accept,
          );
    // A failed TLS handshake concerns that client alone.
    this.#server.on('tlsClientError', () => undefined);
  }

  /** Makes a socket, accepted or opened by the engine (outbound mode), an application's connection. */
  adopt(socket: Socket, outbound = false): AppConnection {
    const { limits, newId } = this.#options;
    const connection = new AppConnection(socket, limits, newId, this.#events, outbound);
    this.connections.add(connection);
    return connection;
  }

  /** @returns where it listens. @throws {EngineError} `ERR_ENGINE_LISTEN` */
  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void =>
        reject(
          new EngineError('ERR_ENGINE_LISTEN', `control port ${host}:${port}: ${error.message}`, { cause: error }),
        );
      this.#server.once('error', failed);
      this.#server.listen(port, host, () => {
        this.#server.off('error', failed);
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
    return { host, port: (this.#server.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    for (const connection of [...this.connections]) connection.close('the engine stops');
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
