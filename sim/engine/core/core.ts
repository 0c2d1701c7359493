import type { Clock } from '../clock.ts';
import type { Dialogs } from '../dialog/dialogs.ts';
import type { Ids } from '../ids.ts';
import type { TimerWheel } from '../timers.ts';
import type { Transactions } from '../transaction/transactions.ts';
import type { TransportLayer } from '../transport/index.ts';
import type { LocalAddresses } from './addresses.ts';
import type { AfterTurn } from './after-turn.ts';
import type { CallRecords } from './cdr.ts';
import type { FlowCache } from './flow-cache.ts';

/** A line for the engine's log. Texts name methods, Call-IDs and addresses; never header values or bodies. */
export type Log = (level: 'debug' | 'info' | 'warn', text: string) => void;

/** What the parts of one engine share. */
export interface Core {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly ids: Ids;
  readonly transport: TransportLayer;
  readonly local: LocalAddresses;
  readonly transactions: Transactions;
  readonly dialogs: Dialogs;
  readonly flows: FlowCache;
  readonly afterTurn: AfterTurn;
  readonly records: CallRecords;
  readonly log: Log;
  /** Applies the limits of a real drachtio-server: what works here works there. */
  readonly strict: boolean;
}
