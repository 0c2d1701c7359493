import type { Socket } from 'node:net';
import { EngineError } from '../errors.ts';
import { decodeMessage, encodeFrame, type FrameLimits, FrameReader, type Leader } from './framing.ts';

/** Octets that may wait for an application that does not read, before its connection is given up. */
const MAX_BACKLOG = 64 * 1024 * 1024;

export interface ConnectionEvents {
  message(connection: AppConnection, message: Leader): void;
  /** Called once; whatever is bound to the connection is to be let go. */
  closed(connection: AppConnection, reason: string): void;
}

/**
 * One application's connection: frames in, frames out. Frames of one turn of the event loop leave in one write.
 */
export class AppConnection {
  readonly socket: Socket;
  /** Set by `authenticate`; as in drachtio-server nothing depends on it. */
  authenticated = false;
  tags: readonly string[] = [];
  /** True when the engine opened the connection (section 2b): frames wait until the application has authenticated. */
  readonly outbound: boolean;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  readonly #newId: () => string;
  #frames: Buffer[] = [];
  readonly #held: Buffer[] = [];
  #scheduled = false;
  #closed = false;

  constructor(socket: Socket, limits: FrameLimits, newId: () => string, events: ConnectionEvents, outbound = false) {
    this.socket = socket;
    this.outbound = outbound;
    this.#events = events;
    this.#newId = newId;
    this.#reader = new FrameReader(limits);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 45_000);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => this.close('closed by the application'));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Queues a frame `<fresh id>|<leader>[CRLF sip]`; it leaves at the end of this turn of the event loop. */
  send(leader: string, sip?: Buffer): void {
    if (this.#closed) return;
    const frame = encodeFrame(`${this.#newId()}|${leader}`, sip);
    if (this.outbound && !this.authenticated) {
      this.#held.push(frame);
      return;
    }
    this.#frames.push(frame);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Sends what waited for authentication. */
  release(): void {
    this.#frames.push(...this.#held.splice(0));
  }

  /** Sends what is queued, then ends the connection. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#flush();
    this.socket.end();
    this.#finish(reason);
  }

  /** Drops the connection with whatever is queued. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#finish(reason);
    this.socket.destroy();
  }

  #finish(reason: string): void {
    this.#closed = true;
    this.#frames = [];
    this.#events.closed(this, reason);
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk, (message) => {
        if (!this.#closed) this.#events.message(this, decodeMessage(message));
      });
    } catch (error) {
      // A frame that cannot be read leaves no way to find the next one: drachtio-server, too, drops the connection.
      if (error instanceof EngineError && error.code === 'ERR_CONTROL_FRAME') this.close(error.message);
      else throw error;
    }
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const frames = this.#frames;
    if (frames.length === 0 || this.#closed) return;
    this.#frames = [];
    this.socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    if (this.socket.writableLength > MAX_BACKLOG) this.close('the application does not read');
  };
}
