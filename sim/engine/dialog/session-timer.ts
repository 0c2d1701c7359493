import { randomInt } from 'node:crypto';
import type { Core } from '../core/core.ts';
import { buildFailureAck } from '../core/requests.ts';
import type { Uac } from '../core/uac.ts';
import { buildRequest, type SipMessage } from '../message/index.ts';
import type { Timer, TimerOwner } from '../timers.ts';
import type { ClientTransaction, ReceivedResponse } from '../transaction/transactions.ts';
import type { Acks } from './acks.ts';
import type { Dialog } from './dialog.ts';

/** The shortest interval in seconds (RFC 4028 4 and 5); drachtio-server offers and takes no other. */
export const MIN_SE = 90;
/** What the header can hold: delta-seconds beyond it mean the same (RFC 3261 20.19). */
const LONGEST_S = 2 ** 32 - 1;

export interface SessionExpires {
  /** The interval, at least 1. */
  readonly seconds: number;
  /** Of the transaction that bears the header: its UAC or its UAS. */
  readonly refresher: 'uac' | 'uas' | undefined;
}

/** The Session-Expires header of a message (RFC 4028 4); undefined if there is none, or none that can be read. */
export function sessionExpires(message: SipMessage): SessionExpires | undefined {
  const [, digits, parameters = ''] = /^\s*(\d+)\s*(;.*)?$/.exec(message.get('session-expires') ?? '') ?? [];
  if (digits === undefined || Number(digits) === 0) return undefined;
  const refresher = /;\s*refresher\s*=\s*(uac|uas)\s*(?:;|$)/i.exec(parameters)?.[1]?.toLowerCase();
  return { seconds: Math.min(Number(digits), LONGEST_S), refresher: refresher as SessionExpires['refresher'] };
}

/** Whether a request in a dialog asks for an interval so short that the stack refuses it with 422 (RFC 4028 6). */
export function intervalTooSmall(request: SipMessage): boolean {
  if (request.method !== 'INVITE' && request.method !== 'UPDATE') return false;
  const asked = sessionExpires(request);
  return asked !== undefined && asked.seconds < MIN_SE;
}

/** What the session timers of one engine work with. */
export interface SessionTimerContext {
  readonly core: Core;
  readonly uac: Uac;
  readonly acks: Acks;
  /** The session was not refreshed: the call is over. */
  readonly expired: (dialog: Dialog) => void;
}

/** The session timers of an engine: what a 2xx to INVITE or UPDATE says of the session. */
export class SessionTimers {
  readonly #context: SessionTimerContext;

  constructor(context: SessionTimerContext) {
    this.#context = context;
  }

  /** A 2xx to a request of the application's has come. */
  answered(dialog: Dialog, response: SipMessage): void {
    this.#of(dialog)?.answered(response);
  }

  /** A 2xx of the application's to a request has gone out. */
  accepted(dialog: Dialog, request: SipMessage, response: SipMessage): void {
    this.#of(dialog)?.accepted(request, response);
  }

  /** Undefined while the call is not up, or no more: UPDATE may come before. */
  #of(dialog: Dialog): SessionTimer | undefined {
    if (dialog.state !== 'confirmed') return undefined;
    dialog.session ??= new SessionTimer(this.#context, dialog);
    return dialog.session;
  }
}

/**
 * The session timer of one call (RFC 4028), kept by the stack without its application, as drachtio-server does.
 *
 * ```
 *                 2xx with Session-Expires
 *   off <------------------------------------> running -------------------------> expired: BYE, the application is told
 *        2xx without one, end of the dialog    |     ^     the peer refreshes and
 *                                              |     |     did not for the interval
 *               we refresh: half of the        |     |
 *               interval has passed            v     | 2xx, or 491 and a random while
 *                                            refreshing ----------------------> expired
 *                                                        any other answer, none
 * ```
 *
 * As drachtio-server: the refresh is a re-INVITE that repeats our description of the session; the side that does not
 * refresh waits for the whole interval (10 would have it hang up a little earlier).
 */
export class SessionTimer implements TimerOwner<'refresh' | 'expiry'> {
  readonly #context: SessionTimerContext;
  readonly #dialog: Dialog;
  #timer: Timer | undefined;
  #refreshing: ClientTransaction | undefined;
  #seconds = 0;
  #weRefresh = false;
  /** When the session ends if nobody refreshes it. */
  #end = 0;

  constructor(context: SessionTimerContext, dialog: Dialog) {
    this.#context = context;
    this.#dialog = dialog;
  }

