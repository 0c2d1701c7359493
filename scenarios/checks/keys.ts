/** What scenarios read of keys, bindings and users, at each end. Readings show fingerprints, never keys. */
import { expect } from 'chai';
import { ACTOR_KINDS, type ActorKind, type JsonObject } from '../../sim/control/actor.ts';
import type { RecordFilter, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { provisionedUser } from './provisioned.ts';
import { refusedBySip } from './refusal.ts';
import { elements } from './xml.ts';

export interface ClientReading {
  readonly mcpttId?: string;
  readonly clientId: string;
  readonly loggedIn: boolean;
  readonly bound: boolean;
  readonly keyId?: string;
  readonly cekState?: string;
  readonly cekFingerprint?: string;
  readonly profile?: JsonObject;
}

export interface ServerKey {
  readonly keyId: string;
  readonly user: string;
  readonly sipSession: string;
  readonly state: string;
  readonly cekFingerprint: string;
}

export interface KmsKey {
  readonly keyId: string;
  readonly user: string;
  readonly sipSession: string;
  readonly state: string;
  readonly supersedes?: string;
  readonly endReason?: string;
  /** Absent once the KMS has forgotten the key. */
  readonly cekFingerprint?: string;
}

export interface BindingReading {
  readonly mcpttId: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly impu: string;
}

/** MCPTT ID of the user of this handle. */
export const mcpttId = (t: StepContext, user: string): string => provisionedUser(t, user).mcpttId;

export const client = (t: StepContext, user: string, ue = 'ue'): Promise<ClientReading> =>
  t.actor(ue).read<ClientReading>('client', { user });

/** Key IDs of a user's keys at a UE, of whatever SIP session. */
export const heldByUe = async (t: StepContext, user: string, ue = 'ue'): Promise<string[]> =>
  (await t.actor(ue).read<ServerKey[]>('ceks'))
    .filter((key) => key.user === mcpttId(t, user))
    .map(({ keyId }) => keyId);

export const serverKeys = (t: StepContext): Promise<ServerKey[]> => t.actor('mcptt-as').read<ServerKey[]>('ceks');

export const kmsKeys = (t: StepContext): Promise<KmsKey[]> => t.actor('kms').read<KmsKey[]>('ceks');

export const bindings = (t: StepContext): Promise<BindingReading[]> =>
  t.actor('mcptt-as').read<BindingReading[]>('bindings');

export const sipSession = async (t: StepContext, ue = 'ue'): Promise<string> =>
  (await t.actor(ue).read<{ sipSession: string }>('registration')).sipSession;

const readText = (record: MessageRecord): string => Buffer.from(record.bytes).toString('latin1');

export interface HeldKey {
  readonly keyId: string;
  readonly cekFingerprint: string;
}

/** The key of a user, once UE, MCPTT server and KMS hold the same one and use it. */
export async function sharedKey(t: StepContext, user: string, ue = 'ue'): Promise<HeldKey> {
  return t.until(`UE, MCPTT server and KMS hold the same CEK of ${user}`, async () => {
    const { keyId, cekState, cekFingerprint } = await client(t, user, ue);
    if (keyId === undefined || cekFingerprint === undefined || cekState !== 'current') return undefined;
    const atServer = (await serverKeys(t)).find((key) => key.keyId === keyId);
    const atKms = (await kmsKeys(t)).find((key) => key.keyId === keyId);
    const same =
      atServer?.state === 'current' &&
      atServer.cekFingerprint === cekFingerprint &&
      atKms?.state === 'active' &&
      atKms.cekFingerprint === cekFingerprint;
    return same ? { keyId, cekFingerprint } : undefined;
  });
}

export interface ForgettingOptions {
  readonly user?: string;
  readonly ue?: string;
  readonly reason?: RegExp;
  /** Who ends the key and has the others told (the UE by telling the KMS); `itself` where each of the three ends it by its own clock. */
  readonly by?: ActorKind | 'itself';
  /** The UE ends its key before it tells anybody: it needs no telling. */
  readonly ueFirst?: boolean;
}

/** LIFE-1: UE, MCPTT server and KMS have forgotten the key; the KMS knows the Key ID and why it ended. */
export async function expectForgotten(
  t: StepContext,
  keyId: string,
  { user = 'alice', ue = 'ue', reason, by = 'itself', ueFirst = false }: ForgettingOptions = {},
): Promise<void> {
  /** Who keeps the key is to blame once it was told to end it, or where it ends it by itself; until then, who must tell it. */
  const blame = (keeper: ActorKind, teller: ActorKind, told: RecordFilter): void => {
    const knows = by === 'itself' || by === keeper || t.records({ direction: 'received', ...told }).length > 0;
    t.hold(knows ? keeper : teller, 'pCR 7.x.3');
  };
  const session = (await kmsKeys(t)).find((key) => key.keyId === keyId)?.sipSession;
  const endOf = (r: MessageRecord): boolean => tellsEnd(r, keyId, mcpttId(t, user), session);
  const toldTheKms = (): MessageRecord | undefined =>
    t.records({ actor: 'kms', interface: 'HTTP-1', direction: 'received', where: endOf }).at(-1);
  await t.until(`the MCPTT server forgets CEK ${keyId}`, async () => {
    const teller = by === 'ue' && toldTheKms() !== undefined ? 'kms' : by;
    blame('mcptt-as', teller === 'itself' ? 'mcptt-as' : teller, {
      actor: 'mcptt-as',
      interface: 'HTTP-1',
      where: endOf,
    });
    return (await serverKeys(t)).every((key) => key.keyId !== keyId);
  });
  const ended = await t.until(`the KMS forgets CEK ${keyId}`, async () => {
    blame('kms', by === 'ue' ? 'ue' : 'mcptt-as', { actor: 'kms', interface: 'HTTP-1', where: endOf });
    return (await kmsKeys(t)).find(
      (key) => key.keyId === keyId && key.state === 'ended' && key.cekFingerprint === undefined,
    );
  });
  await t.until(`the UE forgets CEK ${keyId}`, async () => {
    blame('ue', ueFirst ? 'ue' : 'kms', {
      actor: ue,
      interface: 'HTTP-1',
      where: (r) => /^event: cek-end$/m.test(readText(r)),
    });
    return (await client(t, user, ue)).keyId !== keyId && !(await heldByUe(t, user, ue)).includes(keyId);
  });
  if (reason !== undefined) {
    const told = toldTheKms();
    const asTold = told === undefined || elements(readText(told), 'Reason').some((one) => reason.test(one));
    t.hold(asTold ? 'kms' : (ACTOR_KINDS.find((kind) => kind === told.peer) ?? 'kms'), 'pCR 7.x.3');
    expect(ended.endReason, 'reason that the KMS has kept').to.match(reason);
  }
  t.show('Forgotten', `${keyId} at UE, MCPTT server and KMS (${ended.endReason ?? 'no reason'})`);
}

/**
 * Asserts that the end of another's key has left this one alone at all three ends; holds whoever ended it, or had it ended.
 * For use in the step of the other key's end.
 */
export async function expectKept(t: StepContext, key: HeldKey, user: string, ue = 'ue'): Promise<void> {
  const clause = 'pCR 7.x.1, 7.x.3';
  const session = (await kmsKeys(t)).find(({ keyId }) => keyId === key.keyId)?.sipSession;
  const names = (record: MessageRecord): boolean => tellsEnd(record, key.keyId, mcpttId(t, user), session);
  const told = t.records({ interface: 'HTTP-1', direction: 'received', where: names });
  const teller = ACTOR_KINDS.find((kind) => kind === told.find(({ actor }) => actor === 'kms')?.peer);
  t.hold(teller ?? 'kms', clause);
  const states = async (): Promise<string[]> =>
    (await kmsKeys(t)).filter(({ keyId }) => keyId === key.keyId).map(({ state }) => state);
  expect(await states(), `state of ${key.keyId} of ${user}, which nobody ended, at the KMS`).to.deep.equal(['active']);
  t.hold(told.some(({ actor }) => actor === 'mcptt-as') ? 'kms' : 'mcptt-as', clause);
  expect(
    (await serverKeys(t)).map(({ keyId }) => keyId),
    `keys at the MCPTT server, that of ${user} among them`,
  ).to.include(key.keyId);
  t.hold('ue', clause);
  expect(await heldByUe(t, user, ue), `keys of ${user} at the UE`).to.include(key.keyId);
  expect(await sharedKey(t, user, ue), `key of ${user}`).to.deep.equal(key);
}

/** Whether the message has a `CekEnd` that ends this key: by Key ID, or by SIP session, of all its users or of this one. */
function tellsEnd(record: MessageRecord, keyId: string, user: string, session: string | undefined): boolean {
  const ends = readText(record).match(/<(?:\w+:)?CekEnd[\s>][\s\S]*?<\/(?:\w+:)?CekEnd>/g) ?? [];
  return ends.some((end) => {
    const [named] = elements(end, 'KeyId');
    if (named !== undefined) return named.toLowerCase() === keyId;
    const [whose = user] = elements(end, 'UserUri');
    return elements(end, 'SipSession')[0] === session && whose === user;
  });
}

/** A PUBLISH that names the Key ID is refused as retired: 493, apart from an unknown one. The user must hold some other key. */
export async function expectRetired(t: StepContext, keyId: string, user = 'alice', ue = 'ue'): Promise<void> {
  const deviate = [{ at: 'cms', op: 'set', path: 'key-id', value: keyId }];
  const publish = t.actor(ue).do('publish', { user, deviate });
  await refusedBySip(t, `PUBLISH under ended ${keyId}`, publish, 493, new RegExp(`Key ID ${keyId}: retired`, 'i'));
}
