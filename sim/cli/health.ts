import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { loadTopology } from './topology.ts';
import { UsageError } from './usage-error.ts';

const BOUND_MS = 3000;

/** Asks `/healthz` of one actor of the topology folder. */
export async function askHealth(folder: string, name: string): Promise<{ ok: boolean; text: string }> {
  const actor = loadTopology(folder).actors[name];
  if (actor === undefined) throw new UsageError(`there is no actor '${name}' in ${folder}`);
  const dispatcher = new Agent({ connect: { ca: readFileSync(join(folder, 'public', 'ca.crt'), 'utf8') } });
  try {
    const response = await fetch(`https://${actor.control}/healthz`, {
      dispatcher,
      signal: AbortSignal.timeout(BOUND_MS),
    });
    return { ok: response.ok, text: await response.text() };
  } catch (cause) {
    return { ok: false, text: `${name} at ${actor.control} does not answer: ${(cause as Error).message}` };
  } finally {
    await dispatcher.destroy();
  }
}