  /** A 2xx to an INVITE or UPDATE of ours (7.2): without a refresher named it is us. */
  answered(response: SipMessage): void {
    const agreed = sessionExpires(response);
    if (agreed !== undefined) this.#run(agreed.seconds, agreed.refresher !== 'uas');
    // The peer expects nothing any more. Where we refresh, going on harms nobody, and may be what the peer needs.
    else if (!this.#weRefresh) this.stop();
  }

  /**
   * A 2xx of ours to an INVITE or UPDATE (9). Applications that say nothing about the session timer (drachtio-srf's own
   * answers to re-INVITEs) accept what was asked for, as drachtio-server does.
   */
  accepted(request: SipMessage, response: SipMessage): void {
    const reply = sessionExpires(response);
    const opens = request.to!.tag === undefined;
    const agreed = reply ?? (opens ? undefined : sessionExpires(request));
    if (agreed === undefined) {
      this.stop();
      return;
    }
    const running = this.#timer !== undefined;
    const weRefresh = agreed.refresher === undefined ? running && this.#weRefresh : agreed.refresher === 'uas';
    this.#run(Math.max(agreed.seconds, MIN_SE), weRefresh);
  }

  stop(): void {
    this.#context.core.wheel.clear(this.#timer);
    this.#timer = undefined;
    // Nobody waits for a refresh any longer, and it may stay without final answer: 64*T1 are enough for one.
    if (this.#refreshing?.kind === 'invite-client') this.#refreshing.cancelled();
    this.#refreshing = undefined;
  }

  onTimer(name: 'refresh' | 'expiry'): void {
    if (name === 'expiry') this.#expire();
    else this.#refresh();
  }

  #run(seconds: number, weRefresh: boolean): void {
    const { wheel } = this.#context.core;
    this.stop();
    this.#seconds = seconds;
    this.#weRefresh = weRefresh;
    this.#end = wheel.now + seconds * 1000;
    // 10: half of the interval is when to refresh.
    this.#timer = weRefresh ? wheel.set(this, 'refresh', seconds * 500) : wheel.set(this, 'expiry', seconds * 1000);
  }

  #expire(): void {
    this.stop();
    this.#context.expired(this.#dialog);
  }

  #refresh(): void {
    const dialog = this.#dialog;
    // RFC 3261 14.1: no INVITE while another is under way.
    if (dialog.inviteSent || dialog.inviteReceived || dialog.unacknowledged !== undefined) {
      this.#later();
      return;
    }
    const { description } = dialog;
    const headers: [string, string][] = [
      ['Supported', 'timer'],
      // 7.4: our role in this transaction.
      ['Session-Expires', `${this.#seconds};refresher=uac`],
      ['Min-SE', String(MIN_SE)],
    ];
    if (description !== undefined) headers.push(['Content-Type', description.contentType]);
    const text = buildRequest('INVITE', dialog.remoteTarget, headers, description?.body);
    const { wheel } = this.#context.core;
    // 10: a peer that answers provisionally and no more has not refreshed either.
    this.#timer = wheel.set(this, 'expiry', Math.max(0, this.#end - wheel.now));
    const due = this.#timer;
    let accepted = false;
    const settle = (status: number, success?: SipMessage): void => {
      dialog.inviteSent = false;
      // Unless an UPDATE has set another limit meanwhile, or the call is over.
      if (this.#timer === due) this.#settled(status, success);
    };
    const sent = this.#context.uac.sendByStack(dialog, text, (request) => ({
      onResponse: ({ message }: ReceivedResponse, status: number) => {
        if (status < 200) return;
        if (status >= 300) settle(status);
        else if (accepted) dialog.repeatAck?.();
        else {
          accepted = true;
          dialog.refreshTarget(message);
          this.#context.acks.acknowledge(dialog);
          settle(status, message);
        }
      },
      buildAck: ({ message }: ReceivedResponse) => buildFailureAck(request, message).serialise(),
      onFailure: () => settle(408),
    }));
    if (sent === undefined) this.#expire();
    else this.#refreshing = sent.transaction;
  }

  #settled(status: number, success: SipMessage | undefined): void {
    if (success !== undefined) {
      // 7.2: without the header the peer sets the session no limit any more.
      this.stop();
      this.answered(success);
    } else if (status === 491) {
      this.stop();
      this.#later();
    } else this.#expire();
  }

  /** RFC 3261 14.1: the one who owns the Call-ID waits longer. Not beyond the end of the session (RFC 4028 10). */
  #later(): void {
    const { wheel } = this.#context.core;
    if (wheel.now >= this.#end) this.#expire();
    else {
      const wait = this.#dialog.role === 'uac' ? randomInt(210, 401) : randomInt(0, 201);
      this.#timer = wheel.set(this, 'refresh', wait * 10);
    }
  }
}
