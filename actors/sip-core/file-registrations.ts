/**
 * Registrations in one JSON file, so that a core that was killed goes on with them: replaced as a whole by each change and
 * renamed into place, so that a crash leaves the old one or the new one. For one core at a time.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SipCoreError } from './config.ts';
import { memoryRegistrationStore, type Registration, type RegistrationStore } from './registrations.ts';

/**
 * Connections do not outlive the engine, and another UE's may have the same ports afterwards: a UE that registered over one
 * is reached, and may send, once it has registered over a new one.
 */
const afterRestart = (registration: Registration): Registration =>
  registration.flow.startsWith('udp/') ? registration : { ...registration, flow: '' };

/** @param file its folder is made when it is missing; holds identities and no key */
export function fileRegistrationStore(file: string): RegistrationStore {
  const memory = memoryRegistrationStore();
  let filled: Promise<void> | undefined;
  let saved: Promise<void> = Promise.resolve();

  const fill = async (): Promise<void> => {
    for (const registration of await read(file)) await memory.save(afterRestart(registration));
  };
  const ready = (): Promise<void> => {
    filled ??= fill();
    return filled;
  };
  const write = (): Promise<void> => {
    // One failed write must not fail the next; its own caller hears of it.
    saved = saved
      .catch(() => undefined)
      .then(async () => {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(`${file}.new`, JSON.stringify(await memory.all()), { mode: 0o600 });
        await rename(`${file}.new`, file);
      });
    return saved;
  };
  return {
    byImpi: (impi) => ready().then(() => memory.byImpi(impi)),
    byImpu: (impu) => ready().then(() => memory.byImpu(impu)),
    byFlow: (flow) => ready().then(() => memory.byFlow(flow)),
    all: () => ready().then(() => memory.all()),
    async save(registration) {
      await ready();
      await memory.save(registration);
      await write();
    },
    async remove(impi) {
      await ready();
      const removed = await memory.remove(impi);
      if (removed !== undefined) await write();
      return removed;
    },
  };
}

async function read(file: string): Promise<Registration[]> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Registration[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    if (!(error instanceof SyntaxError)) throw error;
    throw new SipCoreError(
      'SIP_CORE_BAD_STATE',
      `${file} is no JSON: restore it, or remove it and let UEs register anew.`,
    );
  }
}
