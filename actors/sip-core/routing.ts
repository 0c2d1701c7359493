/**
 * Requests other than REGISTER: from a registered UE to the application servers of its filter criteria
 * (TS 24.229 5.2.6.3, 5.4.3.2), and from the trust domain to a registered UE (5.4.3.3). Bodies pass unopened.
 *
 * A request outside any dialog is taken in and sent on with the same Call-ID, CSeq, From, To and body, because a proxy
 * transaction of drachtio can add header fields but cannot take any away, and P-Preferred-Identity and a P-Asserted-Identity
 * of the UE's own have to go. INVITE is really proxied, with Record-Route, since its dialog has to stay end to end; an
 * INVITE that carries one of those two fields is therefore refused.
 */
import type { Log } from '../../sim/control/actor.ts';
import { formatWarning, sameIdentity, splitValues, uriOf } from '../messages/sip-headers.ts';
import type { ApplicationServer, Subscriber } from '../messages/subscriber.ts';
import { newChargingVector } from './charging.ts';
import { matchingServers } from './criteria.ts';
import type { Answer, Drachtio, Headers, Hop, Incoming, SipMessage, SipRequest } from './drachtio.ts';
import { flowOf } from './register-request.ts';
import type { Registration, RegistrationStore } from './registrations.ts';

export interface RoutingOptions {
  readonly homeDomain: string;
  readonly drachtio: Drachtio;
  readonly store: RegistrationStore;
  readonly subscriberOf: (impi: string) => Subscriber | undefined;
  /** Whether any subscriber has this IMPU. */
  readonly isKnown: (impu: string) => boolean;
  /** Next hop of a server name; undefined when nobody knows where it is. */
  readonly resolve: (serverName: string) => string | undefined;
  /** Resolves when a subscriber's registration has reached the application servers. */
  readonly settled: (impi: string) => Promise<void>;
  readonly log: Log;
}

const TO_UE: Hop = { interface: 'SIP-1', peer: 'ue' };
const TO_SERVER: Hop = { interface: 'SIP-2', peer: 'mcptt-as' };

/** Of this hop only, or set anew by the engine. */
const HOP_BY_HOP = ['via', 'route', 'record-route', 'max-forwards', 'content-length'];
/** A UE may ask, but only the network asserts (RFC 3325 9.2, TS 24.229 5.2.6.3.3, RFC 6050 4.2). */
const NOT_FROM_A_UE = [
  'p-preferred-identity',
  'p-asserted-identity',
  'p-preferred-service',
  'p-asserted-service',
  'p-charging-vector',
  'authorization',
  'proxy-authorization',
];
/** Stays inside the trust domain (TS 24.229 5.2.6.4). */
const NOT_TO_A_UE = ['p-charging-vector', 'p-charging-function-addresses'];
/** drachtio-srf makes these itself from the request. */
const OF_THE_TRANSACTION = ['from', 'call-id', 'cseq'];

const DEFAULT_MAX_FORWARDS = 70;
const WARNING_AGENT = 'sip-core';

const without = (headers: Readonly<Headers>, ...names: readonly string[]): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name.toLowerCase())));

const refusal = (status: number, text: string): Answer => ({
  status,
  headers: { Warning: formatWarning(WARNING_AGENT, text) },
});

/**
 * A proxy transaction of drachtio makes its destination the Request-URI, so the user part that names the service has to
 * be in it.
 */
const withUserOf = (uri: string, nextHop: string): string => {
  const user = /^sips?:([^@]*)@/i.exec(uri)?.[1];
  return user === undefined ? nextHop : nextHop.replace(/^(sips?:)(?:[^@]*@)?/i, `$1${user}@`);
};

const preferredOf = (request: SipMessage): string[] =>
  splitValues(request.get('p-preferred-identity') ?? '').map(uriOf);

/** TS 24.229 5.4.3.2: no answer, 408 and 5xx call for the criterion's default handling. */
const failed = (status: number): boolean => status === 408 || status >= 500;

