/** LIFE-1 (pCR 7.x.3): the steps that the scenarios about the end of a CEK share. */
import { expect } from 'chai';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { cekElements } from '../checks/cek-element.ts';
import {
  bindings,
  client,
  expectForgotten,
  expectKept,
  expectRetired,
  type ForgettingOptions,
  heldByUe,
  kmsKeys,
  mcpttId,
  serverKeys,
  sharedKey,
} from '../checks/keys.ts';
import { granted, optionalHeader } from '../checks/sip.ts';
import { bringUp, register } from './bring-up.ts';
import { LONG_LIVED, MINUTE } from './policy.ts';

export interface EndingOptions extends Pick<ForgettingOptions, 'by' | 'ueFirst'> {
  /** A user with a key on another UE, whom the end does not concern. */
  readonly bystander?: { readonly user: string; readonly ue: string };
}

/**
 * Ends alice's CEK by `end`, and expects UE, server and KMS to have forgotten it, and her binding to be gone.
 * @param end whatever ends it
 */
export const ends = (
  title: string,
  reason: RegExp,
  end: (t: StepContext, keyId: string) => Promise<void>,
  responsible: Step['responsible'] = 'mcptt-as',
  { by = responsible, ueFirst = false, bystander }: EndingOptions = {},
): Step => ({
  number: '5',
  title,
  clause: 'pCR 7.x.3',
  responsible,
  guard: 20_000,
  run: async (t) => {
    const { keyId } = await sharedKey(t, 'alice');
    const others = bystander === undefined ? undefined : await sharedKey(t, bystander.user, bystander.ue);
    await end(t, keyId);
    await expectForgotten(t, keyId, { reason, by, ueFirst });
    if (bystander !== undefined) {
      await expectKept(t, others!, bystander.user, bystander.ue);
      t.hold('mcptt-as', 'pCR 7.x.3');
      const bound = (await bindings(t)).map((binding) => binding.mcpttId);
      expect(bound, `bindings, that of ${bystander.user} on another SIP session among them`).to.include(
        mcpttId(t, bystander.user),
      );
    }
    t.hold('mcptt-as', 'pCR 7.x.3');
    await t.until('the binding is gone', async () =>
      (await bindings(t)).every((binding) => binding.mcpttId !== mcpttId(t, 'alice')),
    );
    t.hold('ue', 'pCR 7.x.3');
    await t.until('the UE knows that it is bound no more', async () => !(await client(t, 'alice')).bound);
  },
});

/**
 * Moves time to the moment that a key has to end at, `ms` from now, and `beyond` it; asserts that the MCPTT server still has the
 * key a minute before.
 */
export async function pastEnd(t: StepContext, keyId: string, ms: number, beyond = MINUTE): Promise<void> {
  await t.advance(ms - MINUTE);
  expect(
    (await serverKeys(t)).map((key) => key.keyId),
    'keys a minute before',
  ).to.include(keyId);
  await t.advance(MINUTE + beyond);
}

/** The UE ends its registration, and has asked the SIP core to (TS 24.229 5.1.1.6); from here on the core is held. */
export async function deregister(t: StepContext, ue = 'ue'): Promise<void> {
  t.hold('ue', 'TS 24.229 5.1.1.6');
  await t.actor(ue).do('deregister');
  await t.expect(
    'the REGISTER that asks for no time',
    { interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER', where: (r) => granted(r) === 0 },
    { withinMs: 5_000 },
  );
  t.hold('sip-core', 'TS 24.229 5.4.1.4.1');
}

/** The SIP core tells the MCPTT server that the registration has ended; until then nobody else can know (TS 24.229 5.4.1.7). */
export async function coreTells(t: StepContext): Promise<void> {
  t.hold('sip-core', 'TS 24.229 5.4.1.7');
  const isEnd = (r: MessageRecord): boolean => optionalHeader(r, 'Expires') === '0';
  const what = 'the third-party REGISTER with Expires 0';
  await t.expect(what, { interface: 'SIP-2', method: 'REGISTER', where: isEnd }, { withinMs: 5_000 });
}

const isForgotten = async (t: StepContext, impu: string): Promise<boolean> =>
  !(await t.actor('sip-core').read<{ registered: boolean }>('registration', { impu })).registered;

/** The steps of a scenario whose UE has lost its way to the network by `lose`: its registration runs out, and the CEK with it. */
export const registrationRunsOut = (lose: (t: StepContext) => Promise<void>): readonly Step[] => [
  ...LONG_LIVED,
  bringUp('bound'),
  ends(
    'The registration runs out, and the CEK ends at UE, server and KMS',
    /expired/,
    async (t, keyId) => {
      const { impu } = await t.actor('ue').read<{ impu: string }>('registration');
      const ok = t.records({ interface: 'SIP-1', actor: 'ue', method: 'REGISTER', status: 200 }, 'all').at(-1)!;
      await lose(t);
      await pastEnd(t, keyId, granted(ok) * 1_000);
      await t.until('the SIP core has forgotten the registration', () => isForgotten(t, impu), 5_000);
    },
    'sip-core',
    { ueFirst: true },
  ),
  oldKeyIdIsRefused,
];

/** Asserts that the KMS has given the UE the CEK for no longer than that: NotBefore to NotAfter. */
export function givenFor(t: StepContext, keyId: string, atMost: number): void {
  const answers = t.records({ interface: 'HTTP-1', actor: 'ue', direction: 'received' }, 'all');
  const given = answers.flatMap((r) => cekElements(Buffer.from(r.bytes).toString('utf8')));
  const cek = given.find((element) => element.keyId === keyId);
  expect(cek, `the answer that brought ${keyId}`).to.be.an('object');
  expect(cek!.notAfter - cek!.notBefore, 'how long the KMS gave the CEK for, milliseconds').to.be.at.most(atMost);
}

/** Her next life: with another key; the old Key ID is refused as retired. */
export const oldKeyIdIsRefused: Step = {
  number: '6',
  title: 'A new CEK has another Key ID, and the old one is refused as retired',
  clause: 'pCR 7.x.3',
  responsible: 'mcptt-as',
  guard: 20_000,
  run: async (t) => {
    const ended = (await kmsKeys(t))
      .filter(({ user, state }) => user === mcpttId(t, 'alice') && state === 'ended')
      .at(-1);
    const ue = t.actor('ue');
    await t.precondition('alice comes again', async () => {
      await t.actor('kms').do('setPolicy', { deniedMcpttIds: [] });
      await ue.do('attach');
      await register(t);
      await ue.do('logIn', { user: 'alice' });
    });
    t.hold('ue', 'pCR 7.x.3');
    expect(await heldByUe(t, 'alice'), 'keys that the UE still has of alice').to.deep.equal([]);
    t.hold('mcptt-as', 'pCR 7.x.3');
    const given = await t.precondition('alice gets a key', () =>
      ue.do<{ keyId: string }>('requestKey', { user: 'alice' }),
    );
    t.hold('kms', 'pCR 7.x.2');
    expect(given.keyId, 'Key ID, against that of the CEK that has ended').not.to.equal(ended!.keyId);
    t.hold('mcptt-as', 'pCR 7.x.3');
    await expectRetired(t, ended!.keyId);
    await ue.do('publish', { user: 'alice' });
  },
};
