import type { Scenario } from '../sim/scenario/scenario.ts';
import { mcpttId } from './checks/keys.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { changes, overlap } from './steps/life-2.ts';

/**
 * LIFE-2 (pCR 7.x.3): the operator has the KMS push a new CEK to both ends.
 *
 * ```
 * UE                         KMS                           MCPTT server
 *  │                          ├── push: Cek (new, old) ──────▶│ new seals, old opens
 *  │                          │◀────────────────── CekAck ────┤
 *  │◀── event: cek (new, old) ┤ new active, old superseded    │
 *  │ new seals, old opens     :  30 s                         :
 *  │ old retired              │ old ended                     │ old retired
 * ```
 */
export const life2Operator: Scenario = {
  id: 'life-2-operator',
  title: 'The operator rotates a CEK: both ends change, the old key opens for a bounded overlap and never seals',
  requirements: ['LIFE-2', 'INT-2', 'MIME-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('bound'),
    changes('The operator rotates alice’s CEK', async (t) => {
      await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'alice') });
    }),
    overlap,
  ],
};
