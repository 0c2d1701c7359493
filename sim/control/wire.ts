/** What crosses the control interface of an actor in another process: JSON over HTTPS with mutual TLS, records as JSON lines. */
import type { MessageRecord } from '../trace/record.ts';
import type { JsonObject } from './actor.ts';

export const PATHS = {
  do: '/control/v1/do',
  read: '/control/v1/read',
  records: '/control/v1/records',
  clock: '/control/v1/clock',
} as const;

/**
 * Subject alternative name (URI) of the certificate that may drive actors. An actor's own certificate, though of the
 * same CA, may not.
 */
export const RUNNER_URI = 'urn:mcptt-testbed:runner';

/** Header of the record stream with the same value as {@link ControlAnswer.life}. */
export const LIFE_HEADER = 'x-testbed-life';

/** Answer to `do` and `read`: how many records the actor had made by then, so that the caller can wait for them. */
export interface ControlAnswer {
  readonly records: number;
  /** Names this life of the actor: after a restart it counts its records from zero again. */
  readonly life: string;
  readonly value?: unknown;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly actorCode?: string;
    readonly detail?: JsonObject;
  };
}

export const toLine = (record: MessageRecord): string =>
  `${JSON.stringify({ ...record, bytes: Buffer.from(record.bytes).toString('base64') })}\n`;

export function fromLine(line: string): MessageRecord {
  const raw = JSON.parse(line) as Omit<MessageRecord, 'bytes'> & { bytes: string };
  return { ...raw, bytes: Buffer.from(raw.bytes, 'base64') };
}
