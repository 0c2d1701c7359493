/**
 * What the scenario runner knows of an actor: few verbs, readings of what the actor exposes, and its message records.
 * The same interface stands before an actor in this process and before one in another process or container, so no
 * scenario knows which it has. Arguments and results are therefore plain JSON.
 */
import type { Clock } from '../engine/clock.ts';
import type { MessageRecord, Report } from '../trace/record.ts';

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const ACTOR_KINDS = ['access-network', 'sip-core', 'mcptt-as', 'idm', 'kms', 'ue'] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];

/** Where an actor listens, by the endpoint's name (`https`, `wss`, `tcp`, `udp`, `tls`, `lte`, …). */
export type Endpoints = Readonly<Record<string, string>>;

/** Endpoints of the actors that an actor talks to. */
export type Peers = Readonly<Partial<Record<ActorKind, Endpoints>>>;

export type Verb = (args: JsonObject) => Promise<Json>;
export type Reading = (args: JsonObject) => Json | Promise<Json>;

/** Fewest methods a logger needs here; a pino logger is one. */
export interface Log {
  debug(detail: object, message: string): void;
  info(detail: object, message: string): void;
  warn(detail: object, message: string): void;
  error(detail: object, message: string): void;
}

/** PEM texts: the actor's own certificate and key, and the CA that it trusts. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/** What every actor is handed when it is made. */
export interface ActorContext {
  /** Instance name; the kind unless there are several (`ue`, `ue-bob`). */
  readonly name: string;
  readonly report: Report;
  readonly clock: Clock;
  readonly log: Log;
  readonly tls: TlsIdentity;
  /** Address to listen at, `127.0.0.1` unless configured. Ports come from the actor's own configuration, 0 = ephemeral. */
  readonly host: string;
  /** Folder for state that outlives the actor; absent = keep it in memory. */
  readonly stateFolder?: string;
}

/** One actor of the figure. Life: construct, `start`, `connect`, verbs and readings, `stop`. */
export interface Actor {
  readonly name: string;
  readonly kind: ActorKind;
  /** Opens what the actor listens at and says where that is. */
  start(): Promise<Endpoints>;
  /** Tells the actor its peers; resolves once it is ready to play its part, or rejects, naming the peer it waited for. */
  connect(peers: Peers): Promise<void>;
  /** Ends everything `start` and later calls began. May be called twice. */
  stop(): Promise<void>;
  readonly verbs: Readonly<Record<string, Verb>>;
  readonly readings: Readonly<Record<string, Reading>>;
}

/**
 * The handle that the runner and scenarios hold. Unknown verbs and readings are refused with code `CONTROL_UNKNOWN`.
 * By the time `do` or `read` settles, every record that the actor made before it answered has been delivered.
 */
export interface ActorControl {
  readonly name: string;
  readonly kind: ActorKind;
  /** Has the actor do something. Rejects with a {@link ControlError} that carries the actor's own error code. */
  do<T = Json>(verb: string, args?: JsonObject): Promise<T>;
  /** Reads what the actor exposes. */
  read<T = Json>(what: string, args?: JsonObject): Promise<T>;
  /** Calls `listener` for each record from now on; returns the function that ends it. */
  onRecord(listener: (record: MessageRecord) => void): () => void;
  close(): Promise<void>;
}

export type ControlErrorCode =
  | 'CONTROL_UNKNOWN'
  | 'CONTROL_UNREACHABLE'
  | 'CONTROL_TIMEOUT'
  /** Another run is at work on the actor. */
  | 'CONTROL_BUSY'
  | 'CONTROL_FAILED';

/** A verb or reading that failed. `cause` is a plain object with the actor's `name`, `code` and `message`. */
export class ControlError extends Error {
  readonly code: ControlErrorCode;
  /** The actor's own stable error code, where it gave one. */
  readonly actorCode: string | undefined;
  /** JSON detail the actor attached (for example `{status: 403, warning: '…'}`), never a secret. */
  readonly detail: JsonObject;

  constructor(code: ControlErrorCode, message: string, actorCode?: string, detail: JsonObject = {}) {
    super(message);
    this.name = 'ControlError';
    this.code = code;
    this.actorCode = actorCode;
    this.detail = detail;
  }
}
