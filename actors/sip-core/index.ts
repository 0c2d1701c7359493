/** The SIP core: P-CSCF, S-CSCF and the AuC behind them, an unmodified drachtio-srf application. See README.md. */
import type { Actor, ActorContext, Endpoints, Json, JsonObject, Log, Peers } from '../../sim/control/actor.ts';
import { parseDeviations } from '../messages/deviation.ts';
import { identityKey } from '../messages/sip-headers.ts';
import type { Subscriber } from '../messages/subscriber.ts';
import { Auc } from '../security/aka/auc.ts';
import { fileAucStore, memoryAucStore } from '../security/aka/auc-store.ts';
import { Authenticator } from './authentication.ts';
import { type SipCoreConfig, SipCoreError } from './config.ts';
import { Drachtio, type Hop, type Incoming, type SipRequest } from './drachtio.ts';
import { fileRegistrationStore } from './file-registrations.ts';
import { Registrar } from './registrar.ts';
import { memoryRegistrationStore, type RegistrationStore } from './registrations.ts';
import { Routing } from './routing.ts';
import { hostOf, ThirdPartyRegistration } from './third-party.ts';

export { type SipCoreConfig, SipCoreError, type SipCoreErrorCode } from './config.ts';

const DEFAULTS = { minExpires: 60, maxExpires: 600_000, challengeMs: 240_000, connectMs: 5000 };
const SIP_1: Hop = { interface: 'SIP-1', peer: 'ue' };
const SIP_2: Hop = { interface: 'SIP-2', peer: 'mcptt-as' };

