/** Which application gets the next new request of a verb (contract, section 3). */
export class Routes<Connection> {
  readonly #verbs = new Map<string, { connections: Connection[]; next: number }>();

  /** Verbs that some connection serves. */
  get size(): number {
    return this.#verbs.size;
  }

  /** Adds a connection to a verb; one that is there already stays where it is. */
  add(verb: string, connection: Connection): void {
    const route = this.#verbs.get(verb);
    if (route === undefined) this.#verbs.set(verb, { connections: [connection], next: 0 });
    else if (!route.connections.includes(connection)) route.connections.push(connection);
  }

  /** Takes a connection off one verb. */
  remove(verb: string, connection: Connection): void {
    const route = this.#verbs.get(verb);
    const at = route?.connections.indexOf(connection) ?? -1;
    if (route === undefined || at === -1) return;
    route.connections.splice(at, 1);
    if (route.connections.length === 0) this.#verbs.delete(verb);
    else if (route.next > at) route.next--;
  }

  /** Takes a connection off every verb. */
  removeAll(connection: Connection): void {
    for (const verb of [...this.#verbs.keys()]) this.remove(verb, connection);
  }

  has(verb: string): boolean {
    return this.#verbs.has(verb);
  }

  /** Round robin among the connections of a verb; `undefined` when no one serves it. */
  pick(verb: string): Connection | undefined {
    const route = this.#verbs.get(verb);
    if (route === undefined) return undefined;
    const connection = route.connections[route.next % route.connections.length];
    route.next = (route.next + 1) % route.connections.length;
    return connection;
  }

  /** Every connection of a verb. */
  all(verb: string): readonly Connection[] {
    return this.#verbs.get(verb)?.connections ?? [];
  }
}
