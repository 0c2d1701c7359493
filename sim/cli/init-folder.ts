/** Lays down a topology folder (see topology.ts): everything that must be the same for all actors and made only once. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer, isIP } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Subscriber } from '../../actors/messages/subscriber.ts';
import { createTestCa, type IdentityRequest, loadTestCa, type TestCa } from '../../actors/security/ca.ts';
import { type Fixtures, loadFixtures } from '../../fixtures/load.ts';
import { RUNNER_URI } from '../control/wire.ts';
import { makeFolder } from '../report/files.ts';
import type { Provisioned } from '../scenario/provisioned.ts';
import { identityOf } from './certificates.ts';
import {
  hostPort,
  loadTopology,
  provisionedFile,
  SUBSCRIBER_OF,
  type Topology,
  type TopologyActor,
} from './topology.ts';

/**
 * @param fixtures those that the actors will have: whose USIMs the UEs get, and which names stand in the certificates
 * @returns what had to be made, in words; empty when the folder was complete
 */
export async function initFolder(
  folder: string,
  kind: 'loopback' | 'containers',
  drachtio: boolean,
  fixtures: Fixtures = loadFixtures(),
): Promise<string[]> {
  const { network, subscribers } = fixtures;
  const made: string[] = [];
  const publicFolder = join(folder, 'public');
  await makeFolder(publicFolder);
  const once = async (
    path: string,
    what: string,
    content: () => Promise<string> | string,
    mode = 0o644,
  ): Promise<void> => {
    if (existsSync(path)) return;
    await writeWhole(path, await content(), mode);
    made.push(what);
  };
  await once(join(publicFolder, 'topology.yaml'), 'topology.yaml', async () =>
    stringify(kind === 'loopback' ? await loopback(subscribers) : containers(drachtio, subscribers)),
  );
  const ca = await testCa(join(folder, 'ca'), made);
  await once(join(publicFolder, 'ca.crt'), 'ca.crt', () => ca.certificate);

  const { actors } = loadTopology(folder);
  for (const [name, actor] of [...Object.entries(actors), ['runner', undefined] as const]) {
    const own = join(folder, name);
    await mkdir(join(own, 'state'), { recursive: true, mode: 0o700 });
    if (actor === undefined && (await layDown(provisionedFile(folder), provisionedBy(fixtures))))
      made.push('provisioned.json');
    if (actor?.drachtio !== undefined) {
      const secret = (): string => randomBytes(24).toString('hex');
      await once(join(own, 'drachtio-secret'), `drachtio secret of ${name}`, secret, 0o600);
    }
    if (existsSync(join(own, 'tls.key')) && existsSync(join(own, 'tls.crt'))) continue;
    const identity = await ca.issue(
      actor === undefined
        ? { commonName: name, uri: [RUNNER_URI] }
        : withHosts(identityOf(name, actor.kind, network), actor),
    );
    await writeWhole(join(own, 'tls.crt'), identity.certificate, 0o644);
    await writeWhole(join(own, 'tls.key'), identity.privateKey, 0o600);
    made.push(`certificate of ${name}`);
  }
  return made;
}

/** Actors wait for these files: none of them is ever seen half written. */
async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  await writeFile(`${path}.part`, content, { mode });
  await rename(`${path}.part`, path);
}

/** What scenarios may know of the fixtures: whoever runs them needs no password. */
function provisionedBy({ network, policy, users, subscribers }: Fixtures): string {
  const known: Provisioned = {
    network,
    policy,
    users: users.map(({ userName, mcpttId, profile }) => ({ userName, mcpttId, profile })),
    subscribers,
  };
  return JSON.stringify(known, null, 2);
}

/** Unlike what is made once, this follows the fixtures. @returns whether it was another before */
async function layDown(path: string, content: string): Promise<boolean> {
  if (existsSync(path) && readFileSync(path, 'utf8') === content) return false;
  await writeWhole(path, content, 0o600);
  return true;
}

/** The identity with the host names under which peers reach the actor. */
function withHosts(identity: IdentityRequest, actor: TopologyActor): IdentityRequest {
  const hosts = [actor.control, ...Object.values(actor.endpoints)].map((at) => hostPort(at).host);
  return { ...identity, dns: [...new Set([...(identity.dns ?? []), ...hosts.filter((host) => isIP(host) === 0)])] };
}

