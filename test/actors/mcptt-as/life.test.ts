import { expect } from 'chai';
import { nextBindingState } from '../../../actors/mcptt-as/bindings.ts';
import { McpttAsError } from '../../../actors/mcptt-as/errors.ts';
import type { UserEquipment } from '../../../actors/ue/equipment.ts';
import { UeError } from '../../../actors/ue/errors.ts';
import { ShiftedClock } from '../../../sim/control/shifted-clock.ts';
import { refusal, startWorld, until, type World } from './world.ts';

describe('life of bindings and CEKs (LIFE-1, LIFE-4)', () => {
  let world: World;
  let clock: ShiftedClock;
  beforeEach(async () => {
    clock = new ShiftedClock();
    world = await startWorld({ clock, expires: 3600, policy: { tokenExpiryEndsBinding: true }, tokenLifetime: 7200 });
  });
  afterEach(() => world?.close());

  const state = async () => {
    const { sessions, bindings, ceks } = await world.server.view();
    return {
      sessions: (sessions as object[]).length,
      bindings: (bindings as object[]).length,
      ceks: (ceks as object[]).length,
    };
  };
  /** The jump of the clock cuts the refresh that it starts; the UE tries again. */
  const refreshed = (ue: UserEquipment): Promise<void> =>
    until('the UE has refreshed', async () => {
      await clock.advance(100);
      const [session] = await world.server.stores.sessions.all();
      return [ue.registration.expiresAt, session?.expiresAt].every((end = 0) => end > clock.now() + 3_000_000);
    });
  const NOTHING = { sessions: 0, bindings: 0, ceks: 0 };

  it('de-registration ends session, bindings and keys at server and UE, and tells the KMS', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    await world.bind(ue, 'bob');
    const session = ue.sipSession;
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 2, ceks: 2 });
    const keyIds = world.server.ceks.list().map(({ keyId }) => keyId);
    await ue.deregister();
    await until(
      'the server has forgotten all of it',
      async () => JSON.stringify(await state()) === JSON.stringify(NOTHING),
    );
    expect(world.told).to.deep.equal([{ sipSession: session, reason: 'deregistered', keyIds }]);
    expect(ue.sipSession).not.to.equal(session);
    expect(ue.clientOf('alice').view(session))
      .to.include({ bound: false, loggedIn: true })
      .and.not.have.property('keyId');
    expect((await refusal(ue.publish('alice', []))).code).to.be.oneOf(['UE_NO_KEY', 'UE_NOT_REGISTERED']);
  });

  it('what is published for a while ends with it, unless it is refreshed (RFC 3903 4.4, 6)', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    await world.bind(ue, 'bob');
    const brief = [{ at: 'sip', op: 'set', path: 'Expires', value: '60' }] as const;
    await ue.publish('alice', brief);
    await clock.advance(59_000);
    expect(await state()).to.include({ bindings: 2 });
    await ue.publish('alice', brief);
    await clock.advance(59_000);
    expect(await state()).to.include({ bindings: 2 });
    const { keyId } = world.server.ceks.list().find(({ userUri }) => userUri === 'sip:alice@mcptt.example')!;
    await clock.advance(2_000);
    await until('alice is served no longer', async () => (await state()).bindings === 1);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    expect(world.told).to.deep.equal([
      { sipSession: ue.sipSession, userUri: 'sip:alice@mcptt.example', reason: 'expired', keyIds: [keyId] },
    ]);
    await ue.publish('bob', brief);
    await ue.publish('bob', []);
    await clock.advance(120_000);
    expect(await state(), 'bob has published for good again').to.include({ bindings: 1 });
  });

  it('a registration that runs out does the same, hours later', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    ue.dropConnection();
    await clock.advance(3_601_000);
    await until(
      'the server has forgotten all of it',
      async () => JSON.stringify(await state()) === JSON.stringify(NOTHING),
    );
    expect(ue.registration.state).to.equal('unregistered');
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ bound: false });
  });

  it('a registration that is refreshed goes on, and so does everything on it', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    await clock.advance(3_000_000);
    await refreshed(ue);
    await clock.advance(1_000_000);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    await ue.publish('alice', []);
  });

  it('network de-registration ends it too', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    await world.core.verbs.deregisterSubscriber!({ impu: ue.impu });
    await until(
      'the server has forgotten all of it',
      async () => JSON.stringify(await state()) === JSON.stringify(NOTHING),
    );
  });

  it('an expired access token ends the binding where policy says so', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    for (let part = 0; part < 2; part++) {
      await clock.advance(3_000_000);
      await refreshed(ue);
    }
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    await clock.advance(1_300_000);
    await until('the binding has ended', async () => (await state()).bindings === 0);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 0, ceks: 0 });
    expect(world.told.at(-1)).to.include({ userUri: 'sip:alice@mcptt.example', reason: 'token-expired' });
  });

  it('a revoked key ends the binding that stood on it, and a call that ran', async () => {
    const [a, b] = world.ues;
    await world.bind(a, 'alice');
    await world.bind(b, 'bob');
    await a.calls.call(a.clientOf('alice'), 'sip:bob@mcptt.example', []);
    world.server.ceks.end({ userUri: 'sip:alice@mcptt.example' }, 'revoked');
    await until('the call has ended at B', () => b.calls.list().length === 0);
    const { bindings } = await world.server.view();
    expect((bindings as { mcpttId: string }[]).map(({ mcpttId }) => mcpttId)).to.deep.equal(['sip:bob@mcptt.example']);
    expect(world.told, 'the KMS knows what it revoked').to.deep.equal([]);
  });

  it('a superseded key ends no binding; the last key that runs out ends it, at the server and at the UE', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const old = ue.clientOf('alice').sealingKey(ue.sipSession).keyId;
    const next = world.rekey(ue, 'alice');
    await ue.publish('alice', []);
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ keyId: next, bound: true });
    await clock.advance(31_000);
    const deviate = [{ at: 'cms', op: 'set', path: 'key-id', value: old } as const];
    expect(await refusal(ue.publish('alice', deviate))).to.include({
      status: 493,
      warning: `Undecipherable, Key ID ${old}: retired`,
    });
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    world.server.ceks.end({ keyId: next }, 'expired');
    world.keysOf(ue, 'alice').end({ keyId: next }, 'expired');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 0, ceks: 0 });
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ bound: false, loggedIn: true });
  });

  it('service goes with the key that seals, not with one that only opens any more, at the server and at the UE', async () => {
    const [ue] = world.ues;
    const both = (keyId: string, reason: string): void => {
      world.server.ceks.end({ keyId }, reason);
      world.keysOf(ue, 'alice').end({ keyId }, reason);
    };
    const bound = async () => [(await state()).bindings, ue.clientOf('alice').view(ue.sipSession).bound];
    await world.bind(ue, 'alice');
    const first = ue.clientOf('alice').sealingKey(ue.sipSession).keyId;
    const second = world.rekey(ue, 'alice');
    both(first, 'revoked');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await bound(), 'the old key was revoked').to.deep.equal([1, true]);
    await ue.publish('alice', []);
    world.rekey(ue, 'alice');
    const third = ue.clientOf('alice').sealingKey(ue.sipSession).keyId;
    both(third, 'revoked');
    await until('the binding has ended with the new key', async () => (await state()).bindings === 0);
    expect(await bound()).to.deep.equal([0, false]);
    expect(world.server.ceks.list().map(({ keyId }) => keyId)).to.deep.equal([second]);
  });

  it('a server that restarts keeps sessions and bindings and has no key until it asks for them', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    await world.server.restart();
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 0 });
    expect((await refusal(ue.publish('alice', []))).status).to.equal(493);
    world.rekey(ue, 'alice');
    await ue.publish('alice', []);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
  });

  it('requests wait while a restarted server fetches its keys, and are served with them; but not for ever', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    for (const fetched of [true, false]) {
      let publish: Promise<unknown> | undefined;
      const recovery = world.server.recover(async () => {
        await world.server.restart();
        const from = world.records.length;
        publish = ue.publish('alice', []).then(
          () => 200,
          (error: unknown) => (error instanceof UeError ? error.detail.status : error),
        );
        await until('the PUBLISH is at the server', () =>
          world.records
            .slice(from)
            .some(({ actor, bytes }) => actor === 'mcptt-as' && Buffer.from(bytes).toString().startsWith('PUBLISH ')),
        );
        if (fetched) {
          const held = ue.clientOf('alice').sealingKey(ue.sipSession);
          const now = clock.now();
          world.server.ceks.take({ ...held, notBefore: now, notAfter: now + 60_000, state: 'active' });
        } else {
          await clock.advance(5_000);
          await publish;
        }
      });
      await recovery;
      expect(await publish, fetched ? 'once the keys are there' : 'while they do not come').to.equal(
        fetched ? 200 : 493,
      );
    }
  });

  it('a UE that restarts starts over: another SIP session, and the old one is over', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const session = ue.sipSession;
    const { keyId } = world.server.ceks.list()[0]!;
    await ue.restart();
    expect(ue.sipSession).not.to.equal(session);
    await world.bind(ue, 'alice');
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    expect(world.told).to.deep.equal([{ sipSession: session, reason: 'deregistered', keyIds: [keyId] }]);
  });

  it('a user who logs off is off, even when the server has forgotten the user already', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const wrong = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' } as const];
    expect(await refusal(ue.logOff('alice', wrong))).to.include({ status: 403 });
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    world.server.ceks.end({ userUri: 'sip:alice@mcptt.example' }, 'revoked');
    await until('the binding has ended', async () => (await state()).bindings === 0);
    await ue.logOff('alice', []);
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ loggedIn: false, bound: false });
  });

  it('a client that logs off leaves another client of the same user on the same SIP session alone', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const { bindings } = world.server.stores;
    const [binding] = await bindings.all();
    const own = ue.clientOf('alice').sealingKey(ue.sipSession).keyId;
    const other = { ...binding!, clientId: 'urn:uuid:00000000-0000-4000-8000-0000000a11c2', etag: 'other' };
    await bindings.put(other);
    await ue.logOff('alice', []);
    expect(await bindings.all()).to.deep.equal([other]);
    expect(world.told, 'what the KMS is told ends that key, and no other of the user').to.deep.equal([
      { sipSession: ue.sipSession, userUri: other.mcpttId, reason: 'logged-off', keyIds: [own], only: true },
    ]);
  });

  it('a user who logs off while the KMS changes the key is left with none', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const kms = ue.clientOf('alice').kms!;
    // The event of the change comes after the client has forgotten what it had.
    Object.assign(kms, { ended: () => kms.requestKey(ue.sipSession, []) });
    await ue.logOff('alice', []);
    expect(ue.ceks).to.deep.equal([]);
  });

  it('a client whose binding the server has forgotten publishes anew (RFC 3903 4.1)', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const [binding] = await world.server.stores.bindings.all();
    await world.server.stores.bindings.delete(binding!);
    await ue.publish('alice', []);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ bound: true });
    await ue.logIn('alice');
    expect(ue.clientOf('alice').view(ue.sipSession)).to.include({ bound: false, loggedIn: true });
    await ue.publish('alice', []);
    expect(await state()).to.deep.equal({ sessions: 1, bindings: 1, ceks: 1 });
  });

  it('the machine of bindings knows no way back', () => {
    expect(nextBindingState('bound', 'refreshed')).to.equal('bound');
    expect(nextBindingState('bound', 'revoked')).to.equal('ended');
    expect(() => nextBindingState('ended', 'refreshed'))
      .to.throw(McpttAsError)
      .with.property('code', 'MCPTT_AS_BINDING_STATE');
  });
});
