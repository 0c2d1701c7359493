/** The embedded store: one libsql file, or memory. Secrets lie in it under the store key only. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import type { CekEndReason } from '../messages/kms/cek.ts';
import type { IssuedCekState } from '../security/cek/issued-state.ts';
import { StateError } from './state-error.ts';
import type { CekChange, CekFilter, CekRecord, Effects, KmsStore, QueuedPush, StoredEvent } from './store.ts';
import type { Vault } from './vault.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS ceks (
  key_id TEXT PRIMARY KEY, user_uri TEXT NOT NULL, client_id TEXT NOT NULL, sip_session TEXT NOT NULL,
  state TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  supersedes TEXT, end_reason TEXT, messages INTEGER NOT NULL, sealed BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS one_pending ON ceks (user_uri, client_id, sip_session) WHERE state = 'pending-ack';
CREATE UNIQUE INDEX IF NOT EXISTS one_active ON ceks (user_uri, client_id, sip_session) WHERE state = 'active';
CREATE INDEX IF NOT EXISTS living ON ceks (not_after) WHERE state <> 'ended';
CREATE INDEX IF NOT EXISTS by_client ON ceks (user_uri, client_id, sip_session) WHERE state <> 'ended';
CREATE INDEX IF NOT EXISTS by_session ON ceks (sip_session);
CREATE TABLE IF NOT EXISTS pushes (id INTEGER PRIMARY KEY AUTOINCREMENT, key_id TEXT NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_uri TEXT NOT NULL, client_id TEXT NOT NULL,
  key_id TEXT NOT NULL, what TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_user ON events (user_uri, id);
CREATE TABLE IF NOT EXISTS key_sets (
  user_uri TEXT NOT NULL, period INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (user_uri, period));
CREATE TABLE IF NOT EXISTS denied_users (user_uri TEXT PRIMARY KEY);
`;

interface Row {
  key_id: string;
  user_uri: string;
  client_id: string;
  sip_session: string;
  state: IssuedCekState;
  not_before: number;
  not_after: number;
  supersedes: string | null;
  end_reason: CekEndReason | null;
  messages: number;
  sealed: ArrayBuffer | null;
}

class StateMoved extends Error {}

/**
 * @param file absent = in memory
 * @param vault how CEKs and key sets are encrypted; the key is not the store's
 * @throws StateError when the file cannot be opened and written, or is no database
 */
export function openLibsqlStore(file: string | undefined, vault: Vault): KmsStore {
  let db: Database.Database | undefined;
  try {
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true });
    db = new Database(file ?? ':memory:', { timeout: 5_000 });
    return new LibsqlStore(db, vault);
  } catch (error) {
    db?.close();
    throw new StateError(file ?? ':memory:', error);
  }
}

