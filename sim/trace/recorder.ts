import type { Clock } from '../engine/clock.ts';
import type { MessageRecord, Report } from './record.ts';
import { redact } from './redact.ts';

/**
 * The {@link Report} function of one actor: numbers and times its messages, takes secrets out, and hands them on.
 *
 * @param sink gets each record at once, in the actor's own order
 * @param reveal keep secrets in the bytes, for the demonstration on test data (`--reveal`)
 */
export function createRecorder(options: {
  readonly actor: string;
  readonly clock: Clock;
  readonly sink: (record: MessageRecord) => void;
  readonly reveal?: boolean;
}): Report {
  let sequence = 0;
  return (message) => {
    const { bytes, redacted } = redact(message.bytes, options.reveal);
    options.sink({
      ...message,
      bytes,
      redacted,
      actor: options.actor,
      sequence: sequence++,
      time: options.clock.now(),
    });
  };
}
