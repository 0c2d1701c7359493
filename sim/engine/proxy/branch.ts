import type { Core } from '../core/core.ts';
import { RequestPath } from '../core/paths.ts';
import { buildCancel, buildFailureAck } from '../core/requests.ts';
import { buildResponse, type SipMessage } from '../message/index.ts';
import type { Timer, TimerOwner } from '../timers.ts';
import { TIMER_C } from '../transaction/constants.ts';
import type { ClientFailure } from '../transaction/context.ts';
import type { ClientTransaction, ClientUser, ReceivedResponse } from '../transaction/transactions.ts';
import type { Flow } from '../transport/index.ts';
import type { Hop } from './forwarded-request.ts';

export type BranchState = 'waiting' | 'proceeding' | 'done';
type TimerName = 'provisional' | 'final';

export interface BranchOwner {
  provisional(branch: Branch, response: SipMessage): void;
  /** Called once for each 2xx to INVITE, and once for any other final response. */
  final(branch: Branch, response: SipMessage, flow: Flow | undefined): void;
}

/**
 * One target of a proxied request (16.6, 16.7).
 *
 * ```
 *   start --> waiting --1xx--> proceeding --final, time-out, failure--> done
 *                |                                                       ^
 *                +-------------------------------------------------------+
 * ```
 * A branch that timed out is `done` for its owner, but lives on: the CANCEL waits for a provisional response, and a 2xx that
 * is late is a 2xx still.
 */
export class Branch implements ClientUser, TimerOwner<TimerName> {
  readonly target: string;
  /** Address and port of the target, for the frame that tells of its response. */
  readonly hop: Hop;
  readonly #core: Core;
  readonly #owner: BranchOwner;
  readonly #request: SipMessage;
  readonly #path: RequestPath;
  #state: BranchState = 'waiting';
  #transaction: ClientTransaction | undefined;
  #cancelWanted = false;
  #cancelSent = false;
  /** The final time-out is timer C, not one that the application set. */
  #timerC = false;
  #provisionalTimer: Timer | undefined;
  #finalTimer: Timer | undefined;

  constructor(core: Core, owner: BranchOwner, target: string, request: SipMessage, hop: Hop) {
    this.#core = core;
    this.#owner = owner;
    this.target = target;
    this.hop = hop;
    this.#request = request;
    this.#path = new RequestPath(core.transport, hop.to);
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** @param provisionalMs, finalMs how long to wait for the first and for the final response; undefined: as RFC 3261 has it. */
  start(branch: string, provisionalMs: number | undefined, finalMs: number | undefined): void {
    const { wheel, transactions } = this.#core;
    const { method } = this.#request;
    this.#transaction = transactions.createClient(method, branch, this.#request.serialise(), this.#path, this);
    this.#path.onFailure = (error) => {
      this.#core.log('info', `${method} ${this.#request.callId} to ${this.target}: ${error.message}`);
      this.#transaction?.transportError();
    };
    if (provisionalMs !== undefined) this.#provisionalTimer = wheel.set(this, 'provisional', provisionalMs);
    if (finalMs !== undefined) this.#finalTimer = wheel.set(this, 'final', finalMs);
    else if (method === 'INVITE') this.#startTimerC();
    this.#transaction.start();
  }

  /** Sends CANCEL, at once or when a provisional response allows it (9.1). Only INVITE is cancelled. */
  cancel(): void {
    if (this.#request.method !== 'INVITE' || this.#transaction?.kind !== 'invite-client') return;
    this.#cancelWanted = true;
    if (this.#transaction.state === 'proceeding') this.#sendCancel();
  }

  onResponse({ message, flow }: ReceivedResponse, status: number): void {
    if (message.getAll('via').length < 2) {
      // 16.7 step 3: with our own Via alone it goes no further; what was meant for the caller is lost.
      this.#core.log('info', `${status} ${message.callId} from ${this.target}: no Via but ours`);
      if (status >= 200) this.#fail(502);
      return;
    }
    if (status < 200) {
      this.#enter('proceeding');
      if (this.#cancelWanted) this.#sendCancel();
      if (status > 100 && this.#timerC && !this.done) this.#startTimerC();
      if (status > 100 && !this.done) this.#owner.provisional(this, message);
      return;
    }
    const late = this.done;
    this.#enter('done');
    if (!late || status < 300) this.#owner.final(this, message, flow);
  }

  buildAck({ message }: ReceivedResponse): Buffer {
    return buildFailureAck(this.#request, message).serialise();
  }

  onFailure(failure: ClientFailure): void {
    this.#fail(failure === 'timeout' ? 408 : 503);
  }

  onTimer(name: TimerName): void {
    this.#core.log('info', `${this.#request.method} ${this.#request.callId}: no ${name} response from ${this.target}`);
    this.cancel();
    this.#fail(408);
  }

  /** 16.6 step 11; anew with each provisional response (16.7 step 2). */
  #startTimerC(): void {
    const { wheel } = this.#core;
    this.#timerC = true;
    wheel.clear(this.#finalTimer);
    this.#finalTimer = wheel.set(this, 'final', TIMER_C);
  }

  #fail(status: number): void {
    if (this.done) return;
    this.#enter('done');
    this.#owner.final(
      this,
      buildResponse(this.#request, status, undefined, { toTag: this.#core.ids.tag() }),
      undefined,
    );
  }

  #enter(state: BranchState): void {
    const { wheel } = this.#core;
    wheel.clear(this.#provisionalTimer);
    if (this.#state === 'done') return;
    if (state === 'done') wheel.clear(this.#finalTimer);
    this.#state = state;
  }

  #sendCancel(): void {
    if (this.#cancelSent) return;
    this.#cancelSent = true;
    const cancel = buildCancel(this.#request);
    this.#core.transactions
      .createClient('CANCEL', cancel.via!.branch!, cancel.serialise(), this.#path, IGNORED)
      .start();
    if (this.#transaction?.kind === 'invite-client') this.#transaction.cancelled();
  }
}

/** The answer to a CANCEL concerns no one: the INVITE's own does (9.1). */
const IGNORED: ClientUser = {
  onResponse: () => undefined,
  buildAck: () => Buffer.alloc(0),
  onFailure: () => undefined,
};
