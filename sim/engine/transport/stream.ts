import type { Socket } from 'node:net';
import { StreamFramer } from '../message/index.ts';
import { plainAddress } from './addresses.ts';
import { Connection, type ConnectionSetup } from './connection.ts';

const PONG = Buffer.from('\r\n');

/** The event of a socket after which it is established; undefined if it is so already. */
type Ready = 'connect' | 'secureConnect' | 'secure' | undefined;

/** A TCP or TLS connection. */
export class StreamConnection extends Connection {
  #socket: Socket;

  constructor(setup: ConnectionSetup, socket: Socket, ready: Ready) {
    super(setup);
    this.#socket = socket;
    this.#attach(socket, ready);
  }

  /** During the handshake: goes on with another socket in place of the first. */
  protected replace(socket: Socket, ready: Ready): void {
    const before = this.#socket;
    this.#socket = socket;
    before.destroy();
    this.#attach(socket, ready);
  }

  #attach(socket: Socket, ready: Ready): void {
    let frames = 0;
    const framer = new StreamFramer(
      this.limits,
      (frame, broken) => {
        frames += 1;
        if (this.state === 'open') this.events.onFrame(frame, broken, this);
      },
      // RFC 5626 4.4.1: the answer to a double CRLF is a single one.
      () => this.state === 'open' && this.send(PONG),
    );
    // A socket that has been replaced has nothing more to say.
    const present = (then: () => void): void => {
      if (socket === this.#socket) then();
    };
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      frames = 0;
      framer.push(chunk);
      this.heard(framer.unfinished, frames > 0);
    });
    socket.on('error', (error) => present(() => this.ended(error)));
    socket.on('close', () => present(() => this.ended()));
    socket.on('end', () => present(() => this.finish()));
    if (ready === undefined) this.#established();
    else socket.once(ready, () => present(() => this.#established()));
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
