/**
 * Steps 0 to 2 in figures: MILENAGE vectors, EPS attach, and full AKA registration (two REGISTERs over TCP through engine
 * and core, and the third-party REGISTER that follows), one after the other and many at once.
 *
 *   npx tsx bench/aka.ts [--rounds 200] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createAccessNetwork } from '../actors/access-network/index.ts';
import { generateVector } from '../actors/security/aka/vector.ts';
import { milenage } from '../actors/security/milenage.ts';
import { attach } from '../actors/ue/attach.ts';
import { Usim } from '../actors/ue/usim.ts';
import { systemClock } from '../sim/engine/index.ts';
import { DOMAIN, startBench, subscriber } from '../test/actors/sip-core/bench.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' }, json: { type: 'string' } } });
const rounds = Number(values.rounds);

const subscribers = Array.from({ length: rounds }, (_, i) => {
  const imsi = `00101${String(i).padStart(10, '0')}`;
  return subscriber({ imsi, impi: `${imsi}@${DOMAIN}`, impus: [`sip:ue-${i}@${DOMAIN}`] });
});

/** Milliseconds for each of `rounds` runs of `work`, sorted. */
async function each(work: (i: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await work(i);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}
const percentile = (sorted: readonly number[], p: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]! * 100) / 100;
const perSecond = (count: number, start: number): number => Math.round((count * 1000) / (performance.now() - start));

function vectorsPerSecond(): number {
  const functions = milenage(Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  const count = 20_000;
  const start = performance.now();
  for (let i = 0; i < count; i++) generateVector(functions, Buffer.alloc(6), Buffer.alloc(2));
  return perSecond(count, start);
}

const bench = await startBench({ subscribers });
const network = createAccessNetwork({ mcc: '001', mnc: '01', subscribers }, bench.context);
const { lte } = await network.start();
await network.connect({ 'sip-core': { wss: 'wss://127.0.0.1:1' } });

const attachTimes = await each(async (i) => {
  const options = { usim: new Usim(subscribers[i]!), network: lte!, clock: systemClock, report: () => {} };
  await (await attach(options)).close();
});

const ues = await Promise.all(subscribers.map((one) => bench.ue(new Usim(one))));
const register = async (i: number): Promise<void> => {
  const { status } = await ues[i]!.register({ to: `<${subscribers[i]!.impus[0]}>` });
  if (status !== 200) throw new Error(`REGISTER ${i}: ${status}`);
};
const registerTimes = await each(register);
const start = performance.now();
await Promise.all(ues.map((_, i) => register(i)));
const registrationsPerSecondAtOnce = perSecond(rounds, start);

const figures = {
  rounds,
  milenageVectorsPerSecond: vectorsPerSecond(),
  attachMs: { p50: percentile(attachTimes, 50), p95: percentile(attachTimes, 95) },
  registerMs: { p50: percentile(registerTimes, 50), p95: percentile(registerTimes, 95) },
  registrationsPerSecondAtOnce,
};
await network.stop();
await bench.close();
console.log(`MILENAGE vectors            ${figures.milenageVectorsPerSecond}/s`);
console.log(`EPS attach                  p50 ${figures.attachMs.p50} ms, p95 ${figures.attachMs.p95} ms`);
console.log(`AKA registration            p50 ${figures.registerMs.p50} ms, p95 ${figures.registerMs.p95} ms`);
console.log(`AKA registrations at once   ${figures.registrationsPerSecondAtOnce}/s (${rounds} UEs)`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
