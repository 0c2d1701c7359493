/** The control handle of an actor that lives in this process. Arguments and results cross as JSON text, as they would over a network. */
import type { MessageRecord } from '../trace/record.ts';
import type { Actor, ActorControl, Json, JsonObject } from './actor.ts';
import { invoke } from './invoke.ts';

const throughJson = <T>(value: Json | undefined): T => JSON.parse(JSON.stringify(value ?? null)) as T;

export class InProcessControl implements ActorControl {
  readonly #listeners = new Set<(record: MessageRecord) => void>();

  readonly actor: Actor;

  constructor(actor: Actor) {
    this.actor = actor;
  }

  get name(): string {
    return this.actor.name;
  }

  get kind(): ActorControl['kind'] {
    return this.actor.kind;
  }

  /** Where the actor's recorder delivers. */
  readonly sink = (record: MessageRecord): void => {
    for (const listener of this.#listeners) listener(record);
  };

  async do<T>(verb: string, args: JsonObject = {}): Promise<T> {
    return throughJson(await invoke(this.actor, 'verbs', verb, throughJson(args)));
  }

  async read<T>(what: string, args: JsonObject = {}): Promise<T> {
    return throughJson(await invoke(this.actor, 'readings', what, throughJson(args)));
  }

  onRecord(listener: (record: MessageRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return Promise.resolve();
  }
}
