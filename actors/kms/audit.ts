/**
 * The audit log: every issue, refusal and push, one JSON object a line, without secrets. In a file where the KMS has a state
 * folder; the latest entries can be read back. Lines that the disk does not take are kept and written when it does again, and
 * until then the KMS issues nothing ({@link Audit.check}).
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { JsonObject, Log } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import { KmsRefusal } from './refusal.ts';
import { StateError } from './state-error.ts';

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
/** Lines for a disk that takes none are kept up to this many octets. */
const LONGEST_BACKLOG = 4 * 1024 * 1024;

export class Audit {
  readonly #clock: Clock;
  readonly #log: Log | undefined;
  #file: number | undefined;
  readonly #entries: JsonObject[] = [];
  readonly #listeners = new Set<(event: AuditEvent) => void>();
  #sequence = 0;
  #backlog = Buffer.alloc(0);
  #failing = false;

  /**
   * @param file appended to; absent = in memory alone
   * @throws StateError when the file cannot be opened
   */
  constructor(clock: Clock, file?: string, log?: Log) {
    this.#clock = clock;
    this.#log = log;
    if (file === undefined) return;
    try {
      mkdirSync(dirname(file), { recursive: true });
      this.#file = openSync(file, 'a', 0o600);
    } catch (error) {
      throw new StateError(file, error);
    }
  }

  /** @param detail identities, Key IDs, codes; never a key, a token or a body */
  write(event: AuditEvent, detail: JsonObject): void {
    this.#sequence += 1;
    const entry = { seq: this.#sequence, time: new Date(this.#clock.now()).toISOString(), event, ...detail };
    this.#entries.push(entry);
    if (this.#entries.length > KEPT) this.#entries.shift();
    if (this.#file !== undefined && this.#backlog.length < LONGEST_BACKLOG) {
      this.#backlog = Buffer.concat([this.#backlog, Buffer.from(`${JSON.stringify(entry)}\n`)]);
    }
    this.#flush();
    for (const listener of this.#listeners) listener(event);
  }

  /** Asked before anything is issued. @throws KmsRefusal `KMS_UNAVAILABLE` while the log cannot be written */
  check(): void {
    this.#flush();
    if (this.#failing) throw new KmsRefusal('KMS_UNAVAILABLE', 'the KMS cannot write its audit log just now', 30);
  }

  onEntry(listener: (event: AuditEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Entries after a sequence number, the oldest first; `seq` counts from 1 at each start. */
  since(sequence: number): JsonObject[] {
    return this.#entries.filter((entry) => (entry.seq as number) > sequence);
  }

  /** What is written afterwards stays in memory: the number of the closed file may be another file's by then. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file);
  }

  /** A line that was taken in part goes on where it stopped. */
  #flush(): void {
    if (this.#file === undefined) return;
    try {
      while (this.#backlog.length > 0) this.#backlog = this.#backlog.subarray(writeSync(this.#file, this.#backlog));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#log?.error({ error }, 'the audit log cannot be written: nothing is issued until it can');
      this.#failing = true;
    }
  }
}
