import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, givenFor, oldKeyIdIsRefused, pastEnd } from './steps/life-1.ts';
import { policy, tokenLifetime } from './steps/policy.ts';

/** Until the token has expired, whatever leeway the clocks are given. */
const untilExpiry = (t: StepContext, keyId: string): Promise<void> => pastEnd(t, keyId, tokenLifetime(t));

/**
 * LIFE-1 (pCR 7.x.3), "another indication": access token expiry, by policy of the KMS.
 *
 * ```
 * UE                       MCPTT server                    KMS, policy: endsWithToken
 *  │ key until exp             │ key until exp                 │ key until exp
 *  :  token expires            :                               :
 *  │ key ends                  │ key, binding end              │ key ends
 * ```
 */
export const life1TokenExpiry: Scenario = {
  id: 'life-1-token-expiry',
  title: 'By policy of the KMS the CEK ends when the access token expires by which it was asked for',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('CEKs end with the token', 'kms', { cek: { endsWithToken: true } }),
    policy('a binding outlives its token', 'mcptt-as', { tokenExpiryEndsBinding: false }),
    bringUp('bound'),
    ends(
      'The token has expired, and the CEK has ended at UE, server and KMS',
      /expired/,
      async (t, keyId) => {
        givenFor(t, keyId, tokenLifetime(t));
        await untilExpiry(t, keyId);
      },
      'kms',
      { by: 'itself' },
    ),
    oldKeyIdIsRefused,
  ],
};

/**
 * LIFE-1 (pCR 7.x.3), "another indication": access token expiry, by policy of the MCPTT server.
 *
 * ```
 * UE                       MCPTT server, tokenExpiryEndsBinding     KMS
 *  :  token expires            :                                      :
 *  │                           │ key, binding end ── CekEnd ─────────▶│ key ends
 *  │◀── event: cek-end ────────────────────────────────────────────────┤
 *  │ key ends, bound no more
 * ```
 */
export const life1TokenExpiryServer: Scenario = {
  id: 'life-1-token-expiry-server',
  title: 'By policy of the MCPTT server the binding and its CEK end when the access token expires that made it',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('a binding ends with its token', 'mcptt-as', { tokenExpiryEndsBinding: true }),
    bringUp('bound'),
    ends('The token has expired, and the CEK has ended at UE, server and KMS', /expired/, untilExpiry),
    oldKeyIdIsRefused,
  ],
};
