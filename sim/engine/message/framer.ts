import type { MessageLimits } from './limits.ts';

/**
 * Cuts a byte stream into SIP messages by Content-Length in octets (RFC 3261 18.3), tells keep-alives from messages
 * (RFC 5626 4.4.1), and bounds what a peer can make it hold: never more than one message of the largest size allowed.
 *
 * Where the start of the next message cannot be known (no Content-Length, headers without end, a body too
 * large), the head is handed out as `broken`, for `parseMessage` to refuse it, and everything after it is ignored: the
 * owner answers and closes the connection.
 */
export class StreamFramer {
  readonly #limits: MessageLimits;
  readonly #onFrame: (frame: Buffer, broken: boolean) => void;
  readonly #onPing: () => void;
  /** Octets of an unfinished message: the first `#held` of `#buffer`, which grows by doubling. */
  #buffer: Buffer = EMPTY;
  #held = 0;
  /** The head was searched for its end up to here. */
  #searched = 0;
  /** Octets of the unfinished message, once its head is complete. */
  #need: number | undefined;
  #lineEnds = 0;
  #broken = false;

  /**
   * `onFrame` gets each message's octets (not to be kept in part: they share memory with their neighbours); `onPing` is
   * called for each double CRLF between messages.
   */
  constructor(limits: MessageLimits, onFrame: (frame: Buffer, broken: boolean) => void, onPing: () => void) {
    this.#limits = limits;
    this.#onFrame = onFrame;
    this.#onPing = onPing;
  }

  /** Whether a message has begun and not ended. */
  get unfinished(): boolean {
    return this.#held > 0;
  }

  get broken(): boolean {
    return this.#broken;
  }

  push(chunk: Buffer): void {
    if (this.#broken) return;
    const held = this.#held > 0;
    if (held) this.#hold(chunk);
    const data = held ? this.#buffer.subarray(0, this.#held) : chunk;
    let at = 0;
    while (at < data.length && !this.#broken) {
      if (this.#need === undefined) {
        if (this.#searched === 0) at = this.#skipLineEnds(data, at);
        if (at < data.length) this.#findHead(data, at);
      }
      if (this.#need === undefined || data.length - at < this.#need || this.#broken) break;
      const end = at + this.#need;
      this.#need = undefined;
      this.#searched = 0;
      const frame = data.subarray(at, end);
      at = end;
      this.#onFrame(frame, false);
    }
    this.#keep(data, at, held);
  }

  /** CRLFs before a start line mean nothing (RFC 3261 7.5), except that two are a ping. */
  #skipLineEnds(data: Buffer, at: number): number {
    for (; at < data.length; at++) {
      const octet = data[at]!;
      // A CRLF may be split between reads, so its halves are counted; a message never begins with either.
      if (octet !== (this.#lineEnds % 2 === 0 ? 13 : 10)) break;
      if (++this.#lineEnds === 4) {
        this.#lineEnds = 0;
        this.#onPing();
      }
    }
    if (at < data.length) this.#lineEnds = 0;
    return at;
  }

  #findHead(data: Buffer, at: number): void {
    const end = data.indexOf('\r\n\r\n', at + Math.max(0, this.#searched - 3), 'latin1');
    const headEnd = end < 0 ? data.length : end + 4;
    if (headEnd - at > this.#limits.headBytes + 4) {
      this.#break(data.subarray(at, at + this.#limits.headBytes + 4));
    } else if (end < 0) {
      this.#searched = data.length - at;
    } else {
      const head = data.toString('latin1', at, headEnd);
      const lengths = head.match(CONTENT_LENGTH);
      // Two that differ leave open where the next message starts (and repeated ones are refused in any case).
      const body = lengths?.length === 1 ? Number(/\d+/.exec(lengths[0])) : Number.NaN;
      if (body <= this.#limits.bodyBytes) this.#need = headEnd - at + body;
      else this.#break(data.subarray(at, headEnd));
    }
  }

  #break(head: Buffer): void {
    this.#broken = true;
    this.#onFrame(head, true);
  }

  #hold(chunk: Buffer): void {
    if (this.#held + chunk.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#held + chunk.length));
      this.#buffer.copy(larger, 0, 0, this.#held);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#held);
    this.#held += chunk.length;
  }

  /** Keeps what is left of `data` from `at` on; frames handed out share `data`, so it is copied rather than moved. */
  #keep(data: Buffer, at: number, held: boolean): void {
    const rest = data.length - at;
    if (this.#broken || rest === 0) {
      this.#buffer = EMPTY;
      this.#held = 0;
    } else if (!held || at > 0) {
      this.#buffer = Buffer.from(data.subarray(at));
      this.#held = rest;
    }
  }
}

const EMPTY = Buffer.alloc(0);
const CONTENT_LENGTH = /\r\n(?:content-length|l)[ \t]*:(?:[ \t]|\r\n[ \t])*\d+[ \t]*(?=\r\n)/gi;
