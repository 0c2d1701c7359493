import { EngineError } from '../errors.ts';

/**
 * Frames of the control protocol: `LENGTH '#' MESSAGE`, LENGTH being the ASCII decimal count of octets of MESSAGE,
 * with nothing between one frame and the next (contract, section 1).
 */

const HASH = 0x23;
const ZERO = 0x30;
const NINE = 0x39;

export interface FrameLimits {
  /** Digits that LENGTH may have. drachtio-server: 5. */
  readonly digits: number;
  /** Octets of a whole frame, LENGTH and `#` included. drachtio-server's ring holds 12,228. */
  readonly octets: number;
}

/** drachtio-server's own limits (contract, section 1): what does not fit never completes there. */
export const STRICT_FRAMES: FrameLimits = { digits: 5, octets: 12_228 };
/** What bounds memory when the real server's limits are not wanted. */
export const WIDE_FRAMES: FrameLimits = { digits: 8, octets: 16 * 1024 * 1024 };

/**
 * Cuts a stream of octets into MESSAGEs, however it was divided into reads. A MESSAGE is a view of the octets read:
 * whoever keeps it for longer than the call copies it.
 */
export class FrameReader {
  readonly #limits: FrameLimits;
  #chunks: Buffer[] = [];
  #size = 0;
  /** Octets needed before it is worth looking again. */
  #needed = 1;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /**
   * Takes the next octets of the stream and hands each MESSAGE that is now whole to `onMessage`.
   * @throws {EngineError} `ERR_CONTROL_FRAME`: not a frame, or a frame over the limits. The stream cannot be resynchronised.
   */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed) return;
    let data = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#size);
    for (;;) {
      const head = this.#readLength(data);
      if (head === undefined) {
        this.#needed = data.length + 1;
        break;
      }
      const end = head.start + head.length;
      if (data.length < end) {
        this.#needed = end;
        break;
      }
      const message = data.subarray(head.start, end);
      data = data.subarray(end);
      onMessage(message);
    }
    this.#chunks = data.length === 0 ? [] : [data];
    this.#size = data.length;
  }

  /** LENGTH and where MESSAGE starts, or `undefined` while LENGTH is incomplete. */
  #readLength(data: Buffer): { length: number; start: number } | undefined {
    const { digits, octets } = this.#limits;
    let length = 0;
    for (let i = 0; i < data.length; i++) {
      const octet = data[i]!;
      if (octet === HASH && i > 0) {
        if (i + 1 + length > octets) {
          throw new EngineError('ERR_CONTROL_FRAME', `frame of ${length} octets is over the limit of ${octets}`);
        }
        return { length, start: i + 1 };
      }
      if (octet < ZERO || octet > NINE) {
        throw new EngineError('ERR_CONTROL_FRAME', `octet 0x${octet.toString(16)} where a LENGTH digit was expected`);
      }
      if (i >= digits) throw new EngineError('ERR_CONTROL_FRAME', `LENGTH has more than ${digits} digits`);
      length = length * 10 + octet - ZERO;
    }
    return undefined;
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * One frame: `leader`, and after CRLF `sip` if given. The leader may hold text from the wire (dialog ids) and is written as
 * latin1, which is how such text was read: octets pass through unchanged.
 */
export function encodeFrame(leader: string, sip?: Buffer): Buffer {
  const body = sip ?? NOTHING;
  const length = leader.length + (sip === undefined ? 0 : 2 + body.length);
  const prefix = `${length}#`;
  const frame = Buffer.allocUnsafe(prefix.length + length);
  let at = frame.write(prefix, 0, 'latin1');
  at += frame.write(leader, at, 'latin1');
  if (sip !== undefined) {
    frame[at++] = 0x0d;
    frame[at++] = 0x0a;
    body.copy(frame, at);
  }
  return frame;
}

export interface Leader {
  /** Token 0. */
  readonly id: string;
  /** Token 1. */
  readonly verb: string;
  /** All tokens, 0 and 1 included. */
  readonly tokens: readonly string[];
  /** What follows CRLF; `undefined` for a MESSAGE that is only a leader. A view of the octets read. */
  readonly sip: Buffer | undefined;
}

/** Divides a MESSAGE into its tokens and its SIP text. */
export function decodeMessage(message: Buffer): Leader {
  const cr = message.indexOf(0x0d);
  const tokens = message.toString('latin1', 0, cr === -1 ? message.length : cr).split('|');
  return { id: tokens[0] ?? '', verb: tokens[1] ?? '', tokens, sip: cr === -1 ? undefined : message.subarray(cr + 2) };
}
