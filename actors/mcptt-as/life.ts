/**
 * Life of SIP sessions, bindings and their CEKs (7.x.3): whatever ends a session or a user's service ends the keys with
 * it, and the KMS is told.
 *
 *     third-party REGISTER ──> session ──PUBLISH──> binding + CEK in use
 *          Expires 0, expiry ──────┴── ends the session, every binding on it, every CEK of it
 *          log-off, revocation, expiry of token or PUBLISH  ends the binding and the user's CEK
 */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';
import { WARNINGS } from '../messages/sip-headers.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import { type Binding, type BindingEnd, type BindingStore, nextBindingState } from './bindings.ts';
import { Refusal } from './errors.ts';
import type { SessionStore, SipSession } from './sessions.ts';

/** Tells the KMS that CEKs have ended. */
export type TellKms = (ended: { sipSession: string; userUri?: string; reason: string }) => Promise<void>;

export interface LifeOptions {
  readonly sessions: SessionStore;
  readonly bindings: BindingStore;
  readonly ceks: () => CekKeyStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly tellKms: TellKms;
  readonly tokenExpiryEndsBinding: () => boolean;
  /** A binding has ended: calls of its user end with it. */
  readonly onUnbound: (binding: Binding) => void;
}

/** Ends of a key that its binding ends by under the same name. */
const KEY_ENDS = ['logged-off', 'deregistered', 'expired'] as const satisfies readonly BindingEnd[];

/** Delays before the KMS is told again, when it could not be reached; the last goes on. */
const TELL_AGAIN_MS = [1_000, 5_000, 30_000];
/** A day: by then the KMS has ended the key by itself, unless policy lets keys live for longer. */
const TOLD_FOR_MS = 86_400_000;

export class Life {
  readonly #options: LifeOptions;
  readonly #timers = new Map<string, TimerHandle>();
  #stopped = false;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  /** A session was registered or refreshed. */
  async registered(session: SipSession): Promise<void> {
    await this.#options.sessions.put(session);
    const left = session.expiresAt - this.#options.clock.now();
    this.#arm(session.sipSession, left, () => this.sessionEnded(session.sipSession, 'expired'));
  }

  /** A session was de-registered or ran out. Unknown ones are nobody's loss. */
  async sessionEnded(sipSession: string, reason: 'deregistered' | 'expired'): Promise<void> {
    this.#disarm(sipSession);
    const { sessions, bindings, ceks } = this.#options;
    if ((await sessions.get(sipSession)) === undefined) return;
    await sessions.delete(sipSession);
    for (const binding of await bindings.bySession(sipSession)) await this.#unbind(binding, reason);
    ceks().end({ sipSession }, reason);
    this.#tell({ sipSession, reason });
  }

  /**
   * A user was authorized, or refreshed the settings.
   * @throws Refusal 403 when the session has ended in the meantime: nothing is bound to it then
   */
  async bound(binding: Binding): Promise<void> {
    const { sessions, bindings } = this.#options;
    await bindings.put(binding);
    if ((await sessions.get(binding.sipSession)) === undefined) {
      await bindings.delete(binding);
      throw new Refusal(403, WARNINGS.notRegistered);
    }
    const { publishedUntil = Number.POSITIVE_INFINITY, tokenExpiresAt } = binding;
    const token = this.#options.tokenExpiryEndsBinding() ? tokenExpiresAt : Number.POSITIVE_INFINITY;
    const end = Math.min(publishedUntil, token);
    this.#disarm(timerOf(binding));
    if (end === Number.POSITIVE_INFINITY) return;
    const reason = end === token ? 'token-expired' : 'expired';
    this.#arm(timerOf(binding), end - this.#options.clock.now(), () => this.userEnded(binding, reason));
  }

  /** One user's service on one session has ended; the others on it go on. */
  async userEnded(binding: Binding, reason: Exclude<BindingEnd, 'deregistered'>): Promise<void> {
    await this.#unbind(binding, reason);
    const { mcpttId: userUri, sipSession, clientId } = binding;
    this.#options.ceks().end({ userUri, sipSession, clientId }, reason);
    // A revocation comes from the KMS itself.
    if (reason !== 'revoked') this.#tell({ sipSession, userUri, reason });
  }

  /** A user's key has ended for good: the service that stood on it ends too. */
  async keyEnded(which: { userUri: string; sipSession: string; clientId: string }, reason: string): Promise<void> {
    const end = KEY_ENDS.find((known) => known === reason) ?? 'revoked';
    for (const binding of await this.#options.bindings.byUser(which.userUri)) {
      if (binding.sipSession === which.sipSession && binding.clientId === which.clientId)
        await this.#unbind(binding, end);
    }
  }

  /** Takes up the timers of what the store has kept over a restart. */
  async resume(): Promise<void> {
    this.#stopped = false;
    for (const session of await this.#options.sessions.all()) await this.registered(session);
    for (const binding of await this.#options.bindings.all()) {
      await this.bound(binding).catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  async #unbind(binding: Binding, event: BindingEnd): Promise<void> {
    nextBindingState(binding.state, event);
    this.#disarm(timerOf(binding));
    await this.#options.bindings.delete(binding);
    this.#options.onUnbound(binding);
    this.#options.log.info({ sipSession: binding.sipSession, reason: event }, 'an MCPTT binding has ended');
  }

  #tell(
    ended: { sipSession: string; userUri?: string; reason: string },
    attempt = 0,
    until = this.#options.clock.now() + TOLD_FOR_MS,
  ): void {
    this.#options.tellKms(ended).catch((error: Error) => {
      const delay = TELL_AGAIN_MS[attempt] ?? TELL_AGAIN_MS.at(-1)!;
      const again = !this.#stopped && this.#options.clock.now() + delay <= until;
      this.#options.log.warn(
        { error: error.message, again: again ? delay : 'never' },
        'the KMS could not be told that a CEK has ended',
      );
      if (again) this.#arm(`tell ${JSON.stringify(ended)}`, delay, () => this.#tell(ended, attempt + 1, until));
    });
  }

  #arm(name: string, delayMs: number, run: () => void | Promise<void>): void {
    this.#disarm(name);
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(name);
      Promise.resolve(run()).catch((error: Error) =>
        this.#options.log.error({ error: error.message }, 'an ending failed'),
      );
    });
    this.#timers.set(name, timer);
  }

  #disarm(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }
}

const timerOf = ({ mcpttId, clientId, sipSession }: Binding): string => JSON.stringify([mcpttId, clientId, sipSession]);
