import { expect } from 'chai';
import { OID, unwrap } from '../actors/security/smime/asn1.ts';
import type { JsonObject } from '../sim/control/actor.ts';
import type { Scenario, Step, StepContext } from '../sim/scenario/scenario.ts';
import { expectFresh, expectSmimeType, INTEGRITY_OF_DIRECT } from './checks/cms.ts';
import { bindings, client, mcpttId, sharedKey } from './checks/keys.ts';
import { reading } from './checks/reading.ts';
import { refused, refusedBySip } from './checks/refusal.ts';
import { cmsOf, namesKey } from './checks/sealed.ts';
import { anyMcpttId, expectSecret } from './checks/secrecy.ts';
import { CHOICES } from './choices.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

const FORMS = {
  kek: { smimeType: 'authEnveloped-data', contentType: OID.authEnvelopedData, signed: false },
  'kek+sign': { smimeType: 'authEnveloped-data', contentType: OID.authEnvelopedData, signed: true },
  direct: { smimeType: 'encrypted-data', contentType: OID.encryptedData, signed: true },
} as const;
type ProfileName = keyof typeof FORMS;

async function use(t: StepContext, atUes: ProfileName, atServer: ProfileName = atUes): Promise<void> {
  for (const ue of ['ue', 'ue-b']) await t.actor(ue).do('setProfile', { profile: atUes });
  await t.actor('mcptt-as').do('setPolicy', { profile: atServer });
}

const publish = (t: StepContext, ...deviate: JsonObject[]): Promise<unknown> =>
  t.actor('ue').do('publish', { user: 'alice', deviate });

const worksEndToEnd = (profile: ProfileName): Step => ({
  number: `4-${profile}`,
  title: `Profile ${profile}: authorization, messages and a call; every body has its form, and nothing else opens`,
  clause: 'Figure 7.x.2-2, RFC 5083, RFC 5652',
  responsible: 'mcptt-as',
  guard: 20_000,
  run: async (t) => {
    const { smimeType, contentType, signed } = FORMS[profile];
    await use(t, profile);
    const [a, b] = [t.actor('ue'), t.actor('ue-b')];
    await publish(t);
    await b.do('publish', { user: 'bob' });
    expect((await client(t, 'alice')).profile?.mcpttId, 'whose profile alice’s UE has opened').to.equal(
      mcpttId(t, 'alice'),
    );
    const text = `under ${profile}`;
    await a.do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text });
    await b.do('sendMessage', { user: 'bob', to: mcpttId(t, 'alice'), text });
    for (const [ue, user] of [
      ['ue', 'alice'],
      ['ue-b', 'bob'],
    ] as const) {
      const inbox = await t.actor(ue).read<{ text: string }[]>('messages', { user });
      expect(inbox.at(-1)?.text, `what ${user} got`).to.equal(text);
    }
    const { callId } = await a.do<{ callId: string }>('call', { user: 'alice', to: mcpttId(t, 'bob') });
    await a.do('reinvite', { callId });
    await a.do('hangUp', { callId });

    const sip = t.records({ where: (r) => r.protocol === 'sip' });
    const sealed = sip.filter((r) => cmsOf(r) !== undefined);
    expect(sealed.filter((r) => r.interface === 'SIP-1').length, 'protected bodies at the UEs').to.be.at.least(16);
    const keys = [(await sharedKey(t, 'alice')).keyId, (await sharedKey(t, 'bob', 'ue-b')).keyId];
    for (const record of sealed) {
      expectSmimeType(t.about(record), smimeType);
      const form = reading('the CMS message', () => unwrap(cmsOf(record)!));
      expect(form.contentType, 'CMS content type').to.equal(contentType);
      expect(
        keys.some((keyId) => namesKey(record, keyId)),
        'Key ID named',
      ).to.equal(true);
    }
    expectFresh(t, sealed);
    t.hold('mcptt-as', 'Figure 7.x.2-2, RFC 5083, RFC 5652');
    expectSecret(sip, [{ what: 'text of a MESSAGE', text }, { what: 'SDP', text: 'm=audio' }, ...anyMcpttId(t)]);
    const before = await bindings(t);
    // CBC has no tag: where the changed bit falls decides whether padding, form or signature gives it away.
    const changed = await refused(`${profile}, ciphertext changed`, publish(t, flip(-200)));
    expect(profile === 'direct' ? [403, 493] : [493], 'status of the answer to it').to.include(changed.detail.status);
    if (signed) {
      const unsigned = publish(t, { at: 'cms', op: 'remove', path: 'signature' });
      await refusedBySip(t, `${profile}, not signed`, unsigned, 403);
    }
    expect(await bindings(t), 'bindings').to.deep.equal(before);
    if (profile === 'direct') t.show('Its integrity', INTEGRITY_OF_DIRECT);
    t.show(`Profile ${profile}`, `${sealed.length} bodies, smime-type ${smimeType}${signed ? ', signed' : ''}`);
  },
});

const flip = (offset: number): JsonObject => ({ at: 'cms', op: 'flip', path: String(offset) });

/**
 * MIME-1, IBC-1 (pCR 7.x, Figure 7.x.2-2): the profiles of protected bodies, one after the other at both ends; and one end that
 * uses another than policy names.
 *
 * ```
 * UE A, UE B                               MCPTT server
 *  ├── PUBLISH, MESSAGE, INVITE ──────────────▶│ kek
 *  ├── PUBLISH, MESSAGE, INVITE ──────────────▶│ kek+sign
 *  ├── PUBLISH, MESSAGE, INVITE ──────────────▶│ direct
 *  ├── PUBLISH in a weaker profile ───────────▶│ kek+sign: 403, 493
 * ```
 */
export const mime1Profiles: Scenario = {
  id: 'mime-1-profiles',
  title:
    'The profiles kek, kek+sign and direct each work end to end; a body in another profile than policy’s is refused',
  requirements: ['MIME-1', 'IBC-1', 'S1-1'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  choices: [CHOICES.ibc],
  steps: [
    bringUp('keyed', { ue: ['alice'], 'ue-b': ['bob'] }),
    worksEndToEnd('kek'),
    worksEndToEnd('direct'),
    worksEndToEnd('kek+sign'),
    {
      number: '4-bis',
      title: 'A body in a weaker profile than policy’s is refused, and the binding is as it was',
      clause: 'Figure 7.x.2-2',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const before = await bindings(t);
        await use(t, 'kek', 'kek+sign');
        await refusedBySip(t, 'kek where kek+sign is asked for', publish(t), 403);
        await use(t, 'direct', 'kek+sign');
        await refusedBySip(t, 'direct where kek+sign is asked for', publish(t), 493, /cannot be opened/);
        await use(t, 'kek+sign', 'direct');
        await refusedBySip(t, 'kek+sign where direct is asked for', publish(t), 493, /cannot be opened/);
        expect(await bindings(t), 'bindings').to.deep.equal(before);
      },
    },
  ],
};
