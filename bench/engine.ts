/**
 * The engine under load, each part in a process of its own as in a deployment:
 *
 *   SIPp ──UDP REGISTER──► engine ──control port──► drachtio-srf application, which answers 200
 *   probe ─────┘
 *
 *   npm run bench:engine -- [--rate 6000] [--seconds 15] [--half-seconds 75] [--connections 10000] [--json FILE]
 *
 * First three seconds at a quarter of the rate, not counted, in which the compilers warm up. Then at the full rate, and
 * then at half of it for longer: 200s per second, retransmissions, response times, CPU time per message, pauses of the
 * engine for garbage collection, memory every ten seconds. What is remembered of a finished transaction stays for 32 s
 * (timer J, RFC 3261 17.2.2): memory grows for so long, and no longer. Then so many WSS connections, registered and
 * idle: memory for each. `--half-seconds 0` and `--connections 0` leave these parts out.
 *
 * Response times come from two clocks. SIPp's has ticks of some milliseconds, but it sees every call. The probe sends
 * but fifty REGISTERs a second and times each to the microsecond; the time that the machine takes to give the probe a
 * core is within.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { EngineAddresses } from '../sim/engine/index.ts';
import type { Usage } from './engine/part.ts';
import type { Probed } from './engine/probe.ts';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '6000' },
    seconds: { type: 'string', default: '15' },
    'half-seconds': { type: 'string', default: '75' },
    connections: { type: 'string', default: '10000' },
    json: { type: 'string' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const halfSeconds = Number(values['half-seconds']);
const connections = Number(values.connections);
const folder = mkdtempSync(join(tmpdir(), 'bench-engine-'));

/** SIPp's own socket buffer, octets: with its default it drops answers whenever it has to wait for a core. */
const SIPP_BUFFER = '8388608';

const PROBES_PER_SECOND = 50;
const MEMORY_EVERY_MS = 10_000;

