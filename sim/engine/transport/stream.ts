import type { Socket } from 'node:net';
import { StreamFramer } from '../message/index.ts';
import { plainAddress } from './addresses.ts';
import { Connection, type ConnectionSetup } from './connection.ts';

const PONG = Buffer.from('\r\n');

/** A TCP or TLS connection. */
export class StreamConnection extends Connection {
  readonly #socket: Socket;

  /** `ready` is the socket's event after which it is established; undefined if it is so already. */
  constructor(setup: ConnectionSetup, socket: Socket, ready: 'connect' | 'secureConnect' | 'secure' | undefined) {
    super(setup);
    this.#socket = socket;
    const framer = new StreamFramer(
      setup.limits,
      (frame, broken) => this.state === 'open' && setup.events.onFrame(frame, broken, this),
      // RFC 5626 4.4.1: the answer to a double CRLF is a single one.
      () => this.state === 'open' && this.send(PONG),
    );
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk);
      this.heard(framer.unfinished);
    });
    socket.on('error', (error) => this.ended(error));
    socket.on('close', () => this.ended());
    socket.on('end', () => this.finish());
    if (ready === undefined) this.#established();
    else socket.once(ready, () => this.#established());
  }

  #established(): void {
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = this.#socket;
    this.opened(
      { address: plainAddress(localAddress), port: localPort },
      { address: plainAddress(remoteAddress), port: remotePort },
    );
  }

  protected override transmit(octets: Buffer, done?: (error?: Error | null) => void): void {
    this.#socket.write(octets, done);
  }

  protected override queued(): number {
    return this.#socket.writableLength;
  }

  protected override shutdown(): void {
    this.#socket.end();
  }

  protected override destroy(): void {
    this.#socket.destroy();
  }
}
