/** The MCPTT server: participating MCPTT function, client of the KMS, receiver of its pushes. See README.md. */
import express from 'express';
import type { Actor, ActorContext, Endpoints, Json, JsonObject, Peers } from '../../sim/control/actor.ts';
import {
  type BodyProtection,
  bodyChanges,
  createBodyProtection,
  isUnsigned,
  unsignedBody,
} from '../messages/body-protection.ts';
import { type Deviation, deviationValue, parseDeviations } from '../messages/deviation.ts';
import { closeHttps, type HttpsListening, listenHttps, shownCertificate } from '../messages/https-server.ts';
import { type HttpsClient, httpsClient } from '../messages/kms/https.ts';
import { readServices, SERVICES } from '../messages/service-protection.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import { IbcPool } from '../security/ibc/pool.ts';
import { KmsClientError } from '../security/kms-client/errors.ts';
import type { IdentityMaterial } from '../security/kms-client/material.ts';
import { PROFILES } from '../security/smime/profiles.ts';
import type { McpttAsConfig, McpttPolicy } from './config.ts';
import { McpttAsError } from './errors.ts';
import { fileStores } from './file-stores.ts';
import { ServerKmsClient } from './kms-client.ts';
import type { EndedAtServer } from './notices.ts';
import type { ServiceToken } from './publish.ts';
import { createPushReceiver, PUSH_BREAKS, type PushBreak } from './push-receiver.ts';
import { McpttServer, type ServerStores } from './server.ts';
import { tokenCheck } from './token-check.ts';

export type { McpttAsConfig, McpttPolicy } from './config.ts';
export { McpttAsError, type McpttAsErrorCode } from './errors.ts';

/** What actors of one process may share, and what outlives the actor. */
export interface McpttAsShared {
  /** Identity based arithmetic; a pool of one worker of the server's own unless given. */
  readonly engine?: SakkeEngine;
  /** Sessions and bindings; in the actor's state folder unless given, in memory where it has none. */
  readonly stores?: ServerStores;
}

class McpttAs implements Actor {
  readonly name: string;
  readonly kind = 'mcptt-as';
  readonly #config: McpttAsConfig;
  readonly #ctx: ActorContext;
  readonly #shared: McpttAsShared;
  readonly #server: McpttServer;
  #engine: SakkeEngine | undefined;
  /** Where the KMS pushes to. */
  #https: HttpsListening | undefined;
  #kms: ServerKmsClient | undefined;
  #idm: HttpsClient | undefined;
  #verifyToken: ((token: string) => Promise<ServiceToken>) | undefined;
  #protection: BodyProtection;
  /** What a scenario has made wrong in the bodies that the server seals from now on. */
  #deviations: readonly Deviation[] = [];
  #material: IdentityMaterial | undefined;
  /** Where the connections of the next pushes break, and of how many. */
  #breaks: { at: PushBreak; left: number } = { at: 'before-push', left: 0 };
  #endpoints: Endpoints = {};

