/** One actor of a topology folder, run here: the actor, its control interface, and the wait for its peers. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { loadFixtures } from '../../fixtures/load.ts';
import type { ActorKind, Log, Peers } from '../control/actor.ts';
import { ControlServer } from '../control/server.ts';
import { ShiftedClock } from '../control/shifted-clock.ts';
import { systemClock } from '../engine/clock.ts';
import type { MessageRecord } from '../trace/record.ts';
import { createRecorder } from '../trace/recorder.ts';
import { HostTable } from './host-table.ts';
import { launch, type Place, stateFolderOf } from './launch.ts';
import { answered, PeerMissing, PROBE_EVERY } from './patience.ts';
import {
  hostPort,
  listenAt,
  loadTls,
  loadTopology,
  numeric,
  peersOf,
  type Topology,
  type TopologyActor,
} from './topology.ts';
import { UsageError } from './usage-error.ts';

export interface HostedActor {
  readonly name: string;
  /** Resolves when the actor has found its peers and is ready; rejects, naming them, when they did not come. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

export interface HostOptions {
  readonly folder: string;
  readonly name: string;
  readonly log: Log;
  readonly fixtures?: string;
  /** How long peers are waited for, milliseconds. */
  readonly peerWait?: number;
}

const PEER_WAIT = 60_000;

/** Whom an actor must know before it can play its part, and which of their endpoints it must reach. */
const NEEDS: Readonly<Record<ActorKind, Partial<Record<ActorKind, readonly string[]>>>> = {
  'access-network': { 'sip-core': ['wss'] },
  'sip-core': { 'mcptt-as': ['sip2'] },
  'mcptt-as': { 'sip-core': ['sip2'], idm: ['https'], kms: ['https'] },
  idm: {},
  kms: { idm: ['https'], 'mcptt-as': ['https'] },
  ue: { 'access-network': ['lte'], 'sip-core': ['wss'], idm: ['https'], kms: ['https'] },
};

/** The access network only tells UEs where the SIP core is: an address is all it needs, and the core may not be reachable from it. */
const ONLY_TELLS: ActorKind = 'access-network';

/** Starts the actor; it listens when this resolves, and is `ready` once its peers answer. */
export async function hostActor(options: HostOptions): Promise<HostedActor> {
  const { folder, name, log } = options;
  const patience = options.peerWait ?? PEER_WAIT;
  const topology = await answered('init has not made the topology folder', patience, () => loadTopology(folder));
  const own = topology.actors[name];
  if (own === undefined)
    throw new UsageError(
      `there is no actor '${name}' in ${folder}; it has: ${Object.keys(topology.actors).join(', ')}`,
    );
  const tls = await answered('init has made no certificate', patience, () => loadTls(folder, name));
  const stateFolder = stateFolderOf(folder, name);
  // An actor that starts again must not fall behind clocks that a scenario has moved ahead meanwhile.
  const shiftFile = join(stateFolder, 'clock-shift');
  const clock = new ShiftedClock(systemClock, existsSync(shiftFile) ? Number(readFileSync(shiftFile, 'utf8')) : 0);
  const early: MessageRecord[] = [];
  let deliver = (record: MessageRecord): void => void early.push(record);
  const report = createRecorder({ actor: name, clock, sink: (record) => deliver(record) });
  const controlAt = hostPort(
    await answered(`${name} cannot tell where to listen`, patience, () => listenAt(own, 'control')),
  );
  const place = await answered(`${name} cannot tell where to listen`, patience, () => placeOf(folder, name, own));
  const sipEndpoints = Object.values(topology.actors).flatMap(({ endpoints }) => endpoints.sip2 ?? []);
  const hosts = new HostTable(own.endpoints.sip2 === undefined ? [] : sipEndpoints.map((at) => hostPort(at).host));
  hosts.open();
  const launched = await launch({ ...place, hosts: hosts.addresses }, loadFixtures(options.fixtures), {
    report,
    clock,
    log,
    tls,
    stateFolder,
  });
  let waiting: readonly string[] = Object.keys(NEEDS[own.kind]);
  const control = new ControlServer({
    actor: launched.actor,
    tls,
    ...controlAt,
    clock,
    onShift: (shift) => writeFileSync(shiftFile, String(shift)),
    waitingFor: () => waiting,
  });
  deliver = control.sink;
  early.forEach(deliver);
  await control.start();
  const stopped = new AbortController();
  const ready = (async () => {
    const peers = await meetPeers(topology, name, own, patience, stopped.signal, (names) => {
      waiting = names;
    });
    await launched.actor.connect(peers);
    waiting = [];
    log.info({ endpoints: launched.endpoints }, 'ready');
  })();
  return {
    name,
    ready,
    stop: async () => {
      stopped.abort();
      await ready.catch(() => {});
      await control.stop();
      await launched.stop();
      await hosts.close();
    },
  };
}

