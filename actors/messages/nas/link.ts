/**
 * NAS PDUs over a TCP connection, each preceded by its length in two octets (docs/interfaces.md, "LTE"). Stands in for
 * RRC and S1AP, which the testbed leaves out.
 */
import type { Socket } from 'node:net';
import { NasError } from './octets.ts';

/** Whatever can wake up later; a `Clock` is one. */
export interface Timers {
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
}

export interface NasLinkOptions {
  readonly timers: Timers;
  /** Called with each PDU as it is sent or taken in. */
  readonly onPdu: (direction: 'sent' | 'received', pdu: Uint8Array) => void;
}

interface Waiting {
  resolve(pdu: Uint8Array): void;
  reject(error: NasError): void;
}

export class NasLink {
  readonly #socket: Socket;
  readonly #options: NasLinkOptions;
  readonly #queue: Uint8Array[] = [];
  #unread: Uint8Array = new Uint8Array();
  #waiting: Waiting | undefined;
  #lost: NasError | undefined;

  /** @param socket connected, or about to be */
  constructor(socket: Socket, options: NasLinkOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (octets: Buffer) => this.#take(octets));
    socket.on('error', (error) => this.#lose(`The connection failed (${(error as NodeJS.ErrnoException).code}).`));
    socket.on('close', () => this.#lose('The other end closed the connection.'));
  }

  send(pdu: Uint8Array): void {
    if (this.#lost !== undefined) throw this.#lost;
    this.#options.onPdu('sent', pdu);
    this.#socket.write(Buffer.concat([Uint8Array.of(pdu.length >> 8, pdu.length & 0xff), pdu]));
  }

  /**
   * The next PDU, one caller at a time.
   *
   * @param limit how long to wait at most and for what; absent: until the connection ends
   * @throws NasError NAS_TIMEOUT, NAS_CONNECTION_LOST
   */
  receive(limit?: { readonly ms: number; readonly what: string }): Promise<Uint8Array> {
    const next = this.#queue.shift();
    if (next !== undefined) return Promise.resolve(next);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      const timer =
        limit === undefined
          ? undefined
          : this.#options.timers.setTimer(limit.ms, () => {
              this.#waiting = undefined;
              reject(new NasError('NAS_TIMEOUT', `${limit.what} did not come within ${limit.ms} ms.`));
            });
      this.#waiting = {
        resolve: (pdu) => {
          timer?.cancel();
          resolve(pdu);
        },
        reject: (error) => {
          timer?.cancel();
          reject(error);
        },
      };
    });
  }

  /** Ends the connection once what was sent has left. */
  close(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }

  #take(octets: Uint8Array): void {
    this.#unread = Buffer.concat([this.#unread, octets]);
    while (this.#unread.length >= 2) {
      const end = 2 + ((this.#unread[0]! << 8) | this.#unread[1]!);
      if (this.#unread.length < end) return;
      const pdu = this.#unread.subarray(2, end);
      this.#unread = this.#unread.subarray(end);
      this.#options.onPdu('received', pdu);
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#queue.push(pdu);
      else waiting.resolve(pdu);
    }
  }

  #lose(reason: string): void {
    this.#lost ??= new NasError('NAS_CONNECTION_LOST', reason);
    this.#waiting?.reject(this.#lost);
    this.#waiting = undefined;
  }
}
