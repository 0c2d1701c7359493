/**
 * Where the actors of a testbed are when they are not all in one process: a folder that `init` makes once.
 *
 * ```
 * FOLDER/public/topology.yaml   who is where (no secrets)
 * FOLDER/public/ca.crt          the test CA's certificate
 * FOLDER/ca/                    the test CA, key included: needed by `init` alone
 * FOLDER/<actor>/               tls.crt, tls.key, secrets.json, state/: for that actor alone
 * FOLDER/runner/                tls.crt, tls.key of whoever drives the actors; provisioned.json: what they were set up with
 * ```
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ActorKind, Endpoints, Peers, TlsIdentity } from '../control/actor.ts';
import { ACTOR_KINDS } from '../control/actor.ts';
import type { Provisioned } from '../scenario/provisioned.ts';

export interface TopologyActor {
  readonly kind: ActorKind;
  /** Endpoint name → `host:port`: where the actor listens, and where its peers reach it. */
  readonly endpoints: Endpoints;
  /** `host:port` of its control interface. */
  readonly control: string;
  /**
   * Endpoint name (or `control`) → host of the peer that it faces: the actor listens at its address on the network that it
   * shares with that peer, and on no other; `*` = on all. Absent = at the address of the endpoint's own host.
   */
  readonly facing?: Readonly<Record<string, string>>;
  /** UE: which subscriber's USIM it has. */
  readonly imsi?: string;
  /** SIP applications: `host:port` of a drachtio-server's control port; absent = the embedded engine. */
  readonly drachtio?: string;
}

export interface Topology {
  readonly actors: Readonly<Record<string, TopologyActor>>;
}

/** Which subscriber of the fixtures, counted from 0, lends each UE his USIM. */
export const SUBSCRIBER_OF: Readonly<Record<string, number>> = { ue: 0, 'ue-b': 1, 'ue-c': 2 };

/** `TOPOLOGY_MISSING`: not made yet, perhaps; `TOPOLOGY_INVALID`: there, and wrong. */
export type TopologyErrorCode = 'TOPOLOGY_MISSING' | 'TOPOLOGY_INVALID';

export class TopologyError extends Error {
  readonly code: TopologyErrorCode;

  constructor(code: TopologyErrorCode, message: string) {
    super(message);
    this.name = 'TopologyError';
    this.code = code;
  }
}

/** @throws TopologyError that names the file and the field that is wrong in it */
export function loadTopology(folder: string): Topology {
  const path = join(folder, 'public', 'topology.yaml');
  const text = readPart(path, `make it with: mcptt-testbed init --folder ${folder}`);
  let topology: Topology | null;
  try {
    topology = parse(text) as Topology | null;
  } catch (cause) {
    throw new TopologyError('TOPOLOGY_INVALID', `${path} is no YAML: ${(cause as Error).message.split('\n', 1)[0]}`);
  }
  const actors: unknown = topology?.actors;
  if (!isRecord(actors) || Object.keys(actors).length === 0)
    throw new TopologyError('TOPOLOGY_INVALID', `${path} names no actors: remove it and run init again`);
  for (const [name, actor] of Object.entries(actors)) {
    const wrong = /^\w[\w-]*$/.test(name) ? whatIsWrong(actor) : ': a name is letters, digits, - and _';
    if (wrong !== undefined) throw new TopologyError('TOPOLOGY_INVALID', `${path}: actors.${name}${wrong}`);
  }
  return topology!;
}

/** Which endpoints an actor of each kind has, and which of them its peers cannot do without. */
const ENDPOINTS: Readonly<Record<ActorKind, { readonly needed: readonly string[]; readonly also: readonly string[] }>> =
  {
    'access-network': { needed: ['lte'], also: [] },
    'sip-core': { needed: ['wss', 'sip2'], also: ['ws', 'udp', 'tcp', 'tls'] },
    'mcptt-as': { needed: ['sip2', 'https'], also: [] },
    idm: { needed: ['https'], also: [] },
    kms: { needed: ['https'], also: [] },
    ue: { needed: [], also: [] },
  };

/** The field that is wrong, and what it should be. */
function whatIsWrong(actor: unknown): string | undefined {
  if (!isRecord(actor)) return ' must have kind, endpoints and control';
  const { kind, endpoints, control, facing, imsi, drachtio } = actor as Partial<Record<keyof TopologyActor, unknown>>;
  if (!isKind(kind)) return `.kind must be one of ${ACTOR_KINDS.join(', ')}`;
  if (!isRecord(endpoints)) return '.endpoints must name its endpoints, each with host:port';
  const { needed, also } = ENDPOINTS[kind];
  const missing = needed.find((endpoint) => !(endpoint in endpoints));
  if (missing !== undefined) return `.endpoints.${missing} is missing: ${kind} cannot be reached without`;
  const places = Object.entries(endpoints);
  const foreign = places.find(([endpoint]) => ![...needed, ...also].includes(endpoint));
  if (foreign !== undefined) return `.endpoints.${foreign[0]} is none that ${kind} has`;
  const unplaced = places.find(([, at]) => !isPlace(at));
  if (unplaced !== undefined) return `.endpoints.${unplaced[0]} must be host:port`;
  if (!isPlace(control)) return '.control must be host:port';
  if (drachtio !== undefined && !isPlace(drachtio)) return '.drachtio must be host:port';
  if (facing !== undefined && !(isRecord(facing) && Object.values(facing).every((host) => typeof host === 'string')))
    return '.facing must name a host for each endpoint';
  if (kind === 'ue' && !(typeof imsi === 'string' && /^\d+$/.test(imsi)))
    return '.imsi must be the IMSI of a subscriber, in quotes';
  return undefined;
}

