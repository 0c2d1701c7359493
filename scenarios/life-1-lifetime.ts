import type { Scenario } from '../sim/scenario/scenario.ts';
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
        await pastEnd(t, keyId, 30 * MINUTE);
      },
      'kms',
      { by: 'itself' },
    ),
    oldKeyIdIsRefused,
  ],
};
