import { expect } from 'chai';
import { keyPeriodBounds, keyPeriodNoAt } from '../../../actors/security/ibc/uid.ts';
import { type OpenWorld, openWorld } from '../../../sim/cli/world.ts';

const MINUTE = 60_000;
/** The KMS's default; key periods are counted from 1900 (NTP). */
const PERIODS = { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 };
const BOB = 'sip:bob@mcptt.example';

describe('IBC-1 over the turn of a key period (TS 33.180 F.2.1)', () => {
  let world: OpenWorld;
  before(async function () {
    this.timeout(60_000);
    world = await openWorld({ actors: ['ue', 'ue-b'] });
    await world.reset();
  });
  after(() => world?.close());
  const act = (actor: string, verb: string, args = {}) => world.actors.get(actor)!.do(verb, args);

  it('both ends get key material of the new period and go on under the same CEK', async function () {
    this.timeout(60_000);
    const now = Date.now();
    await world.advance(keyPeriodBounds(PERIODS, keyPeriodNoAt(PERIODS, now)).validTo - now - 40 * MINUTE);
    for (const [ue, user] of [
      ['ue', 'alice'],
      ['ue-b', 'bob'],
    ] as const) {
      await act(ue, 'attach');
      await act(ue, 'register');
      await act(ue, 'logIn', { user });
      await act(ue, 'requestKey', { user });
      await act(ue, 'publish', { user });
    }
    await act('ue', 'sendMessage', { user: 'alice', to: BOB, text: 'before' });
    const held = await world.actors.get('ue')!.read<{ keyId: string }>('client', { user: 'alice' });
    await world.advance(46 * MINUTE);
    await act('ue', 'sendMessage', { user: 'alice', to: BOB, text: 'a period later' });
    const messages = await world.actors.get('ue-b')!.read<{ text: string }[]>('messages', { user: 'bob' });
    expect(messages.map(({ text }) => text)).to.deep.equal(['before', 'a period later']);
    await act('ue', 'publish', { user: 'alice' });
    const { callId } = (await act('ue', 'call', { user: 'alice', to: BOB })) as { callId: string };
    await act('ue', 'hangUp', { callId });
    expect(await world.actors.get('ue')!.read('client', { user: 'alice' })).to.include({ keyId: held.keyId });
  });
});
