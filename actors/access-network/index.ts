/** The access network of step 0: eNB, MME, HSS and PDN gateway in one, without radio. See README.md. */
import { lookup } from 'node:dns/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Actor, ActorContext, Endpoints, JsonObject, Peers } from '../../sim/control/actor.ts';
import { type Deviation, deviateOctets, parseDeviations } from '../messages/deviation.ts';
import { NasLink } from '../messages/nas/link.ts';
import { type ConnectivityOptions, ipv4Octets } from '../messages/nas/pco.ts';
import { Auc } from '../security/aka/auc.ts';
import { fileAucStore, memoryAucStore } from '../security/aka/auc-store.ts';
import { servingNetworkId } from '../security/aka/eps-keys.ts';
import { type AccessNetworkConfig, AccessNetworkError } from './config.ts';
import { UeContext, type UeContextServices } from './ue-context.ts';

export { type AccessNetworkConfig, AccessNetworkError, type AccessNetworkErrorCode } from './config.ts';

const DEFAULT_GUARD_MS = 6000;

class AccessNetwork implements Actor {
  readonly name: string;
  readonly kind = 'access-network';
  readonly verbs: Actor['verbs'] = {
    detachSubscriber: async ({ imsi }) => {
      const subscriber = text(imsi, 'imsi');
      const context = this.#attached.get(subscriber);
      if (context === undefined) {
        throw new AccessNetworkError('ACCESS_NETWORK_NOT_ATTACHED', `Subscriber ${subscriber} is not attached.`);
      }
      await context.detach(this.#context.clock);
      return {};
    },
    resetSqn: async ({ imsi, sqn }) => {
      const octets = Buffer.from(text(sqn, 'sqn'), 'hex');
      if (octets.length !== 6)
        throw new AccessNetworkError('ACCESS_NETWORK_BAD_ARGUMENT', 'sqn must be 12 hex digits.');
      await this.#auc.setSqn(text(imsi, 'imsi'), octets);
      return {};
    },
    deviate: ({ imsi, deviate }) => {
      if (imsi === undefined) {
        this.#auc.endDeviations();
        this.#deviations.clear();
        return Promise.resolve({});
      }
      const deviations = parseDeviations(deviate);
      this.#auc.deviate(text(imsi, 'imsi'), deviations);
      this.#deviations.set(text(imsi, 'imsi'), deviations);
      return Promise.resolve({});
    },
  };
  readonly readings: Actor['readings'] = {
    health: () => ({
      ok: this.#server?.listening === true && this.#sipCore !== undefined,
      waitingFor: this.#sipCore === undefined ? ['sip-core'] : [],
    }),
    endpoints: () => ({ ...this.#endpoints }),
    attached: ({ imsi }) => {
      const context = this.#attached.get(text(imsi, 'imsi'));
      return context === undefined
        ? { attached: false }
        : { attached: true, pdnAddress: context.pdnAddress, kasmeFingerprint: context.kasmeFingerprint };
    },
  };
  readonly #config: AccessNetworkConfig;
  readonly #context: ActorContext;
  readonly #auc: Auc;
  readonly #services: UeContextServices;
  readonly #attached = new Map<string, UeContext>();
  readonly #addresses = new Map<string, string>();
  readonly #deviations = new Map<string, readonly Deviation[]>();
  readonly #serving = new Map<Socket, Promise<void>>();
  #server: Server | undefined;
  #endpoints: Endpoints = {};
  #sipCore: ConnectivityOptions | undefined;

  constructor(config: AccessNetworkConfig, context: ActorContext) {
    this.name = context.name;
    this.#config = config;
    this.#context = context;
    const subscribers = new Map(config.subscribers.map((subscriber) => [subscriber.imsi, subscriber]));
    this.#auc = new Auc({
      keysOf: (imsi) => subscribers.get(imsi),
      store: context.stateFolder === undefined ? memoryAucStore() : fileAucStore(`${context.stateFolder}/auc-sqn.json`),
      indParity: 'even',
    });
    this.#services = {
      auc: this.#auc,
      plmn: servingNetworkId(config.mcc, config.mnc),
      apn: config.apn ?? 'ims',
      guardMs: config.guardMs ?? DEFAULT_GUARD_MS,
      sipCore: () => this.#sipCore,
      allocateAddress: (imsi) => this.#allocateAddress(imsi),
      changeNas: (imsi, pdu) => deviateOctets(this.#deviations.get(imsi) ?? [], 'nas', pdu),
      onRegistered: (ue) => {
        // TS 24.301 5.5.1.2.7 case f: a new attach replaces what was there.
        this.#attached.get(ue.imsi)?.close();
        this.#attached.set(ue.imsi, ue);
        context.log.info({ imsi: ue.imsi, pdnAddress: ue.pdnAddress }, 'UE attached');
      },
      onDeregistered: (ue) => {
        if (this.#attached.get(ue.imsi) === ue) this.#attached.delete(ue.imsi);
        context.log.info({ imsi: ue.imsi }, 'UE detached');
      },
    };
  }

  async start(): Promise<Endpoints> {
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#config.port ?? 0, this.#context.host, resolve);
    });
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    this.#endpoints = { lte: `tcp://${this.#context.host}:${port}` };
    return this.#endpoints;
  }

  async connect(peers: Peers): Promise<void> {
    const sipCoreUrl = peers['sip-core']?.wss;
    if (sipCoreUrl === undefined) {
      throw new AccessNetworkError(
        'ACCESS_NETWORK_NO_SIP_CORE',
        'The access network needs the SIP core\'s "wss" endpoint to tell it to UEs.',
      );
    }
    const { address } = await lookup(new URL(sipCoreUrl).hostname, { family: 4 });
    this.#sipCore = { pCscfAddress: address, sipCoreUrl };
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#serving.keys()) socket.destroy();
    await Promise.all(this.#serving.values());
    await closed;
  }

  #serve(socket: Socket): void {
    const link = new NasLink(socket, {
      timers: this.#context.clock,
      onPdu: (direction, bytes) =>
        this.#context.report({ direction, interface: 'LTE', peer: 'ue', protocol: 'nas', bytes }),
    });
    const ue = new UeContext(link, this.#services);
    const served = ue
      .serve()
      .catch((error: unknown) => {
        const { code, message } = error as { code?: string; message: string };
        this.#context.log.info({ imsi: ue.imsi, code, reason: message }, 'UE connection ended');
      })
      .finally(() => this.#serving.delete(socket));
    this.#serving.set(socket, served);
  }

  /** A subscriber keeps its address over attaches. */
  #allocateAddress(imsi: string): string {
    const known = this.#addresses.get(imsi);
    if (known !== undefined) return known;
    const first = Buffer.from(ipv4Octets(this.#config.firstPdnAddress ?? '10.45.0.1')).readUInt32BE();
    const octets = Buffer.alloc(4);
    octets.writeUInt32BE(first + this.#addresses.size);
    const address = octets.join('.');
    this.#addresses.set(imsi, address);
    return address;
  }
}

function text(value: JsonObject[string] | undefined, name: string): string {
  if (typeof value === 'string') return value;
  throw new AccessNetworkError('ACCESS_NETWORK_BAD_ARGUMENT', `"${name}" must be given as a string.`);
}

/**
 * Makes the access network. Endpoint: `lte` (`tcp://host:port`). Needs of its peers: the SIP core's `wss`.
 * SQNs are kept in `context.stateFolder` when there is one.
 */
export function createAccessNetwork(config: AccessNetworkConfig, context: ActorContext): Actor {
  return new AccessNetwork(config, context);
}
