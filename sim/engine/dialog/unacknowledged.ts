import type { Timer, TimerOwner, TimerWheel } from '../timers.ts';
import { T1, T2, TRANSACTION_LIFETIME } from '../transaction/constants.ts';

/**
 * A 2xx to INVITE that awaits its ACK (13.3.1.4): repeated from T1 doubling to T2 whatever the transport, and given up after
 * 64*T1. Reliable provisional responses await their PRACK in the same way (RFC 3262 3), but double without bound.
 */
export class Unacknowledged implements TimerOwner<'repeat' | 'give-up'> {
  /** CSeq number of the INVITE. */
  readonly sequence: number;
  /** Transaction id under which the application knows the INVITE. */
  readonly transactionId: string;
  readonly #wheel: TimerWheel;
  readonly #send: () => void;
  readonly #giveUp: () => void;
  readonly #longest: number;
  #interval = T1;
  #repeat: Timer;
  readonly #end: Timer;

  constructor(
    wheel: TimerWheel,
    init: {
      readonly sequence: number;
      readonly transactionId: string;
      readonly send: () => void;
      readonly giveUp: () => void;
      readonly longest?: number;
    },
  ) {
    this.#wheel = wheel;
    this.sequence = init.sequence;
    this.transactionId = init.transactionId;
    this.#send = init.send;
    this.#giveUp = init.giveUp;
    this.#longest = init.longest ?? T2;
    this.#repeat = wheel.set(this, 'repeat', T1);
    this.#end = wheel.set(this, 'give-up', TRANSACTION_LIFETIME);
  }

  /** The ACK or PRACK has come, or nobody waits any longer. */
  stop(): void {
    this.#wheel.clear(this.#repeat);
    this.#wheel.clear(this.#end);
  }

  onTimer(name: 'repeat' | 'give-up'): void {
    if (name === 'give-up') {
      this.stop();
      this.#giveUp();
      return;
    }
    this.#send();
    this.#interval = Math.min(this.#interval * 2, this.#longest);
    this.#repeat = this.#wheel.set(this, 'repeat', this.#interval);
  }
}
