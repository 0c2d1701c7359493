/**
 * Sessions, bindings and what the KMS has yet to be told in files, so that a server that was killed goes on with them: each change rewrites its file whole
 * and renames it into place, so that a crash leaves the old one or the new one. For one server at a time.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { memoryBindingStore } from './bindings.ts';
import { memoryNoticeStore } from './notices.ts';
import type { ServerStores } from './server.ts';
import { memorySessionStore } from './sessions.ts';

/** @param folder is made when it is missing; its files hold identities and no key, and are read on first use */
export function fileStores(folder: string): ServerStores {
  return {
    sessions: inFile(memorySessionStore(), join(folder, 'sip-sessions.json')),
    bindings: inFile(memoryBindingStore(), join(folder, 'bindings.json')),
    notices: inFile(memoryNoticeStore(), join(folder, 'notices.json')),
  };
}

interface Store<T> {
  put(item: T): Promise<void>;
  all(): Promise<T[]>;
}

/** The store, filled from the file before it is first asked, and saved to it before a change of it is done. */
function inFile<T, S extends Store<T>>(store: S & Store<T>, file: string): S {
  let filled: Promise<void> | undefined;
  let saved: Promise<void> = Promise.resolve();
  const fill = async (): Promise<void> => {
    for (const item of await read<T>(file)) await store.put(item);
  };
  const save = (): Promise<void> => {
    // One failed write must not fail the next; its own caller hears of it.
    saved = saved
      .catch(() => undefined)
      .then(async () => {
        await mkdir(dirname(file), { recursive: true });
        await writeFile(`${file}.new`, JSON.stringify(await store.all()), { mode: 0o600 });
        await rename(`${file}.new`, file);
      });
    return saved;
  };
  const changes: readonly (string | symbol)[] = ['put', 'delete'];
  return new Proxy(store, {
    get: (target, name, receiver) => {
      const method: unknown = Reflect.get(target, name, receiver);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]) => {
        filled ??= fill();
        await filled;
        const result: unknown = await Reflect.apply(method, target, args);
        if (changes.includes(name)) await save();
        return result;
      };
    },
  });
}

async function read<T>(file: string): Promise<T[]> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
