/** CEK-1, CEK-2, LIFE-1 to LIFE-3 at the KMS, on a clock that the test moves: the real store and issue code, no network. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Audit } from '../../../actors/kms/audit.ts';
import { type Asker, CekService } from '../../../actors/kms/cek-service.ts';
import { Composer } from '../../../actors/kms/compose.ts';
import type { IdentityKeys } from '../../../actors/kms/identity-keys.ts';
import { openLibsqlStore } from '../../../actors/kms/libsql-store.ts';
import { changePolicy, DEFAULT_POLICY, type KmsPolicy, type PolicyChange } from '../../../actors/kms/policy.ts';
import { KmsRefusal } from '../../../actors/kms/refusal.ts';
import { Resources } from '../../../actors/kms/resources.ts';
import type { CekRecord } from '../../../actors/kms/store.ts';
import { Vault } from '../../../actors/kms/vault.ts';
import type { KmsRequest } from '../../../actors/messages/kms/request.ts';
import { cekFingerprint } from '../../../actors/security/fingerprint.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { ALICE, BOB, CLIENT, SESSION, silentLog } from './harness.ts';

const HOUR = 3_600_000;
const SLOT = { userUri: ALICE, clientId: CLIENT, sipSession: SESSION };
const USER = { kind: 'user' as const, userUri: ALICE };

function setUp(options: { policy?: PolicyChange; random?: (octets: number) => Uint8Array } = {}) {
  const clock = new ManualClock();
  const store = openLibsqlStore(undefined, new Vault(randomBytes(32)));
  const audit = new Audit(clock);
  let policy: KmsPolicy = changePolicy(DEFAULT_POLICY, options.policy ?? {});
  const service = new CekService({
    store,
    clock,
    audit,
    log: silentLog,
    policy: () => policy,
    onPush: () => undefined,
    onEvents: () => undefined,
    ...(options.random === undefined ? {} : { random: options.random }),
  });
  /** Plays the MCPTT server: acknowledges everything that is queued. */
  const acknowledge = async (): Promise<string[]> => {
    const queued = await store.queuedPushes(10_000);
    for (const push of queued) await service.delivered(push);
    return queued.map((push) => `${push.what} ${push.keyId}`);
  };
  /** Lets the clock go on and what falls due be done. */
  const pass = async (ms: number): Promise<void> => {
    await clock.advanceAsync(ms);
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const get = async (slot = SLOT): Promise<CekRecord> => (await service.obtain(slot))!;
  const stateOf = async (keyId: string) => (await store.cek(keyId))?.state;
  return {
    clock,
    store,
    audit,
    service,
    acknowledge,
    pass,
    get,
    stateOf,
    policy: () => policy,
    setPolicy: (change: PolicyChange) => {
      policy = changePolicy(policy, change);
      service.policyChanged();
    },
    close: async () => {
      await service.stop();
      await store.close();
    },
  };
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (error instanceof KmsRefusal) return error.code;
    throw error;
  }
};

