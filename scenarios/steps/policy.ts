/** What the service provider has decided, as a step of its own before a scenario's matter. */
import type { ActorKind, JsonObject } from '../../sim/control/actor.ts';
import type { Step } from '../../sim/scenario/scenario.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** How long a registration lives that the UE asks for and the core grants (TS 24.229 5.1.1.2.1). */
export const REGISTRATION = 600_000_000;

/** @param what in few words, for the step's title */
export const policy = (what: string, actor: ActorKind & ('kms' | 'mcptt-as'), change: JsonObject): Step => ({
  number: 'policy',
  title: `Policy of ${actor}: ${what}`,
  clause: 'pCR 7.x',
  responsible: actor,
  guard: 5_000,
  run: async (t) => {
    await t.precondition(`the policy of ${actor} can be set`, () => t.actor(actor).do('setPolicy', change));
  },
});

/** Neither a CEK's lifetime nor a token's ends anything before a registration does. */
export const LONG_LIVED: readonly Step[] = [
  policy('a CEK lives for 200 days', 'kms', { cek: { lifetime: 200 * DAY, rotateAfter: 199 * DAY } }),
  policy('a binding outlives its token', 'mcptt-as', { tokenExpiryEndsBinding: false }),
];
