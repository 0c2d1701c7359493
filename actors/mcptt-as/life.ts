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
import type { Notices } from './notices.ts';
import type { SessionStore, SipSession } from './sessions.ts';

export interface LifeOptions {
  readonly sessions: SessionStore;
  readonly bindings: BindingStore;
  readonly ceks: () => CekKeyStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly notices: Notices;
  readonly tokenExpiryEndsBinding: () => boolean;
  /** A binding has ended: calls of its user end with it. */
  readonly onUnbound: (binding: Binding) => void;
}

/** Ends of a key that its binding ends by under the same name. */
const KEY_ENDS = ['logged-off', 'deregistered', 'expired'] as const satisfies readonly BindingEnd[];

export class Life {
  readonly #options: LifeOptions;
  readonly #timers = new Map<string, TimerHandle>();

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
    const tell = await this.#options.notices.keep({ sipSession, reason, keyIds: this.#held({ sipSession }) });
    await sessions.delete(sipSession);
    for (const binding of await bindings.bySession(sipSession)) await this.#unbind(binding, reason);
    ceks().end({ sipSession }, reason);
    tell();
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
    const { notices, bindings } = this.#options;
    const { mcpttId: userUri, sipSession, clientId } = binding;
    const keyIds = this.#held({ userUri, sipSession, clientId });
    // The KMS is to leave another client of the user's alone: then it is told of these Key IDs, and not of the user.
    const shared = (await bindings.bySession(sipSession)).some(
      (other) => other.mcpttId === userUri && other.clientId !== clientId,
    );
    // A revocation comes from the KMS itself.
    const ended = { sipSession, userUri, reason, keyIds, ...(shared ? { only: true } : {}) };
    const tell = reason === 'revoked' ? undefined : await notices.keep(ended);
    await this.#unbind(binding, reason);
    this.#options.ceks().end({ userUri, sipSession, clientId }, reason);
    tell?.();
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
    for (const session of await this.#options.sessions.all()) await this.registered(session);
    for (const binding of await this.#options.bindings.all()) {
      await this.bound(binding).catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
      });
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** Key IDs that the server holds of a session, of a user on it, or of one client of the user's. */
  #held(which: { sipSession: string; userUri?: string; clientId?: string }): string[] {
    const wanted = Object.entries(which) as [keyof typeof which, string][];
    const held = this.#options.ceks().list();
    return held.filter((cek) => wanted.every(([name, value]) => cek[name] === value)).map(({ keyId }) => keyId);
  }

  async #unbind(binding: Binding, event: BindingEnd): Promise<void> {
    nextBindingState(binding.state, event);
    this.#disarm(timerOf(binding));
    await this.#options.bindings.delete(binding);
    this.#options.onUnbound(binding);
    this.#options.log.info({ sipSession: binding.sipSession, reason: event }, 'an MCPTT binding has ended');
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
