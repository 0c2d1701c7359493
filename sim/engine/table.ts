interface Cell<Value> {
  value: Value | undefined;
}

/**
 * A map for what comes and goes by the thousand.
 *
 * Whenever a Map of V8 fills up, counting what was deleted from it, it moves into a new store, and the former one still
 * refers to what it held and to its successor. One such store that was old enough to be moved into the old generation
 * keeps all of that alive until the next full collection, and the collector copies it to and fro meanwhile: requests
 * answered long ago, 10 kB each. Here stores refer to cells, and a cell is emptied when its entry is deleted.
 */
export class Table<Value extends object> {
  readonly #cells = new Map<string, Cell<Value>>();

  get size(): number {
    return this.#cells.size;
  }

  get(key: string): Value | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: string, value: Value): void {
    this.delete(key);
    this.#cells.set(key, { value });
  }

  /** Takes an entry out; with `held` only if that is its value. */
  delete(key: string, held?: Value): void {
    const cell = this.#cells.get(key);
    if (cell === undefined || (held !== undefined && cell.value !== held)) return;
    cell.value = undefined;
    this.#cells.delete(key);
  }

  /** The values, in order of insertion; entries may be deleted meanwhile. */
  *values(): IterableIterator<Value> {
    for (const { value } of this.#cells.values()) if (value !== undefined) yield value;
  }
}