async function placeOf(folder: string, name: string, own: TopologyActor): Promise<Place> {
  const listen = await Promise.all(
    Object.keys(own.endpoints).map(async (endpoint) => [endpoint, await listenAt(own, endpoint)] as const),
  );
  const https = own.endpoints.https ?? own.endpoints.wss;
  return {
    name,
    kind: own.kind,
    listen: Object.fromEntries(listen),
    ...(https === undefined ? {} : { publicHost: hostPort(https).host }),
    ...(own.imsi === undefined ? {} : { imsi: own.imsi }),
    ...(own.drachtio === undefined
      ? {}
      : {
          drachtio: {
            ...(await drachtioAt(own.drachtio)),
            secret: readFileSync(join(folder, name, 'drachtio-secret'), 'utf8').trim(),
          },
        }),
  };
}

async function drachtioAt(at: string): Promise<{ host: string; port: number }> {
  const { host, port } = hostPort(at);
  return { host: await numeric(host), port };
}

/** Waits until every needed peer is known to the DNS and takes connections. */
async function meetPeers(
  topology: Topology,
  name: string,
  own: TopologyActor,
  waitMs: number,
  signal: AbortSignal,
  tell: (waitingFor: string[]) => void,
): Promise<Peers> {
  const needs = NEEDS[own.kind];
  const wanted = Object.entries(topology.actors).filter(([, actor]) => needs[actor.kind] !== undefined);
  const missing = new Set(wanted.map(([peer]) => peer));
  const end = Date.now() + waitMs;
  for (;;) {
    await Promise.all(
      wanted
        .filter(([peer]) => missing.has(peer))
        .map(async ([peer, actor]) => {
          const needed = needs[actor.kind]!.map((endpoint) => actor.endpoints[endpoint]!);
          const found = await Promise.all(needed.map(own.kind === ONLY_TELLS ? isKnown : takesConnections));
          if (found.every(Boolean)) missing.delete(peer);
        }),
    );
    tell([...missing]);
    if (missing.size === 0)
      return peersOf(
        topology,
        wanted.map(([peer]) => peer),
      );
    const names = [...missing].join(', ');
    if (signal.aborted) throw new PeerMissing(`${name} was stopped while it waited for ${names}`);
    if (Date.now() > end) throw new PeerMissing(`${name} waited ${waitMs} ms for ${names}: not reachable`);
    await setTimeout(PROBE_EVERY, undefined, { signal }).catch(() => {});
  }
}

const isKnown = (at: string): Promise<boolean> =>
  numeric(hostPort(at).host).then(
    () => true,
    () => false,
  );

async function takesConnections(at: string): Promise<boolean> {
  const { host: name, port } = hostPort(at);
  // Looked up by itself, and waited for: a look-up of a name that the DNS does not know holds a thread that file access needs
  // too, and one that is left behind at every look would soon hold them all.
  const host = await numeric(name).catch(() => undefined);
  if (host === undefined) return false;
  return new Promise((resolve) => {
    const socket = createConnection({ host: host.replace(/^\[|\]$/g, ''), port, timeout: 1000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false));
  });
}