class SipCore implements Actor {
  readonly name: string;
  readonly kind = 'sip-core';
  readonly verbs: Actor['verbs'] = {
    deregisterSubscriber: async ({ impu }) => {
      const subscriber = this.#subscriberWith(impu);
      await this.#registrar.end(subscriber.impi);
      await this.#thirdParty.settled(subscriber.impi);
      return {};
    },
    setSqn: async ({ impi, sqn }) => {
      const octets = Buffer.from(text(sqn, 'sqn'), 'hex');
      if (octets.length !== 6) throw new SipCoreError('SIP_CORE_BAD_ARGUMENT', 'sqn must be 12 hex digits.');
      await this.#auc.setSqn(text(impi, 'impi'), octets);
      return {};
    },
    deviate: ({ impi, deviate }) => {
      if (impi === undefined) this.#auc.endDeviations();
      else this.#auc.deviate(text(impi, 'impi'), parseDeviations(deviate));
      return Promise.resolve({});
    },
  };
  readonly readings: Actor['readings'] = {
    health: () => {
      const waitingFor = [...(this.#drachtio.connected ? [] : ['SIP engine']), ...(this.#ready ? [] : ['mcptt-as'])];
      return { ok: waitingFor.length === 0, waitingFor };
    },
    endpoints: () => ({ ...this.#endpoints }),
    registration: async ({ impu }) => {
      const subscriber = this.#subscriberWith(impu);
      const registration = await this.#store.byImpi(subscriber.impi);
      return registration === undefined ? { registered: false } : { registered: true, ...asJson(registration) };
    },
    thirdParty: async ({ impu }) => {
      const { impi } = this.#subscriberWith(impu);
      await this.#settled(impi);
      return this.#thirdParty.outcomes(impi).map((outcome) => ({ ...outcome }));
    },
  };
  readonly #config: SipCoreConfig;
  readonly #byImpi: ReadonlyMap<string, Subscriber>;
  readonly #byImpu: ReadonlyMap<string, Subscriber>;
  readonly #store: RegistrationStore;
  readonly #auc: Auc;
  readonly #drachtio: Drachtio;
  readonly #registrar: Registrar;
  readonly #thirdParty: ThirdPartyRegistration;
  readonly #routing: Routing;
  #endpoints: Endpoints = {};
  #sip2: Listener = { protocol: 'tcp', address: '' };
  #applicationServer: string | undefined;
  #ready = false;
  #stopping = false;

  constructor(config: SipCoreConfig, context: ActorContext) {
    this.name = context.name;
    this.#config = config;
    const { clock, report, stateFolder } = context;
    const log = this.#logOf(context.log);
    const { homeDomain, minExpires, maxExpires, challengeMs, connectMs } = { ...DEFAULTS, ...config };
    this.#byImpi = new Map(config.subscribers.map((subscriber) => [subscriber.impi, subscriber]));
    this.#byImpu = new Map(
      config.subscribers.flatMap((subscriber) => subscriber.impus.map((impu) => [identityKey(impu), subscriber])),
    );
    const subscriberOf = (impi: string): Subscriber | undefined => this.#byImpi.get(impi);
    const resolve = (serverName: string): string | undefined =>
      config.hosts?.[hostOf(serverName)] ?? this.#applicationServer;

    this.#store =
      stateFolder === undefined
        ? memoryRegistrationStore()
        : fileRegistrationStore(`${stateFolder}/registrations.json`);
    this.#auc = new Auc({
      keysOf: subscriberOf,
      store: stateFolder === undefined ? memoryAucStore() : fileAucStore(`${stateFolder}/auc-sqn.json`),
      indParity: 'odd',
    });
    this.#drachtio = new Drachtio({
      ...config.drachtio,
      connectMs,
      clock,
      tell: (direction, hop, raw) => report({ ...hop, direction, protocol: 'sip', bytes: Buffer.from(raw, 'utf8') }),
      hopOf: (request) => this.#hopOf(request),
      onRequest: (incoming) => this.#take(incoming),
      onError: (error, what) => log.error({ reason: (error as Error).message }, `SIP core: ${what} failed`),
    });
    this.#thirdParty = new ThirdPartyRegistration({
      homeDomain,
      subscriberOf,
      resolve,
      sip2: () => this.#sip2,
      send: (request) => this.#drachtio.request(request, SIP_2),
      log,
      onTerminated: ({ impi }) => {
        this.#registrar.end(impi).catch((error: Error) => log.info({ reason: error.message }, 'already de-registered'));
      },
    });
    this.#registrar = new Registrar({
      homeDomain,
      minExpires,
      maxExpires,
      subscriberOf,
      subscriberWith: (impu) => this.#byImpu.get(identityKey(impu)),
      authenticator: new Authenticator({ auc: this.#auc, realm: homeDomain, clock, challengeMs }),
      store: this.#store,
      clock,
      log,
      onChange: (change) => this.#thirdParty.tell(change),
    });
    this.#routing = new Routing({
      homeDomain,
      drachtio: this.#drachtio,
      store: this.#store,
      subscriberOf,
      isKnown: (impu) => this.#byImpu.has(identityKey(impu)),
      resolve,
      settled: (impi) => this.#settled(impi),
      log,
    });
  }

  async start(): Promise<Endpoints> {
    await this.#drachtio.connect();
    const listeners = this.#drachtio.hostports.map(listenerOf);
    const { sip2: named } = this.#config;
    const sip2 = named === undefined ? listeners.findLast(({ protocol }) => protocol === 'tcp') : listenerOf(named);
    if (sip2 === undefined) {
      this.#drachtio.close();
      throw new SipCoreError('SIP_CORE_NO_LISTENER', 'The SIP engine has no TCP listener; SIP-2 needs one.');
    }
    this.#sip2 = sip2;
    const endpoints: Record<string, string> = { sip2: sipUri(sip2) };
    for (const listener of listeners) {
      const { protocol, address } = listener;
      if (protocol === sip2.protocol && address === sip2.address) continue;
      const web = protocol === 'ws' || protocol === 'wss';
      endpoints[protocol] ??= web ? `${protocol}://${this.#public(address)}` : sipUri(listener);
    }
    this.#endpoints = endpoints;
    return endpoints;
  }

  async connect(peers: Peers): Promise<void> {
    const endpoints = peers['mcptt-as'];
    this.#applicationServer = nextHopOf(endpoints);
    const homeless = this.#config.subscribers
      .flatMap(({ initialFilterCriteria }) => initialFilterCriteria)
      .find(({ applicationServer: { serverName } }) => this.#config.hosts?.[hostOf(serverName)] === undefined);
    if (homeless !== undefined && this.#applicationServer === undefined) {
      throw new SipCoreError(
        'SIP_CORE_NO_APPLICATION_SERVER',
        `The core does not know where ${homeless.applicationServer.serverName} is: name it in "hosts" or give it mcptt-as.`,
      );
    }
    this.#ready = true;
    await this.#registrar.resume();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#drachtio.close();
    await this.#registrar.stop();
    await this.#thirdParty.idle();
  }

  /** What fails because the core stops is its own doing, and no matter for warnings. */
  #logOf(log: Log): Log {
    return {
      debug: (fields, message) => log.debug(fields, message),
      info: (fields, message) => log.info(fields, message),
      warn: (fields, message) => (this.#stopping ? log.debug(fields, message) : log.warn(fields, message)),
      error: (fields, message) => (this.#stopping ? log.debug(fields, message) : log.error(fields, message)),
    };
  }

  /** Resolves when the application servers know of all that a subscriber has registered so far. */
  async #settled(impi: string): Promise<void> {
    await this.#registrar.settled(impi);
    await this.#thirdParty.settled(impi);
  }

  async #take(incoming: Incoming): Promise<void> {
    if (incoming.hop.interface === 'SIP-2') {
      // Nobody registers over SIP-2; everything else there comes from the trust domain.
      if (incoming.request.method === 'REGISTER') await incoming.answer({ status: 403 });
      else await this.#routing.terminate(incoming);
      return;
    }
    if (incoming.request.method === 'REGISTER') await this.#registrar.handle(incoming);
    else await this.#routing.originate(incoming);
  }

  /** In-dialog requests carry no `receivedOn`; they reach the application only when it is an end of the dialog, which it never is. */
  #hopOf(request: SipRequest): Hop {
    const { protocol, address } = this.#sip2;
    return request.receivedOn === address && request.protocol === protocol ? SIP_2 : SIP_1;
  }

  /** `host:port` as a WebSocket client shall use it; SIP stacks are given numeric hosts. */
  #public(hostport: string): string {
    const { publicHost } = this.#config;
    return publicHost === undefined ? hostport : `${publicHost}${hostport.slice(hostport.lastIndexOf(':'))}`;
  }

  #subscriberWith(impu: Json | undefined): Subscriber {
    const wanted = text(impu, 'impu');
    const subscriber = this.#byImpu.get(identityKey(wanted));
    if (subscriber === undefined) {
      throw new SipCoreError('SIP_CORE_UNKNOWN_IMPU', `No subscriber has the public user identity ${wanted}.`);
    }
    return subscriber;
  }
}

