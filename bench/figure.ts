/**
 * The figure's speed: wall time of a cold start to its verdict (a process of its own, as a user would start it) and of warm
 * flows in one running testbed, each from attach to profile, step by step.
 *
 *     npm run bench [-- --flows 20 --cold 5 --json FILE]
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { figure } from '../scenarios/figure-7.x.2-1.ts';
import { openWorld } from '../sim/cli/world.ts';
import { runScenario } from '../sim/scenario/runner.ts';

const { values } = parseArgs({
  options: {
    flows: { type: 'string', default: '20' },
    cold: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
const round = (ms: number): number => Math.round(ms * 10) / 10;

function coldStarts(count: number): number[] {
  return Array.from({ length: count }, () => {
    const begin = performance.now();
    const run = spawnSync('npm', ['start'], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`npm start ended with ${run.status}:\n${run.stdout}${run.stderr}`);
    return performance.now() - begin;
  });
}

async function warmFlows(count: number): Promise<{ whole: number[]; steps: Map<string, number[]> }> {
  const world = await openWorld({ actors: figure.actors });
  const whole: number[] = [];
  const steps = new Map<string, number[]>(figure.steps.map((s) => [s.number, []]));
  try {
    // The first flow compiles code and fills caches; it is the cold start's business.
    for (let i = 0; i <= count; i++) {
      const result = await runScenario(figure, world);
      if (result.verdict !== 'pass')
        throw new Error(`flow ${i}: ${result.verdict}: ${result.steps.find((s) => s.failure)?.failure?.message}`);
      if (i === 0) continue;
      whole.push(result.steps.reduce((sum, s) => sum + s.durationMs, 0));
      for (const step of result.steps) steps.get(step.number)!.push(step.durationMs);
    }
  } finally {
    await world.close();
  }
  return { whole, steps };
}

const cold = coldStarts(Number(values.cold));
const warm = await warmFlows(Number(values.flows));
const report = {
  bench: 'figure',
  node: process.version,
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  coldStartMs: {
    runs: cold.length,
    median: round(median(cold)),
    min: round(Math.min(...cold)),
    max: round(Math.max(...cold)),
  },
  warmFlowMs: {
    flows: warm.whole.length,
    median: round(median(warm.whole)),
    min: round(Math.min(...warm.whole)),
    max: round(Math.max(...warm.whole)),
  },
  stepMs: Object.fromEntries([...warm.steps].map(([number, list]) => [number, round(median(list))])),
};

console.log(
  `cold start (npm start to verdict): median ${report.coldStartMs.median} ms of ${cold.length} (${report.coldStartMs.min} to ${report.coldStartMs.max})`,
);
console.log(
  `warm flow (attach to profile):     median ${report.warmFlowMs.median} ms of ${warm.whole.length} (${report.warmFlowMs.min} to ${report.warmFlowMs.max})`,
);
for (const [number, ms] of Object.entries(report.stepMs)) console.log(`  step ${number.padEnd(3)} ${ms} ms`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
