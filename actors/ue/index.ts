/** The UE: USIM, SIP user agent, IdM client, KMS client and the MCPTT clients of its users. See README.md. */
import { decodeProtectedHeader } from 'jose';
import type { Actor, ActorContext, Endpoints, JsonObject, Peers } from '../../sim/control/actor.ts';
import { createBodyProtection } from '../messages/body-protection.ts';
import { readServices, SERVICES } from '../messages/service-protection.ts';
import { EccsiVerifier } from '../security/ibc/eccsi-native.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import { IbcPool } from '../security/ibc/pool.ts';
import type { IdentityMaterial } from '../security/kms-client/material.ts';
import { PROFILES, type Profile } from '../security/smime/profiles.ts';
import type { UeConfig } from './config.ts';
import { deviationsOf, type UePorts, UserEquipment } from './equipment.ts';
import { UeError } from './errors.ts';
import { createIdmClient, type IdmClient, type LoginDeviations } from './idm-client.ts';
import { createUeKmsClient } from './kms-client.ts';
import type { LoggedIn } from './ports.ts';

export type { UeConfig, UeUser } from './config.ts';
export { UeError, type UeErrorCode } from './errors.ts';

/** What actors of one process may share. */
export interface UeShared {
  /** Identity based arithmetic; a pool of one worker of the UE's own unless given. */
  readonly engine?: SakkeEngine;
}

class Ue implements Actor {
  readonly name: string;
  readonly kind = 'ue';
  readonly #config: UeConfig;
  readonly #ctx: ActorContext;
  readonly #shared: UeShared;
  readonly #equipment: UserEquipment;
  #profile: Profile;
  /** Senders that a user's client has verified are known to all users of the UE. */
  readonly #verifier = new EccsiVerifier();
  #engine: SakkeEngine | undefined;
  #idm: IdmClient | undefined;
  #ports: UePorts | undefined;

