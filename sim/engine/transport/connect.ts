import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { plainAddress } from './addresses.ts';
import type { Connection, ConnectionSetup } from './connection.ts';
import { NamedConnection } from './named.ts';
import { StreamConnection } from './stream.ts';
import { SUBPROTOCOL, WebSocketConnection } from './websocket.ts';

/** Whom outgoing TLS connections trust. */
export interface Trust {
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | Buffer | (string | Buffer)[] | undefined;
  /** false: any certificate will do, as with drachtio-server. */
  readonly verify: boolean;
}

/** Where an outgoing connection leads. */
export interface Destination {
  readonly address: string;
  readonly port: number;
  /** The host as the application gave it: what the peer's certificate must carry (RFC 5922 7.1). */
  readonly name: string;
  /** The numeric address of the name as of now. */
  readonly whereNow: () => string | undefined;
}

/** Starts a connection. */
export function connect(setup: ConnectionSetup, to: Destination, trust: Trust): Connection {
  const { address: host, port, whereNow } = to;
  const name = plainAddress(to.name);
  const secure: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: trust.verify,
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
    ...(isIP(name) === 0 ? { servername: name } : {}),
  };
  switch (setup.protocol) {
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
    default: {
      const ready = setup.protocol === 'tls' ? 'secureConnect' : 'connect';
      const dial = (address: string): Socket =>
        setup.protocol === 'tls' ? connectTls({ ...secure, host: address, port }) : connectTcp({ host: address, port });
      return isIP(name) === 0
        ? new NamedConnection(setup, host, { dial, ready, whereNow })
        : new StreamConnection(setup, dial(host), ready);
    }
  }
}
