/** LIFE-2 (pCR 7.x.3): the steps that the scenarios about a change of keys share. */
import { expect } from 'chai';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import {
  expectForgotten,
  expectRetired,
  type HeldKey,
  kmsKeys,
  mcpttId,
  serverKeys,
  sharedKey,
} from '../checks/keys.ts';
import { expectUnder } from '../checks/sealed.ts';

/** Another key than `old` serves alice at all three ends. */
export async function replaced(t: StepContext, old: HeldKey): Promise<HeldKey> {
  await t.until('another CEK serves', async () => (await sharedKey(t, 'alice')).keyId !== old.keyId);
  const now = await sharedKey(t, 'alice');
  expect(now.cekFingerprint, 'the key is another one too').not.to.equal(old.cekFingerprint);
  t.show('Changed', `${old.keyId} → ${now.keyId}, at UE, MCPTT server and KMS`);
  return now;
}

/** A change by `change`, after which another key serves everywhere. */
export const changes = (title: string, change: (t: StepContext) => Promise<void>): Step => ({
  number: '5',
  title,
  clause: 'pCR 7.x.3',
  responsible: 'kms',
  guard: 15_000,
  run: async (t) => {
    const old = await sharedKey(t, 'alice');
    await change(t);
    await replaced(t, old);
  },
});

/** What a key may do after its change: open within the overlap, never seal, nothing afterwards. */
export const overlap: Step = {
  number: '6',
  title: 'The old key opens in the overlap and never seals; after it, it is refused as retired',
  clause: 'pCR 7.x.3',
  responsible: 'mcptt-as',
  guard: 20_000,
  run: async (t) => {
    const now = await sharedKey(t, 'alice');
    const old = (await kmsKeys(t)).find(({ user, state }) => user === mcpttId('alice') && state === 'superseded')!;
    expect(old, 'the key before').to.be.an('object');
    expect((await serverKeys(t)).find(({ keyId }) => keyId === old.keyId)?.state, 'old key at the server').to.equal(
      'overlap',
    );
    const sip = { interface: 'SIP-1', actor: 'ue', method: 'PUBLISH' } as const;
    const answers = (): number => t.records({ ...sip, direction: 'received', status: 200 }).length;

    await t.actor('ue').do('publish', {
      user: 'alice',
      deviate: [{ at: 'cms', op: 'set', path: 'key', value: old.keyId }],
    });
    expect(answers(), '200 to a PUBLISH under the old key').to.equal(1);
    expectUnder(t, t.records({ ...sip, direction: 'sent' }).at(-1)!, old.keyId);
    expectUnder(t, t.records({ ...sip, direction: 'received', status: 200 }).at(-1)!, now.keyId);
    t.show('Overlap', `a PUBLISH under ${old.keyId} is opened, its 200 is sealed under ${now.keyId}`);

    await t.actor('ue').do('publish', { user: 'alice' });
    expectUnder(t, t.records({ ...sip, direction: 'sent' }).at(-1)!, now.keyId);

    await t.advance(31_000);
    await expectForgotten(t, old.keyId, { reason: /superseded/ });
    await expectRetired(t, old.keyId);
  },
};
