import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { attempt } from './checks/attempt.ts';
import { mcpttId, sharedKey } from './checks/keys.ts';
import { body } from './checks/sip.ts';
import { elements, hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { changes } from './steps/life-2.ts';
import { policy } from './steps/policy.ts';

/**
 * LIFE-2 (pCR 7.x.3): a CEK that has protected enough messages is replaced; the ends count, and tell with a request for an update.
 *
 * ```
 * UE                               KMS, rotateAfterMessages: 12
 *  ├── CekRequest, Messages: few ───▶│ same
 *  ├── eight MESSAGEs ·············  │
 *  ├── CekRequest, Messages: more ──▶│ new CEK, pushed to both
 * ```
 */
export const life2Messages: Scenario = {
  id: 'life-2-messages',
  title: 'A CEK that has protected as many messages as policy says is replaced',
  requirements: ['LIFE-2', 'LIFE-3', 'INT-2'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    policy('a CEK protects 12 messages', 'kms', { cek: { rotateAfterMessages: 12 } }),
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '4-bis',
      title: 'After few messages the same CEK serves on',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 10_000,
      run: async (t) => {
        const before = await sharedKey(t, 'alice');
        expect(await t.actor('ue').do('askUpdate', { user: 'alice' }), 'answer').to.deep.equal({ keyId: before.keyId });
      },
    },
    changes('After more messages the KMS answers with a new CEK', async (t) => {
      for (let count = 1; count <= 12; count++) {
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: `message ${count}` });
      }
      const asking = await attempt(t, t.actor('ue').do('askUpdate', { user: 'alice' }));
      t.hold('ue', 'pCR 7.x.3');
      const asked = await asking.seen('the request for an update', {
        interface: 'HTTP-1',
        actor: 'ue',
        direction: 'sent',
        where: (r) => hasElement(body(r), 'CekRequest'),
      });
      const [counted] = elements(body(t.about(asked)), 'Messages');
      expect(Number(counted ?? 0), 'messages that the UE has counted under its CEK').to.be.at.least(12);
      t.hold('kms', 'pCR 7.x.3');
      asking.outcome();
    }),
  ],
};
