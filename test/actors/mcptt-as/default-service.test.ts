import { expect } from 'chai';
import type { McpttPolicy } from '../../../actors/mcptt-as/config.ts';
import { PSI, refusal, startWorld, type World } from './world.ts';

const NOT_YET = '399 no service before service authorisation';

describe('before step 4 (STEP-1N, STEP-2S)', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
    const [ue] = world.ues;
    await ue.register([]);
    await ue.logIn('alice');
    await ue.requestKey('alice', []);
  });
  after(() => world?.close());

  it('nothing can be sent without a registration', async () => {
    const [, other] = world.ues;
    await other.logIn('bob');
    await other.requestKey('bob', []);
    expect((await refusal(other.publish('bob', []))).code).to.equal('UE_NOT_REGISTERED');
    expect((await refusal(other.options())).code).to.equal('UE_NOT_REGISTERED');
  });

  it('serves OPTIONS, which policy names', async () => {
    expect(await world.ues[0].options()).to.deep.include({ status: 200 });
  });

  it('refuses a message, a private call and an emergency call, although the key is there', async () => {
    const [ue] = world.ues;
    const alice = ue.clientOf('alice');
    expect(await refusal(ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x', []))).to.include({
      status: 403,
      warning: NOT_YET,
    });
    expect(await refusal(ue.calls.call(alice, 'sip:bob@mcptt.example', []))).to.include({
      status: 403,
      warning: NOT_YET,
    });
    const emergency = [
      { at: 'mcptt-info', op: 'set', path: 'session-type', value: 'prearranged' } as const,
      { at: 'mcptt-info', op: 'set', path: 'emergency-ind', value: 'true' } as const,
    ];
    expect(await refusal(ue.calls.call(alice, 'sip:fire-station-1@mcptt.example', emergency))).to.include({
      status: 403,
      warning: NOT_YET,
    });
    expect(ue.calls.list()).to.deep.equal([]);
  });

  it('follows policy: OPTIONS refused, MESSAGE served', async () => {
    const [ue] = world.ues;
    const policy: McpttPolicy = world.server.policy;
    world.server.policy = { ...policy, defaultServices: ['MESSAGE'] };
    expect(await refusal(ue.options())).to.include({ status: 403, warning: NOT_YET });
    expect(await ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x', [])).to.deep.equal({ status: 200 });
    world.server.policy = policy;
    expect(PSI).to.match(/^sip:/);
  });
});

describe('a service without protection (POL-1)', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ policy: { protection: { required: false, profile: 'kek' } } });
  });
  after(() => world?.close());

  it('authorizes and carries messages in clear, without any CEK', async () => {
    const [a, b] = world.ues;
    await world.bind(a, 'alice');
    await world.bind(b, 'bob');
    expect(world.server.ceks.list()).to.deep.equal([]);
    expect(a.clientOf('alice').view(a.sipSession)).to.include({ bound: true });
    const publish = world.records.find(
      ({ actor, bytes }) => actor === 'sip-core' && Buffer.from(bytes).toString().startsWith('PUBLISH'),
    )!;
    expect(Buffer.from(publish.bytes).toString()).to.include('multipart/mixed').and.include('mcptt-access-token');
    await a.sendMessage('alice', 'sip:bob@mcptt.example', 'in clear', []);
    expect(b.clientOf('bob').inbox.map(({ text, keyId }) => ({ text, keyId }))).to.deep.equal([
      { text: 'in clear', keyId: undefined },
    ]);
    const call = await a.calls.call(a.clientOf('alice'), 'sip:bob@mcptt.example', []);
    await a.calls.hangUp(call);
  });
});
