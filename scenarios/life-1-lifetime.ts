import type { Scenario } from '../sim/scenario/scenario.ts';
import { serverKeys } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, givenFor, oldKeyIdIsRefused, pastEnd } from './steps/life-1.ts';
import { HOUR, MINUTE, policy } from './steps/policy.ts';

/**
 * LIFE-1 (pCR 7.x.3), "another indication": the CEK's own lifetime is over, and the KMS makes no other by itself.
 *
 * ```
 * UE                       MCPTT server                    KMS, policy: lifetime of half an hour
 *  │ key until NotAfter       │ key until NotAfter            │ key until NotAfter
 *  :  half an hour passes     :                               :
 *  │ key ends                 │ key ends                      │ key ends
 * ```
 */
export const life1Lifetime: Scenario = {
  id: 'life-1-lifetime',
  title: 'A CEK whose lifetime is over ends at UE, server and KMS, each by its own clock',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('a CEK lives for half an hour', 'kms', { cek: { lifetime: 30 * MINUTE, rotateAfter: HOUR } }),
    bringUp('bound'),
    ends(
      'Half an hour later the CEK has ended at UE, server and KMS',
      /expired/,
      async (t, keyId) => {
        givenFor(t, keyId, 30 * MINUTE);
        const breakPushes = (count: number): Promise<unknown> =>
          t.actor('mcptt-as').do('breakPushes', { at: 'before-push', count });
        // The server hears nothing of the KMS, so that its own clock is seen to end the key.
        await breakPushes(1_000);
        await pastEnd(t, keyId, 30 * MINUTE);
        t.hold('mcptt-as', 'pCR 7.x.3');
        await t.until('the MCPTT server ends the CEK of its own accord', async () =>
          (await serverKeys(t)).every((key) => key.keyId !== keyId),
        );
        await breakPushes(0);
      },
      'kms',
      { by: 'itself' },
    ),
    oldKeyIdIsRefused,
  ],
};