/** A process of this benchmark (bench/engine/*.ts): says once that it is ready, and tells of itself when asked. */
class Part {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start<T>(name: string, input: object): Promise<{ part: Part; ready: T }> {
    const child = fork(fileURLToPath(new URL(`engine/${name}.ts`, import.meta.url)), [JSON.stringify(input)]);
    const [ready] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error(`${name} did not start`))),
    ])) as [T];
    return { part: new Part(child), ready };
  }

  async tell<T>(): Promise<T> {
    this.#child.send('tell');
    const [told] = (await once(this.#child, 'message')) as [T];
    return told;
  }

  usage(): Promise<Usage> {
    return this.tell();
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.send('stop');
    await exit;
  }
}

interface Times {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

interface Memory {
  /** Seconds since the load began. */
  readonly at: number;
  /** MB: resident set, heap of JavaScript in use, memory outside it. */
  readonly resident: number;
  readonly heap: number;
  readonly external: number;
}

interface Load {
  readonly answered: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly perSecond: number;
  /** Response times in milliseconds, by SIPp's coarse clock and by the probe's fine one. */
  readonly sipp: Times;
  readonly probe: Times & { readonly count: number; readonly lost: number };
  /** CPU microseconds per REGISTER and its 200, engine and application. */
  readonly cpu: { engine: number; application: number };
  /** Pauses of the engine for garbage collection, milliseconds. */
  readonly pauses: Times & { readonly count: number; readonly sum: number };
  /** Of the engine, before, every ten seconds, and after. */
  readonly memory: readonly Memory[];
}

/** Runs SIPp's REGISTER scenario at a rate for a while, the probe beside it. */
async function load(
  name: string,
  at: number,
  duration: number,
  { engine, application, port }: Deployment,
): Promise<Load> {
  const { part: probe } = await Part.start('probe', { port: port('udp'), perSecond: PROBES_PER_SECOND });
  const before = { engine: await engine.usage(), application: await application.usage() };
  const began = performance.now();
  const memory: Memory[] = [memoryOf(before.engine, 0)];
  const pauses: number[] = [];
  const look = async (): Promise<Usage> => {
    const usage = await engine.usage();
    const now = memoryOf(usage, Math.round((performance.now() - began) / 1000));
    if (now.at > memory.at(-1)!.at) memory.push(now);
    pauses.push(...usage.pauses);
    return usage;
  };
  const count = Math.round(at * duration);
  const statistics = join(folder, `${name}.csv`);
  const sipp = spawn('sipp', sippArguments(port('udp'), at, count, duration, statistics), {
    cwd: folder,
    stdio: 'ignore',
  });
  const ended = once(sipp, 'exit').then(() => 'ended' as const);
  while ((await Promise.race([ended, after(MEMORY_EVERY_MS)])) !== 'ended') await look();
  const { times, lost } = await probe.tell<Probed>();
  const last = { engine: await look(), application: await application.usage() };
  await probe.stop();
  const figures = lastRow(statistics);
  const figure = (column: string): number => Number(figures.get(column));
  const perMessage = (part: 'engine' | 'application'): number =>
    Math.round(((last[part].cpu - before[part].cpu) / (count + times.length)) * 1e6);
  const answered = figure('SuccessfulCall(C)');
  return {
    answered,
    failed: figure('FailedCall(C)'),
    retransmissions: figure('Retransmissions(C)'),
    perSecond: Math.round(answered / toSeconds(figures.get('ElapsedTime(C)')!)),
    sipp: timesOf(responseTimes(sipp.pid!)),
    probe: { count: times.length, lost, ...timesOf(times) },
    cpu: { engine: perMessage('engine'), application: perMessage('application') },
    pauses: {
      count: pauses.length,
      sum: Math.round(pauses.reduce((sum, pause) => sum + pause, 0)),
      ...timesOf(pauses),
    },
    memory,
  };
}

function sippArguments(port: number, rate: number, count: number, duration: number, statistics: string): string[] {
  return [
    ['-sf', fileURLToPath(new URL('../fixtures/sipp/register.xml', import.meta.url)), '-i', '127.0.0.1'],
    ['-r', String(rate), '-m', String(count), '-l', '15000', '-buff_size', SIPP_BUFFER],
    ['-timeout', String(duration * 3 + 10), '-nostdin'],
    ['-trace_stat', '-stf', statistics, '-trace_rtt', '-rtt_freq', '1000'],
    [`127.0.0.1:${port}`],
  ].flat();
}

const memoryOf = ({ memory, heap, external }: Usage, at: number): Memory => ({ at, resident: memory, heap, external });

/** The last row of SIPp's statistics, by column. */
function lastRow(file: string): Map<string, string> {
  const rows = readFileSync(file, 'utf8').trim().split('\n');
  const cells = rows.at(-1)!.split(';');
  return new Map(rows[0]!.split(';').map((column, i) => [column, cells[i] ?? '']));
}

/** SIPp's "00:00:15:123456" or "00:00:15". */
function toSeconds(text: string): number {
  const [h = 0, m = 0, s = 0, micro = 0] = text.split(':').map(Number);
  return h * 3600 + m * 60 + s + micro / 1e6;
}

/** All response times that SIPp wrote down, in milliseconds. */
function responseTimes(pid: number): number[] {
  const rows = readFileSync(join(folder, `register_${pid}_rtt.csv`), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  return rows.map((row) => Number(row.split(';')[1]));
}

function timesOf(milliseconds: readonly number[]): Times {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const percentile = (share: number): number => round(sorted[Math.floor(sorted.length * share)] ?? 0);
  return { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99), max: round(sorted.at(-1) ?? 0) };
}

const round = (milliseconds: number): number => Math.round(milliseconds * 100) / 100;

function show(title: string, result: Load): void {
  const { answered, failed, retransmissions, perSecond, sipp, probe, cpu, pauses, memory } = result;
  const times = ({ p50, p95, p99, max }: Times): string => `p50 ${p50}, p95 ${p95}, p99 ${p99}, longest ${max} ms`;
  console.log(`${title}: ${perSecond} REGISTER/s answered (${answered} in all, ${failed} failed)`);
  console.log(`  retransmissions       ${retransmissions}`);
  console.log(`  time, probe's clock   ${times(probe)} (${probe.count} at ${PROBES_PER_SECOND}/s, ${probe.lost} lost)`);
  console.log(`  time, SIPp's clock    ${times(sipp)} (every call; ticks of some ms)`);
  console.log(`  CPU per REGISTER      engine ${cpu.engine} µs, application ${cpu.application} µs`);
  console.log(`  engine's collector    ${pauses.count} pauses, ${pauses.sum} ms in all: ${times(pauses)}`);
  const line = ({ at, resident, heap, external }: Memory): string => `${at} s ${resident} (${heap} + ${external})`;
  console.log(`  engine's memory, MB   resident (heap + outside it): ${memory.map(line).join(', ')}`);
}

interface Deployment {
  readonly engine: Part;
  readonly application: Part;
  readonly port: (protocol: 'udp' | 'wss') => number;
}

/** Runs `use` with an engine and its application, each freshly started. */
async function deployed(use: (deployment: Deployment) => Promise<void>): Promise<void> {
  const { part: engine, ready } = await Part.start<EngineAddresses>('engine', {});
  const { part: application } = await Part.start('application', ready.control);
  const port = (protocol: string): number => ready.listen.find((point) => point.protocol === protocol)!.port;
  try {
    await use({ engine, application, port });
  } finally {
    await application.stop();
    await engine.stop();
  }
}

const results: Record<string, unknown> = {};
try {
  await deployed(async (deployment) => {
    await load('warm-up', rate / 4, 3, deployment);
    const full = await load('full', rate, seconds, deployment);
    show(`UDP at ${rate}/s for ${seconds} s`, full);
    Object.assign(results, { full });
    if (halfSeconds === 0) return;
    await after(1000);
    const half = await load('half', rate / 2, halfSeconds, deployment);
    show(`UDP at ${rate / 2}/s for ${halfSeconds} s, same engine`, half);
    Object.assign(results, { half });
  });
  if (connections > 0) {
    await deployed(async ({ engine, port }) => {
      const before = await engine.usage();
      const { part: clients } = await Part.start('clients', { port: port('wss'), count: connections });
      const held = await engine.usage();
      const each = Math.round(((held.memory - before.memory) * 1024) / connections);
      console.log(`${connections} WSS connections, registered and idle: ${each} KB each in the engine`);
      console.log(`  engine's memory       ${before.memory} MB before, ${held.memory} MB after`);
      Object.assign(results, { connections: { count: connections, kilobytesEach: each } });
      await clients.stop();
    });
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