describe('CEK-1 and CEK-2: issue', () => {
  it('1,000 requests at once give 1,000 CEKs of 256 bits, all different, under 1,000 Key IDs', async () => {
    const { service, store, close } = setUp();
    const records = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        service.obtain({
          userUri: `sip:user-${i}@mcptt.example`,
          clientId: `urn:uuid:${i}`,
          sipSession: `sip:${i}@ue`,
        }),
      ),
    );
    const keyIds = records.map((record) => record!.keyId);
    expect(new Set(keyIds)).to.have.length(1_000);
    for (const keyId of keyIds) expect(keyId).to.match(/^f[0-9a-f]{7}$/);
    const keys = await Promise.all(keyIds.map((keyId) => store.cekOctets(keyId)));
    for (const key of keys) expect(key).to.have.length(32);
    expect(new Set(keys.map((key) => cekFingerprint(key!)))).to.have.length(1_000);
    expect(await store.queuedPushes(2_000)).to.have.length(1_000);
    await close();
  });

  it('requests for one SIP session at once get one CEK', async () => {
    const { get, store, close } = setUp();
    const records = await Promise.all(Array.from({ length: 50 }, () => get()));
    expect(new Set(records.map((record) => record.keyId))).to.have.length(1);
    expect(await store.ceks({})).to.have.length(1);
    await close();
  });

  it('a client that has started over, and was answered by a failure half-way, has its old CEK ended when it asks again', async () => {
    const { get, store, stateOf, acknowledge, close } = setUp();
    const before = await get();
    await acknowledge();
    const change = store.change.bind(store);
    store.change = () => Promise.reject(new Error('killed here'));
    const next = { ...SLOT, sipSession: 'sip:ue-1@192.0.2.9;transport=ws' };
    expect(await get(next).catch((error: Error) => error.message)).to.equal('killed here');
    store.change = change;
    expect(await stateOf(before.keyId)).to.equal('active');
    const { keyId } = await get(next);
    expect(await stateOf(before.keyId)).to.equal('ended');
    expect(await acknowledge()).to.deep.equal([`cek ${keyId}`, `end ${before.keyId}`]);
    expect((await store.cek(before.keyId))?.endReason).to.equal('superseded');
    await close();
  });

  it('a Key ID that was ever given is not given again, also after its CEK has ended', async () => {
    // A source of Key IDs that offers the first one twice more before another.
    const keyIds = ['0badcafe', '0badcafe', '0badcafe', '0badcaff'].map((text) => Buffer.from(text, 'hex'));
    const { service, get, close } = setUp({ random: (n) => (n === 4 ? keyIds.shift()! : randomBytes(n)) });
    const first = await get();
    expect(first.keyId).to.equal('fbadcafe');
    await service.end({ keyId: first.keyId }, 'logged-off', USER);
    expect((await get()).keyId).to.equal('fbadcaff');
    expect(keyIds).to.deep.equal([]);
    await close();
  });

  it('a source of Key IDs that is stuck is reported, not looped on', async () => {
    const { get, close } = setUp({ random: (n) => Buffer.alloc(n, 7) });
    await get();
    expect(await codeOf(get({ ...SLOT, userUri: BOB }))).to.equal('KMS_UNAVAILABLE');
    await close();
  });

  it('a repeated request leaves the CEK before the current one its overlap', async () => {
    const { service, get, stateOf, acknowledge, close } = setUp();
    const { keyId } = await get();
    await acknowledge();
    await service.rotate({ keyId }, 'operator');
    await acknowledge();
    expect((await get()).supersedes).to.equal(keyId);
    expect(await stateOf(keyId)).to.equal('superseded');
    await close();
  });

  it('zeroes its own copies of the CEK once it is in the store, and after each sealing', async () => {
    const drawn: Uint8Array[] = [];
    const { get, store, clock, close } = setUp({
      random: (n) => {
        drawn.push(randomBytes(n));
        return drawn.at(-1)!;
      },
    });
    const record = await get();
    expect(drawn.filter((octets) => octets.length === 32)).to.deep.equal([Buffer.alloc(32)]);
    const sealed: Uint8Array[] = [];
    const seal = (key: Uint8Array): Promise<Uint8Array> => {
      expect(key).to.not.deep.equal(new Uint8Array(32));
      sealed.push(key);
      return Promise.resolve(Uint8Array.of(1));
    };
    const keys = { seal } as unknown as IdentityKeys;
    await new Composer({ store, keys, clock, policy: () => DEFAULT_POLICY }).cek(record, { kind: 'user', uri: ALICE });
    expect(sealed.map((key) => Buffer.from(key).toString('hex'))).to.deep.equal(['00'.repeat(32)]);
    await close();
  });

  it('audits the issue without the key', async () => {
    const { get, audit, store, close } = setUp();
    const { keyId } = await get();
    const key = (await store.cekOctets(keyId))!;
    const text = JSON.stringify(audit.since(0));
    expect(text).to.contain('cek-issued').and.contain(keyId).and.contain(ALICE);
    expect(text).to.not.contain(Buffer.from(key).toString('hex'));
    expect(text).to.not.contain(Buffer.from(key).toString('base64'));
    await close();
  });
});

