import { expect } from 'chai';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import { client, mcpttId } from './checks/keys.ts';
import { refused, refusedByUe } from './checks/refusal.ts';
import { cmsOf } from './checks/sealed.ts';
import { header } from './checks/sip.ts';
import { CHOICES } from './choices.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * IBC-1 (Figure 7.x.2-2), server to client: what arrives at the UE must be signed by the MCPTT server's identity.
 *
 * ```
 * UE                                              MCPTT server
 *  ├── PUBLISH ───────────────────────────────────────▶│
 *  │◀── 200, profile not signed, forged, in clear ─────┤ the UE takes no profile
 *  │◀── 200, alice's own PUBLISH sent back ────────────┤
 *  │◀── MESSAGE, not signed, forged, tag changed ──────┤
 *  ├── 493 ───────────────────────────────────────────▶│
 * ```
 */
export const ibc1ServerSignature: Scenario = {
  id: 'ibc-1-server-signature',
  title: 'The UE refuses bodies that the server’s identity has not signed',
  requirements: ['IBC-1', 'S1-3', 'MIME-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  choices: [CHOICES.ibc],
  steps: [
    bringUp('keyed', { ue: ['alice'] }),
    {
      number: '4',
      title: 'A profile that is not signed, or whose signature is forged, is not taken',
      clause: 'Figure 7.x.2-2, RFC 6507 5.2.2',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        for (const [what, deviation, code] of [
          ...DEVIATIONS,
          ['in clear', { at: 'cms', op: 'set', path: 'protection', value: 'none' }, undefined],
          ['that alice signed', undefined, 'SMIME_OTHER_SIGNER'],
        ] as const) {
          await t.actor('mcptt-as').do('deviate', { deviate: [deviation ?? reflected(t)] });
          const refusal = await refused(`a profile ${what}`, t.actor('ue').do('publish', { user: 'alice' }));
          expect(refusal.code, `what the UE makes of a profile ${what}`).to.equal('UE_BODY_REFUSED');
          expect(refusal.detail.code, 'why').to.equal(code);
          const { bound, profile } = await client(t, 'alice');
          expect({ bound, profile }, 'bound at the UE, profile taken').to.deep.equal({
            bound: false,
            profile: undefined,
          });
          t.show(`Profile ${what}`, code ?? 'in clear');
        }
      },
    },
    {
      number: '5',
      title: 'A MESSAGE that the server has not signed rightly is answered 493 and not shown',
      clause: 'Figure 7.x.2-2',
      responsible: 'ue',
      guard: 20_000,
      run: async (t) => {
        const server = t.actor('mcptt-as');
        await server.do('deviate', { deviate: [] });
        await t.precondition('bob and alice are authorized', async () => {
          await t.actor('ue').do('publish', { user: 'alice' });
          const b = t.actor('ue-b');
          await b.do('attach');
          await b.do('register');
          await b.do('logIn', { user: 'bob' });
          await b.do('requestKey', { user: 'bob' });
          await b.do('publish', { user: 'bob' });
        });
        for (const [what, deviation] of DEVIATIONS) {
          await server.do('deviate', { deviate: [deviation] });
          const send = t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: what });
          await refusedByUe(t, `a MESSAGE ${what}`, 'ue-b', send, 493);
        }
        t.hold('ue', 'Figure 7.x.2-2');
        // Asked first: with its answer, all records that it has made so far are here.
        expect(await t.actor('ue-b').read('messages', { user: 'bob' }), 'messages shown').to.deep.equal([]);
        const sip = { interface: 'SIP-1', actor: 'ue-b', direction: 'sent', method: 'MESSAGE', status: 493 } as const;
        for (const answer of t.records(sip)) expect(header(t.about(answer), 'Warning')).to.match(/cannot be opened/);
        expect(t.records(sip), 'MESSAGEs that the UE refused').to.have.length(DEVIATIONS.length);
        await server.do('deviate', { deviate: [] });
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'as it should be' });
      },
    },
  ],
};

const DEVIATIONS: readonly (readonly [what: string, deviation: JsonObject, code: string])[] = [
  ['not signed', { at: 'cms', op: 'remove', path: 'signature' }, 'SMIME_SIGNATURE_MISSING'],
  ['with a forged signature', { at: 'cms', op: 'flip', path: 'signature' }, 'SMIME_SIGNATURE_FORGED'],
  ['with a changed tag', { at: 'cms', op: 'flip', path: '-1' }, 'SMIME_UNDECIPHERABLE'],
];

/** Alice's last PUBLISH sent back to her: under her key, and her signature on it is good, but it is not the server's. */
function reflected(t: StepContext): JsonObject {
  const own = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'PUBLISH' }).at(-1)!;
  return { at: 'cms', op: 'replace', path: '', value: cmsOf(t.about(own))!.toString('base64') };
}
