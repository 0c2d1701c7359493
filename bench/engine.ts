/**
 * The engine under load, each part in a process of its own as in a deployment:
 *
 *   SIPp ──UDP REGISTER──► engine ──control port──► drachtio-srf application, which answers 200
 *
 *   npm run bench:engine -- [--rate 6000] [--seconds 15] [--connections 10000] [--json FILE]
 *
 * First three seconds at a quarter of the rate, not counted, in which the compilers warm up. Then at the full rate: 200s
 * per second, retransmissions, memory, CPU time per message. Then at half of it: response time percentiles. Then so many
 * WSS connections, registered and idle: memory for each. `--connections 0` leaves the last part out. A finished
 * transaction stays for 32 s (timer J, RFC 3261 17.2.2): memory grows for so long, and no longer.
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

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '6000' },
    seconds: { type: 'string', default: '15' },
    connections: { type: 'string', default: '10000' },
    json: { type: 'string' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const folder = mkdtempSync(join(tmpdir(), 'bench-engine-'));

/** SIPp's own socket buffer, octets: with its default it drops answers whenever it has to wait for a core. */
const SIPP_BUFFER = '8388608';

interface Usage {
  /** Seconds of CPU since its start. */
  readonly cpu: number;
  /** Resident set, MB. */
  readonly memory: number;
}

/** A process of this benchmark (bench/engine/*.ts): says once that it is ready, and tells its usage when asked. */
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

  async usage(): Promise<Usage> {
    this.#child.send('usage');
    const [usage] = (await once(this.#child, 'message')) as [Usage];
    return usage;
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.send('stop');
    await exit;
  }
}

interface Load {
  readonly answered: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly perSecond: number;
  readonly milliseconds: { p50: number; p95: number; p99: number; max: number };
  /** CPU microseconds per REGISTER and its 200, engine and application. */
  readonly cpu: { engine: number; application: number };
  /** Resident set in MB before and after, engine. */
  readonly memory: { before: number; after: number };
}

/** Runs SIPp's REGISTER scenario at a rate for a while. */
async function load(port: number, at: number, duration: number, engine: Part, application: Part): Promise<Load> {
  const before = { engine: await engine.usage(), application: await application.usage() };
  const count = Math.round(at * duration);
  const stem = join(folder, `load-${at}`);
  const sipp = spawn(
    'sipp',
    ['-sf', fileURLToPath(new URL('../fixtures/sipp/register.xml', import.meta.url))]
      .concat([
        '-i',
        '127.0.0.1',
        '-r',
        String(at),
        '-m',
        String(count),
        '-l',
        '15000',
        '-buff_size',
        SIPP_BUFFER,
        '-timeout',
        `${duration * 3 + 10}`,
      ])
      .concat(['-trace_stat', '-stf', `${stem}.csv`, '-trace_rtt', '-rtt_freq', '1000', '-nostdin'])
      .concat([`127.0.0.1:${port}`]),
    { cwd: folder, stdio: 'ignore' },
  );
  await once(sipp, 'exit');
  const rows = readFileSync(`${stem}.csv`, 'utf8').trim().split('\n');
  const names = rows[0]!.split(';');
  const last = rows.at(-1)!.split(';');
  const figure = (name: string): number => Number(last[names.indexOf(name)]);
  const elapsed = toSeconds(last[names.indexOf('ElapsedTime(C)')]!);
  const times = responseTimes(sipp.pid!);
  const after = { engine: await engine.usage(), application: await application.usage() };
  const perMessage = (part: 'engine' | 'application'): number =>
    Math.round(((after[part].cpu - before[part].cpu) / count) * 1e6);
  const answered = figure('SuccessfulCall(C)');
  return {
    answered,
    failed: figure('FailedCall(C)'),
    retransmissions: figure('Retransmissions(C)'),
    perSecond: Math.round(answered / elapsed),
    milliseconds: {
      p50: percentile(times, 0.5),
      p95: percentile(times, 0.95),
      p99: percentile(times, 0.99),
      max: times.at(-1) ?? 0,
    },
    cpu: { engine: perMessage('engine'), application: perMessage('application') },
    memory: { before: before.engine.memory, after: after.engine.memory },
  };
}

/** SIPp's "00:00:15:123456" or "00:00:15". */
function toSeconds(text: string): number {
  const [h = 0, m = 0, s = 0, micro = 0] = text.split(':').map(Number);
  return h * 3600 + m * 60 + s + micro / 1e6;
}

/** All response times that SIPp wrote down, sorted, in milliseconds. */
function responseTimes(pid: number): number[] {
  const rows = readFileSync(join(folder, `register_${pid}_rtt.csv`), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  return rows.map((row) => Number(row.split(';')[1])).sort((a, b) => a - b);
}

const percentile = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;

function show(title: string, result: Load): void {
  const { answered, failed, retransmissions, perSecond, milliseconds: ms, cpu, memory } = result;
  console.log(`${title}: ${perSecond} REGISTER/s answered (${answered} in all, ${failed} failed)`);
  console.log(`  retransmissions       ${retransmissions}`);
  console.log(`  response time         p50 ${ms.p50} ms, p95 ${ms.p95} ms, p99 ${ms.p99} ms, longest ${ms.max} ms`);
  console.log(`  CPU per REGISTER      engine ${cpu.engine} µs, application ${cpu.application} µs`);
  console.log(`  engine's memory       ${memory.before} MB before, ${memory.after} MB after`);
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
  await deployed(async ({ engine, application, port }) => {
    await load(port('udp'), rate / 4, 3, engine, application);
    const full = await load(port('udp'), rate, seconds, engine, application);
    show(`UDP at ${rate}/s for ${seconds} s`, full);
    await after(1000);
    const half = await load(port('udp'), rate / 2, seconds, engine, application);
    show(`UDP at ${rate / 2}/s for ${seconds} s`, half);
    Object.assign(results, { full, half });
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
