/**
 * What the IdM remembers: logins, grants, codes, refresh tokens. A narrow interface, so that a shared store (Redis) can
 * stand in for the one in memory; index entries are what its sets would be.
 */
import type { Clock } from '../../sim/engine/clock.ts';

export interface StoredEntry {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface SessionStore {
  /**
   * Writes an entry, replacing one of the same key.
   * @param indexes names under which it can be found or removed together with others
   * @param lifetime milliseconds until it is forgotten
   */
  put(entry: StoredEntry, indexes: readonly string[], lifetime: number): Promise<void>;
  get(key: string): Promise<StoredEntry | undefined>;
  /** Entries of an index, oldest first. */
  list(index: string): Promise<readonly StoredEntry[]>;
  remove(key: string): Promise<void>;
  removeAll(index: string): Promise<void>;
}

/** A testbed has a few users; whoever wants to fill its memory with logins loses the oldest. */
const MOST_ENTRIES = 10_000;

/** An entry with what the store knows of it. */
export interface HeldEntry extends StoredEntry {
  readonly indexes: readonly string[];
  /** By the IdM's clock, milliseconds since 1970. */
  readonly expires: number;
}

/**
 * A store that lives as long as its IdM.
 *
 * @param kept what it begins with
 * @param changed told after each change how to get all entries; the change is done when it resolves
 */
export function memorySessionStore(
  clock: Clock,
  kept: readonly HeldEntry[] = [],
  changed: (all: () => readonly HeldEntry[]) => Promise<void> = () => Promise.resolve(),
): SessionStore {
  const entries = new Map<string, HeldEntry>();
  const members = new Map<string, Set<string>>();
  const all = (): readonly HeldEntry[] => [...entries.values()];

  const hold = (held: HeldEntry): void => {
    entries.set(held.key, held);
    for (const index of held.indexes) members.set(index, (members.get(index) ?? new Set()).add(held.key));
  };

  const drop = (key: string): void => {
    const held = entries.get(key);
    if (held === undefined) return;
    entries.delete(key);
    for (const index of held.indexes) {
      const keys = members.get(index);
      keys?.delete(key);
      if (keys?.size === 0) members.delete(index);
    }
  };
  const live = (key: string): HeldEntry | undefined => {
    const held = entries.get(key);
    if (held === undefined || held.expires > clock.now()) return held;
    drop(key);
    return undefined;
  };

  for (const held of kept) hold(held);
  return {
    async put({ key, value }, indexes, lifetime) {
      drop(key);
      if (entries.size >= MOST_ENTRIES) {
        for (const other of entries.keys()) live(other);
        const oldest = entries.keys().next();
        if (entries.size >= MOST_ENTRIES && oldest.done !== true) drop(oldest.value);
      }
      hold({ key, value: structuredClone(value), indexes, expires: clock.now() + lifetime });
      await changed(all);
    },
    get: (key) => Promise.resolve(copyOf(live(key))),
    list: (index) => Promise.resolve([...(members.get(index) ?? [])].flatMap((key) => copyOf(live(key)) ?? [])),
    async remove(key) {
      drop(key);
      await changed(all);
    },
    async removeAll(index) {
      for (const key of [...(members.get(index) ?? [])]) drop(key);
      await changed(all);
    },
  };
}

const copyOf = (held: HeldEntry | undefined): StoredEntry | undefined =>
  held && { key: held.key, value: structuredClone(held.value) };
