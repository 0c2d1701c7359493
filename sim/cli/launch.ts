/** Makes one actor from the fixtures and its place, with the SIP engine beside it where it needs one. */
import { join } from 'node:path';
import type { PolicyChange } from '../../actors/kms/policy.ts';
import { needsCek } from '../../actors/messages/service-protection.ts';
import type { SakkeEngine } from '../../actors/security/ibc/engine.ts';
import { FixtureError, type Fixtures, type Policy } from '../../fixtures/load.ts';
import type { Actor, ActorContext, ActorKind, Endpoints } from '../control/actor.ts';
import { hostPort } from './topology.ts';

/** Where an actor is to be. Ports of 0 are the system's choice. */
export interface Place {
  readonly name: string;
  readonly kind: ActorKind;
  /** Endpoint name → numeric `host:port` to listen at. */
  readonly listen: Endpoints;
  /** Host name under which peers reach the endpoint; the numeric host unless given. */
  readonly publicHost?: string;
  /** Addresses of host names, for the embedded engine; may change while it runs. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** A drachtio-server for a SIP application, instead of the embedded engine. */
  readonly drachtio?: { readonly host: string; readonly port: number; readonly secret: string };
  /** UE: the subscriber. */
  readonly imsi?: string;
}

/** A running actor and what runs beside it. `stop` ends both. */
export interface Launched {
  readonly actor: Actor;
  readonly endpoints: Endpoints;
  stop(): Promise<void>;
}

/** What each kind listens at when nobody says where. */
export const DEFAULT_LISTEN: Readonly<Record<ActorKind, Endpoints>> = {
  'access-network': { lte: '127.0.0.1:0' },
  'sip-core': {
    wss: '127.0.0.1:0',
    ws: '127.0.0.1:0',
    udp: '127.0.0.1:0',
    tcp: '127.0.0.1:0',
    tls: '127.0.0.1:0',
    sip2: '127.0.0.1:0',
  },
  'mcptt-as': { sip2: '127.0.0.1:0', https: '127.0.0.1:0' },
  idm: { https: '127.0.0.1:0' },
  kms: { https: '127.0.0.1:0' },
  ue: {},
};

/** The KMS's master secrets as the text of their file, for those who keep them in none. */
export const KMS_SECRETS = 'MCPTT_TESTBED_KMS_SECRETS';

const RESOURCE_SERVER = 'urn:3gpp:mcptt:server';
const SERVICE_SCOPE = '3gpp:mc:ptt_service';

/** What a launched actor is handed; `host` and `name` are set from the place. */
export interface LaunchContext extends Omit<ActorContext, 'host' | 'name'> {
  /** Worker pool for identity based cryptography, where several actors of one process share one; else each starts its own. */
  readonly ibc?: SakkeEngine;
}

export async function launch(place: Place, fixtures: Fixtures, given: LaunchContext): Promise<Launched> {
  const { ibc, ...context } = given;
  const engine = await engineFor(place, context);
  const host = hostPort(place.listen.https ?? place.listen.lte ?? '127.0.0.1:0').host;
  try {
    const actor = await make(
      place,
      fixtures,
      { ...context, name: place.name, host },
      engine?.control ?? place.drachtio,
      ibc === undefined ? {} : { engine: ibc },
    );
    const endpoints = await actor.start();
    return {
      actor,
      endpoints,
      stop: async () => {
        await actor.stop();
        await engine?.stop();
      },
    };
  } catch (cause) {
    await engine?.stop();
    throw cause;
  }
}

