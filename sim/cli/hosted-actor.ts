/** One actor of a topology folder, run here: the actor, its control interface, and the wait for its peers. */

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
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
  TopologyError,
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
  /** Ends the start while it still waits. */
  readonly signal?: AbortSignal;
}

const PEER_WAIT = 60_000;

/** A port in use, state that cannot be read, a disk that is full: what the actor says, and where its state is. */
export class CannotStart extends Error {
  readonly code = 'ACTOR_CANNOT_START';

  constructor(name: string, stateFolder: string, cause: unknown) {
    super(`${name} cannot start: ${(cause as Error).message} (its state is in ${stateFolder})`, { cause });
    this.name = 'CannotStart';
  }
}

/** By how much the actor's clock is ahead: one that starts again must not fall behind clocks that a scenario has moved meanwhile. */
class ClockShift {
  readonly #file: string;

  constructor(stateFolder: string) {
    this.#file = join(stateFolder, 'clock-shift');
  }

  read(): number {
    const shift = existsSync(this.#file) ? Number(readFileSync(this.#file, 'utf8')) : 0;
    if (Number.isFinite(shift)) return shift;
    throw new TopologyError('TOPOLOGY_INVALID', `${this.#file} holds no number of milliseconds: remove it`);
  }

  write(shift: number): void {
    writeFileSync(`${this.#file}.part`, String(shift));
    renameSync(`${this.#file}.part`, this.#file);
  }
}

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

/** Starts the actor; it listens when this resolves, and is `ready` once its peers answer. What fails leaves nothing open. */
export async function hostActor(options: HostOptions): Promise<HostedActor> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.toReversed()) await one();
  };
  try {
    return await started(options, closing, close);
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function started(
  options: HostOptions,
  closing: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<HostedActor> {
  const { folder, name, log, signal } = options;
  const patience = options.peerWait ?? PEER_WAIT;
  const wait = {
    tell: (reason: string) => log.info({ reason }, 'waiting'),
    ...(signal === undefined ? {} : { signal }),
  };
  const topology = await answered('init has not made the topology folder', patience, () => loadTopology(folder), wait);
  const own = topology.actors[name];
  if (own === undefined)
    throw new UsageError(
      `there is no actor '${name}' in ${folder}; it has: ${Object.keys(topology.actors).join(', ')}`,
    );
  const tls = await answered('init has made no certificate', patience, () => loadTls(folder, name), wait);
  const stateFolder = stateFolderOf(folder, name);
  const shift = new ClockShift(stateFolder);
  const clock = new ShiftedClock(systemClock, shift.read());
  const early: MessageRecord[] = [];
  let deliver = (record: MessageRecord): void => void early.push(record);
  const report = createRecorder({ actor: name, clock, sink: (record) => deliver(record) });
  const nowhere = `${name} cannot tell where to listen`;
  const controlAt = hostPort(await answered(nowhere, patience, () => listenAt(own, 'control'), wait));
  const place = await answered(nowhere, patience, () => placeOf(folder, name, own), wait);
  const sipEndpoints = Object.values(topology.actors).flatMap(({ endpoints }) => endpoints.sip2 ?? []);
  const hosts = new HostTable(own.endpoints.sip2 === undefined ? [] : sipEndpoints.map((at) => hostPort(at).host));
  hosts.open();
  closing.push(() => hosts.close());
  const fixtures = loadFixtures(options.fixtures);
  const launched = await launch({ ...place, hosts: hosts.addresses }, fixtures, {
    report,
    clock,
    log,
    tls,
    stateFolder,
  }).catch((cause: unknown) => {
    throw new CannotStart(name, stateFolder, cause);
  });
  closing.push(() => launched.stop());
  let waiting: readonly string[] = Object.keys(NEEDS[own.kind]);
  const control = new ControlServer({
    actor: launched.actor,
    tls,
    ...controlAt,
    clock,
    onShift: (ms) => shift.write(ms),
    waitingFor: () => waiting,
  });
  deliver = control.sink;
  early.forEach(deliver);
  await control.start().catch((cause: unknown) => {
    throw new CannotStart(name, stateFolder, cause);
  });
  closing.push(() => control.stop());
  const stopped = new AbortController();
  const ready = (async () => {
    const peers = await meetPeers(topology, name, own, patience, stopped.signal, (names) => {
      if (names.length > 0 && names.join() !== waiting.join()) log.info({ waitingFor: names }, 'waiting');
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
      await close();
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
