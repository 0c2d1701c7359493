import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Reporter } from '../scenario/runner.ts';
import type { ScenarioResult } from '../scenario/scenario.ts';

/**
 * Makes a folder and those above it that are missing. `mkdir` with `recursive` never ends, its signals unheard, where a folder says
 * that what is made in it does not exist (/proc).
 */
export async function makeFolder(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) await makeFolder(dirname(folder));
  await mkdir(folder).catch((cause: NodeJS.ErrnoException) => {
    // Made by somebody else meanwhile.
    if (cause.code !== 'EEXIST') throw cause;
  });
}

/** Writes a report to `path` when the run has ended; makes the folder where it is missing. */
export function fileReporter(path: string, content: (results: readonly ScenarioResult[]) => string): Reporter {
  return {
    async runEnded(results) {
      await makeFolder(dirname(path));
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
