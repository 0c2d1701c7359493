/** LIFE-2 (pCR 7.x.3): the steps that the scenarios about a change of keys share. */
import { expect } from 'chai';
import type { RecordFilter, Step, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { cekElements } from '../checks/cek-element.ts';
import { expectIMessage, kmsCertificate } from '../checks/i-message.ts';
import {
  client,
  expectForgotten,
  expectRetired,
  type HeldKey,
  kmsKeys,
  mcpttId,
  serverKeys,
  sharedKey,
} from '../checks/keys.ts';
import { expectUnder } from '../checks/sealed.ts';

/** Another key than `old` serves alice at all three ends; whichever of them is behind is to blame for it. */
export async function replaced(t: StepContext, old: HeldKey): Promise<HeldKey> {
  const clause = 'pCR 7.x.3';
  t.hold('kms', clause);
  const made = await t.until('the KMS makes another CEK', async () =>
    (await kmsKeys(t)).find((key) => key.user === mcpttId(t, 'alice') && key.supersedes === old.keyId),
  );
  const named = (text: string) => (r: MessageRecord) =>
    textOf(r).includes(text) && textOf(r).includes(`${made.keyId}<`);
  const http = { interface: 'HTTP-1', actor: 'kms' } as const;
  const push = await t.expect('the push of it', { ...http, direction: 'sent', where: named('/cek/v1/push') });
  // What is wrong with it must be seen here: a server that rightly does not take it acknowledges nothing.
  expectChange(t, push, textOf(push), t.provisioned.network.mcpttServerId, { old, keyId: made.keyId });
  expect(made.cekFingerprint, 'the key is another one too').not.to.equal(old.cekFingerprint);
  t.hold('mcptt-as', clause);
  const acknowledged = await t.expect('its acknowledgement', {
    ...http,
    direction: 'received',
    where: named('CekAck'),
  });
  const held = await t.until('the MCPTT server seals with it', async () =>
    (await serverKeys(t)).find((key) => key.keyId === made.keyId && key.state === 'current'),
  );
  t.hold('kms', clause);
  expect(held.cekFingerprint, 'key in the push, against that of the KMS').to.equal(made.cekFingerprint);
  const news = await t.expect('the event of it', { ...http, direction: 'sent', where: isEventOf(made.keyId) });
  const seen = t.records();
  expect(seen.indexOf(t.about(news)), 'the event, after the acknowledgement').to.be.greaterThan(
    seen.indexOf(acknowledged),
  );
  expectChange(t, news, eventText(news)!, mcpttId(t, 'alice'), { old, keyId: made.keyId });
  t.hold('ue', clause);
  await t.until('the UE seals with it', async () => {
    const { keyId, cekState } = await client(t, 'alice');
    return keyId === made.keyId && cekState === 'current';
  });
  t.hold('kms', clause);
  const now = await sharedKey(t, 'alice');
  expect(now.keyId, 'Key ID that all have').to.equal(made.keyId);
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
    t.hold('kms', 'pCR 7.x.3');
    const old = (await kmsKeys(t)).find(({ user, state }) => user === mcpttId(t, 'alice') && state === 'superseded')!;
    expect(old, 'the key before').to.be.an('object');
    const pushed = await t.expect('the push of the change', pushOf(now.keyId), { span: 'all' });
    const { supersedes } = cekElements(textOf(pushed)).find(({ keyId }) => keyId === now.keyId)!;
    expect(supersedes?.keyId, 'the key that the new one supersedes, as pushed').to.equal(old.keyId);
    const ends = supersedes!.notAfter - pushed.time;
    expect(ends, 'how long the old key opens, milliseconds').to.be.within(1, LONGEST_OVERLAP);
    t.hold('mcptt-as', 'pCR 7.x.3');
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
    t.hold('ue', 'pCR 7.x.3');
    expectUnder(t, t.records({ ...sip, direction: 'sent' }).at(-1)!, now.keyId);

    await t.advance(ends + 1_000);
    await expectForgotten(t, old.keyId, { reason: /superseded/ });
    await expectRetired(t, old.keyId);
  },
};

/** Milliseconds; the pCR names no overlap, and one of minutes is no change of keys any more. */
const LONGEST_OVERLAP = 300_000;

const pushOf = (keyId: string): RecordFilter => ({
  interface: 'HTTP-1',
  where: (r) => textOf(r).startsWith('POST') && cekElements(textOf(r)).some((cek) => cek.keyId === keyId),
});

const textOf = (record: MessageRecord): string => Buffer.from(record.bytes).toString('latin1');

/** The `Cek` element of a server-sent event, which carries it in base64 (docs/interfaces.md). */
function eventText(record: MessageRecord): string | undefined {
  const data = /^event: cek\ndata: (\S+)/m.exec(textOf(record))?.[1];
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString('latin1');
}

/** A server-sent event with the `Cek` of this Key ID. */
export const isEventOf =
  (keyId: string) =>
  (record: MessageRecord): boolean =>
    eventText(record)?.includes(`${keyId}<`) === true;

/** Asserts that a push or an event brings the new CEK in place of the old one, sealed to its receiver and signed by the KMS. */
function expectChange(
  t: StepContext,
  record: MessageRecord,
  xml: string,
  receiver: string,
  { old, keyId }: { old: HeldKey; keyId: string },
): void {
  t.about(record);
  const cek = cekElements(xml).find((element) => element.keyId === keyId)!;
  expect(cek.userUri, `UserUri of the CEK for ${receiver}`).to.equal(mcpttId(t, 'alice'));
  expect(cek.notAfter, `NotAfter of the CEK for ${receiver}`).to.be.greaterThan(cek.notBefore);
  if (cek.supersedes !== undefined)
    expect(cek.supersedes.keyId, `the key that it supersedes, for ${receiver}`).to.equal(old.keyId);
  expectIMessage(cek.iMessage, { keyId, receiver, certificate: kmsCertificate(t, 'ue'), record });
}