export class Routing {
  readonly #options: RoutingOptions;

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  /** A request that came over SIP-1. */
  async originate(incoming: Incoming): Promise<void> {
    const { subscriberOf, settled } = this.#options;
    const { request } = incoming;
    // RFC 3261 16.3 step 5; IPsec (RFC 3329) is not asked of anybody, and nobody is refused who offers it.
    const unknown = splitValues(request.get('proxy-require') ?? '').filter((tag) => tag.toLowerCase() !== 'sec-agree');
    if (unknown.length > 0)
      return void (await incoming.answer({ status: 420, headers: { Unsupported: unknown.join(', ') } }));
    const registering = await this.#registrationOf(request);
    // A request close behind the 200 to REGISTER must not overtake the third-party REGISTER.
    if (registering !== undefined) await settled(registering.impi);
    const registration = await this.#registrationOf(request);
    const subscriber = registration && subscriberOf(registration.impi);
    if (registration === undefined || subscriber === undefined) {
      await incoming.answer(refusal(403, 'no public user identity is registered over this connection'));
      return;
    }
    if (await this.#isPing(incoming)) return;
    const servers = matchingServers(subscriber.initialFilterCriteria, {
      method: request.method,
      requestUri: request.uri,
      headers: request.headers,
      sessionCase: 'ORIGINATING_SESSION',
    });
    const asserted = this.#assertions(registration, request);
    if (request.method === 'INVITE') await this.#originateInvite(incoming, servers[0], asserted);
    else await this.#originateStandalone(incoming, servers, asserted);
  }

  /** A request that came over SIP-2, from the trust domain: to the contact of the IMPU in its Request-URI. */
  async terminate(incoming: Incoming): Promise<void> {
    if (await this.#isPing(incoming)) return;
    await this.#deliver(incoming, without(incoming.request.headers, ...HOP_BY_HOP, ...NOT_TO_A_UE));
  }

  /** Whose request it is: of those registered over its connection, the one that it names (TS 24.229 5.2.6.3.1). */
  async #registrationOf(request: SipRequest): Promise<Registration | undefined> {
    const registrations = await this.#options.store.byFlow(flowOf(request));
    if (registrations.length < 2) return registrations[0];
    for (const named of [...preferredOf(request), uriOf(request.get('from') ?? '')]) {
      const own = registrations.find(({ impus }) => impus.some((impu) => sameIdentity(named, impu)));
      if (own !== undefined) return own;
    }
    return undefined;
  }

  async #originateStandalone(
    incoming: Incoming,
    servers: readonly ApplicationServer[],
    asserted: Headers,
  ): Promise<void> {
    const { request } = incoming;
    const headers = { ...without(request.headers, ...HOP_BY_HOP, ...NOT_FROM_A_UE), ...asserted };
    for (const server of servers) {
      const nextHop = this.#options.resolve(server.serverName);
      const answer =
        nextHop === undefined
          ? refusal(408, 'the application server cannot be found')
          : await this.#forward(incoming, { uri: request.uri, nextHop, headers, hop: TO_SERVER });
      if (failed(answer.status) && server.defaultHandling !== 'SESSION_TERMINATED') continue;
      await incoming.answer(answer);
      return;
    }
    await this.#deliver(incoming, without(headers, ...NOT_TO_A_UE));
  }