interface Listener {
  readonly protocol: string;
  /** `host:port`. */
  readonly address: string;
}

/** @param hostport `proto/host:port`, as the engine names a listener */
function listenerOf(hostport: string): Listener {
  const slash = hostport.indexOf('/');
  return { protocol: hostport.slice(0, slash), address: hostport.slice(slash + 1) };
}

const sipUri = ({ protocol, address }: Listener): string => `sip:${address};transport=${protocol}`;

/** SIP URI of a peer that names one of its SIP endpoints as a URI or as `host:port`. */
function nextHopOf(endpoints: Endpoints | undefined): string | undefined {
  for (const name of ['sip2', 'tcp', 'tls', 'udp']) {
    const address = endpoints?.[name];
    if (address === undefined) continue;
    return /^sips?:/.test(address) ? address : sipUri({ protocol: name === 'sip2' ? 'tcp' : name, address });
  }
  return undefined;
}

function text(value: Json | undefined, name: string): string {
  if (typeof value === 'string') return value;
  throw new SipCoreError('SIP_CORE_BAD_ARGUMENT', `"${name}" must be given as a string.`);
}

const asJson = (value: object): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

/**
 * Makes the SIP core. Endpoints: `wss` and `ws` as URLs, `udp`, `tcp` and `tls` as SIP URIs, and `sip2`, the SIP URI for
 * the MCPTT server. Needs of its peers: the MCPTT server's `sip2` (or `tcp`, `tls`, `udp`).
 */
export function createSipCore(config: SipCoreConfig, context: ActorContext): Actor {
  return new SipCore(config, context);
}
