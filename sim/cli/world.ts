/** Brings the actors of a run together: all in this process, or those of a topology folder wherever they run. */
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { createTestCa } from '../../actors/security/ca.ts';
import { IbcPool } from '../../actors/security/ibc/pool.ts';
import { FixtureError, type Fixtures, loadFixtures } from '../../fixtures/load.ts';
import { type ActorControl, type ActorKind, ControlError, type Log, type Peers } from '../control/actor.ts';
import { InProcessControl } from '../control/in-process.ts';
import { RemoteControl } from '../control/remote.ts';
import { ShiftedClock } from '../control/shifted-clock.ts';
import type { World } from '../scenario/runner.ts';
import type { MessageRecord } from '../trace/record.ts';
import { createRecorder } from '../trace/recorder.ts';
import { identityOf } from './certificates.ts';
import { askHealth } from './health.ts';
import { DEFAULT_LISTEN, type Launched, launch } from './launch.ts';
import { answered, PeerMissing, PROBE_EVERY } from './patience.ts';
import { loadProvisioned, loadTls, loadTopology, SUBSCRIBER_OF, type Topology } from './topology.ts';

export interface OpenWorld extends World {
  close(): Promise<void>;
}

export interface WorldOptions {
  /** Instance names of the actors that are needed. */
  readonly actors: readonly string[];
  readonly reveal?: boolean;
  /** Use the actors of this topology folder instead of making them here. */
  readonly folder?: string;
  /** With `folder`: how long its actors may take to be ready, milliseconds. */
  readonly waitMs?: number;
  /** With `folder`: told what is waited for. */
  readonly tell?: (what: string) => void;
  /** Without `folder`: fixtures folder; the packaged one unless given. */
  readonly fixtures?: string;
  readonly log?: Log;
}

export const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const kindOf = (name: string): ActorKind => (name.startsWith('ue') ? 'ue' : (name as ActorKind));

export async function openWorld(options: WorldOptions): Promise<OpenWorld> {
  return options.folder === undefined ? inThisProcess(options) : elsewhere(options, options.folder);
}

/** Every actor a run needs, and those that they need themselves. */
const SERVERS: readonly ActorKind[] = ['access-network', 'sip-core', 'mcptt-as', 'idm', 'kms'];

async function inThisProcess(options: WorldOptions): Promise<OpenWorld> {
  const fixtures: Fixtures = loadFixtures(options.fixtures);
  const ca = await createTestCa();
  const clock = new ShiftedClock();
  const ibc = await IbcPool.start();
  const outsider = await ca.issue({ commonName: 'outsider' });
  const launched: Launched[] = [];
  const controls = new Map<string, InProcessControl>();
  const start = async (name: string): Promise<void> => {
    const kind = kindOf(name);
    let deliver: (record: MessageRecord) => void = () => {};
    const report = createRecorder({
      actor: name,
      clock,
      sink: (record) => deliver(record),
      reveal: options.reveal ?? false,
    });
    const tls = await ca.issue(identityOf(name, kind, fixtures.network));
    const usim = SUBSCRIBER_OF[name] ?? 0;
    const imsi = fixtures.subscribers[usim]?.imsi;
    if (imsi === undefined)
      throw new FixtureError(`${name} needs subscriber ${usim + 1} of subscribers.yaml, which does not name so many`);
    const one = await launch({ name, kind, listen: DEFAULT_LISTEN[kind], imsi }, fixtures, {
      report,
      clock,
      log: options.log ?? SILENT,
      tls,
      ibc,
    });
    launched.push(one);
    const control = new InProcessControl(one.actor);
    deliver = control.sink;
    controls.set(name, control);
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(launched.reverse().map((one) => one.stop()));
    await ibc.close();
  };
  try {
    const names = [...new Set([...SERVERS, ...options.actors])];
    const failed = (await Promise.allSettled(names.map(start))).find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const peers = Object.fromEntries(
      launched.filter((l) => l.actor.kind !== 'ue').map((l) => [l.actor.kind, l.endpoints]),
    ) as Peers;
    await Promise.all(launched.map((one) => one.actor.connect(peers)));
  } catch (cause) {
    await close();
    throw cause;
  }
  return {
    actors: controls,
    clockOffset: () => Promise.resolve(0),
    advance: (ms) => clock.advance(ms),
    reset: () => reset(controls),
    provisioned: fixtures,
    outsider,
    close,
  };
}

const RELEASE_ORDER: readonly ActorKind[] = ['kms', 'idm', 'mcptt-as', 'sip-core', 'access-network', 'ue'];