  async #originateInvite(incoming: Incoming, server: ApplicationServer | undefined, asserted: Headers): Promise<void> {
    const { request } = incoming;
    if (request.get('p-asserted-identity') !== undefined || request.get('p-preferred-identity') !== undefined) {
      await incoming.answer(refusal(403, 'an INVITE may not carry P-Preferred-Identity or P-Asserted-Identity'));
      return;
    }
    if (server === undefined) {
      await this.#deliver(incoming, asserted);
      return;
    }
    const nextHop = this.#options.resolve(server.serverName);
    if (nextHop === undefined) await incoming.answer(refusal(408, 'the application server cannot be found'));
    else await incoming.proxy(withUserOf(request.uri, nextHop), asserted, TO_SERVER);
  }

  /** To the UE that has registered the IMPU of the Request-URI. */
  async #deliver(incoming: Incoming, headers: Headers): Promise<void> {
    const { store, isKnown } = this.#options;
    const { request } = incoming;
    const registration = await store.byImpu(request.uri);
    if (registration === undefined) {
      await incoming.answer(
        isKnown(request.uri)
          ? refusal(480, 'the public user identity is not registered')
          : refusal(404, 'no subscriber has this public user identity'),
      );
      return;
    }
    // The Request-URI becomes the contact, so the UE is told which of its IMPUs was called (RFC 7315 4.2).
    const called = { 'P-Called-Party-ID': `<${request.uri}>` };
    if (request.method === 'INVITE') {
      await incoming.proxy(registration.contactUri, called, TO_UE);
      return;
    }
    const answer = await this.#forward(incoming, {
      uri: registration.contactUri,
      headers: { ...headers, ...called },
      hop: TO_UE,
    });
    await incoming.answer(answer);
  }

  /** Sends the request on and gives what is to be answered. */
  async #forward(
    incoming: Incoming,
    onward: { readonly uri: string; readonly nextHop?: string; readonly headers: Headers; readonly hop: Hop },
  ): Promise<Answer> {
    const { request } = incoming;
    const maxForwards = Number(request.get('max-forwards') ?? DEFAULT_MAX_FORWARDS);
    if (maxForwards <= 0) return { status: 483 };
    const { uri, nextHop, headers, hop } = onward;
    try {
      const response = await this.#options.drachtio.request(
        {
          method: request.method,
          uri,
          headers: { ...headers, 'Max-Forwards': String(maxForwards - 1) },
          ...(nextHop === undefined ? {} : { nextHop }),
          ...(request.body ? { body: request.body } : {}),
        },
        hop,
      );
      const kept = without(response.headers, ...HOP_BY_HOP, ...OF_THE_TRANSACTION);
      return {
        status: response.status,
        reason: response.reason,
        headers: incoming.hop.interface === 'SIP-1' ? without(kept, ...NOT_TO_A_UE) : kept,
        ...(response.body ? { body: response.body } : {}),
      };
    } catch (error) {
      this.#options.log.warn({ method: request.method, reason: (error as Error).message }, 'request not sent on');
      return refusal(503, 'the next hop cannot be reached');
    }
  }

  /** What the network says of the originating UE (TS 24.229 5.2.6.3.3, 5.4.3.2). */
  #assertions(registration: Registration, request: SipMessage): Headers {
    const { homeDomain } = this.#options;
    const preferred = preferredOf(request);
    const identity = registration.impus.find((impu) => preferred.some((wanted) => sameIdentity(wanted, impu)));
    const asserted = identity ?? registration.impus[0]!;
    // RFC 3325 9.1 allows one sip and one tel URI: a server that was told of the registered IMPU only knows the tel by it.
    const identities = /^tel:/i.test(asserted) ? [asserted, registration.impu] : [asserted];
    const service = request.get('p-preferred-service');
    return {
      'P-Asserted-Identity': [...new Set(identities)].map((impu) => `<${impu}>`).join(', '),
      ...(service === undefined ? {} : { 'P-Asserted-Service': service }),
      'P-Charging-Vector': newChargingVector(homeDomain, homeDomain),
    };
  }

  /** OPTIONS to the core itself: its Request-URI names a host and nobody there. */
  async #isPing(incoming: Incoming): Promise<boolean> {
    const { method, uri } = incoming.request;
    if (method !== 'OPTIONS' || !/^sips?:[^@]+$/i.test(uri)) return false;
    await incoming.answer({
      status: 200,
      headers: { Allow: 'REGISTER, PUBLISH, MESSAGE, INVITE, OPTIONS, ACK, BYE, CANCEL' },
    });
    return true;
  }
}
