import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { newlySigned, requestsTo, whileSomebodyPosesAs } from './checks/certificates.ts';
import { client, serverKeys, sharedKey } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { policy } from './steps/policy.ts';

/**
 * HTTP1-1 at the KMS as a client (pCR 7.x.2): no CEK leaves it for somebody whose certificate is not of its CA, nor does it take
 * the IdM's keys from one.
 *
 * ```
 * UE                      KMS                 somebody as the MCPTT server
 *  ├── KmsRequest ────────▶│                              │
 *  │                       ├── TLS ──────────────────────▶│ a certificate of a CA that nobody knows
 *  │                       │ says nothing, and leaves     │
 *  │◀── Cek: pending-ack ──┤                              │
 *  :                       :                         MCPTT server
 *  │                       ├── TLS, push ────────────────▶│ its own certificate, holds the CEK
 *  │◀── event: active ─────┤◀── CekAck ───────────────────┤
 *  :                       :
 *  │                       │                    somebody as the IdM
 *  ├── token, new key ────▶├── TLS ──────────────────────▶│ a certificate of a CA that nobody knows
 *  │◀── refused ───────────┤ says nothing, and leaves     │
 * ```
 */
export const http11Kms: Scenario = {
  id: 'http1-1-kms',
  title:
    'The KMS pushes no CEK to an MCPTT server, and takes no keys of an IdM, whose certificate is of a CA that it does not know',
  requirements: ['HTTP1-1', 'STEP-3bP', 'AUTH-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('the UE’s answer waits half a second for the acknowledgement', 'kms', { pushWait: 500 }),
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'A server with a stranger’s certificate gets no push; with its own it does, and the CEK becomes active',
      clause: 'pCR 7.x.2 step 3b, TS 33.180 5.1, RFC 9110 4.3.4',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const keyId = await whileSomebodyPosesAs(t, 'mcptt-as', async () => {
          const given = await t.actor('ue').do<{ keyId: string }>('requestKey', { user: 'alice' });
          expect(await requestsTo(t, 'mcptt-as', 'kms'), 'requests that it has had from the KMS').to.deep.equal([]);
          const held = (await serverKeys(t)).map((key) => key.keyId);
          expect(held, 'keys of the MCPTT server').not.to.include(given.keyId);
          expect((await client(t, 'alice')).cekState, 'state of the CEK that the UE was given').to.equal('pending-ack');
          return given.keyId;
        });
        expect((await sharedKey(t, 'alice')).keyId, 'Key ID of the CEK that is active').to.equal(keyId);
        t.show('Pushed', `${keyId}, to the MCPTT server itself only`);
      },
    },
    {
      number: '3b-bis',
      title: 'The keys that check tokens are not fetched from an IdM with a stranger’s certificate',
      clause: 'pCR 7.x, RFC 9110 4.3.4',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const requestKey = (): Promise<unknown> => t.actor('ue').do('requestKey', { user: 'alice' });
        await newlySigned(t, 'alice');
        await whileSomebodyPosesAs(t, 'idm', async () => {
          const { message } = await refused('a token under a key that only a stranger publishes', requestKey());
          expect(await requestsTo(t, 'idm', 'kms'), 'requests that the stranger has had').to.deep.equal([]);
          t.show('Not checked', message);
        });
        await requestKey();
      },
    },
  ],
};