  readonly verbs: Actor['verbs'] = {
    attach: async (args) => {
      await this.#equipment.attach(deviationsOf(args));
      return this.#attachView();
    },
    detach: () => done(this.#equipment.detach()),
    register: async (args) => {
      await this.#equipment.register(deviationsOf(args));
      return this.#registrationView();
    },
    refresh: async () => {
      await this.#equipment.refresh();
      return this.#registrationView();
    },
    deregister: () => done(this.#equipment.deregister()),
    logIn: async (args) => {
      const password = args.password === undefined ? undefined : text(args, 'password');
      const login = await this.#equipment.logIn(text(args, 'user'), password, (args.deviate ?? {}) as LoginDeviations);
      return { ...login.claims, headers: { mcptt: headerOf(login.mcpttToken), kms: headerOf(login.kmsToken) } };
    },
    refreshTokens: async (args) => ({ ...(await this.#equipment.refreshTokens(text(args, 'user'))).claims }),
    requestKey: (args) => this.#equipment.requestKey(text(args, 'user'), deviationsOf(args)),
    publish: (args) => this.#equipment.publish(text(args, 'user'), deviationsOf(args)),
    logOff: (args) => done(this.#equipment.logOff(text(args, 'user'), deviationsOf(args))),
    askUpdate: (args) => this.#equipment.askUpdate(text(args, 'user')),
    sendMessage: (args) =>
      this.#equipment.sendMessage(text(args, 'user'), text(args, 'to'), text(args, 'text'), deviationsOf(args)),
    call: async (args) => {
      const client = this.#equipment.clientOf(text(args, 'user'));
      return { callId: await this.#equipment.calls.call(client, text(args, 'to'), deviationsOf(args)) };
    },
    reinvite: (args) => this.#equipment.calls.reinvite(text(args, 'callId'), deviationsOf(args)),
    hangUp: (args) => done(this.#equipment.calls.hangUp(text(args, 'callId'))),
    options: () => this.#equipment.options(),
    dropConnection: () => {
      this.#equipment.dropConnection();
      return Promise.resolve({});
    },
    dropEvents: (args) => {
      this.#equipment.clientOf(text(args, 'user')).kms?.dropEvents();
      return Promise.resolve({});
    },
    setProfile: (args) => {
      this.#profile = profileOf(args);
      return Promise.resolve({ profile: this.#profile });
    },
    setProtection: (args) => {
      const services = readServices(args.services);
      if (services === undefined)
        throw new UeError('UE_ARGUMENT', `"services" says true or false of ${SERVICES.join(', ')}`);
      this.#equipment.protection = { ...this.#equipment.protection, services };
      return Promise.resolve({ services });
    },
    restart: () => {
      this.#profile = this.#config.protectionProfile;
      return done(this.#equipment.restart());
    },
  };

  readonly readings: Actor['readings'] = {
    health: () => ({ ok: this.#ports !== undefined, waitingFor: this.#ports === undefined ? ['idm', 'kms'] : [] }),
    endpoints: () => ({}),
    attach: () => this.#attachView(),
    registration: () => this.#registrationView(),
    clients: () => this.#equipment.clients.map((client) => client.view(this.#equipment.sipSession)),
    client: (args) => this.#equipment.clientOf(text(args, 'user')).view(this.#equipment.sipSession),
    messages: (args) =>
      this.#equipment.clientOf(text(args, 'user')).inbox.map(({ from, text: body, keyId, at }) => ({
        from,
        text: body,
        at,
        ...(keyId === undefined ? {} : { keyId }),
      })),
    calls: () => this.#equipment.calls.list(),
    ceks: () => this.#equipment.ceks,
  };

  constructor(config: UeConfig, ctx: ActorContext, shared: UeShared) {
    this.name = ctx.name;
    this.#config = config;
    this.#profile = config.protectionProfile;
    this.#ctx = ctx;
    this.#shared = shared;
    this.#equipment = new UserEquipment(config, ctx, () => {
      if (this.#ports === undefined) throw new UeError('UE_NO_PEER', 'the UE was not told of IdM and KMS');
      return this.#ports;
    });
  }

  async start(): Promise<Endpoints> {
    this.#engine = this.#shared.engine ?? (await IbcPool.start({ size: 1 }));
    return {};
  }

  async connect(peers: Peers): Promise<void> {
    const { idm, kms } = peers;
    this.#equipment.peers = peers;
    if (idm?.https === undefined || kms?.https === undefined) return;
    await this.#idm?.close();
    const { tls, report, clock, log } = this.#ctx;
    const { oauthClientId, kmsUri, mcpttServerId } = this.#config;
    const baseUrl = kms.https;
    this.#idm = createIdmClient({ issuer: idm.https, clientId: oauthClientId, ca: tls.ca, report });
    this.#ports = {
      idm: this.#idm,
      kmsFor: (login, client, ceks) =>
        createUeKmsClient({
          baseUrl,
          kmsUri,
          mcpttId: login.mcpttId,
          clientId: client.clientId,
          token: () => login.kmsToken,
          renewedToken: () => renewedKmsToken(login, clock.now()),
          otherTokens: {
            kms: login.mcpttToken,
            ofUser: (user) => this.#equipment.clientOf(user).loggedIn?.kmsToken,
          },
          ceks,
          engine: this.#engine!,
          verifier: this.#verifier,
          profile: () => this.#profile,
          protection: (profile, material: IdentityMaterial, signer) =>
            createBodyProtection({
              profile,
              signer,
              certificate: () => material.certificate,
              // What arrives must be signed by the MCPTT server, whoever sent it there.
              peerOf: () => mcpttServerId,
              now: () => clock.now(),
            }),
          tls,
          clock,
          log,
          report,
        }),
    };
  }

  async stop(): Promise<void> {
    await this.#equipment.stop();
    await this.#idm?.close();
    if (this.#shared.engine === undefined) await this.#engine?.close();
    this.#idm = undefined;
    this.#ports = undefined;
    this.#engine = undefined;
  }

  #attachView(): JsonObject {
    const { attachment, imsi } = this.#equipment;
    if (attachment === undefined) return { attached: false, imsi };
    const { pdnAddress, pCscfAddress, sipCoreUrl, kasmeFingerprint } = attachment;
    return { attached: true, imsi, pdnAddress, pCscf: pCscfAddress, sipCore: sipCoreUrl, kasmeFingerprint };
  }

  #registrationView(): JsonObject {
    const { registration, impu, sipSession, connected } = this.#equipment;
    const { state, registered, associatedUris, serviceRoute, path, expiresAt, lastAnswer } = registration;
    return {
      state,
      registered,
      connected,
      impu,
      sipSession,
      associatedUris: [...associatedUris],
      serviceRoute: [...serviceRoute],
      path: [...path],
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
      ...(lastAnswer === undefined ? {} : { lastAnswer }),
    };
  }
}

async function done(running: Promise<void>): Promise<JsonObject> {
  await running;
  return {};
}

/** The login's KMS token, another one when it has expired by `now`, milliseconds since 1970. @throws IdmClientError */
async function renewedKmsToken(login: LoggedIn, now: number): Promise<string> {
  const { exp } = login.claims.kms;
  if (typeof exp === 'number' && exp * 1000 <= now) await login.refresh();
  return login.kmsToken;
}

/** Algorithm, type and key name of a token; nothing of it for a token that is no JWT. */
function headerOf(token: string): JsonObject {
  try {
    const { alg = '', typ = '', kid } = decodeProtectedHeader(token);
    return { alg, typ, ...(kid === undefined ? {} : { kid }) };
  } catch {
    return {};
  }
}

/** @throws UeError `UE_ARGUMENT` */
function profileOf(args: JsonObject): Profile {
  const profile = PROFILES.find((known) => known === args.profile);
  if (profile === undefined) throw new UeError('UE_ARGUMENT', `"profile" is one of ${PROFILES.join(', ')}`);
  return profile;
}

/** @throws UeError `UE_ARGUMENT` */
function text(args: JsonObject, name: string): string {
  const value = args[name];
  if (typeof value !== 'string') throw new UeError('UE_ARGUMENT', `"${name}" must be given as text`);
  return value;
}

/**
 * Makes a UE. It has no endpoints. Needs of its peers: `lte` of access-network for `attach`, `wss` of sip-core unless the
 * attach tells it, `https` of idm and kms.
 */
export function createUe(config: UeConfig, ctx: ActorContext, shared: UeShared = {}): Actor {
  return new Ue(config, ctx, shared);
}
