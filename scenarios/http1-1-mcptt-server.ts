import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { newlySigned, requestsTo, whileSomebodyPosesAs } from './checks/certificates.ts';
import { bindings, sharedKey } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * HTTP1-1 at the MCPTT server as a client (pCR 7.x.2): it asks nothing of somebody whose certificate is not of its CA, be it as the KMS or as
 * the IdM.
 *
 * ```
 * MCPTT server                  somebody as the KMS, as the IdM
 *  ├── TLS ─────────────────────────▶│ a certificate of a CA that nobody knows
 *  │ says nothing, and leaves        │
 *  :                                KMS
 *  ├── TLS ─────────────────────────▶│ its own certificate
 *  ├── CekRequest (held) ───────────▶│
 *  │◀── KmsResponse: Cek ────────────┤
 * ```
 */
export const http11McpttServer: Scenario = {
  id: 'http1-1-mcptt-server',
  title:
    'The MCPTT server asks no KMS for a CEK, and takes no keys of an IdM, whose certificate is of a CA that it does not know',
  requirements: ['HTTP1-1', 'LIFE-4', 'STEP-4'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('keyed'),
    {
      number: '3b',
      title: 'Nothing is asked of a KMS with a stranger’s certificate; with its own it answers the same request',
      clause: 'pCR 7.x.2, TS 33.180 5.1, RFC 9110 4.3.4',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const { keyId } = await t.precondition('alice’s key is shared', () => sharedKey(t, 'alice'));
        const ask = (): Promise<{ keyId: string }[]> => t.actor('mcptt-as').do('askUpdate', { user: 'alice' });
        await whileSomebodyPosesAs(t, 'kms', async () => {
          const { message } = await refused('a KMS with a stranger’s certificate', ask());
          expect(await requestsTo(t, 'kms', 'mcptt-as'), 'requests that it has had from the server').to.deep.equal([]);
          t.show('Not asked', message);
        });
        expect(
          (await ask()).map((answer) => answer.keyId),
          'Key IDs that the KMS itself answers with',
        ).to.deep.equal([keyId]);
      },
    },
    {
      number: '4',
      title: 'The keys that check tokens are not fetched from an IdM with a stranger’s certificate',
      clause: 'pCR 7.x.2 step 4, RFC 9110 4.3.4',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const publish = (): Promise<unknown> => t.actor('ue').do('publish', { user: 'alice' });
        await newlySigned(t, 'alice');
        await t.precondition('alice has a key', () => t.actor('ue').do('requestKey', { user: 'alice' }));
        await whileSomebodyPosesAs(t, 'idm', async () => {
          const { message } = await refused('a token under a key that only a stranger publishes', publish());
          expect(await bindings(t), 'bindings').to.deep.equal([]);
          t.show('Not checked', message);
        });
        await publish();
      },
    },
  ],
};
