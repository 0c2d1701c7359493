/**
 * SIP over secure WebSocket (RFC 7118) for sip.js, on `ws` and with the testbed's CA. One message per frame; what
 * crosses the socket is reported octet for octet.
 */
import type { Transport } from 'sip.js/lib/core/index.js';
import { WebSocket } from 'ws';
import type { Report } from '../../../sim/trace/record.ts';
import { UeError } from '../errors.ts';

const CONNECT_BOUND_MS = 10_000;
const CLOSE_BOUND_MS = 2_000;

export interface WssOptions {
  readonly url: string;
  /** PEM of the CA that the core's certificate must come from. */
  readonly ca: string;
  readonly report: Report;
  readonly onMessage: (text: string) => void;
  /** The connection ended, whoever ended it. */
  readonly onClose: () => void;
}

/** One connection to the SIP core. */
export class WssTransport implements Transport {
  /** Goes into the Via (RFC 7118 5.2). */
  readonly protocol = 'WSS';
  readonly #options: WssOptions;
  readonly #socket: WebSocket;

  private constructor(options: WssOptions, socket: WebSocket) {
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (data) => this.#receive(data as Buffer));
    socket.on('close', () => options.onClose());
    // Without a listener an error would end the process; `close` follows it and is what counts.
    socket.on('error', () => undefined);
  }

  /** Opens the connection. @throws UeError `UE_NO_CONNECTION` when the core cannot be reached or is not trusted */
  static connect(options: WssOptions): Promise<WssTransport> {
    const socket = new WebSocket(options.url, 'sip', {
      ca: options.ca,
      handshakeTimeout: CONNECT_BOUND_MS,
      perMessageDeflate: false,
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        const why = `the SIP core at ${options.url} was not reached within ${CONNECT_BOUND_MS} ms: ${error.message}`;
        reject(new UeError('UE_NO_CONNECTION', why));
      });
      socket.once('open', () => resolve(new WssTransport(options, socket)));
    });
  }

  /** @throws UeError `UE_NO_CONNECTION` when the connection is gone */
  send(message: string): Promise<void> {
    const bytes = Buffer.from(message, 'utf8');
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) {
        reject(new UeError('UE_NO_CONNECTION', 'the connection to the SIP core is closed; register again'));
        return;
      }
      // Reported before it is sent, so that no answer can be seen before its request.
      this.#options.report({ direction: 'sent', interface: 'SIP-1', peer: 'sip-core', protocol: 'sip', bytes });
      this.#socket.send(bytes, { binary: false }, (error) => {
        if (error) reject(new UeError('UE_NO_CONNECTION', `sending to the SIP core failed: ${error.message}`));
        else resolve();
      });
    });
  }

  /** Ends the connection without a goodbye, as lost radio coverage would. */
  drop(): void {
    this.#socket.terminate();
  }

  /** Closes the connection; forced after a bound. */
  close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const force = setTimeout(() => this.#socket.terminate(), CLOSE_BOUND_MS);
      this.#socket.once('close', () => {
        clearTimeout(force);
        resolve();
      });
      this.#socket.close();
    });
  }

  #receive(data: Buffer): void {
    // RFC 7118 6 and RFC 5626 3.5.1: CRLF frames are keep-alives.
    if (data.length <= 4 && data.toString('latin1').trim() === '') return;
    this.#options.report({ direction: 'received', interface: 'SIP-1', peer: 'sip-core', protocol: 'sip', bytes: data });
    this.#options.onMessage(data.toString('utf8'));
  }
}
