/**
 * What the KMS keeps: CEKs, pushes that the MCPTT server has not acknowledged, events for the clients, key sets. The
 * embedded form is libsql-store.ts; the interface is small, asynchronous and free of SQL so that Redis can carry it.
 *
 * Every method is atomic. Rows of ended CEKs stay, without their key: a Key ID is never given twice.
 */
import type { CekEndReason } from '../messages/kms/cek.ts';
import type { IssuedCekState } from '../security/cek/issued-state.ts';

/** One user, with one client, on one SIP session: there is one CEK for it at a time. */
export interface CekSlot {
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
}

/** A CEK without its octets. Times are milliseconds since 1970. */
export interface CekRecord extends CekSlot {
  readonly keyId: string;
  readonly state: IssuedCekState;
  readonly notBefore: number;
  /** End of life; for a superseded CEK, end of the overlap. */
  readonly notAfter: number;
  /** The Key ID that it takes over from. */
  readonly supersedes?: string;
  readonly endReason?: CekEndReason;
  /** The most messages that an end has counted under it. */
  readonly messages: number;
}

/** A change of one CEK; takes place only if it is still in state `from`. */
export interface CekChange {
  readonly keyId: string;
  readonly from: IssuedCekState;
  readonly to: IssuedCekState;
  readonly notAfter?: number;
  readonly endReason?: CekEndReason;
  readonly messages?: number;
}

/** What is to be told about a CEK: the key itself, or its end. */
export interface News {
  readonly keyId: string;
  readonly what: 'cek' | 'end';
}

export interface QueuedPush extends News {
  readonly id: number;
}

export interface StoredEvent extends News {
  /** Counts up over all events, over restarts too: the `id:` of the server-sent event. */
  readonly id: number;
  readonly userUri: string;
  readonly clientId: string;
}

export interface CekFilter extends Partial<CekSlot> {
  readonly keyId?: string;
  readonly states?: readonly IssuedCekState[];
  /** Only those whose notAfter is not later than this. */
  readonly endingBy?: number;
  /** Only those whose notBefore is not later than this. */
  readonly begunBy?: number;
}

/** What goes with a change, all or nothing. */
export interface Effects {
  readonly pushes?: readonly News[];
  readonly events?: readonly (News & { readonly userUri: string; readonly clientId: string })[];
  /** Pushes that are done with, by id. */
  readonly pushed?: readonly number[];
}

export interface KmsStore {
  /**
   * Keeps a new CEK in state `pending-ack` and queues its push.
   * @returns `key-id-taken` when any CEK ever had that Key ID, `slot-taken` when the slot has one that is `pending-ack`
   */
  insertCek(record: CekRecord, cek: Uint8Array, effects: Effects): Promise<'inserted' | 'key-id-taken' | 'slot-taken'>;
  /** @returns false, and nothing has changed, when a CEK was not in the state that its change starts from */
  change(changes: readonly CekChange[], effects: Effects): Promise<boolean>;
  cek(keyId: string): Promise<CekRecord | undefined>;
  /** The CEK itself, 32 octets for the caller to zero; undefined once it has ended. */
  cekOctets(keyId: string): Promise<Uint8Array | undefined>;
  /** In the order in which they were made. */
  ceks(filter: CekFilter): Promise<CekRecord[]>;
  /** When the next CEK ends by itself, and since when the oldest active one without a successor has served. */
  nextDue(): Promise<{ notAfter?: number; activeSince?: number }>;
  /** The oldest pushes that have not been acknowledged, of those that were queued after the one with the id `after`. */
  queuedPushes(limit: number, after?: number): Promise<QueuedPush[]>;
  /** Events of a user (and client) after one, in order. */
  eventsAfter(whose: { userUri: string; clientId?: string }, id: number, limit: number): Promise<StoredEvent[]>;
  /** The id of the newest event that there ever was, 0 before the first. */
  newestEvent(): Promise<number>;
  /** A key set's octets as they were put; undefined when there is none. */
  keySet(userUri: string, keyPeriodNo: number): Promise<Uint8Array | undefined>;
  /** Keeps a key set unless there is one; @returns the one that is kept. */
  putKeySet(userUri: string, keyPeriodNo: number, octets: Uint8Array): Promise<Uint8Array>;
  /** MCPTT IDs that the operator has denied, beyond what the configuration says. */
  deniedUsers(): Promise<string[]>;
  /** @param userUris all of them, in the place of those before */
  setDeniedUsers(userUris: readonly string[]): Promise<void>;
  /** Forgets events about CEKs that ended before that time. */
  prune(before: { time: number }): Promise<void>;
  close(): Promise<void>;
}
