import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { heldByUe, mcpttId, serverKeys, sharedKey } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { body } from './checks/sip.ts';
import { elements, hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { policy } from './steps/policy.ts';

type Wrong = readonly (readonly [what: string, deviation: JsonObject])[];

/** What is wrong with what the KMS gives; each is well formed, and of this KMS. */
const wrongKeySets = (t: StepContext): Wrong => [
  ['RSK of bob', { at: 'kms-response', op: 'set', path: 'rsk', value: mcpttId(t, 'bob') }],
  ['SSK of bob', { at: 'kms-response', op: 'set', path: 'ssk', value: mcpttId(t, 'bob') }],
];
const wrongCeks = (t: StepContext): Wrong => [
  ['CEK signed by bob', { at: 'kms-response', op: 'set', path: 'signer', value: mcpttId(t, 'bob') }],
  // The last octet of s: r and s of 32 octets, then the PVT of 65 (RFC 6507 5.2.1).
  ['CEK with a forged signature', { at: 'kms-response', op: 'flip', path: '-66' }],
];

/**
 * STEP-3b, IBC-1 (pCR 7.x.2; RFC 6507 5.1.2, RFC 6508 6.1.2): who gets key material or a CEK uses it only when the KMS's public
 * keys verify it.
 *
 * ```
 * UE                                  KMS                                  MCPTT server
 *  │◀── KmsResponse: another's RSK ────┤                                         │
 *  │ takes no key                      │                                         │
 *  │◀── KmsResponse: CEK not its own ──┤                                         │
 *  │ takes no key                      ├── push: CEK not signed by the KMS ─────▶│ acknowledges none
 *  │◀── Cek: pending-ack ──────────────┤                                         │
 *  :                                   ├── push: as it should be ───────────────▶│ holds the CEK
 * ```
 */
export const step3bUnverified: Scenario = {
  id: 'step-3b-unverified',
  title: 'UE and MCPTT server take no key material and no CEK that the KMS’s public keys do not verify',
  requirements: ['STEP-3b', 'STEP-3bP', 'IBC-1', 'CEK-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    policy('the UE’s answer waits half a second for the acknowledgement', 'kms', { pushWait: 500 }),
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'The UE refuses another user’s key material, and a CEK that the KMS has not signed',
      clause: 'RFC 6507 5.1.2, 5.2.2, RFC 6508 6.1.2',
      responsible: 'ue',
      guard: 20_000,
      run: async (t) => {
        for (const [what, deviation] of [...wrongKeySets(t), ...wrongCeks(t)]) {
          await t.actor('kms').do('deviate', { to: mcpttId(t, 'alice'), deviate: [deviation] });
          const { message } = await refused(what, t.actor('ue').do('requestKey', { user: 'alice' }));
          expect(await heldByUe(t, 'alice'), `keys that the UE holds after: ${what}`).to.deep.equal([]);
          t.show(what, message);
        }
        await t.actor('kms').do('deviate', { to: mcpttId(t, 'alice'), deviate: [] });
        await t.actor('ue').do('requestKey', { user: 'alice' });
        await sharedKey(t, 'alice');
      },
    },
    {
      number: '3b-bis',
      title:
        'The MCPTT server acknowledges no CEK that the KMS has not signed; as it should be, it comes again and is held',
      clause: 'pCR 7.x.2, RFC 6507 5.2.2',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const server = t.provisioned.network.mcpttServerId;
        for (const [what, deviation] of wrongCeks(t)) {
          await t.actor('kms').do('deviate', { to: server, deviate: [deviation] });
          await t.actor('kms').do('cekRevoke', { user: mcpttId(t, 'alice'), deny: false });
          const { keyId } = await t.actor('ue').do<{ keyId: string }>('requestKey', { user: 'alice' });
          const acknowledged = t
            .records({ interface: 'HTTP-1', where: (r) => hasElement(body(r), 'CekAck') })
            .flatMap((r) => elements(body(r), 'KeyId'));
          expect(acknowledged, `Key IDs acknowledged: ${what}`).not.to.include(keyId);
          expect(
            (await serverKeys(t)).map((key) => key.keyId),
            `keys of the server: ${what}`,
          ).not.to.include(keyId);
          t.show(what, 'not acknowledged');
          await t.actor('kms').do('deviate', { to: server, deviate: [] });
          await sharedKey(t, 'alice');
        }
      },
    },
  ],
};
