import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { serverKeys } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, oldKeyIdIsRefused } from './steps/life-1.ts';
import { HOUR, policy } from './steps/policy.ts';

/**
 * LIFE-1 (pCR 7.x.3), "another indication": access token expiry, by policy.
 *
 * ```
 * UE                       MCPTT server                    KMS, policy: endsWithToken
 *  │ key until exp             │ key until exp                 │ key until exp
 *  :  an hour passes           :                               :
 *  │ key ends                  │ key, binding end              │ key ends
 * ```
 */
export const life1TokenExpiry: Scenario = {
  id: 'life-1-token-expiry',
  title: 'By policy the CEK ends when the access token expires by which it was asked for',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  steps: [
    policy('CEKs end with the token', 'kms', { cek: { endsWithToken: true } }),
    bringUp('bound'),
    ends(
      'An hour later the token has expired, and the CEK has ended at UE, server and KMS',
      /expired/,
      async (t, keyId) => {
        await t.advance(HOUR - 60_000);
        const held = await serverKeys(t);
        expect(
          held.map((key) => key.keyId),
          'keys a minute before',
        ).to.include(keyId);
        await t.advance(62_000);
      },
      'mcptt-as',
      false,
    ),
    oldKeyIdIsRefused,
  ],
};