  readonly verbs: Actor['verbs'] = {
    askUpdate: (args) => this.#askUpdate(text(args, 'user')),
    restart: () =>
      this.#server.recover(async () => {
        await this.#server.restart();
        return this.#resume();
      }),
    setPolicy: (args) => Promise.resolve(this.#usePolicy(changedPolicy(this.#server.policy, args))),
    breakPushes: (args) => {
      this.#breaks = pushBreaks(args);
      return Promise.resolve({});
    },
    presentCertificate: async ({ of }) => {
      await this.#https?.present(shownCertificate(of));
      return {};
    },
    resetPolicy: async () => {
      this.#deviations = [];
      this.#breaks = { at: 'before-push', left: 0 };
      await this.#https?.present('own');
      return this.#usePolicy(this.#config.policy);
    },
    deviate: (args) => {
      this.#deviations = parseDeviations(args.deviate);
      return Promise.resolve({});
    },
  };

  readonly readings: Actor['readings'] = {
    health: () => {
      const waitingFor = [
        ...(this.#endpoints.https === undefined ? ['SIP engine'] : []),
        ...(this.#verifyToken === undefined ? ['idm'] : []),
        ...(this.#material === undefined ? ['kms'] : []),
      ];
      return { ok: waitingFor.length === 0, waitingFor };
    },
    endpoints: () => ({ ...this.#endpoints }),
    sessions: async () => (await this.#server.view()).sessions,
    bindings: async () => (await this.#server.view()).bindings,
    ceks: async () => (await this.#server.view()).ceks,
    calls: async () => (await this.#server.view()).calls,
    policy: () => policyView(this.#server.policy),
  };

  constructor(config: McpttAsConfig, ctx: ActorContext, shared: McpttAsShared) {
    this.name = ctx.name;
    this.#config = config;
    this.#ctx = ctx;
    this.#shared = shared;
    const links = {
      verifyToken: (token: string) => {
        if (this.#verifyToken === undefined) throw noPeer('idm');
        return this.#verifyToken(token);
      },
      // A kept timer may fall due before the KMS is known again: that is a rejection like any other, and is tried again.
      tellKms: async (ended: EndedAtServer) => this.#kmsClient().ended(ended),
      protection: () => this.#protection,
    };
    const kept = ctx.stateFolder === undefined ? undefined : fileStores(ctx.stateFolder);
    this.#server = new McpttServer(config, ctx, links, shared.stores ?? kept);
    this.#protection = this.#newProtection();
  }

  async start(): Promise<Endpoints> {
    const hostports = await this.#server.start();
    this.#engine = this.#shared.engine ?? (await IbcPool.start({ size: 1 }));
    const { kmsUri, httpsPort: port, httpsHost: publicHost } = this.#config;
    const { report, log, tls, host } = this.#ctx;
    const app = express();
    app.disable('x-powered-by');
    const material = async (): Promise<IdentityMaterial> => {
      this.#material = await this.#kmsClient().material();
      return this.#material;
    };
    const breaks = (): PushBreak | undefined => (this.#breaks.left-- > 0 ? this.#breaks.at : undefined);
    app.use(createPushReceiver({ kmsUri, material, ceks: () => this.#server.ceks, breaks, report, log }));
    this.#https = await listenHttps(app, tls, { host, port, publicHost, clientCertificate: 'required' });
    const endpoints: Record<string, string> = { https: this.#https.url };
    for (const hostport of hostports) {
      const [protocol, address] = hostport.split('/') as [string, string];
      const reached = publicHost === undefined ? address : address.replace(/^(?:\[[^\]]*\]|[^:]*)/, publicHost);
      endpoints[protocol] ??= `sip:${reached};transport=${protocol}`;
    }
    const sip2 = endpoints.tcp ?? endpoints.tls ?? endpoints.udp;
    if (sip2 !== undefined) endpoints.sip2 = sip2;
    this.#endpoints = endpoints;
    return endpoints;
  }

  async connect(peers: Peers): Promise<void> {
    const { 'sip-core': core, idm, kms } = peers;
    const coreUri = sipUriOf(core);
    if (coreUri === undefined) throw noPeer('sip-core');
    if (idm?.https === undefined) throw noPeer('idm');
    if (kms?.https === undefined) throw noPeer('kms');
    await this.#server.useCore(coreUri);
    await this.#server.recover(() => this.#reach(idm.https!, kms.https!));
  }

  /** Reaches IdM and KMS, and takes up the keys of the sessions that the server kept over a restart. */
  async #reach(idm: string, kms: string): Promise<void> {
    const { clock, log, report, tls } = this.#ctx;
    const { kmsUri, serverId, audience, scope } = this.#config;
    this.#idm ??= httpsClient({ ca: tls.ca });
    this.#kms ??= new ServerKmsClient({
      baseUrl: kms,
      kmsUri,
      serverId,
      tls,
      engine: this.#engine!,
      ceks: () => this.#server.ceks,
      clock,
      log,
      report,
    });
    const issuer = this.#config.issuer ?? idm;
    [this.#verifyToken, this.#material] = await Promise.all([
      tokenCheck({ issuer, audience, scope, fetch: this.#idm.fetch, clock }),
      this.#firstMaterial(this.#kms),
    ]);
    await this.#resume();
  }

  async stop(): Promise<void> {
    if (this.#https !== undefined) await closeHttps(this.#https.server);
    await this.#server.stop();
    await this.#kms?.close();
    await this.#idm?.close();
    if (this.#shared.engine === undefined) await this.#engine?.close();
    this.#https = undefined;
    this.#kms = undefined;
    this.#idm = undefined;
    this.#engine = undefined;
    this.#material = undefined;
    this.#verifyToken = undefined;
  }

  /** A KMS that answers wrongly is asked again with each push: until then nothing but what needs key material fails. */
  async #firstMaterial(kms: ServerKmsClient): Promise<IdentityMaterial | undefined> {
    try {
      await kms.start();
      return await kms.material();
    } catch (error) {
      if (error instanceof KmsClientError && error.code === 'KMS_UNREACHABLE') throw error;
      this.#ctx.log.error({ error: (error as Error).message }, 'the KMS gave no key material that can be used');
      return undefined;
    }
  }

  /** LIFE-4: asks the KMS for the CEKs of the sessions that the server knows, without those that it knows to have ended. */
  async #resume(): Promise<JsonObject> {
    await this.#server.tellKept();
    const sessions = (await this.#server.stores.sessions.all()).map(({ sipSession }) => sipSession);
    return { sessions: sessions.length, keyIds: sessions.length === 0 ? [] : await this.#kmsClient().resume(sessions) };
  }

  /** LIFE-4. @returns for each of the user's SIP sessions the Key ID that is to be used now */
  async #askUpdate(user: string): Promise<Json> {
    const mcpttIds = this.#config.users
      .map(({ mcpttId }) => mcpttId)
      .filter((id) => id === user || id.startsWith(`sip:${user}@`));
    const held = this.#server.ceks.list().filter((cek) => mcpttIds.includes(cek.userUri) && cek.state === 'current');
    if (held.length === 0) throw new McpttAsError('MCPTT_AS_UNKNOWN_USER', `the server holds no CEK of ${user}`);
    const answers = held.map(async ({ keyId, sipSession }) => ({
      sipSession,
      held: keyId,
      keyId: await this.#kmsClient().askUpdate({ keyId, sipSession }),
    }));
    return Promise.all(answers);
  }

  #usePolicy(policy: McpttPolicy): JsonObject {
    this.#server.policy = policy;
    this.#protection = this.#newProtection();
    return policyView(policy);
  }

  #kmsClient(): ServerKmsClient {
    if (this.#kms === undefined) throw noPeer('kms');
    return this.#kms;
  }

  #newProtection(): BodyProtection {
    const protection = createBodyProtection({
      profile: this.#server.policy.protection.profile,
      signer: () => this.#material?.signer(this.#signsWithOldest() ? this.#material.periods[0] : undefined),
      certificate: () => this.#material?.certificate,
      // What arrives under a user's key must be signed by that user.
      peerOf: (cek) => cek.userUri,
      now: () => this.#ctx.clock.now(),
    });
    return {
      ...protection,
      protect: async (entity, key) => {
        const { profile } = this.#server.policy.protection;
        const changes = bodyChanges(this.#deviations);
        if (deviationValue(this.#deviations, 'cms', 'protection') === 'none') return entity;
        if (isUnsigned(this.#deviations)) return unsignedBody(profile, entity, key, changes.cms);
        // A key period may have begun since key material was given: then the KMS is asked for that of the new one.
        if (profile !== 'kek' && !this.#signsWithOldest()) this.#material = await this.#kmsClient().material();
        return protection.protect(entity, key, changes);
      },
    };
  }

  #signsWithOldest(): boolean {
    return deviationValue(this.#deviations, 'cms', 'key-period') === 'oldest';
  }
}

/** SIP URI of a peer that names one of its SIP endpoints as a URI or as `host:port`. */
function sipUriOf(endpoints: Endpoints | undefined): string | undefined {
  for (const name of ['sip2', 'tcp', 'tls', 'udp']) {
    const endpoint = endpoints?.[name];
    if (endpoint === undefined) continue;
    return /^sips?:/.test(endpoint) ? endpoint : `sip:${endpoint};transport=${name === 'sip2' ? 'tcp' : name}`;
  }
  return undefined;
}

/** @throws McpttAsError `MCPTT_AS_ARGUMENT` */
function changedPolicy(policy: McpttPolicy, args: JsonObject): McpttPolicy {
  const { required, profile, defaultServices, tokenExpiryEndsBinding } = args;
  const services = args.services === undefined ? policy.protection.services : readServices(args.services);
  const known = PROFILES.find((name) => name === profile);
  const methods = Array.isArray(defaultServices)
    ? defaultServices.filter((name) => typeof name === 'string')
    : undefined;
  if ((profile !== undefined && known === undefined) || (defaultServices !== undefined && methods === undefined)) {
    throw new McpttAsError(
      'MCPTT_AS_ARGUMENT',
      `profile is one of ${PROFILES.join(', ')}, defaultServices a list of methods`,
    );
  }
  if (args.services !== undefined && services === undefined)
    throw new McpttAsError('MCPTT_AS_ARGUMENT', `services says true or false of ${SERVICES.join(', ')}`);
  return {
    protection: {
      required: typeof required === 'boolean' ? required : policy.protection.required,
      ...(services === undefined ? {} : { services }),
      profile: known ?? policy.protection.profile,
    },
    defaultServices: methods ?? policy.defaultServices,
    tokenExpiryEndsBinding:
      typeof tokenExpiryEndsBinding === 'boolean' ? tokenExpiryEndsBinding : policy.tokenExpiryEndsBinding,
  };
}

/** @throws McpttAsError `MCPTT_AS_ARGUMENT` */
function pushBreaks({ at, count }: JsonObject): { at: PushBreak; left: number } {
  const place = PUSH_BREAKS.find((known) => known === at);
  if (place === undefined || typeof count !== 'number') {
    throw new McpttAsError('MCPTT_AS_ARGUMENT', `at is one of ${PUSH_BREAKS.join(', ')}, count a number of pushes`);
  }
  return { at: place, left: count };
}

const policyView = ({ protection, defaultServices, tokenExpiryEndsBinding }: McpttPolicy): JsonObject => ({
  ...protection,
  defaultServices: [...defaultServices],
  tokenExpiryEndsBinding,
});

function text(args: JsonObject, name: string): string {
  const value = args[name];
  if (typeof value !== 'string') throw new McpttAsError('MCPTT_AS_ARGUMENT', `"${name}" must be given as text`);
  return value;
}

const noPeer = (peer: string): McpttAsError =>
  new McpttAsError('MCPTT_AS_NO_PEER', `the MCPTT server was not told of its peer ${peer}, or has not reached it`, {
    peer,
  });

/**
 * Makes the MCPTT server. Endpoints: `sip2` and those of its engine (`tcp`, `udp`, `tls`) as SIP URIs, and `https`, where
 * the KMS pushes to. Needs of its peers: `sip2` (or `tcp`, `tls`, `udp`) of sip-core, `https` of idm and kms.
 */
export function createMcpttAs(config: McpttAsConfig, ctx: ActorContext, shared: McpttAsShared = {}): Actor {
  return new McpttAs(config, ctx, shared);
}
