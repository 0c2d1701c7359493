/**
 * The audit log: every issue, refusal and push, one JSON object a line, without secrets. In a file where the KMS has a state
 * folder; the latest entries can be read back.
 */
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import type { JsonObject } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';

export type AuditEvent =
  | 'key-material-issued'
  | 'cek-issued'
  | 'cek-given-again'
  | 'cek-active'
  | 'cek-superseded'
  | 'cek-ended'
  | 'update-decided'
  | 'pushed'
  | 'push-failed'
  | 'refused'
  | 'policy-changed';

const KEPT = 10_000;

export class Audit {
  readonly #clock: Clock;
  readonly #file: WriteStream | undefined;
  readonly #entries: JsonObject[] = [];
  readonly #listeners = new Set<(event: AuditEvent) => void>();
  #sequence = 0;

  constructor(clock: Clock, file?: string) {
    this.#clock = clock;
    if (file !== undefined) {
      mkdirSync(dirname(file), { recursive: true });
      this.#file = createWriteStream(file, { flags: 'a', mode: 0o600 });
    }
  }

  /** @param detail identities, Key IDs, codes; never a key, a token or a body */
  write(event: AuditEvent, detail: JsonObject): void {
    this.#sequence += 1;
    const entry = { seq: this.#sequence, time: new Date(this.#clock.now()).toISOString(), event, ...detail };
    this.#entries.push(entry);
    if (this.#entries.length > KEPT) this.#entries.shift();
    this.#file?.write(`${JSON.stringify(entry)}\n`);
    for (const listener of this.#listeners) listener(event);
  }

  onEntry(listener: (event: AuditEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Entries after a sequence number, the oldest first; `seq` counts from 1 at each start. */
  since(sequence: number): JsonObject[] {
    return this.#entries.filter((entry) => (entry.seq as number) > sequence);
  }

  async close(): Promise<void> {
    const file = this.#file;
    if (file !== undefined && !file.closed) await new Promise<void>((resolve) => file.end(() => resolve()));
  }
}
