/**
 * Field operations under SAKKE's fast path, in nanoseconds for one element of F_p (half of a pair), beside BigInt; and what
 * its tables cost. Medians; the machine is shared, so read the ratios to BigInt and to node:crypto's RSA-2048
 * private-key operation of the same run.
 *
 *   npx tsx bench/sakke-field.ts [--json FILE]
 */
import { constants, generateKeyPairSync, privateDecrypt, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { FastArithmetic } from '../actors/security/ibc/fast/index.ts';
import { Machine } from '../actors/security/ibc/fast/machine.ts';
import { compiledModules, moduleOctets } from '../actors/security/ibc/fast/modules.ts';
import { WebAssembly } from '../actors/security/ibc/fast/webassembly.ts';
import { toInteger } from '../actors/security/ibc/octets.ts';
import { SAKKE_P } from '../actors/security/ibc/parameters.ts';

const { values } = parseArgs({ options: { json: { type: 'string' } } });

interface Figure {
  readonly backend: string;
  readonly operation: string;
  readonly nanoseconds: number;
  readonly ofBigint?: number;
  readonly ofRsa: number;
}
const figures: Figure[] = [];

/** The median over `rounds` of one of `repetitions` runs, in nanoseconds. */
function median(run: () => unknown, repetitions: number, rounds = 21): number {
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    for (let count = 0; count < repetitions; count++) run();
    return ((performance.now() - start) / repetitions) * 1e6;
  });
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const block = Buffer.alloc(256, 1);
const rsa = median(() => privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, block), 10);
console.log(`RSA-2048 private-key operation: ${(rsa / 1e6).toFixed(3)} ms\n`);
console.log(`${'backend, operation'.padEnd(48)}${'ns'.padStart(10)}${'/ BigInt'.padStart(10)}${'/ RSA'.padStart(12)}`);

let x = toInteger(randomBytes(128)) % SAKKE_P;
const y = toInteger(randomBytes(128)) % SAKKE_P;
const bigint = {
  multiplication: median(() => {
    x = (x * y) % SAKKE_P;
  }, 1000),
  addition: median(() => {
    x = (x + y) % SAKKE_P;
  }, 1000),
};
report('bigint', 'multiplication', bigint.multiplication, bigint.multiplication);
report('bigint', 'addition', bigint.addition, bigint.addition);

for (const { module, radix } of compiledModules()) {
  const machine = new Machine(module, radix);
  const [a, b, c, d] = [0, 1, 2, 3].map(() => machine.register()) as [number, number, number, number];
  for (const pair of [a, b, c, d]) {
    machine.load(pair, randomBytes(128).fill(1, 0, 1), randomBytes(128).fill(2, 0, 1));
  }
  const operations: readonly [string, () => void, number?][] = [
    ['multiplication', () => machine.mul(a, a, b), bigint.multiplication],
    ['sum of 2 products', () => machine.mul2(a, a, b, c, d), 2 * bigint.multiplication],
    ['addition', () => machine.add(a, a, b), bigint.addition],
    ['lanes picked', () => machine.pick(c, a, 0, b, 1)],
    ['inversion (both lanes)', () => machine.run.invert(a, a)],
  ];
  for (const [operation, run, reference] of operations) {
    const repetitions = operation.startsWith('inversion') ? 20 : 1000;
    for (let round = 0; round < 10; round++) {
      median(run, repetitions, 1);
      await after(5); // V8 swaps the optimised code in between
    }
    report(radix.name, operation, median(run, repetitions) / (repetitions === 20 ? 1 : 2), reference);
  }

  // a fresh instance, for what the first use costs
  const compile = performance.now();
  new WebAssembly.Module(moduleOctets(radix));
  report(radix.name, 'compiling the module', (performance.now() - compile) * 1e6);
  const fast = new FastArithmetic(module, radix);
  const first = (operation: string, run: () => unknown) => {
    const start = performance.now();
    run();
    report(radix.name, operation, (performance.now() - start) * 1e6);
  };
  first('comb of P, with the first multiplication', () => fast.mulBase(randomBytes(128)));
  first('comb of g, with the first power', () => fast.gPow(randomBytes(128)));
  const point = fast.mulBase(randomBytes(128));
  report(
    radix.name,
    'comb of Z_T',
    median(() => fast.prepareKms(point).dispose(), 1, 11),
  );
  report(
    radix.name,
    'lines of an RSK',
    median(() => fast.preparePairing(point).dispose(), 1, 11),
  );
  const table = fast.preparePairing(point);
  report(
    radix.name,
    'pairing on those lines',
    median(() => fast.pairPrepared(table, point), 1, 31),
  );
  fast.dispose();
}

if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, rsa2048: rsa, figures }, undefined, 2)}\n`);
}

function report(backend: string, operation: string, nanoseconds: number, reference?: number): void {
  const ofRsa = nanoseconds / rsa;
  const ofBigint = reference === undefined ? undefined : nanoseconds / reference;
  figures.push({ backend, operation, nanoseconds, ofRsa, ...(ofBigint === undefined ? {} : { ofBigint }) });
  console.log(
    `${`${backend}, ${operation}`.padEnd(48)}${nanoseconds.toFixed(0).padStart(10)}` +
      `${(ofBigint?.toFixed(2) ?? '').padStart(10)}${ofRsa.toPrecision(3).padStart(12)}`,
  );
}
