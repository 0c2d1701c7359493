/** Worlds whose records show other octets than were sent: what a scenario would see of another make of actor. */
import type { ActorControl } from '../../sim/control/actor.ts';
import type { World } from '../../sim/scenario/runner.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';

/** A message's text with something else in it. */
export type Edit = (text: string) => string;

/** The world with some of its actors' ways replaced. */
export function wrapped(world: World, wrap: (actor: ActorControl) => Partial<ActorControl>): World {
  const actors = [...world.actors.values()].map((actor): [string, ActorControl] => {
    const same: ActorControl = {
      name: actor.name,
      kind: actor.kind,
      do: (verb, args) => actor.do(verb, args),
      read: (what, args) => actor.read(what, args),
      onRecord: (listener) => actor.onRecord(listener),
      close: () => actor.close(),
    };
    return [actor.name, { ...same, ...wrap(actor) }];
  });
  return { ...world, actors: new Map(actors) };
}

/** The world whose records show other octets than were sent; of those that `which` names, if it is given. */
export const seen = (world: World, edit: Edit, which: (record: MessageRecord) => boolean = () => true): World =>
  wrapped(world, (actor) => ({
    onRecord: (listener) =>
      actor.onRecord((record) => {
        const text = Buffer.from(record.bytes).toString('latin1');
        const same = record.protocol === 'nas' || !which(record);
        listener({ ...record, bytes: same ? record.bytes : Buffer.from(edit(text), 'latin1') });
      }),
  }));

/** The edit for messages that match. */
export const only =
  (which: RegExp, edit: Edit): Edit =>
  (text) =>
    which.test(text) ? edit(text) : text;
