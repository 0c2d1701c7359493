import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { hostPort, listenAt, loadTopology } from './topology.ts';
import { UsageError } from './usage-error.ts';

const BOUND_MS = 3000;
const CONNECT_MS = 2000;

/**
 * Asks `/healthz` of one actor of the topology folder.
 *
 * @param here the actor is on this machine, which may not know the way to its name from outside
 */
export async function askHealth(folder: string, name: string, here = false): Promise<{ ok: boolean; text: string }> {
  const actor = loadTopology(folder).actors[name];
  if (actor === undefined) throw new UsageError(`there is no actor '${name}' in ${folder}`);
  const { host } = hostPort(actor.control);
  const dispatcher = new Agent({
    connect: {
      // A connection that is taken and then left alone (an actor that hangs) is not ended with the agent.
      timeout: CONNECT_MS,
      ca: readFileSync(join(folder, 'public', 'ca.crt'), 'utf8'),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    },
  });
  try {
    const response = await fetch(`https://${here ? await listenAt(actor, 'control') : actor.control}/healthz`, {
      dispatcher,
      signal: AbortSignal.timeout(BOUND_MS),
    });
    return { ok: response.ok, text: await response.text() };
  } catch (cause) {
    // What fetch says is that it failed; why is in its cause.
    const { message } = ((cause as Error).cause as Error | undefined) ?? (cause as Error);
    return { ok: false, text: `${name} at ${actor.control} does not answer: ${message}` };
  } finally {
    await dispatcher.destroy();
  }
}
