import type { Clock } from '../clock.ts';
import type { AppConnection } from '../control/connection.ts';
import { timeToken } from '../control/leaders.ts';
import type { Routes } from '../control/routes.ts';
import type { SipMessage } from '../message/index.ts';

export type CdrSource = 'network' | 'application';
export type CdrRole = 'uac' | 'uas';
export type CdrReason =
  | 'call-rejected'
  | 'call-canceled'
  | 'normal-release'
  | 'session-expired'
  | 'system-initiated-termination';

/**
 * Call detail records (contract, section 11): `cdr:attempt`, `cdr:start` and `cdr:stop` of calls that applications make
 * and take, each to one of the applications that asked for it by `route`.
 */
export class CallRecords {
  readonly #clock: Clock;
  readonly #routes: Routes<AppConnection>;

  constructor(clock: Clock, routes: Routes<AppConnection>) {
    this.#clock = clock;
    this.#routes = routes;
  }

  /** An INVITE that opens a call. */
  attempt(source: CdrSource, invite: SipMessage): void {
    this.#post('cdr:attempt', source, '', invite);
  }

  /** The 2xx. */
  start(source: CdrSource, success: SipMessage, role: CdrRole): void {
    this.#post('cdr:start', source, `|${role}`, success);
  }

  /** The final response that refused the call, or the BYE that ended it. */
  stop(source: CdrSource, message: SipMessage, reason: CdrReason): void {
    this.#post('cdr:stop', source, `|${reason}`, message);
  }

  #post(event: string, source: CdrSource, extra: string, message: SipMessage): void {
    this.#routes.pick(event)?.send(`${event}|${source}|${timeToken(this.#clock.now())}${extra}`, message.serialise());
  }
}

/** Why a final response other than 2xx ended a call. */
export function refusalReason(status: number): CdrReason {
  return status === 487 ? 'call-canceled' : 'call-rejected';
}
