/**
 * Step 1: the UE registers its IMPU at the SIP core (TS 24.229 5.1.1, TS 33.203), keeps the registration alive and ends
 * it. The registration's Contact is the SIP session of the pCR.
 *
 *     unregistered ──register──> registering ──accepted──> registered ──leave──> deregistering
 *          ^                         │refused                │   ^ accepted, refused     │
 *          │<────────────────────────┘                 refresh   │                       │
 *          │                                                 v   │                       │
 *          │<────────────────────────── ended ────────── refreshing                      │
 *          │<────────────────────────── ended ───────────(registered)                    │
 *          └<───────────────────────────────── accepted, refused, ended ─────────────────┘
 */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock, TimerHandle } from '../../sim/engine/clock.ts';
import { type Deviation, deviateFields, deviateOctets } from '../messages/deviation.ts';
import type { MimeHeader } from '../messages/mime.ts';
import { CONTACT_FEATURES, parameterOf, uriOf } from '../messages/sip-headers.ts';
import { UeError } from './errors.ts';
import type { SipAccess } from './sip/access.ts';
import {
  answerAkaChallenge,
  type ChallengeOutcome,
  type Credentials,
  formatCredentials,
  initialCredentials,
} from './sip/aka-credentials.ts';
import type { SipResponse } from './sip/user-agent.ts';
import type { Usim } from './usim.ts';

export type RegistrationState = 'unregistered' | 'registering' | 'registered' | 'refreshing' | 'deregistering';
export type RegistrationEvent = 'register' | 'refresh' | 'leave' | 'accepted' | 'refused' | 'ended';

const TRANSITIONS: Readonly<Record<RegistrationState, Partial<Record<RegistrationEvent, RegistrationState>>>> = {
  unregistered: { register: 'registering', ended: 'unregistered' },
  registering: { accepted: 'registered', refused: 'unregistered', ended: 'unregistered' },
  registered: { refresh: 'refreshing', leave: 'deregistering', ended: 'unregistered' },
  refreshing: { accepted: 'registered', refused: 'registered', ended: 'unregistered' },
  deregistering: { accepted: 'unregistered', refused: 'unregistered', ended: 'unregistered' },
};

/** The next state. @throws UeError `UE_REGISTRATION_STATE` for an event that the state does not know */
export function nextRegistrationState(state: RegistrationState, event: RegistrationEvent): RegistrationState {
  const next = TRANSITIONS[state][event];
  if (next === undefined) throw new UeError('UE_REGISTRATION_STATE', `a registration that is ${state} cannot ${event}`);
  return next;
}

export interface RegistrationOptions {
  readonly usim: Usim;
  readonly access: SipAccess;
  /** `urn:uuid:` of this UE (RFC 5626 4.1, TS 24.229 5.1.1.2.1), the same over all its registrations. */
  readonly instanceId: string;
  /** Home network domain, the realm and Request-URI of REGISTER. */
  readonly homeDomain: string;
  /** What the UE asks for, seconds (TS 24.229 5.1.1.2.1: 600,000). */
  readonly expires: number;
  /** Whether the UE refreshes by itself in time. */
  readonly autoRefresh: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** The registration has ended, whoever ended it. */
  readonly onEnded: (sipSession: string) => void;
}

interface Granted {
  readonly expiresAt: number;
  readonly associatedUris: readonly string[];
  readonly serviceRoute: readonly string[];
  readonly path: readonly string[];
}

/** A challenge may come again after AUTS, or because the core forgot; more than this is a loop. */
const MOST_ROUNDS = 4;

