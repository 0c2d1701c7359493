import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bindings, mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { cmsOf } from './checks/sealed.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/** DER of the OBJECT IDENTIFIER id-aes256-GCM, 2.16.840.1.101.3.4.1.46 (RFC 5084); the nonce's OCTET STRING follows in a SEQUENCE. */
const AES_256_GCM = Buffer.from('060960864801650304012e', 'hex');

/**
 * MIME-1, S1-1 (R-5.13-001): any changed bit of a protected body is refused.
 *
 * ```
 * UE                                              MCPTT server
 *  ├── PUBLISH, one bit of the tag changed ───────────▶│ 493
 *  ├── PUBLISH, one bit of the ciphertext changed ────▶│ 493
 *  ├── PUBLISH, one bit of the nonce changed ─────────▶│ 493
 *  ├── PUBLISH, one bit of the wrapped key changed ───▶│ 493
 *  ├── PUBLISH, cut short ────────────────────────────▶│ 493
 *  ├── MESSAGE, INVITE, one bit changed ──────────────▶│ 493
 * ```
 */
export const mime1Tampered: Scenario = {
  id: 'mime-1-tampered',
  title: 'A body with one changed bit in tag, ciphertext, nonce or wrapped key is refused',
  requirements: ['MIME-1', 'S1-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice', 'bob'] }),
    {
      number: '5',
      title: 'One changed bit anywhere is answered 493, and the binding is as it was',
      clause: 'pCR 7.x, RFC 5084 3.2',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const before = await bindings(t);
        const [seen] = t.records({ interface: 'SIP-1', actor: 'ue', direction: 'sent', method: 'PUBLISH' }, 'all');
        const cms = cmsOf(t.about(seen!))!;
        const parameters = cms.indexOf(AES_256_GCM) + AES_256_GCM.length;
        expect(parameters, 'AES-256-GCM in the CMS message').to.be.greaterThan(AES_256_GCM.length);
        // SEQUENCE header, then OCTET STRING header, then the nonce.
        const nonce = parameters + 4;
        expect([...cms.subarray(nonce - 2, nonce)], 'OCTET STRING of 12').to.deep.equal([4, 12]);
        const places = [
          ['tag', 'flip', -1],
          ['tag, first octet', 'flip', -16],
          ['ciphertext', 'flip', -200],
          ['nonce', 'flip', nonce],
          ['wrapped key', 'flip', parameters - AES_256_GCM.length - 30],
          ['the last octet', 'remove', -1],
        ] as const;
        for (const [what, op, path] of places) {
          const deviate = [{ at: 'cms', op, path: String(path) }];
          const publish = t.actor('ue').do('publish', { user: 'alice', deviate });
          await refusedBySip(t, `${what} changed`, publish, 493, /Undecipherable/);
        }
        expect(await bindings(t), 'bindings').to.deep.equal(before);
        await t.actor('ue').do('publish', { user: 'alice' });
      },
    },
    {
      number: '6',
      title: 'So is one in a MESSAGE or an INVITE, and the receiver gets neither',
      clause: 'pCR 7.x, RFC 5084 3.2',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const ue = t.actor('ue');
        for (const [what, path] of [
          ['tag', -1],
          ['ciphertext', -200],
        ] as const) {
          const args = {
            user: 'alice',
            to: mcpttId(t, 'bob'),
            deviate: [{ at: 'cms', op: 'flip', path: String(path) }],
          };
          const send = ue.do('sendMessage', { ...args, text: 'changed on the way' });
          await refusedBySip(t, `${what} of a MESSAGE changed`, send, 493, /Undecipherable/);
          await refusedBySip(t, `${what} of an INVITE changed`, ue.do('call', args), 493, /Undecipherable/);
        }
        expect(await ue.read('messages', { user: 'bob' }), 'what bob got').to.deep.equal([]);
      },
    },
  ],
};
