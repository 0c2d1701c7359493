import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { plainAddress } from './addresses.ts';
import { Connection, type ConnectionSetup } from './connection.ts';

/** Sec-WebSocket-Protocol of SIP (RFC 7118 4.1). */
export const SUBPROTOCOL = 'sip';

/** A WebSocket connection: each WebSocket message is one SIP message (RFC 7118 5). */
export class WebSocketConnection extends Connection {
  #socket: WebSocket | undefined;
  readonly #raw: Socket | undefined;
  /** Frames of the type that the peer uses, if the octets allow it (a text frame must be UTF-8, RFC 6455 5.6). */
  #binary = false;

  /** `raw` is the accepted socket that the upgrade is expected on; an outgoing connection has none. */
  constructor(setup: ConnectionSetup, raw?: Socket) {
    super(setup);
    this.#raw = raw;
    raw?.on('error', (error) => this.ended(error));
    raw?.on('close', () => this.ended());
  }

  /** Takes over the WebSocket, connected or connecting. */
  attach(socket: WebSocket): void {
    this.#socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data, binary) => this.#receive(data, binary));
    socket.on('error', (error) => this.ended(error));
    socket.on('close', () => this.ended());
    socket.on('ping', () => this.heard(false));
    socket.on('pong', () => this.heard(false));
    if (socket.readyState === WebSocket.OPEN && this.#raw) this.#established(this.#raw);
    else {
      socket.once('upgrade', (response: IncomingMessage) => {
        socket.once('open', () => this.#established(response.socket));
      });
    }
  }

  #established(raw: Socket): void {
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = raw;
    // Ahead of the WebSocket, which tells of whole messages only: what has begun must end in time.
    raw.prependListener('data', () => this.heard(true));
    this.opened(
      { address: plainAddress(localAddress), port: localPort },
      { address: plainAddress(remoteAddress), port: remotePort },
    );
  }

  #receive(data: RawData, binary: boolean): void {
    if (this.state !== 'open') return;
    const octets = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    this.heard(false);
    // RFC 7118 6, RFC 5626 4.4.1: a double CRLF asks for a single one; a single one is the answer to ours.
    if (octets.length <= 4 && octets.every((octet) => octet === 13 || octet === 10)) {
      if (octets.length === 4) this.send(Buffer.from('\r\n'));
      return;
    }
    this.#binary = binary;
    this.events.onFrame(octets, false, this);
  }

  protected override transmit(octets: Buffer, done?: (error?: Error | null) => void): void {
    this.#socket?.send(octets, { binary: this.#binary || !isUtf8(octets), compress: false }, done);
  }

  protected override queued(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  protected override shutdown(): void {
    this.#socket?.close(1000);
  }

  protected override destroy(): void {
    this.#socket?.terminate();
    this.#raw?.destroy();
  }
}

/**
 * Does the server's side of the opening handshake on sockets accepted elsewhere. Anything but an upgrade to the
 * subprotocol "sip" is refused: 426 for plain HTTP, 400 for another subprotocol.
 */
export class WebSocketUpgrader {
  readonly #http: Server;
  readonly #upgraders: WebSocketServer;
  readonly #expected = new WeakMap<Duplex, WebSocketConnection>();

  constructor(maxPayload: number) {
    this.#upgraders = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload,
      clientTracking: false,
      handleProtocols: () => SUBPROTOCOL,
    });
    this.#http = createServer({ maxHeaderSize: 16_384 }, (_request, response) => {
      response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end();
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('clientError', (_error, socket) => socket.destroy());
  }

  expect(socket: Socket, connection: WebSocketConnection): void {
    this.#expected.set(socket, connection);
    this.#http.emit('connection', socket);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase());
    if (!offered.includes(SUBPROTOCOL)) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.#upgraders.handleUpgrade(request, socket, head, (webSocket) => this.#expected.get(socket)?.attach(webSocket));
  }
}
