import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { mcpttId, serverKeys } from './checks/keys.ts';
import { answerToOutsider, outsiders, REFUSED } from './checks/outsider.ts';
import { body, startLine } from './checks/sip.ts';
import { hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const isPush = (r: MessageRecord): boolean => startLine(r).includes('/cek/v1/push');

/**
 * STEP-3bP: the KMS pushes CEK and Key ID to the MCPTT server before the UE has them, and nobody else can.
 *
 * ```
 * UE                      KMS                      MCPTT server        anybody
 *  ├── KmsRequest ────────▶│                            │                 │
 *  │                       ├── push (mutual TLS) ──────▶│ holds the CEK   │
 *  │                       │◀── CekAck ─────────────────┤                 │
 *  │◀── KmsResponse ───────┤ active                     │                 │
 *  │                                                    │◀── push ────────┤
 *  │                                                    ├── TLS alert ───▶│
 * ```
 */
export const step3bPush: Scenario = {
  id: 'step-3b-push',
  title: 'The server holds the CEK before the UE does, and takes a push from the KMS only',
  requirements: ['STEP-3bP', 'STEP-3b', 'HTTP1-1', 'INT-1'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'The push is acknowledged before the UE is answered, so that step 4 finds the key',
      clause: 'pCR 7.x.2',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const { keyId } = await t.actor('ue').do<{ keyId: string }>('requestKey', { user: 'alice' });
        const kms = t.records({ actor: 'kms', interface: 'HTTP-1' });
        const acknowledged = kms.findIndex(
          (r) => r.direction === 'received' && hasElement(body(r), 'CekAck') && body(r).includes(keyId),
        );
        const answered = kms.findIndex(
          (r) => r.direction === 'sent' && hasElement(body(r), 'KmsKeyProv') && body(r).includes(keyId),
        );
        expect(acknowledged, 'acknowledgement at the KMS').to.be.at.least(0);
        expect(answered, 'answer to the UE, after the acknowledgement').to.be.greaterThan(acknowledged);
        const held = (await serverKeys(t)).find((key) => key.keyId === keyId);
        expect(held, 'CEK at the server').to.include({ user: mcpttId(t, 'alice'), state: 'current' });
      },
    },
    {
      number: '3b-bis',
      title: 'A push that does not come from the KMS is refused, and its key is not held',
      clause: 'pCR 7.x.2',
      responsible: 'mcptt-as',
      guard: 10_000,
      run: async (t) => {
        const pushed = t
          .records({ interface: 'HTTP-1', actor: 'mcptt-as', direction: 'received', where: isPush }, 'all')
          .at(-1)!;
        const before = await serverKeys(t);
        const { https } = await t.actor('mcptt-as').read<{ https: string }>('endpoints');
        for (const [what, identity] of outsiders(t)) {
          const answer = await answerToOutsider(`${https}/cek/v1/push`, body(pushed), identity);
          expect(answer, `answer to a push ${what}`).to.match(REFUSED);
          t.show(`Push ${what}`, answer);
        }
        expect(await serverKeys(t), 'keys of the server').to.deep.equal(before);
      },
    },
  ],
};