const isKind = (kind: unknown): kind is ActorKind => (ACTOR_KINDS as readonly unknown[]).includes(kind);

/** `host:port` or `[IPv6]:port`, with a port that peers can connect to. */
function isPlace(text: unknown): text is string {
  const port = typeof text === 'string' ? /^(?:\[[\da-f:.]+\]|[^\s:[\]/@]+):(\d+)$/i.exec(text)?.[1] : undefined;
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A file of the folder. What is not there is missing; what is there and cannot be read will not be better later. */
function readPart(path: string, help: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new TopologyError(
      code === 'ENOENT' ? 'TOPOLOGY_MISSING' : 'TOPOLOGY_INVALID',
      `${path} cannot be read (${message}); ${help}`,
    );
  }
}

/** `host:port` taken apart; an IPv6 host stands in brackets. */
export function hostPort(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

/**
 * The actor's own certificate and the CA's, as `init` laid them down.
 *
 * @throws TopologyError when one of the files is missing, is no PEM, is out of date, or they do not belong together
 */
export function loadTls(folder: string, name: string): TlsIdentity {
  const read = (...parts: string[]): string =>
    readPart(join(folder, ...parts), `run: mcptt-testbed init --folder ${folder}`);
  const own = { certificate: read(name, 'tls.crt'), privateKey: read(name, 'tls.key'), ca: read('public', 'ca.crt') };
  try {
    const certificate = new X509Certificate(own.certificate);
    if (!certificate.checkPrivateKey(createPrivateKey(own.privateKey)))
      throw new Error('tls.key is not the key of tls.crt');
    if (!certificate.checkIssued(new X509Certificate(own.ca)))
      throw new Error('tls.crt is not of the CA in public/ca.crt');
    if (new Date(certificate.validTo).getTime() < Date.now()) throw new Error(`it expired on ${certificate.validTo}`);
  } catch (cause) {
    const help = `remove ${join(folder, name, 'tls.*')} and run init again`;
    throw new TopologyError(
      'TOPOLOGY_INVALID',
      `the certificate of '${name}' in ${folder} cannot be used (${(cause as Error).message}): ${help}`,
    );
  }
  return own;
}

/** Where `init` lays down what the actors are set up with, for whoever runs scenarios against them. */
export const provisionedFile = (folder: string): string => join(folder, 'runner', 'provisioned.json');

/** @throws TopologyError when `init` has not laid it down, or it is no JSON */
export function loadProvisioned(folder: string): Provisioned {
  const path = provisionedFile(folder);
  const text = readPart(path, `run: mcptt-testbed init --folder ${folder}`);
  try {
    return JSON.parse(text) as Provisioned;
  } catch (cause) {
    throw new TopologyError('TOPOLOGY_INVALID', `${path} is no JSON (${(cause as Error).message}): run init again`);
  }
}

/** The endpoints of the named actors in the form that a peer uses. */
export function peersOf(topology: Topology, names: readonly string[]): Peers {
  const peers: Partial<Record<ActorKind, Endpoints>> = {};
  for (const name of names) {
    const { kind, endpoints } = topology.actors[name]!;
    peers[kind] = {
      ...Object.fromEntries(Object.entries(endpoints).map(([key, at]) => [key, endpointUrl(key, at)])),
      ...(kind === 'idm' ? { issuer: `https://${endpoints.https}` } : {}),
    };
  }
  return peers;
}

function endpointUrl(key: string, at: string): string {
  if (key === 'https' || key === 'wss') return `${key}://${at}`;
  if (key === 'lte') return `tcp://${at}`;
  return `sip:${at};transport=${key === 'sip2' ? 'tcp' : key}`;
}

/** The address of a host name, bracketed if IPv6. */
export async function numeric(host: string): Promise<string> {
  if (isIP(host) === 4) return host;
  const address = isIP(host) === 6 ? host : (await lookup(host, { verbatim: false })).address;
  return isIP(address) === 6 ? `[${address}]` : address;
}

/** Numeric `host:port` at which the actor is to listen for `endpoint`. Rejects while the DNS does not know the peer it faces. */
export async function listenAt(actor: TopologyActor, endpoint: string): Promise<string> {
  const { host, port } = hostPort(endpoint === 'control' ? actor.control : actor.endpoints[endpoint]!);
  const peer = actor.facing?.[endpoint];
  if (peer === '*') return `0.0.0.0:${port}`;
  return `${peer === undefined ? await numeric(host) : await addressFacing(peer)}:${port}`;
}

/** This machine's address on the way to `host`: what a UDP socket that is connected there is bound to. Nothing is sent. */
async function addressFacing(host: string): Promise<string> {
  const address = await numeric(host);
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(9, address, resolve);
    });
    return socket.address().address;
  } finally {
    socket.close();
  }
}
