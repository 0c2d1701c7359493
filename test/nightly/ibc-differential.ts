/**
 * The WebAssembly backends of SAKKE against the portable one on many random inputs, each through every operation, and the
 * portable one against the schoolbook on a few.
 *
 *   npm run test:ibc:nightly -- [--inputs 10000] [--seed HEX] [--json FILE]
 *
 * Exit code 1 when there is a difference, 3 when there is no fast backend to compare with.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { availableBackends } from '../../actors/security/ibc/backend.ts';
import { createBigintArithmetic } from '../../actors/security/ibc/bigint/index.ts';
import { compareBackends, type Differential } from '../actors/security/ibc/differential.ts';
import { createTextbookArithmetic } from '../actors/security/ibc/textbook.ts';

const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '10000' }, seed: { type: 'string' }, json: { type: 'string' } },
});
const inputs = Number(values.inputs);
const seed = values.seed ?? randomBytes(8).toString('hex');
const portable = createBigintArithmetic();
const fast = availableBackends().filter(({ name }) => name !== 'bigint');

const comparisons: ({ readonly what: string } & Differential)[] = [];

function report(what: string, differential: Differential): void {
  const { inputs: done, differences } = differential;
  comparisons.push({ what, ...differential });
  console.log(`${what}: ${done} inputs, seed ${seed}, ${differences.length} differences`);
  for (const difference of differences) console.log(`  ${difference}`);
  if (differences.length > 0) process.exitCode = 1;
}

report(
  'portable against schoolbook',
  compareBackends(portable, createTextbookArithmetic(), Math.min(20, inputs), seed),
);
if (fast.length === 0) {
  console.log('no fast backend on this Node: nothing to compare with the portable one');
  process.exitCode ??= 3;
}
for (const { name, create } of fast) {
  const candidate = create();
  const progress = (done: number) => {
    if (done % 1000 === 0) console.log(`  ${name}: ${done} of ${inputs}`);
  };
  report(`${name} against portable`, compareBackends(portable, candidate, inputs, seed, progress));
  candidate.dispose();
}
portable.dispose();
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ seed, comparisons }, null, 2)}\n`);
