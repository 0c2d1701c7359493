import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { bindings, client, kmsKeys, mcpttId, serverKeys, sharedKey } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { cmsOf, expectUnder } from './checks/sealed.ts';
import { body, startLine } from './checks/sip.ts';
import { hasElement } from './checks/xml.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { replaced } from './steps/life-2.ts';
import { policy } from './steps/policy.ts';

/** Pushes that do not reach the server before one does: the pauses between them grow to 400 ms. */
const DOWN_FOR = 3;

const pushesOf = (t: StepContext, keyId: string): MessageRecord[] =>
  t.records({
    interface: 'HTTP-1',
    actor: 'kms',
    direction: 'sent',
    where: (r) => startLine(r).includes('/cek/v1/push') && body(r).includes(`${keyId}<`),
  });

/**
 * STEP-3bP: the push is repeated until the MCPTT server has acknowledged it; nobody seals under a CEK before that.
 *
 * ```
 * UE                      KMS                        MCPTT server
 *  ├── KmsRequest ────────▶│                            ╳ down
 *  │                       ├── push ──────────────────▶ ╳  three times
 *  │◀── Cek: pending-ack ──┤                            :
 *  │ seals nothing         ├── push ───────────────────▶│ holds the CEK
 *  │                       │◀── CekAck ─────────────────┤
 *  │◀── event: active ─────┤                            │
 *  :                       :                            :
 *  │                       ├── push: new CEK ──────────▶│ holds it
 *  │                       │  ╳◀── CekAck, lost ────────┤
 *  │                       ├── push: the same ─────────▶│ as before
 *  │◀── event: new ────────┤◀── CekAck ─────────────────┤
 * ```
 */
export const step3bPushRetry: Scenario = {
  id: 'step-3b-push-retry',
  title:
    'A push that does not reach the server, or whose acknowledgement is lost, comes again until it is acknowledged',
  requirements: ['STEP-3bP', 'LIFE-2', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    policy('the UE’s answer waits a tenth of a second for the acknowledgement', 'kms', { pushWait: 100 }),
    bringUp('logged-in'),
    {
      number: '3b',
      title: 'While the server is down the UE gets a CEK that it may not use yet',
      clause: 'pCR 7.x.2, step 3b',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        await t.actor('mcptt-as').do('breakPushes', { at: 'before-push', count: DOWN_FOR });
        const { keyId } = await t.actor('ue').do<{ keyId: string }>('requestKey', { user: 'alice' });
        const pending = t.records({
          interface: 'HTTP-1',
          actor: 'kms',
          direction: 'sent',
          where: (r) => hasElement(body(r), 'KmsKeyProv') && body(r).includes(keyId),
        });
        expect(body(t.about(pending[0]!)), 'the CEK that the UE was given').to.match(/pending-ack/);
        t.hold('ue', 'pCR 7.x.2, step 3b');
        if ((await client(t, 'alice')).cekState === 'pending-ack') {
          const refusal = await refused('a PUBLISH under a CEK that is not confirmed', publish(t));
          expect(refusal.code, 'why the UE seals nothing').to.equal('UE_NO_KEY');
          expect(t.records({ interface: 'SIP-1', actor: 'ue', where: (r) => cmsOf(r) !== undefined })).to.deep.equal(
            [],
          );
        }
      },
    },
    {
      number: '3b-bis',
      title: 'The server is back: the KMS pushes again of its own accord, both ends use the CEK, and step 4 passes',
      clause: 'pCR 7.x.2, step 3b',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const { keyId } = await sharedKey(t, 'alice');
        await publish(t);
        expect(
          (await bindings(t)).map((b) => b.mcpttId),
          'bindings',
        ).to.deep.equal([mcpttId(t, 'alice')]);
        t.show('Pushed', `${keyId}, acknowledged after ${DOWN_FOR} pushes that did not arrive`);
      },
    },
    {
      number: '5',
      title: 'The acknowledgement of a new CEK is lost: the same CEK is pushed again, and both ends change to it once',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const old = await sharedKey(t, 'alice');
        const before = (await kmsKeys(t)).length;
        await t.actor('mcptt-as').do('breakPushes', { at: 'before-acknowledgement', count: 1 });
        await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'alice') });
        const now = await replaced(t, old);
        expect(pushesOf(t, now.keyId).length, `pushes of ${now.keyId}`).to.be.at.least(2);
        expect((await kmsKeys(t)).length - before, 'CEKs made for the one change').to.equal(1);
        expect(
          (await serverKeys(t)).filter(({ user, state }) => user === mcpttId(t, 'alice') && state === 'current'),
          'keys that the server seals with',
        ).to.have.length(1);
        await publish(t);
        expectUnder(
          t,
          t.records({ interface: 'SIP-1', actor: 'ue', method: 'PUBLISH', direction: 'sent' })[0]!,
          now.keyId,
        );
        t.show('Pushed', `${now.keyId}, twice or more, one CEK`);
      },
    },
  ],
};

const publish = (t: StepContext): Promise<unknown> => t.actor('ue').do('publish', { user: 'alice' });