describe('LIFE-1 and LIFE-2 at the KMS', () => {
  it('a CEK is active once the server has acknowledged it, and an answer that waits hears of it', async () => {
    const { service, get, acknowledge, stateOf, close } = setUp();
    const record = await get();
    expect(record.state).to.equal('pending-ack');
    const settled = service.settled(record, HOUR);
    expect(await acknowledge()).to.deep.equal([`cek ${record.keyId}`]);
    expect((await settled).state).to.equal('active');
    expect(await stateOf(record.keyId)).to.equal('active');
    await close();
  });

  it('an answer waits for the acknowledgement no longer than its bound', async () => {
    const { service, get, pass, close, clock } = setUp();
    const settled = service.settled(await get(), 2_000);
    await pass(2_000);
    expect((await settled).state).to.equal('pending-ack');
    await close();
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  it('rotates by age: the old CEK goes on until the server has the new one, then runs out with the overlap', async () => {
    const { get, acknowledge, pass, store, stateOf, close } = setUp({
      policy: { cek: { rotateAfter: HOUR, overlap: 30_000 } },
    });
    const old = await get();
    await acknowledge();
    await pass(HOUR);
    const all = await store.ceks({ userUri: ALICE });
    expect(all.map((cek) => cek.state)).to.deep.equal(['active', 'pending-ack']);
    const next = all[1]!;
    expect(next.supersedes).to.equal(old.keyId);
    await pass(HOUR);
    expect(await store.ceks({}), 'an unacknowledged successor is not followed by another').to.have.length(2);
    await acknowledge();
    expect(await stateOf(old.keyId)).to.equal('superseded');
    expect(await stateOf(next.keyId)).to.equal('active');
    await pass(29_000);
    expect(await stateOf(old.keyId)).to.equal('superseded');
    await pass(1_000);
    expect(await stateOf(old.keyId)).to.equal('ended');
    expect(await store.cekOctets(old.keyId), 'forgotten').to.equal(undefined);
    await close();
  });

  it('rotates again and again: a day of hourly rotation leaves one active CEK', async () => {
    const { get, acknowledge, pass, store, close } = setUp({ policy: { cek: { rotateAfter: HOUR } } });
    await get();
    await acknowledge();
    for (let hour = 0; hour < 23; hour += 1) {
      await pass(HOUR);
      await acknowledge();
    }
    const all = await store.ceks({});
    expect(all).to.have.length(24);
    expect(all.filter((cek) => cek.state === 'active')).to.have.length(1);
    await close();
  });

  it('a CEK that is not renewed expires, and both ends are told', async () => {
    const policy = { cek: { lifetime: HOUR, rotateAfter: 2 * HOUR, overlap: 1_000 } };
    const { get, acknowledge, pass, store, close } = setUp({ policy });
    const { keyId } = await get();
    await acknowledge();
    await pass(HOUR);
    expect(await store.cek(keyId)).to.include({ state: 'ended', endReason: 'expired' });
    expect(await acknowledge()).to.deep.equal([`end ${keyId}`]);
    expect((await store.eventsAfter({ userUri: ALICE }, 0, 10)).map((event) => event.what)).to.deep.equal([
      'cek',
      'end',
    ]);
    await close();
  });

  it('the count of messages is the larger of what both ends have told (policy.ts, rule 3)', async () => {
    const { service, get, acknowledge, setPolicy, close } = setUp();
    const { keyId } = await get();
    await acknowledge();
    const update = (asker: Asker, messages: number) => service.update({ asker, keyId, sipSession: SESSION, messages });
    expect((await update({ kind: 'server' }, 500)).decision).to.equal('same');
    setPolicy({ cek: { renewAfterMessages: 400 } });
    expect((await update(USER, 5)).decision).to.equal('new');
    await close();
  });

  it('lifetimes are looked after again when the store failed once', async () => {
    const { get, acknowledge, pass, store, stateOf, close } = setUp({ policy: { cek: { lifetime: HOUR } } });
    const { keyId } = await get();
    await acknowledge();
    const ceks = store.ceks.bind(store);
    store.ceks = () => Promise.reject(new Error('database or disk is full'));
    await pass(HOUR);
    store.ceks = ceks;
    expect(await stateOf(keyId)).to.equal('active');
    await pass(10_000);
    expect(await stateOf(keyId)).to.equal('ended');
    await close();
  });

  it('a CEK that ends before it was pushed is not pushed any more', async () => {
    const { get, service, acknowledge, close } = setUp();
    const { keyId } = await get();
    expect(await service.end({ keyId }, 'revoked', { kind: 'operator' })).to.deep.equal([keyId]);
    expect(await acknowledge()).to.deep.equal([`end ${keyId}`]);
    expect(await service.end({ keyId }, 'revoked', { kind: 'operator' }), 'once').to.deep.equal([]);
    await close();
  });

  it('the server that ends CEKs needs no push about them, but about one whose push may be under way', async () => {
    const { get, service, acknowledge, store, close } = setUp();
    const { keyId } = await get();
    await acknowledge();
    await service.rotate({ keyId }, 'operator');
    const [underWay] = await store.queuedPushes(1);
    await service.end({ sipSession: SESSION }, 'deregistered', { kind: 'server' });
    await service.delivered(underWay!);
    expect(await acknowledge()).to.deep.equal([`end ${underWay!.keyId}`]);
    expect((await store.eventsAfter({ userUri: ALICE }, 0, 10)).at(-1)).to.include({ what: 'end' });
    await close();
  });

  it("what ends a user's CEKs ends the one as well that is made at that moment", async () => {
    const { get, service, acknowledge, store, close } = setUp();
    await get();
    await acknowledge();
    const [, ended] = await Promise.all([
      service.rotate({ userUri: ALICE }, 'operator'),
      service.end({ userUri: ALICE }, 'revoked', { kind: 'operator' }),
    ]);
    const made = await store.ceks({});
    expect(made.map(({ state }) => state)).to.deep.equal(['ended', 'ended']);
    expect(ended).to.deep.equal(made.map(({ keyId }) => keyId));
    await close();
  });

  it('a user who is revoked while a first CEK is made is refused, and has none', async () => {
    const { service, store, audit, clock, policy, setPolicy, close } = setUp();
    const keys = { periodAt: () => 1, keySet: () => Promise.resolve({}) } as unknown as IdentityKeys;
    const compose = () => Promise.reject(new Error('a CEK is about to be given'));
    const resources = new Resources({ ceks: service, keys, audit, clock, policy, compose });
    const asked = codeOf(
      resources.keyProv({ kind: 'user', uri: ALICE, oauthClientId: 'mcptt-client', until: HOUR }, {
        clientId: CLIENT,
        cekRequests: [{ sipSession: SESSION }],
      } as unknown as KmsRequest),
    );
    setPolicy({ deniedMcpttIds: [ALICE] });
    expect(await service.end({ userUri: ALICE }, 'revoked', { kind: 'operator' }), 'not made yet').to.deep.equal([]);
    expect(await asked).to.equal('KMS_DENIED_BY_POLICY');
    expect((await store.ceks({})).map(({ state }) => state)).to.deep.equal(['ended']);
    await close();
  });

  it('events of an ended CEK are kept for as long as a client that was away may hold it', async () => {
    const { get, service, acknowledge, pass, store, close } = setUp({
      policy: { cek: { lifetime: 4 * HOUR, rotateAfter: HOUR } },
    });
    await get();
    await get({ ...SLOT, userUri: BOB });
    await acknowledge();
    await service.end({ userUri: ALICE }, 'logged-off', USER);
    const rotatedFor = async (hours: number): Promise<void> => {
      for (let hour = 0; hour < hours; hour += 1) {
        await pass(HOUR);
        await acknowledge();
      }
    };
    await rotatedFor(4);
    expect(await store.eventsAfter({ userUri: ALICE }, 0, 10)).to.have.length(2);
    await rotatedFor(1);
    expect(await store.eventsAfter({ userUri: ALICE }, 0, 10)).to.have.length(0);
    expect(await store.eventsAfter({ userUri: BOB }, 0, 20)).to.have.length.above(2);
    await close();
  });

  it('a client that was away over a change and the end of the overlap is told that the old CEK ended', async () => {
    const { get, service, acknowledge, pass, store, close } = setUp({ policy: { cek: { overlap: 30_000 } } });
    const { keyId: old } = await get();
    await acknowledge();
    await service.rotate({ keyId: old }, 'operator');
    await acknowledge();
    await pass(30_000);
    const [, second] = await store.ceks({});
    await service.end({ userUri: ALICE }, 'revoked', { kind: 'operator' });
    const told = (await store.eventsAfter({ userUri: ALICE }, 0, 10)).filter(({ what }) => what === 'end');
    expect(told.map(({ keyId }) => keyId)).to.deep.equal([old, second!.keyId]);
    expect(await acknowledge(), 'the server has dropped the old one by itself').to.deep.equal([`end ${second!.keyId}`]);
    await close();
  });
});

describe('LIFE-3: the rule by which an update is decided', () => {
  const ready = async (policy: PolicyChange = {}) => {
    const parts = setUp({ policy });
    const record = await parts.get();
    await parts.acknowledge();
    const ask = (over: object = {}) =>
      parts.service.update({ asker: USER, keyId: record.keyId, clientId: CLIENT, sipSession: SESSION, ...over });
    return { ...parts, record, ask };
  };

  it('a young CEK: the same again, and the other end is told the same', async () => {
    const { ask, record, acknowledge, store, close } = await ready();
    expect(await ask()).to.deep.include({ decision: 'same' });
    expect(await acknowledge()).to.deep.equal([`cek ${record.keyId}`]);
    const events = (await store.eventsAfter({ userUri: ALICE }, 0, 10)).length;
    await ask({ asker: { kind: 'server' } });
    expect(await store.eventsAfter({ userUri: ALICE }, 0, 10)).to.have.length(events + 1);
    await close();
  });

  it('from renewAfter on: a new one; who asks again meanwhile gets that one', async () => {
    const { ask, record, pass, acknowledge, close } = await ready({ cek: { renewAfter: 60_000 } });
    await pass(59_999);
    expect((await ask()).decision).to.equal('same');
    await pass(1);
    const first = await ask();
    expect(first.decision).to.equal('new');
    expect(first.record.supersedes).to.equal(record.keyId);
    const second = await ask({ asker: { kind: 'server' } });
    expect(second).to.deep.include({ decision: 'same' });
    expect(second.record.keyId).to.equal(first.record.keyId);
    await acknowledge();
    expect((await ask()).record.keyId, 'who is behind').to.equal(first.record.keyId);
    await close();
  });

  it('from renewAfterMessages on: a new one; the greater count of the two ends counts', async () => {
    const { ask, close } = await ready({ cek: { renewAfterMessages: 10 } });
    expect((await ask({ messages: 9 })).decision).to.equal('same');
    expect((await ask({ asker: { kind: 'server' }, messages: 4 })).decision).to.equal('same');
    expect((await ask({ messages: 10 })).decision).to.equal('new');
    await close();
  });

  it('of what is not there, or not the asker’s, is refused', async () => {
    const { ask, service, record, close } = await ready();
    expect(await codeOf(ask({ keyId: 'f0000000' }))).to.equal('KMS_UNKNOWN_CEK');
    expect(await codeOf(ask({ asker: { kind: 'user', userUri: BOB } }))).to.equal('KMS_OTHER_IDENTITY');
    expect(await codeOf(ask({ sipSession: 'sip:other' }))).to.equal('KMS_CONFLICT');
    expect(await codeOf(ask({ asker: { kind: 'server' }, keyId: undefined }))).to.equal('KMS_BAD_REQUEST');
    await service.end({ keyId: record.keyId }, 'logged-off', USER);
    expect(await codeOf(ask())).to.equal('KMS_CONFLICT');
    await close();
  });

  it('an operator rotates by user or by Key ID, and twice at once makes one successor', async () => {
    const { service, record, store, close } = await ready();
    await Promise.all([
      service.rotate({ userUri: ALICE }, 'operator'),
      service.rotate({ keyId: record.keyId }, 'operator'),
    ]);
    expect(await store.ceks({})).to.have.length(2);
    await close();
  });
});

describe('policy', () => {
  it('refuses names that it does not have and values of another kind', () => {
    for (const bad of [
      { protectionrequired: true },
      { pushWait: '2' },
      { cek: { lifetime: -1 } },
      { allowedClientIds: 'x' },
    ]) {
      expect(() => changePolicy(DEFAULT_POLICY, bad as PolicyChange))
        .to.throw()
        .with.property('code', 'KMS_BAD_POLICY');
    }
    expect(() => changePolicy(DEFAULT_POLICY, { cek: { lifetime: 10, overlap: 10 } })).to.throw();
  });
});

describe('POL-1: protection is switched off while CEKs live', () => {
  it('makes no other: not by age, not for the operator, not for who asks; the one there is serves on and ends in time', async () => {
    const { service, store, acknowledge, pass, get, stateOf, setPolicy, close } = setUp({
      policy: { cek: { lifetime: 3 * HOUR, rotateAfter: HOUR, renewAfter: 0 } },
    });
    const record = await get();
    await acknowledge();
    setPolicy({ protectionRequired: false });
    await pass(2 * HOUR);
    expect(await service.rotate({ userUri: ALICE }, 'operator')).to.deep.equal([]);
    const { decision, record: answer } = await service.update({ asker: USER, sipSession: SESSION, clientId: CLIENT });
    expect({ decision, keyId: answer.keyId }).to.deep.equal({ decision: 'same', keyId: record.keyId });
    expect(await service.obtain({ ...SLOT, sipSession: 'sip:another@ue' })).to.equal(undefined);
    expect(await store.ceks({})).to.have.length(1);
    await pass(HOUR + 1);
    expect(await stateOf(record.keyId)).to.equal('ended');
    await close();
  });

  it('and rotates by age again once it is switched on', async () => {
    const { service, acknowledge, pass, get, setPolicy, close } = setUp({ policy: { cek: { rotateAfter: HOUR } } });
    const record = await get();
    await acknowledge();
    setPolicy({ protectionRequired: false });
    await pass(2 * HOUR);
    setPolicy({ protectionRequired: true });
    await pass(0);
    expect((await service.list()).map(({ supersedes }) => supersedes)).to.deep.equal([undefined, record.keyId]);
    await close();
  });
});
