/**
 * The session store of an IdM that starts again where it ended: one JSON file, replaced as a whole, so that a crash leaves the
 * old one or the new one. It holds refresh tokens and codes, and is its owner's alone to read. For one IdM at a time.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../sim/engine/clock.ts';
import { IdmError } from './config.ts';
import { type HeldEntry, memorySessionStore, type SessionStore } from './session-store.ts';

/**
 * @param file its folder is made when it is missing; what it holds is read before the first answer
 * @throws IdmError `IDM_BAD_STATE` when that cannot be understood
 */
export async function fileSessionStore(file: string, clock: Clock): Promise<SessionStore> {
  let content: () => readonly HeldEntry[] = () => [];
  let queued: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    queued = undefined;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, JSON.stringify(content()), { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  /** Resolves when the change is in the file; changes that come while the file is written share the next writing. */
  const changed = (): Promise<void> => {
    if (queued === undefined) {
      queued = writing.then(write);
      writing = queued.catch(() => undefined);
    }
    return queued;
  };
  const store = memorySessionStore(clock, await read(file), (entries) => {
    content = entries;
    return changed();
  });
  return store;
}

async function read(file: string): Promise<HeldEntry[]> {
  let entries: unknown;
  try {
    entries = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (Array.isArray(entries) && entries.every(isEntry)) return entries;
  throw new IdmError('IDM_BAD_STATE', `${file} cannot be read: remove it and log in again`);
}

const isEntry = (value: unknown): value is HeldEntry => {
  const { key, value: held, indexes, expires } = (value ?? {}) as Partial<HeldEntry>;
  return typeof key === 'string' && typeof held === 'object' && Array.isArray(indexes) && typeof expires === 'number';
};
