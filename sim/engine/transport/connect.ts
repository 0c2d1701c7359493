import { connect as connectTcp, isIP } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { plainAddress } from './addresses.ts';
import type { Connection, ConnectionSetup } from './connection.ts';
import { StreamConnection } from './stream.ts';
import { SUBPROTOCOL, WebSocketConnection } from './websocket.ts';

/** Whom outgoing TLS connections trust. */
export interface Trust {
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | Buffer | (string | Buffer)[] | undefined;
  /** false: any certificate will do, as with drachtio-server. */
  readonly verify: boolean;
}

/**
 * Starts a connection to a numeric address. `name` is the host as the application gave it: what the peer's certificate
 * must carry (RFC 5922 7.1).
 */
export function connect(
  setup: ConnectionSetup,
  to: { readonly address: string; readonly port: number; readonly name: string },
  trust: Trust,
): Connection {
  const { address: host, port } = to;
  const name = plainAddress(to.name);
  const secure: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: trust.verify,
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
    ...(isIP(name) === 0 ? { servername: name } : {}),
  };
  switch (setup.protocol) {
    case 'tls':
      return new StreamConnection(setup, connectTls({ ...secure, host, port }), 'secureConnect');
    case 'ws':
    case 'wss': {
      const connection = new WebSocketConnection(setup);
      const url = `${setup.protocol}://${host.includes(':') ? `[${host}]` : host}:${port}/`;
      const options = {
        ...secure,
        perMessageDeflate: false,
        maxPayload: setup.limits.headBytes + setup.limits.bodyBytes,
      };
      connection.attach(new WebSocket(url, SUBPROTOCOL, options));
      return connection;
    }
    default:
      return new StreamConnection(setup, connectTcp({ host, port }), 'connect');
  }
}
