import { randomInt } from 'node:crypto';
import type { IncomingRequest } from '../core/incoming.ts';
import type { SipMessage } from '../message/index.ts';
import type { TimerWheel } from '../timers.ts';
import { Unacknowledged } from './unacknowledged.ts';

/** RFC 3262 7.1: the first RSeq is from 1 to 2^31 - 1. */
const RSEQ_LIMIT = 2 ** 31;

/**
 * Reliable provisional responses to one INVITE at its UAS (RFC 3262 3): one at a time is on its way, those after it wait for
 * its PRACK.
 */
export class ReliableProvisionals {
  readonly #wheel: TimerWheel;
  readonly #incoming: IncomingRequest;
  readonly #giveUp: () => void;
  readonly #queue: (() => void)[] = [];
  #rseq = randomInt(1, RSEQ_LIMIT / 2);
  #waiting: Unacknowledged | undefined;

  /** @param giveUp called when no PRACK came within 64*T1. */
  constructor(wheel: TimerWheel, incoming: IncomingRequest, giveUp: () => void) {
    this.#wheel = wheel;
    this.#incoming = incoming;
    this.#giveUp = giveUp;
  }

  /** Sends the response that `build` makes for the next RSeq, now or after the PRACK that is awaited. */
  send(build: (rseq: number) => SipMessage, sent: (response: SipMessage) => void): void {
    const go = (): void => {
      const response = build(++this.#rseq);
      const octets = response.serialise();
      const { status } = response;
      const { transaction, request, id } = this.#incoming;
      if (!transaction.respond(status, octets)) return;
      this.#waiting = new Unacknowledged(this.#wheel, {
        sequence: request.cseq!.number,
        transactionId: id,
        send: () => transaction.respond(status, octets),
        giveUp: this.#giveUp,
        longest: Number.POSITIVE_INFINITY,
      });
      sent(response);
    };
    if (this.#waiting === undefined) go();
    else this.#queue.push(go);
  }

  /** @returns false if the PRACK acknowledges nothing that is outstanding: 481 (RFC 3262 3). */
  acknowledge(prack: SipMessage): boolean {
    const [rseq, sequence, method] = (prack.get('rack') ?? '').trim().split(/\s+/);
    if (this.#waiting === undefined || Number(rseq) !== this.#rseq) return false;
    if (Number(sequence) !== this.#waiting.sequence || method !== 'INVITE') return false;
    this.#waiting.stop();
    this.#waiting = undefined;
    this.#queue.shift()?.();
    return true;
  }

  /** A final response went out, or the call ended. */
  stop(): void {
    this.#waiting?.stop();
    this.#waiting = undefined;
    this.#queue.length = 0;
  }
}

/** Whether the peer says that it understands reliable provisional responses. */
export function supportsReliable(request: SipMessage): boolean {
  return ['supported', 'require'].some((name) => request.getAll(name).some((tag) => tag.toLowerCase() === '100rel'));
}
