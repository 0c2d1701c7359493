import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Reporter } from '../scenario/runner.ts';
import type { ScenarioResult } from '../scenario/scenario.ts';

/** Writes a report to `path` when the run has ended; makes the folder where it is missing. */
export function fileReporter(path: string, content: (results: readonly ScenarioResult[]) => string): Reporter {
  return {
    async runEnded(results) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content(results));
    },
  };
}

/** Tells several reporters the same. */
export function together(reporters: readonly Reporter[]): Reporter {
  return {
    scenarioStarted: (scenario) => {
      for (const r of reporters) r.scenarioStarted?.(scenario);
    },
    stepStarted: (scenario, step) => {
      for (const r of reporters) r.stepStarted?.(scenario, step);
    },
    stepEnded: (scenario, step) => {
      for (const r of reporters) r.stepEnded?.(scenario, step);
    },
    scenarioEnded: (scenario, result) => {
      for (const r of reporters) r.scenarioEnded?.(scenario, result);
    },
    runEnded: async (results) => {
      for (const r of reporters) await r.runEnded?.(results);
    },
  };
}
