/** What the service provider has decided, as a step of its own before a scenario's matter. */
import type { ActorKind, JsonObject } from '../../sim/control/actor.ts';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** For how long access tokens are good, milliseconds. */
export const tokenLifetime = (t: StepContext): number => t.provisioned.policy.tokens.lifetime * 1_000;

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
