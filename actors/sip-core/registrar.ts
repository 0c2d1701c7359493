/**
 * The registrar of P-CSCF and S-CSCF in one (TS 24.229 5.2.2, 5.4.1).
 *
 * ```
 *  UE                                   SIP core                      MCPTT server
 *   | REGISTER (empty response)             |                              |
 *   |-------------------------------------->| 400, 403, 423 as the case may be
 *   |         401 (RAND, AUTN)              |                              |
 *   |<--------------------------------------|                              |
 *   | REGISTER (RES | auts | empty)         |                              |
 *   |-------------------------------------->| 403 | 401 anew | 403         |
 *   |   200 (P-Associated-URI, Service-Route, Path, Contact)               |
 *   |<--------------------------------------|                              |
 *   |                                       | REGISTER by filter criteria  |
 *   |                                       |----------------------------->|
 * ```
 */
import type { Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import { identityKey, sameIdentity, splitValues, withoutParameter } from '../messages/sip-headers.ts';
import type { RegistrationType, Subscriber } from '../messages/subscriber.ts';
import type { Authenticator } from './authentication.ts';
import { newChargingVector } from './charging.ts';
import { SipCoreError } from './config.ts';
import type { Answer, Incoming, SipMessage } from './drachtio.ts';
import { KeyedQueue } from './queue.ts';
import { BadRegister, type RegisterContact, type RegisterRequest, readRegister } from './register-request.ts';
import type { Registration, RegistrationStore } from './registrations.ts';

/** A registration has begun, goes on or has ended: what application servers are told. */
export interface RegistrationChange {
  readonly type: RegistrationType;
  readonly registration: Registration;
  /** Seconds granted; 0 at the end. */
  readonly expires: number;
  /** The UE's REGISTER, when one was the cause. */
  readonly request?: string;
  /** The 200 to it. */
  readonly response?: string;
}

export interface RegistrarOptions {
  readonly homeDomain: string;
  readonly minExpires: number;
  readonly maxExpires: number;
  readonly subscriberOf: (impi: string) => Subscriber | undefined;
  /** The subscriber that has this IMPU. */
  readonly subscriberWith: (impu: string) => Subscriber | undefined;
  readonly authenticator: Authenticator;
  readonly store: RegistrationStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: (change: RegistrationChange) => void;
}

/** Members of the implicit set that the subscriber may use (TS 23.228 5.2.1). */
const usableImpus = ({ impus, barredImpus = [] }: Subscriber): readonly string[] =>
  impus.filter((impu) => !barredImpus.some((barred) => sameIdentity(barred, impu)));

const associated = (impus: readonly string[]): string => impus.map((impu) => `<${impu}>`).join(', ');

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #queue = new KeyedQueue();
  readonly #expiry = new Map<string, { cancel(): void }>();

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** Deals with a REGISTER. */
  async handle(incoming: Incoming): Promise<void> {
    const { homeDomain, subscriberOf, subscriberWith, authenticator, log } = this.#options;
    let register: RegisterRequest;
    try {
      register = readRegister(incoming.request);
    } catch (error) {
      if (!(error instanceof BadRegister)) throw error;
      await incoming.answer({ status: 400, reason: error.reason });
      return;
    }
    const refuse = async (answer: Answer, why: string): Promise<void> => {
      log.info({ impu: register.impu, status: answer.status, why }, 'REGISTER not accepted');
      await incoming.answer(answer);
    };
    if (identityKey(incoming.request.uri) !== identityKey(`sip:${homeDomain}`)) {
      return refuse({ status: 403 }, 'not the home network domain');
    }
    const unknown = unknownExtensions(incoming.request.get('require'));
    if (unknown !== '') return refuse({ status: 420, headers: { Unsupported: unknown } }, `extension ${unknown}`);
    // TS 24.229 5.4.1.2.1: without credentials the IMPU says whom to challenge.
    const username = register.credentials.get('username');
    const subscriber = username === undefined ? subscriberWith(register.impu) : subscriberOf(username);
    if (subscriber === undefined) return refuse({ status: 403 }, 'unknown IMPI');
    const { impi } = subscriber;
    const impus = usableImpus(subscriber);
    if (!impus.some((impu) => sameIdentity(impu, register.impu))) {
      return refuse({ status: 403 }, 'the IMPU is not in the implicit registration set, or barred');
    }
    const { minExpires, maxExpires } = this.#options;
    const { contact } = register;
    const expires = contact?.value === '*' ? 0 : (register.expires ?? maxExpires);
    if (contact !== undefined && expires > 0 && expires < minExpires) {
      return refuse({ status: 423, headers: { 'Min-Expires': String(minExpires) } }, 'too short');
    }
    const judgement = await authenticator.judge(impi, register);
    if (judgement.verdict === 'challenge') {
      return refuse({ status: 401, headers: { 'WWW-Authenticate': judgement.wwwAuthenticate } }, judgement.why);
    }
    if (judgement.verdict === 'forbidden') return refuse({ status: 403 }, judgement.why);
    await this.#queue.run(impi, () => {
      if (contact === undefined) return this.#tellBindings(incoming, impi, impus);
      return expires === 0
        ? this.#deregister(incoming, impi, register, contact)
        : this.#register(incoming, impi, impus, register, contact, Math.min(expires, maxExpires));
    });
  }

  /**
   * Network-initiated de-registration (TS 24.229 5.4.1.5).
   *
   * @throws SipCoreError SIP_CORE_NOT_REGISTERED
   */
  async end(impi: string): Promise<void> {
    await this.#queue.run(impi, async () => {
      const registration = await this.#remove(impi);
      if (registration === undefined) {
        throw new SipCoreError('SIP_CORE_NOT_REGISTERED', `${impi} is not registered.`);
      }
      this.#options.onChange({ type: 'DE_REGISTRATION', registration, expires: 0 });
    });
  }

  /** Resolves when no registration of this subscriber is under way. */
  settled(impi: string): Promise<void> {
    return this.#queue.settled(impi);
  }

  /** Takes up the timers of the registrations that the store has kept; those that ran out in the meantime end now. */
  async resume(): Promise<void> {
    for (const registration of await this.#options.store.all()) this.#expireAt(registration);
  }

  /** Stops the timers; registrations stay in the store. */
  async stop(): Promise<void> {
    for (const timer of this.#expiry.values()) timer.cancel();
    this.#expiry.clear();
    await this.#queue.idle();
  }

  async #register(
    incoming: Incoming,
    impi: string,
    impus: readonly string[],
    register: RegisterRequest,
    asked: RegisterContact,
    expires: number,
  ): Promise<void> {
    const { store, clock, homeDomain, onChange } = this.#options;
    const current = await store.byImpi(impi);
    if (current !== undefined && outOfOrder(current, register)) {
      await incoming.answer({ status: 500, reason: 'CSeq out of order' });
      return;
    }
    // TS 24.229 5.4.1.2.2: without the outbound extension a new contact address takes the place of the old one, whose
    // SIP session is over.
    const replaces = current !== undefined && current.contactUri !== asked.uri;
    if (replaces) onChange({ type: 'DE_REGISTRATION', registration: current, expires: 0 });

    const contact = withoutParameter(asked.value, 'expires');
    const registration: Registration = {
      impi,
      impu: register.impu,
      impus,
      contact,
      contactUri: asked.uri,
      flow: register.flow,
      callId: register.callId,
      cseq: register.cseq,
      expiresAt: clock.now() + expires * 1000,
      ...(register.accessNetworkInfo === undefined ? {} : { accessNetworkInfo: register.accessNetworkInfo }),
      chargingVector: newChargingVector(register.receivedOn.split(':')[0] || homeDomain, homeDomain),
    };
    await store.save(registration);
    this.#expireAt(registration);
    const sent = await this.#accept(incoming, {
      Contact: `${contact};expires=${expires}`,
      'P-Associated-URI': associated(impus),
      'Service-Route': `<sip:orig@${register.receivedOn};lr>`,
      Path: `<sip:term@${register.receivedOn};lr>`,
    });
    onChange({
      type: current === undefined || replaces ? 'INITIAL_REGISTRATION' : 'RE_REGISTRATION',
      registration,
      expires,
      request: register.raw,
      ...(sent === undefined ? {} : { response: sent.raw }),
    });
  }

  async #deregister(
    incoming: Incoming,
    impi: string,
    register: RegisterRequest,
    asked: RegisterContact,
  ): Promise<void> {
    const { store, onChange } = this.#options;
    const current = await store.byImpi(impi);
    if (current === undefined) {
      await this.#accept(incoming, {});
      return;
    }
    if (outOfOrder(current, register)) {
      await incoming.answer({ status: 500, reason: 'CSeq out of order' });
      return;
    }
    if (asked.value !== '*' && asked.uri !== current.contactUri) {
      await this.#accept(incoming, this.#contactOf(current));
      return;
    }
    const registration = await this.#remove(impi);
    const sent = await this.#accept(incoming, {});
    if (registration === undefined) return;
    onChange({
      type: 'DE_REGISTRATION',
      registration,
      expires: 0,
      request: register.raw,
      ...(sent === undefined ? {} : { response: sent.raw }),
    });
  }

  /** A REGISTER that binds nothing asks what is bound (RFC 3261 10.2.3, 10.3 step 8). */
  async #tellBindings(incoming: Incoming, impi: string, impus: readonly string[]): Promise<void> {
    const current = await this.#options.store.byImpi(impi);
    if (current === undefined) await this.#accept(incoming, {});
    else await this.#accept(incoming, { ...this.#contactOf(current), 'P-Associated-URI': associated(impus) });
  }

  /** The binding as a 200 shows it, with the seconds that are left of it. */
  #contactOf({ contact, expiresAt }: Registration): { Contact: string } {
    const left = Math.max(0, Math.ceil((expiresAt - this.#options.clock.now()) / 1000));
    return { Contact: `${contact};expires=${left}` };
  }

  /** The store has changed already, so a UE that is gone before its 200 changes nothing about what follows. */
  async #accept(incoming: Incoming, headers: Record<string, string>): Promise<SipMessage | undefined> {
    return incoming.answer({ status: 200, headers }).catch((error: unknown) => {
      this.#options.log.warn({ reason: (error as Error).message }, '200 to REGISTER not sent');
      return undefined;
    });
  }

  #remove(impi: string): Promise<Registration | undefined> {
    this.#expiry.get(impi)?.cancel();
    this.#expiry.delete(impi);
    return this.#options.store.remove(impi);
  }

  #expireAt({ impi, expiresAt }: Registration): void {
    const { clock, store, onChange, log } = this.#options;
    this.#expiry.get(impi)?.cancel();
    const expire = async (): Promise<void> => {
      // Another replica may have refreshed it in the meantime.
      const current = await store.byImpi(impi);
      if (current === undefined || current.expiresAt > clock.now()) return;
      const registration = await this.#remove(impi);
      if (registration !== undefined) onChange({ type: 'DE_REGISTRATION', registration, expires: 0 });
    };
    const timer = clock.setTimer(Math.max(0, expiresAt - clock.now()), () => {
      this.#queue.run(impi, expire).catch((error: unknown) => log.error({ reason: String(error) }, 'expiry failed'));
    });
    this.#expiry.set(impi, timer);
  }
}

/**
 * Extensions of a Require header field that the core does not have (RFC 3261 10.3 step 2). Path is done; a UE that asks for
 * IPsec (RFC 3329) is served without.
 */
const unknownExtensions = (required = ''): string =>
  splitValues(required)
    .filter((tag) => !['path', 'sec-agree'].includes(tag.toLowerCase()))
    .join(', ');

/** RFC 3261 10.3 step 7: an older request of the same Call-ID must not undo a newer one. */
const outOfOrder = (current: Registration, register: RegisterRequest): boolean =>
  current.callId === register.callId && register.cseq <= current.cseq;
