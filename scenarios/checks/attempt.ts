/**
 * What an actor was asked to do, not judged yet. A step looks at the messages first and at the outcome afterwards, so that it
 * names the actor that sent a wrong message, and not the one that rightly refused it.
 */
import type { RecordFilter, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';

export interface Attempt<T> {
  /** Whether the actor failed; why is what {@link outcome} rejects with. */
  readonly failed: boolean;
  /** The message, or what made the attempt fail before it was sent. */
  seen(what: string, filter: RecordFilter): Promise<MessageRecord>;
  /** What the actor answered; rejects with the actor's error when it failed. */
  outcome(): T;
}

/** Waits for the actor; never rejects itself. */
export async function attempt<T>(t: StepContext, doing: Promise<T>): Promise<Attempt<T>> {
  const [settled] = await Promise.allSettled([doing]);
  const outcome = (): T => {
    if (settled.status === 'rejected') throw settled.reason;
    return settled.value;
  };
  return {
    failed: settled.status === 'rejected',
    outcome,
    seen: async (what, filter) => {
      // An actor's records come before its answer: what is not there after a failure will not come.
      if (settled.status === 'rejected' && t.records(filter).length === 0) throw settled.reason;
      return t.expect(what, filter);
    },
  };
}