/** Pauses before a refresh that failed is tried again: doubled each time, up to the base time of RFC 5626 4.5. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export class Registration {
  readonly #options: RegistrationOptions;
  #state: RegistrationState = 'unregistered';
  #granted: Granted | undefined;
  #timers: TimerHandle[] = [];
  /** Of the REGISTERs of one SIP session (RFC 3261 10.2.4): the same Call-ID, CSeq counting up. */
  #callId: string | undefined;
  #cseq = 0;
  #lastAnswer: ChallengeOutcome | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  get state(): RegistrationState {
    return this.#state;
  }

  get registered(): boolean {
    return this.#granted !== undefined;
  }

  /** Service-Route of the registration (RFC 3608), for every request that starts at this UE. */
  get serviceRoute(): readonly string[] {
    return this.#granted?.serviceRoute ?? [];
  }

  /** What the network says the UE may call itself; the first is the default IMPU (TS 24.229 5.1.1.2). */
  get associatedUris(): readonly string[] {
    return this.#granted?.associatedUris ?? [];
  }

  get path(): readonly string[] {
    return this.#granted?.path ?? [];
  }

  /** Milliseconds since 1970, undefined when not registered. */
  get expiresAt(): number | undefined {
    return this.#granted?.expiresAt;
  }

  /** What the USIM found in the last challenge. */
  get lastAnswer(): ChallengeOutcome | undefined {
    return this.#lastAnswer;
  }

  /**
   * Registers.
   * @throws UeError `UE_REGISTRATION_REFUSED`, `UE_NETWORK_NOT_AUTHENTICATED`, `UE_NO_CONNECTION`, `UE_TIMEOUT`
   */
  async register(deviations: readonly Deviation[] = []): Promise<void> {
    this.#move('register');
    await this.#run(this.#options.expires, deviations);
  }

  /** Registers again before the registration ends. @throws as {@link register} */
  async refresh(deviations: readonly Deviation[] = []): Promise<void> {
    this.#move('refresh');
    await this.#run(this.#options.expires, deviations);
  }

  /** Ends the registration. It has ended even when the core could not be told. */
  async deregister(): Promise<void> {
    this.#move('leave');
    try {
      await this.#run(0, []);
    } finally {
      this.#end();
    }
  }

  /** The core closed the connection: the UE registers over a new one, so that it can be reached again (RFC 5626 4.5). */
  recover(): void {
    if (this.#options.autoRefresh) this.#refreshAlone();
  }

  /** The registration is gone without a word to the core: expiry, network de-registration, the UE's own end. */
  lose(): void {
    this.#move('ended');
    this.#end();
  }

  /** Resolves when no exchange with the core is under way, however it ended. */
  settled(): Promise<void> {
    return this.#running;
  }

  /** Stops timers; the registration stays what it was. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }

  #run(expires: number, deviations: readonly Deviation[]): Promise<void> {
    const running = this.#exchangeFor(expires, deviations);
    this.#running = running.catch(() => undefined);
    return running;
  }

  async #exchangeFor(expires: number, deviations: readonly Deviation[]): Promise<void> {
    try {
      await this.#options.access.connect();
      const response = await this.#exchange(expires, deviations);
      this.#move('accepted');
      if (expires > 0) this.#grant(response);
    } catch (error) {
      this.#move('refused');
      throw error;
    }
  }

  /** REGISTER, challenge, answer, until the core accepts or refuses. */
  async #exchange(asked: number, deviations: readonly Deviation[]): Promise<SipResponse> {
    const { usim, homeDomain } = this.#options;
    let expires = asked;
    const onParameters = deviations.filter(({ at, path }) => at === 'sip' && path.startsWith(PARAMETER));
    const onHeaders = deviations.filter((deviation) => !onParameters.includes(deviation));
    // What was found in an earlier exchange, perhaps with a false network, says nothing about this one.
    this.#lastAnswer = undefined;
    let credentials = initialCredentials(usim.impi, homeDomain);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const response = await this.#send(expires, credentials, onHeaders);
      if (response.status >= 200 && response.status < 300) return response;
      // TS 24.229 5.1.1.2.1: too brief for this network, so as long as it wants.
      const least = response.status === 423 ? Number(response.header('Min-Expires')) : 0;
      if (expires > 0 && least > expires) {
        expires = least;
        credentials = initialCredentials(usim.impi, homeDomain);
        continue;
      }
      // An answer of ours that says "this network is not mine" is the end of it, whatever the core makes of it.
      if (this.#lastAnswer === 'mac-failure' || response.status !== 401) throw this.#refusal(response);
      const answer = answerAkaChallenge(usim, response.header('WWW-Authenticate'));
      this.#lastAnswer = answer.outcome;
      if (answer.credentials === undefined) throw this.#refusal(response);
      credentials = deviateParameters(onParameters, answer.credentials);
    }
    throw new UeError(
      'UE_REGISTRATION_REFUSED',
      `the SIP core challenged ${MOST_ROUNDS} times and did not accept an answer`,
      { status: 401 },
    );
  }

  #send(expires: number, credentials: Credentials, deviations: readonly Deviation[]): Promise<SipResponse> {
    const { access, homeDomain, usim, instanceId } = this.#options;
    const contact = `<${access.contact}>;+sip.instance="<${instanceId}>";${CONTACT_FEATURES};expires=${expires}`;
    const headers: MimeHeader[] = [
      ['Contact', contact],
      ['Expires', String(expires)],
      ['Authorization', formatCredentials(credentials)],
      ['P-Access-Network-Info', '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010019B01'],
    ];
    this.#callId ??= `${access.contact.slice(4, 20)}@ue.invalid`;
    this.#cseq += 1;
    return access.userAgent.request({
      method: 'REGISTER',
      requestUri: `sip:${homeDomain}`,
      to: usim.impus[0]!,
      headers,
      callId: this.#callId,
      cseq: this.#cseq,
      deviations,
    });
  }

  #refusal(response: SipResponse): UeError {
    const { status, warning } = response;
    const detail = { status, answer: this.#lastAnswer ?? 'none', ...(warning === undefined ? {} : { warning }) };
    if (this.#lastAnswer === 'mac-failure' || this.#lastAnswer === 'unusable') {
      const why =
        'the challenge did not come from a network that knows this subscriber; compare K and OPc of USIM and AuC';
      return new UeError('UE_NETWORK_NOT_AUTHENTICATED', why, detail);
    }
    if (status === 408)
      return new UeError('UE_TIMEOUT', 'the SIP core did not answer the REGISTER within 32 s', detail);
    return new UeError(
      'UE_REGISTRATION_REFUSED',
      `the SIP core refused the registration: ${status} ${response.reason}`,
      detail,
    );
  }

  #grant(response: SipResponse): void {
    const { access, clock, expires } = this.#options;
    const own = response.values('Contact').find((value) => uriOf(value) === access.contact);
    const seconds = Number((own && parameterOf(own, 'expires')) ?? response.header('Expires') ?? expires);
    this.#granted = {
      expiresAt: clock.now() + seconds * 1000,
      associatedUris: response.values('P-Associated-URI').map(uriOf),
      serviceRoute: response.values('Service-Route'),
      path: response.values('Path'),
    };
    this.stop();
    this.#timers.push(clock.setTimer(seconds * 1000, () => this.lose()));
    if (this.#options.autoRefresh)
      this.#timers.push(clock.setTimer(refreshAfter(seconds) * 1000, () => this.#refreshAlone()));
  }

  /** Refreshes unless the UE has lost its radio: then it comes back when it is told to, not by itself. */
  #refreshAlone(pause = FIRST_PAUSE_MS): void {
    const { access, clock, log } = this.#options;
    if (this.#state !== 'registered' || access.lost) return;
    this.refresh().catch((error: Error) => {
      log.warn(
        { error: error.message },
        'the registration could not be refreshed; the UE tries again until it expires',
      );
      this.#timers.push(clock.setTimer(pause, () => this.#refreshAlone(Math.min(2 * pause, LONGEST_PAUSE_MS))));
    });
  }

  #end(): void {
    this.stop();
    this.#granted = undefined;
    this.#callId = undefined;
    this.#cseq = 0;
    const ended = this.#options.access.contact;
    this.#options.access.renew();
    this.#options.onEnded(ended);
  }

  #move(event: RegistrationEvent): void {
    this.#state = nextRegistrationState(this.#state, event);
  }
}

