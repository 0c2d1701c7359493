/**
 * Where an AuC keeps the SQN it last used for each subscriber. It has to outlive the AuC, or its next vector is refused as
 * stale; the interface is narrow and asynchronous so that replicas can share one behind it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SequenceNumber } from './sqn.ts';

export interface AucStore {
  /**
   * Replaces a subscriber's sequence number by `change` of it, atomically: two calls never see the same one.
   *
   * @param identity IMSI or IMPI, whichever the AuC is asked by
   * @param change gets undefined when nothing is stored yet
   * @returns what is stored now
   */
  update(identity: string, change: (stored: SequenceNumber | undefined) => SequenceNumber): Promise<SequenceNumber>;
}

/** Forgets with the process. */
export function memoryAucStore(): AucStore {
  const numbers = new Map<string, SequenceNumber>();
  return {
    update(identity, change) {
      const changed = change(numbers.get(identity));
      numbers.set(identity, changed);
      return Promise.resolve(changed);
    },
  };
}

/**
 * One JSON file, replaced as a whole by each update, so that a crash leaves the old one or the new one. For one process at
 * a time.
 *
 * @param file its folder is made when it is missing
 */
export function fileAucStore(file: string): AucStore {
  let numbers: Promise<Map<string, SequenceNumber>> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const load = async (): Promise<Map<string, SequenceNumber>> => {
    try {
      return new Map(Object.entries(JSON.parse(await readFile(file, 'utf8')) as Record<string, SequenceNumber>));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
      throw error;
    }
  };
  const save = async (content: Map<string, SequenceNumber>): Promise<void> => {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(content)), { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  return {
    update(identity, change) {
      const done = last.then(async () => {
        numbers ??= load();
        const content = await numbers;
        const changed = change(content.get(identity));
        content.set(identity, changed);
        await save(content);
        return changed;
      });
      // One failed update must not fail the next; its own caller hears of it.
      last = done.catch(() => undefined);
      return done;
    },
  };
}