interface Control {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

async function make(
  place: Place,
  fixtures: Fixtures,
  context: ActorContext,
  control: Control | undefined,
  shared: { readonly engine?: SakkeEngine },
): Promise<Actor> {
  const { network, policy, subscribers, users } = fixtures;
  const port = (endpoint: string): number => hostPort(place.listen[endpoint] ?? ':0').port;
  switch (place.kind) {
    case 'access-network': {
      const { createAccessNetwork } = await import('../../actors/access-network/index.ts');
      return createAccessNetwork(
        { mcc: network.plmn.slice(0, 3), mnc: network.plmn.slice(3), subscribers, port: port('lte') },
        context,
      );
    }
    case 'sip-core': {
      const { createSipCore } = await import('../../actors/sip-core/index.ts');
      const { minExpires, maxExpires } = policy.registration;
      return createSipCore(
        {
          drachtio: control!,
          homeDomain: network.homeDomain,
          subscribers,
          minExpires,
          maxExpires,
          ...(place.publicHost === undefined ? {} : { publicHost: place.publicHost }),
        },
        context,
      );
    }
    case 'mcptt-as': {
      const { createMcpttAs } = await import('../../actors/mcptt-as/index.ts');
      return createMcpttAs(
        {
          engine: control!,
          psi: network.participatingPsi,
          serverId: network.mcpttServerId,
          kmsUri: network.kmsUri,
          users: users.map(({ mcpttId, profile }) => ({ mcpttId, ...profile })),
          policy: {
            protection: policy.protection,
            defaultServices: policy.defaultServices,
            tokenExpiryEndsBinding: true,
          },
          audience: RESOURCE_SERVER,
          scope: SERVICE_SCOPE,
          httpsPort: port('https'),
          ...(place.publicHost === undefined ? {} : { httpsHost: place.publicHost }),
        },
        context,
        shared,
      );
    }
    case 'idm': {
      const { createIdm } = await import('../../actors/idm/index.ts');
      return createIdm(
        {
          users,
          clientId: network.oauthClientId,
          tokenLifetime: policy.tokens.lifetime,
          port: port('https'),
          ...(place.publicHost === undefined ? {} : { publicHost: place.publicHost }),
        },
        context,
      );
    }
    case 'kms': {
      const masterSecrets = process.env[KMS_SECRETS];
      const { createKms } = await import('../../actors/kms/index.ts');
      return createKms(
        {
          kmsUri: network.kmsUri,
          mcpttServerId: network.mcpttServerId,
          port: port('https'),
          policy: kmsPolicy(policy),
          ...(masterSecrets === undefined || masterSecrets === '' ? {} : { masterSecrets }),
          ...(place.publicHost === undefined ? {} : { publicHost: place.publicHost }),
        },
        context,
        shared,
      );
    }
    case 'ue': {
      const { createUe } = await import('../../actors/ue/index.ts');
      const usim = subscribers.find((s) => s.imsi === place.imsi);
      if (usim === undefined)
        throw new FixtureError(`no subscriber has its IMSI, ${place.imsi}: its topology was made from other fixtures`);
      return createUe(
        {
          usim,
          homeDomain: network.homeDomain,
          participatingPsi: network.participatingPsi,
          users: users.map(({ userName, password }) => ({ user: userName, password })),
          oauthClientId: network.oauthClientId,
          kmsUri: network.kmsUri,
          mcpttServerId: network.mcpttServerId,
          protectionProfile: policy.protection.profile,
          protection: policy.protection,
        },
        context,
        shared,
      );
    }
  }
}

/** The provider's policy in the KMS's terms and in milliseconds. */
function kmsPolicy({ protection, keyMaterial, cek }: Policy): PolicyChange {
  return {
    protectionRequired: needsCek(protection),
    ...keyMaterial,
    cek: { lifetime: cek.lifetime * 1000, overlap: cek.overlap * 1000, rotateAfterMessages: cek.maxMessages },
    pushWait: cek.pushWait * 1000,
  };
}

/** The embedded engine of a SIP application that has no drachtio-server. */
async function engineFor(
  place: Place,
  context: Pick<ActorContext, 'tls' | 'log'>,
): Promise<{ control: Control; stop: () => Promise<void> } | undefined> {
  if ((place.kind !== 'sip-core' && place.kind !== 'mcptt-as') || place.drachtio !== undefined) return undefined;
  const { Engine } = await import('../engine/index.ts');
  const { randomBytes } = await import('node:crypto');
  const secret = randomBytes(16).toString('hex');
  const sip = Object.entries(place.listen).filter(([name]) => name !== 'https');
  const engine = new Engine({
    listen: sip.map(([name, at]) => ({ protocol: PROTOCOLS[name] ?? 'tcp', ...hostPort(at) })),
    control: { host: '127.0.0.1', port: 0, secret },
    tls: context.tls,
    ...(place.hosts === undefined ? {} : { hosts: place.hosts }),
    log: (level, message) => context.log[level]({}, message),
  });
  const { control } = await engine.start();
  return { control: { ...control, secret }, stop: () => engine.stop() };
}

const PROTOCOLS: Readonly<Record<string, 'udp' | 'tcp' | 'tls' | 'ws' | 'wss'>> = {
  udp: 'udp',
  tcp: 'tcp',
  tls: 'tls',
  ws: 'ws',
  wss: 'wss',
  sip2: 'tcp',
};

/** Folder of state that outlives an actor, inside a topology folder. */
export const stateFolderOf = (folder: string, name: string): string => join(folder, name, 'state');