/** TS 24.229 5.1.1.4.1: 600 s before the end when there is more than 1200 s, else at half time. */
const refreshAfter = (seconds: number): number => (seconds > 1200 ? seconds - 600 : seconds / 2);

/**
 * Prefix of deviation paths that name a parameter of the Authorization header field of an answered challenge; `flip` names an octet
 * of one that stands for octets too: `authorization.response.0`.
 */
const PARAMETER = 'authorization.';
/** How octets are written in them (RFC 2617 3.2.2, RFC 3310 3.4). */
const ENCODED = { response: 'hex', auts: 'base64' } as const;

function deviateParameters(deviations: readonly Deviation[], credentials: Credentials): Credentials {
  const named = deviations.map((deviation) => ({ ...deviation, path: deviation.path.slice(PARAMETER.length) }));
  const fields = named.filter(({ op }) => op !== 'flip');
  const changed: Record<string, string | undefined> = { ...deviateFields(fields, 'sip', credentials) };
  for (const { path, ...flip } of named.filter(({ op }) => op === 'flip')) {
    const [name, offset] = path.split('.') as [keyof typeof ENCODED, string];
    const text = changed[name];
    if (text === undefined) continue;
    const octets = deviateOctets([{ ...flip, path: offset }], 'sip', Buffer.from(text, ENCODED[name]));
    changed[name] = Buffer.from(octets).toString(ENCODED[name]);
  }
  return changed;
}