/** libsql answers at once: the methods are asynchronous because another store's would be. */
class LibsqlStore implements KmsStore {
  readonly #db: Database.Database;
  readonly #vault: Vault;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(db: Database.Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
    // A write-ahead log survives a killed process; `normal` may lose the last writes of a machine that loses power.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    db.exec(SCHEMA);
  }

  async insertCek(
    record: CekRecord,
    cek: Uint8Array,
    effects: Effects,
  ): Promise<'inserted' | 'key-id-taken' | 'slot-taken'> {
    try {
      this.#atomically(() => {
        this.#sql('INSERT INTO ceks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
          record.keyId,
          record.userUri,
          record.clientId,
          record.sipSession,
          record.state,
          record.notBefore,
          record.notAfter,
          record.supersedes ?? null,
          null,
          record.messages,
          Buffer.from(this.#vault.seal(cek, record.keyId)),
        );
        this.#apply(effects);
      });
      return 'inserted';
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === 'SQLITE_CONSTRAINT_PRIMARYKEY') return 'key-id-taken';
      if (code === 'SQLITE_CONSTRAINT_UNIQUE') return 'slot-taken';
      throw error;
    }
  }

  async change(changes: readonly CekChange[], effects: Effects): Promise<boolean> {
    try {
      this.#atomically(() => {
        for (const change of changes) this.#changeOne(change);
        this.#apply(effects);
      });
      return true;
    } catch (error) {
      if (error instanceof StateMoved) return false;
      throw error;
    }
  }

  async cek(keyId: string): Promise<CekRecord | undefined> {
    const row = this.#sql('SELECT * FROM ceks WHERE key_id = ?').get(keyId) as Row | undefined;
    return row === undefined ? undefined : recordOf(row);
  }

  async cekOctets(keyId: string): Promise<Uint8Array | undefined> {
    const row = this.#sql('SELECT sealed FROM ceks WHERE key_id = ?').get(keyId) as Pick<Row, 'sealed'> | undefined;
    return row?.sealed == null ? undefined : this.#vault.open(new Uint8Array(row.sealed), keyId);
  }

  async ceks(filter: CekFilter): Promise<CekRecord[]> {
    const conditions: string[] = [];
    const values: unknown[] = [];
    const where = (condition: string, ...bound: unknown[]): void => {
      conditions.push(condition);
      values.push(...bound);
    };
    if (filter.keyId !== undefined) where('key_id = ?', filter.keyId);
    if (filter.userUri !== undefined) where('user_uri = ?', filter.userUri);
    if (filter.clientId !== undefined) where('client_id = ?', filter.clientId);
    if (filter.sipSession !== undefined) where('sip_session = ?', filter.sipSession);
    if (filter.endingBy !== undefined) where('not_after <= ?', filter.endingBy);
    if (filter.begunBy !== undefined) where('not_before <= ?', filter.begunBy);
    if (filter.states !== undefined) where(`state IN (${filter.states.map(() => '?').join()})`, ...filter.states);
    const clause = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    return (this.#sql(`SELECT * FROM ceks ${clause} ORDER BY not_before, rowid`).all(...values) as Row[]).map(recordOf);
  }

  async nextDue(): Promise<{ notAfter?: number; activeSince?: number }> {
    const ends = this.#sql(`SELECT min(not_after) AS at FROM ceks WHERE state <> 'ended'`).get() as {
      at: number | null;
    };
    const serves = this.#sql(`SELECT min(not_before) AS at FROM ceks a WHERE state = 'active' AND NOT EXISTS
      (SELECT 1 FROM ceks p WHERE p.state = 'pending-ack' AND p.user_uri = a.user_uri
        AND p.client_id = a.client_id AND p.sip_session = a.sip_session)`).get() as { at: number | null };
    return {
      ...(ends.at === null ? {} : { notAfter: ends.at }),
      ...(serves.at === null ? {} : { activeSince: serves.at }),
    };
  }

  async queuedPushes(limit: number, after = 0): Promise<QueuedPush[]> {
    const rows = this.#sql('SELECT id, key_id, what FROM pushes WHERE id > ? ORDER BY id LIMIT ?').all(
      after,
      limit,
    ) as {
      id: number;
      key_id: string;
      what: 'cek' | 'end';
    }[];
    return rows.map((row) => ({ id: row.id, keyId: row.key_id, what: row.what }));
  }

  async eventsAfter(whose: { userUri: string; clientId?: string }, id: number, limit: number): Promise<StoredEvent[]> {
    const rows = this.#sql(`SELECT id, user_uri, client_id, key_id, what FROM events
      WHERE user_uri = ? AND id > ? AND (? IS NULL OR client_id = ?) ORDER BY id LIMIT ?`).all(
      whose.userUri,
      id,
      whose.clientId ?? null,
      whose.clientId ?? null,
      limit,
    ) as { id: number; user_uri: string; client_id: string; key_id: string; what: 'cek' | 'end' }[];
    return rows.map((row) => ({
      id: row.id,
      userUri: row.user_uri,
      clientId: row.client_id,
      keyId: row.key_id,
      what: row.what,
    }));
  }

  async newestEvent(): Promise<number> {
    const row = this.#sql(`SELECT seq FROM sqlite_sequence WHERE name = 'events'`).get() as { seq: number } | undefined;
    return row?.seq ?? 0;
  }

  async keySet(userUri: string, keyPeriodNo: number): Promise<Uint8Array | undefined> {
    const row = this.#sql('SELECT sealed FROM key_sets WHERE user_uri = ? AND period = ?').get(userUri, keyPeriodNo) as
      | { sealed: ArrayBuffer }
      | undefined;
    return row === undefined ? undefined : this.#vault.open(new Uint8Array(row.sealed), `${keyPeriodNo} ${userUri}`);
  }

  async putKeySet(userUri: string, keyPeriodNo: number, octets: Uint8Array): Promise<Uint8Array> {
    const sealed = Buffer.from(this.#vault.seal(octets, `${keyPeriodNo} ${userUri}`));
    this.#sql('INSERT OR IGNORE INTO key_sets VALUES (?, ?, ?)').run(userUri, keyPeriodNo, sealed);
    return (await this.keySet(userUri, keyPeriodNo))!;
  }

  async deniedUsers(): Promise<string[]> {
    const rows = this.#sql('SELECT user_uri FROM denied_users ORDER BY rowid').all() as { user_uri: string }[];
    return rows.map((row) => row.user_uri);
  }

  async setDeniedUsers(userUris: readonly string[]): Promise<void> {
    this.#atomically(() => {
      this.#sql('DELETE FROM denied_users').run();
      for (const userUri of userUris) this.#sql('INSERT OR IGNORE INTO denied_users VALUES (?)').run(userUri);
    });
  }

  async prune(before: { time: number }): Promise<void> {
    this.#sql(`DELETE FROM events WHERE key_id IN
      (SELECT key_id FROM ceks WHERE state = 'ended' AND not_after < ?)`).run(before.time);
  }

  async close(): Promise<void> {
    this.#statements.clear();
    this.#db.close();
  }

  #changeOne(change: CekChange): void {
    const { changes } = this.#sql(`UPDATE ceks SET state = ?, not_after = coalesce(?, not_after),
      end_reason = coalesce(?, end_reason), messages = max(messages, ?), sealed = iif(? = 'ended', NULL, sealed)
      WHERE key_id = ? AND state = ?`).run(
      change.to,
      change.notAfter ?? null,
      change.endReason ?? null,
      change.messages ?? 0,
      change.to,
      change.keyId,
      change.from,
    );
    if (changes !== 1) throw new StateMoved();
    // A key that has ended is not delivered any more.
    if (change.to === 'ended') this.#sql(`DELETE FROM pushes WHERE key_id = ? AND what = 'cek'`).run(change.keyId);
  }

  #apply(effects: Effects): void {
    for (const push of effects.pushes ?? []) {
      this.#sql('INSERT INTO pushes (key_id, what) VALUES (?, ?)').run(push.keyId, push.what);
    }
    for (const event of effects.events ?? []) {
      this.#sql('INSERT INTO events (user_uri, client_id, key_id, what) VALUES (?, ?, ?, ?)').run(
        event.userUri,
        event.clientId,
        event.keyId,
        event.what,
      );
    }
    for (const id of effects.pushed ?? []) this.#sql('DELETE FROM pushes WHERE id = ?').run(id);
  }

  #atomically(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      // A full disk has rolled back already, and a second time is an error that would hide the first.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #sql(text: string): Database.Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

function recordOf(row: Row): CekRecord {
  return {
    keyId: row.key_id,
    userUri: row.user_uri,
    clientId: row.client_id,
    sipSession: row.sip_session,
    state: row.state,
    notBefore: row.not_before,
    notAfter: row.not_after,
    messages: row.messages,
    ...(row.supersedes === null ? {} : { supersedes: row.supersedes }),
    ...(row.end_reason === null ? {} : { endReason: row.end_reason }),
  };
}
