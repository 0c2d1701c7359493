import { randomInt } from 'node:crypto';
import type { IncomingRequest } from '../core/incoming.ts';
import type { SipMessage } from '../message/index.ts';
import type { TimerWheel } from '../timers.ts';
import { Unacknowledged } from './unacknowledged.ts';

/** RFC 3262 7.1: the first RSeq is from 1 to 2^31 - 1. */
const RSEQ_LIMIT = 2 ** 31;

/** A response that waits for the PRACK of another one. */
interface Waiting {
  readonly send: () => void;
  /** It will never be sent: a final response went before, or the call ended. */
  readonly dropped: () => void;
}

/**
 * Reliable provisional responses to one INVITE at its UAS (RFC 3262 3): one at a time is on its way, those after it wait for
 * its PRACK, and so does a 2xx if it describes the session.
 */
export class ReliableProvisionals {
  /** The INVITE. */
  readonly incoming: IncomingRequest;
  readonly #wheel: TimerWheel;
  readonly #giveUp: () => void;
  #queue: Waiting[] = [];
  #rseq = randomInt(1, RSEQ_LIMIT / 2);
  /** The one that awaits its PRACK; after a final response it is repeated no more, but may still be acknowledged. */
  #outstanding: Unacknowledged | undefined;
  #describes = false;

  /** @param giveUp called when no PRACK came within 64*T1. */
  constructor(wheel: TimerWheel, incoming: IncomingRequest, giveUp: () => void) {
    this.#wheel = wheel;
    this.incoming = incoming;
    this.#giveUp = giveUp;
  }

  /**
   * Sends the response that `build` makes for the next RSeq, now or after the PRACK that is awaited.
   * @param sent told of it; `dropped` is called instead if a final response goes before.
   */
  send(build: (rseq: number) => SipMessage, sent: (response: SipMessage) => void, dropped: () => void): void {
    const send = (): void => {
      const response = build(++this.#rseq);
      const octets = response.serialise();
      const { status } = response;
      const { transaction, request, id } = this.incoming;
      transaction.respond(status, octets);
      this.#describes = response.body.length > 0;
      this.#outstanding = new Unacknowledged(this.#wheel, {
        sequence: request.cseq!.number,
        transactionId: id,
        send: () => transaction.respond(status, octets),
        giveUp: this.#giveUp,
        longest: Number.POSITIVE_INFINITY,
      });
      sent(response);
    };
    if (this.#outstanding === undefined) send();
    else this.#queue.push({ send, dropped });
  }

  /**
   * RFC 3262 3: no 2xx while the PRACK of a provisional response that described the session is awaited. Provisional
   * responses that wait as well have become pointless.
   * @returns whether the 2xx has to wait; then `send` or `dropped` is called.
   */
  hold(send: () => void, dropped: () => void): boolean {
    if (this.#outstanding === undefined || !this.#describes) return false;
    this.#drop();
    this.#queue = [{ send, dropped }];
    return true;
  }

  /** @returns false if the PRACK acknowledges nothing that is outstanding: 481 (RFC 3262 3). */
  acknowledge(prack: SipMessage): boolean {
    const [rseq, sequence, method] = (prack.get('rack') ?? '').trim().split(/\s+/);
    if (this.#outstanding === undefined || Number(rseq) !== this.#rseq) return false;
    if (Number(sequence) !== this.#outstanding.sequence || method !== 'INVITE') return false;
    this.#outstanding.stop();
    this.#outstanding = undefined;
    return true;
  }

  /** Sends what waited for the PRACK that has come. */
  proceed(): void {
    this.#queue.shift()?.send();
  }

  /** A final response went out, or the call ended. */
  stop(): void {
    this.#outstanding?.stop();
    this.#drop();
  }

  #drop(): void {
    for (const { dropped } of this.#queue.splice(0)) dropped();
  }
}

/** Whether the peer says that it understands reliable provisional responses. */
export function supportsReliable(request: SipMessage): boolean {
  return ['supported', 'require'].some((name) => request.getAll(name).some((tag) => tag.toLowerCase() === '100rel'));
}
