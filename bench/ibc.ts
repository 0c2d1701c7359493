/**
 * Identity based cryptography, operation by operation, in milliseconds (median) and as multiples of node:crypto's RSA-2048
 * private-key operation in the same run: only the multiples carry over to another machine.
 *
 *   npx tsx bench/ibc.ts [--seconds 0.6] [--pool] [--json FILE]
 *
 * Every SAKKE backend that runs here, tables cold and warm; ECCSI; a whole CEK sealed and opened. `--pool` adds the event-loop delay while
 * twenty key requests a second (a key set and a sealed CEK each) go through the worker pool for five seconds.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { SakkeArithmetic } from '../actors/security/ibc/arithmetic.ts';
import { availableBackends } from '../actors/security/ibc/backend.ts';
import { createBigintArithmetic } from '../actors/security/ibc/bigint/index.ts';
import { eccsiSign, eccsiVerify } from '../actors/security/ibc/eccsi.ts';
import { nativeExtractEccsiKey, nativeValidateEccsiKey } from '../actors/security/ibc/eccsi-native.ts';
import {
  createArithmetic,
  createSigner,
  EccsiVerifier,
  extractKeySet,
  generateKms,
  IbcPool,
  keyPeriodNoAt,
  LocalSakkeEngine,
  MemoryReplayCache,
  openKey,
  sealKey,
} from '../actors/security/ibc/index.ts';
import { decapsulate, encapsulate, extractRsk, generateSsv, validateRsk } from '../actors/security/ibc/sakke.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '0.6' },
    pool: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const budget = Number(values.seconds) * 1000;

interface Figure {
  readonly operation: string;
  readonly milliseconds: number;
  readonly rsa: number;
  readonly target?: number;
}
const figures: Figure[] = [];
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const yardstick = await median(() => sign('sha256', Buffer.from('yardstick'), privateKey));
console.log(`RSA-2048 private-key operation: ${yardstick.toFixed(3)} ms\n`);
console.log(`${'operation'.padEnd(52)}${'ms'.padStart(9)}${'x RSA'.padStart(9)}   target`);

/** The median over the time allowed, in milliseconds; at least three runs. */
async function median(run: () => unknown, prepare?: () => unknown): Promise<number> {
  const times: number[] = [];
  const end = performance.now() + budget;
  do {
    await prepare?.();
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  } while (performance.now() < end || times.length < 3);
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

async function measure(operation: string, target: number | undefined, run: () => unknown, prepare?: () => unknown) {
  const milliseconds = await median(run, prepare);
  const rsa = milliseconds / yardstick;
  figures.push({ operation, milliseconds, rsa, ...(target === undefined ? {} : { target }) });
  const goal = target === undefined ? '' : `   ${target} ${milliseconds <= target ? 'met' : 'missed'}`;
  console.log(`${operation.padEnd(52)}${milliseconds.toFixed(3).padStart(9)}${rsa.toFixed(2).padStart(9)}${goal}`);
}

const periods = { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 };
const { master, certificate } = generateKms(periods, createBigintArithmetic());
const now = Date.now();
const period = keyPeriodNoAt(certificate, now);
const id = new Uint8Array(randomBytes(32));
const message = new Uint8Array(randomBytes(600));

await measureEccsi();
for (const [rank, { create }] of availableBackends().entries()) {
  const arithmetic = create();
  await measureSakke(arithmetic, rank === 0);
  arithmetic.dispose();
}
await measureTransport();
if (values.pool) await measurePool();
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ node: process.version, rsa2048: yardstick, figures }, undefined, 2)}\n`,
  );
}

async function measureEccsi(): Promise<void> {
  const kpak = certificate.pubAuthKey;
  const eccsi = { ksak: master.ksak, kpak };
  const key = nativeExtractEccsiKey(eccsi, id);
  const keySet = { userUri: 'sip:bench@mcptt.example', uid: id, keyPeriodNo: period, rsk: new Uint8Array(257), ...key };
  const signer = createSigner(keySet, certificate);
  const signature = signer.sign(message);
  const warm = new EccsiVerifier();
  let cold = new EccsiVerifier();
  await measure('ECCSI extract (native)', undefined, () => nativeExtractEccsiKey(eccsi, id));
  await measure('ECCSI validate SSK (native)', undefined, () => nativeValidateEccsiKey(kpak, id, key));
  await measure('ECCSI sign (native)', 0.15, () => signer.sign(message));
  await measure('ECCSI verify, sender known (native)', 0.2, () => warm.verify(kpak, id, message, signature));
  await measure(
    'ECCSI verify, sender new (native)',
    1,
    () => cold.verify(kpak, id, message, signature),
    () => {
      cold = new EccsiVerifier();
    },
  );
  await measure('ECCSI sign (portable)', undefined, () => eccsiSign(kpak, id, key, message));
  await measure('ECCSI verify (portable)', undefined, () => eccsiVerify(kpak, id, message, signature));
  signer.dispose();
}

/** The targets are for the fastest backend. */
async function measureSakke(arithmetic: SakkeArithmetic, withTargets: boolean): Promise<void> {
  const goal = (milliseconds: number) => (withTargets ? milliseconds : undefined);
  const name = (operation: string) => `SAKKE ${operation} (${arithmetic.name})`;
  const rsk = extractRsk(arithmetic, master.zT, id);
  const kms = arithmetic.prepareKms(certificate.pubEncKey);
  const table = arithmetic.preparePairing(rsk);
  const ssv = generateSsv();
  const sed = encapsulate(arithmetic, kms, id, ssv);
  await measure(name('table of a KMS'), undefined, () => arithmetic.prepareKms(certificate.pubEncKey).dispose());
  await measure(name('table of an RSK'), undefined, () => arithmetic.preparePairing(rsk).dispose());
  await measure(name('encapsulate'), goal(2.5), () => encapsulate(arithmetic, kms, id, ssv));
  await measure(name('decapsulate, table warm'), goal(5.5), () => decapsulate(arithmetic, kms, id, table, sed));
  await measure(name('decapsulate, table cold'), undefined, () => {
    const fresh = arithmetic.preparePairing(rsk);
    decapsulate(arithmetic, kms, id, fresh, sed);
    fresh.dispose();
  });
  await measure(name('RSK extract'), goal(1.3), () => extractRsk(arithmetic, master.zT, id));
  await measure(name('RSK validate, table cold'), goal(12), () => validateRsk(arithmetic, kms, id, rsk));
  await measure(name('RSK validate, table warm'), undefined, () => validateRsk(arithmetic, kms, id, table));
  table.dispose();
  kms.dispose();
}

async function measureTransport(): Promise<void> {
  const engine = new LocalSakkeEngine(createArithmetic('auto'));
  const receiver = await extractKeySet(engine, master, certificate, 'sip:alice@mcptt.example', period);
  const keySet = await extractKeySet(engine, master, certificate, certificate.kmsUri, period);
  const sender = createSigner(keySet, certificate);
  const verifier = new EccsiVerifier();
  const seal = () =>
    sealKey({
      engine,
      key: new Uint8Array(randomBytes(32)),
      keyId: new Uint8Array(randomBytes(4)),
      sender,
      receiverUri: receiver.userUri,
      certificate,
      time: now,
    });
  let sealed = await seal();
  const open = () =>
    openKey(sealed, {
      engine,
      verifier,
      keySets: [receiver],
      certificate,
      expectedSender: certificate.kmsUri,
      now,
      replayCache: new MemoryReplayCache(),
    });
  await measure('CEK sealed (encapsulate, KEMAC, sign)', undefined, seal);
  await measure('CEK opened (verify, decapsulate, KEMAC), warm', undefined, open, async () => {
    sealed = await seal();
  });
  sender.dispose();
  await engine.close();
}

async function measurePool(): Promise<void> {
  const pool = await IbcPool.start();
  const sender = createSigner(await extractKeySet(pool, master, certificate, certificate.kmsUri, period), certificate);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const waits: number[] = [];
  const request = async (user: string) => {
    const start = performance.now();
    await extractKeySet(pool, master, certificate, user, period);
    await sealKey({
      engine: pool,
      key: new Uint8Array(randomBytes(32)),
      keyId: new Uint8Array(randomBytes(4)),
      sender,
      receiverUri: user,
      certificate,
      time: now,
    });
    waits.push(performance.now() - start);
  };
  await request('sip:warm-up@mcptt.example');
  waits.length = 0;
  delay.enable();
  const running: Promise<void>[] = [];
  for (let index = 0; index < 100; index++) {
    running.push(request(`sip:user-${index}@mcptt.example`));
    await after(50);
  }
  await Promise.all(running);
  delay.disable();
  waits.sort((a, b) => a - b);
  const p99 = delay.percentile(99) / 1e6;
  console.log(`\npool of ${pool.size} (${pool.backend}), 20 key requests a second for 5 s`);
  console.log(
    `  event-loop delay: median ${(delay.percentile(50) / 1e6).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms (target 10)`,
  );
  console.log(`  request: median ${waits[50]!.toFixed(2)} ms, p99 ${waits[98]!.toFixed(2)} ms`);
  figures.push({
    operation: 'event-loop delay p99, 20 key requests a second',
    milliseconds: p99,
    rsa: p99 / yardstick,
    target: 10,
  });
  sender.dispose();
  await pool.close();
}
