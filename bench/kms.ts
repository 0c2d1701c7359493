/**
 * The KMS under key requests at a steady rate, each by another user on another SIP session: two key sets extracted, a CEK
 * made, pushed over mutual TLS and acknowledged, and sealed to the user. Prints the answers' times and the delay of the KMS's
 * event loop, which must stay under 10 ms at the 99th percentile at 20 requests a second.
 *
 *     npm run bench:kms -- [--rate 20] [--seconds 10] [--json FILE]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createKms } from '../actors/kms/index.ts';
import { KMS_PATHS } from '../actors/messages/kms/namespaces.ts';
import { IbcPool } from '../actors/security/ibc/pool.ts';
import type { TlsIdentity } from '../sim/control/actor.ts';
import { systemClock } from '../sim/engine/clock.ts';
import { createSetting, KMS_URI, post, SERVER_ID, silentLog } from '../test/actors/kms/harness.ts';

/** How often the event loop is looked at, milliseconds; Node's figures include this interval, so it is taken off. */
const RESOLUTION = 1;

interface Told {
  readonly tls: TlsIdentity;
  readonly issuer: string;
  readonly mcpttServer: string;
}

interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

if (process.send === undefined) await measure();
else await serve();

/** The KMS in a process of its own: nobody else's work is in its event loop. */
async function serve(): Promise<void> {
  process.once('disconnect', () => process.exit(1));
  const [{ tls, issuer, mcpttServer }] = (await once(process, 'message')) as [Told];
  const engine = await IbcPool.start();
  const kms = createKms(
    { kmsUri: KMS_URI, mcpttServerId: SERVER_ID },
    { name: 'kms', report: () => undefined, clock: systemClock, log: silentLog, tls, host: '127.0.0.1' },
    { engine },
  );
  const { https: url } = await kms.start();
  await kms.connect({ idm: { issuer }, 'mcptt-as': { https: mcpttServer } });
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  process.on('message', (told) => {
    if (told === 'measure') {
      delay.reset();
      delay.enable();
    } else {
      const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
      const figures: LoopDelay = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
      process.send?.({ ...figures, backend: engine.backend, workers: engine.size }, () => process.exit(0));
    }
  });
  process.send?.({ url });
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '10' },
      json: { type: 'string' },
    },
  });
  const rate = Number(values.rate);
  const seconds = Number(values.seconds);
  const setting = await createSetting();
  const child = fork(fileURLToPath(import.meta.url), [], { execArgv: ['--import', 'tsx'] });
  child.send({ tls: setting.tls, issuer: setting.idm.issuer, mcpttServer: setting.server.url } satisfies Told);
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];

  const ask = async (i: number): Promise<number> => {
    const userUri = `sip:user-${i}@mcptt.example`;
    const token = await setting.idm.sign(setting.idm.claims(Date.now(), { mcptt_id: userUri }));
    const begun = performance.now();
    const { status, response } = await post(setting.asUe, `${url}${KMS_PATHS.keyProv}`, {
      token,
      request: { userUri, clientId: `urn:uuid:${i}`, cekRequests: [{ sipSession: `sip:user-${i}@192.0.2.1` }] },
    });
    if (status !== 200 || response.message?.type !== 'key-prov' || response.message.ceks[0]?.state !== 'active') {
      throw new Error(`request ${i} was answered ${status}`);
    }
    return performance.now() - begun;
  };
  // Connections, tables and compiled code are there before the clock runs.
  for (let i = 0; i < rate; i += 1) await ask(-1 - i);
  child.send('measure');

  const count = rate * seconds;
  const start = performance.now();
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, (i * 1000) / rate));
      return ask(i);
    }),
  );
  const took = (performance.now() - start) / 1000;
  child.send('done');
  const [loop] = (await once(child, 'message')) as [LoopDelay & { backend: string; workers: number }];
  await once(child, 'exit');
  await setting.stop();

  answers.sort((a, b) => a - b);
  const at = (share: number): number => answers[Math.min(count - 1, Math.floor(share * count))] ?? 0;
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  const report = {
    version: 1,
    rate,
    requests: count,
    perSecond: round(count / took),
    answerMs: { p50: round(at(0.5)), p95: round(at(0.95)), p99: round(at(0.99)), max: round(at(1)) },
    eventLoopDelayMs: { p50: round(loop.p50), p99: round(loop.p99), max: round(loop.max) },
    backend: loop.backend,
    workers: loop.workers,
    processors: availableParallelism(),
  };
  const { answerMs: a, eventLoopDelayMs: e } = report;
  console.log(
    `KMS, ${count} key requests at ${rate}/s, each another user (${report.backend}, ${report.workers} worker)`,
  );
  console.log(`  answered        ${report.perSecond}/s`);
  console.log(`  answer          p50 ${a.p50} ms, p95 ${a.p95} ms, p99 ${a.p99} ms, max ${a.max} ms`);
  console.log(`  event loop      p50 ${e.p50} ms, p99 ${e.p99} ms (bound 10 ms), max ${e.max} ms`);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
}