async function elsewhere(options: WorldOptions, folder: string): Promise<OpenWorld> {
  const waitMs = options.waitMs ?? 0;
  const end = Date.now() + waitMs;
  const tell = options.tell ?? (() => {});
  const topology = await answered(`init has not made ${folder}`, waitMs, () => loadTopology(folder), { tell });
  const missing = 'init has made no certificate for the runner';
  const tls = await answered(missing, waitMs, () => loadTls(folder, 'runner'), { tell });
  const provisioned = loadProvisioned(folder);
  const controls = new Map<string, RemoteControl>();
  const run = randomUUID();
  const close = async (): Promise<void> => {
    await Promise.allSettled([...controls.values()].map((control) => control.close()));
  };
  try {
    for (const [name, { kind, control }] of Object.entries(topology.actors)) {
      const remote = new RemoteControl({ name, kind, url: `https://${control}`, tls });
      controls.set(name, remote);
      const left = (): number => Math.max(0, end - Date.now());
      await answered(`${name} is not ready`, left(), () => isReady(folder, name), { tell });
      await opened(remote, run, Math.max(left(), PREDECESSOR_MS), tell);
    }
  } catch (cause) {
    if (cause instanceof PeerMissing) cause.message = await whoIsMissing(folder, topology, waitMs);
    await close();
    throw cause;
  }
  return {
    actors: controls,
    clockOffset: (name) => controls.get(name)!.clockOffset(),
    advance: async (ms) => {
      await Promise.all([...controls.values()].map((control) => control.do('holdClock', { ms })));
      // From the far end of the figure on: so each actor's own timers fall due before another's news of the same moment reach it,
      // as they do when all share one clock.
      for (const kind of RELEASE_ORDER)
        for (const control of controls.values()) if (control.kind === kind) await control.do('releaseClock');
    },
    reset: () => reset(controls),
    provisioned,
    // The runner is known at the control interfaces only.
    outsider: tls,
    close,
  };
}

/** A run that has just ended may still be letting go of its actors. */
const PREDECESSOR_MS = 2_000;

/** @throws ControlError, `CONTROL_BUSY` when another run does not end in time */
async function opened(remote: RemoteControl, run: string, waitMs: number, tell: (what: string) => void): Promise<void> {
  const begun = Date.now();
  for (let told = false; ; ) {
    try {
      await remote.open(run);
      return;
    } catch (cause) {
      if (!(cause instanceof ControlError) || cause.code !== 'CONTROL_BUSY') throw cause;
      const waited = Date.now() - begun;
      if (waited >= waitMs) {
        cause.message += '; wait for its end (--wait), or give each run a topology of its own';
        throw cause;
      }
      if (!told && waited >= PREDECESSOR_MS / 2) {
        tell(cause.message);
        told = true;
      }
      await setTimeout(PROBE_EVERY);
    }
  }
}

/** @throws Error that says for whom the actor itself still waits */
async function isReady(folder: string, name: string): Promise<void> {
  const { ok, text } = await askHealth(folder, name);
  if (!ok) throw new Error(text);
}

/** All that are not ready, not only the first one. */
async function whoIsMissing(folder: string, { actors }: Topology, waitMs: number): Promise<string> {
  const asked = await Promise.all(
    Object.keys(actors).map(async (name) => ({ name, ...(await askHealth(folder, name)) })),
  );
  const missing = asked.filter(({ ok }) => !ok);
  return `not ready after ${waitMs} ms: ${missing.map(({ name }) => name).join(', ')} (${missing.map(({ text }) => text).join('; ')})`;
}

/**
 * UEs start over, their subscribers are de-registered, policy is the configured one and nobody is barred. Numbers that only
 * count up (SQN, Key IDs, the audit log) and the clock stay, as in the field.
 */
async function reset(controls: ReadonlyMap<string, ActorControl>): Promise<void> {
  const of = (kind: ActorKind): ActorControl[] => [...controls.values()].filter((control) => control.kind === kind);
  const everyOne = (kind: ActorKind, run: (control: ActorControl) => Promise<unknown>): Promise<unknown> =>
    Promise.all(of(kind).map(run));
  await everyOne('ue', (ue) => ue.do('restart'));
  const subscribers = await Promise.all(of('ue').map((ue) => ue.read<{ impu: string }>('registration')));
  await everyOne('sip-core', (core) => Promise.all(subscribers.map(({ impu }) => deregistered(core, impu))));
  await everyOne('access-network', (network) => network.do('deviate'));
  await everyOne('sip-core', (core) => core.do('deviate'));
  await everyOne('kms', (kms) => kms.do('resetPolicy'));
  await everyOne('mcptt-as', (server) => server.do('resetPolicy'));
  await everyOne('idm', (idm) => idm.do('restoreUser'));
  await everyOne('idm', (idm) => idm.do('deviate'));
}

async function deregistered(core: ActorControl, impu: string): Promise<void> {
  try {
    await core.do('deregisterSubscriber', { impu });
  } catch (error) {
    if (!(error instanceof ControlError && error.actorCode === 'SIP_CORE_NOT_REGISTERED')) throw error;
  }
}