async function testCa(folder: string, made: string[]): Promise<TestCa> {
  // The folder itself may be an empty volume.
  if (existsSync(join(folder, 'ca.crt'))) return loadTestCa(folder);
  const ca = await createTestCa();
  await ca.save(folder);
  made.push('test CA');
  return ca;
}

async function loopback(subscribers: readonly Subscriber[]): Promise<Topology> {
  const ports = await freePorts(32);
  const at = (): string => `127.0.0.1:${ports.pop()}`;
  return topology((_actor, _endpoint) => at(), at, ['wss', 'ws', 'udp', 'tcp', 'tls'], subscribers);
}

/**
 * On which network each container's endpoint is, told by the one peer that it shares that network with (docker-compose.yml); for
 * the control networks that is `init`, which is always there, as the runner need not be.
 */
const FACING: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'access-network': { lte: 'ue', control: 'init' },
  'sip-core': { wss: 'ue', udp: 'ue', sip2: 'mcptt-as', control: 'init' },
  'mcptt-as': { sip2: 'sip-core', https: '*', control: 'init' },
  // Several come for https, from a network each, and the runner, to try it as an outsider, from the control network.
  idm: { https: '*', control: 'init' },
  kms: { https: '*', control: 'init' },
  ue: { control: 'init' },
  'ue-b': { control: 'init' },
  'ue-c': { control: 'init' },
};

const CONTAINER_PORTS: Readonly<Record<string, number>> = { lte: 4000, wss: 5081, udp: 5060, sip2: 5060, https: 8443 };

const SIP_ENDPOINTS = { wss: 0, udp: 0, sip2: 0 };

/** One drachtio-server listens on all of the SIP core's networks: another port tells SIP-2, the trust domain's side, from SIP-1. */
const DRACHTIO_CORE_SIP2 = 5070;

/** Hosts are the service names of docker-compose.yml. */
function containers(drachtio: boolean, subscribers: readonly Subscriber[]): Topology {
  const made = topology(
    // With a drachtio-server, the SIP sockets are its own and not the application's.
    (actor, endpoint) => {
      if (!drachtio || !(endpoint in SIP_ENDPOINTS)) return `${actor}:${CONTAINER_PORTS[endpoint]}`;
      const ownPort = actor === 'sip-core' && endpoint === 'sip2';
      return `${actor}-drachtio:${ownPort ? DRACHTIO_CORE_SIP2 : CONTAINER_PORTS[endpoint]}`;
    },
    (actor) => `${actor}:9000`,
    ['wss', 'udp'],
    subscribers,
  );
  const placed = Object.entries(made.actors).map(([name, actor]) => {
    const application = actor.kind === 'sip-core' || actor.kind === 'mcptt-as';
    return [
      name,
      { ...actor, facing: FACING[name]!, ...(drachtio && application ? { drachtio: `${name}-drachtio:9022` } : {}) },
    ];
  });
  return { actors: Object.fromEntries(placed) as Topology['actors'] };
}

/** @param sip1 how UEs may reach the SIP core; its `sip2` comes after them all (launch.ts) */
function topology(
  at: (actor: string, endpoint: string) => string,
  control: (actor: string) => string,
  sip1: readonly string[],
  subscribers: readonly Subscriber[],
): Topology {
  const actor = (
    kind: TopologyActor['kind'],
    endpoints: readonly string[],
    more: Partial<TopologyActor> = {},
    name: string = kind,
  ): [string, TopologyActor] => [
    name,
    {
      kind,
      endpoints: Object.fromEntries(endpoints.map((endpoint) => [endpoint, at(name, endpoint)])),
      control: control(name),
      ...more,
    },
  ];
  return {
    actors: Object.fromEntries([
      actor('access-network', ['lte']),
      actor('sip-core', [...sip1, 'sip2']),
      actor('mcptt-as', ['sip2', 'https']),
      actor('idm', ['https']),
      actor('kms', ['https']),
      ...Object.entries(SUBSCRIBER_OF).flatMap(([name, i]) => {
        const imsi = subscribers[i]?.imsi;
        return imsi === undefined ? [] : [actor('ue', [], { imsi }, name)];
      }),
    ]),
  };
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
