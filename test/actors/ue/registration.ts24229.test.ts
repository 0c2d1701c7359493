import { expect } from 'chai';
import { createTestCa } from '../../../actors/security/ca.ts';
import type { UserEquipment } from '../../../actors/ue/equipment.ts';
import { UeError } from '../../../actors/ue/errors.ts';
import { nextRegistrationState } from '../../../actors/ue/registration.ts';
import { ShiftedClock } from '../../../sim/control/shifted-clock.ts';
import { refusal, startWorld, subscribers, until, type World } from '../mcptt-as/world.ts';

const IMPI = subscribers[0]!.impi;

describe('registration of the UE (TS 24.229 5.1.1, TS 33.203, RFC 3310)', () => {
  let world: World;
  let ue: UserEquipment;
  const clock = new ShiftedClock();
  before(async () => {
    world = await startWorld({ clock });
    [ue] = world.ues;
  });
  after(() => world?.close());
  beforeEach(() => {
    world.records.length = 0;
  });

  const registers = (): string[] =>
    world.records
      .filter(({ actor, direction }) => actor === 'ue-1' && direction === 'sent')
      .map(({ bytes }) => Buffer.from(bytes).toString())
      .filter((message) => message.startsWith('REGISTER'));
  const authorization = (message: string): string => /^Authorization: (.*)$/m.exec(message)?.[1] ?? '';

  it('sends an unprotected REGISTER, answers the challenge with RES and takes what the network grants', async () => {
    await ue.register([]);
    const [first, second, ...more] = registers();
    expect(more).to.deep.equal([]);
    expect(authorization(first!)).to.include(`username="${IMPI}"`).and.include('nonce="", ').and.include('response=""');
    expect(authorization(second!))
      .to.match(/response="[0-9a-f]{32}"/)
      .and.match(/algorithm=AKAv1-MD5/)
      .and.match(/qop=auth/);
    expect(first).to.match(
      /^Contact: <sip:[^>]+>;\+sip\.instance="<urn:uuid:[0-9a-f-]{36}>";\+g\.3gpp\.mcptt;\+g\.3gpp\.icsi-ref="urn%3Aurn-7%3A3gpp-service\.ims\.icsi\.mcptt";expires=3600/m,
    );
    expect(first)
      .to.include(`Contact: <${ue.sipSession}>`)
      .and.match(/^P-Access-Network-Info: /m);
    const callIds = [first, second].map((message) => /^Call-ID: (.*)$/m.exec(message!)?.[1]);
    expect(callIds[0]).to.equal(callIds[1]);
    expect(ue.registration.state).to.equal('registered');
    expect(ue.registration.associatedUris).to.deep.equal(subscribers[0]!.impus);
    expect(ue.registration.serviceRoute).to.have.length(1);
    expect(ue.registration.path).to.have.length(1);
  });

  it('refreshes under the same Call-ID, and registers again over a new connection when the old one was lost', async () => {
    const session = ue.sipSession;
    await ue.refresh();
    ue.dropConnection();
    expect((await refusal(ue.options())).code).to.equal('UE_NO_CONNECTION');
    await ue.register([]);
    expect(await ue.options()).to.include({ status: 200 });
    expect(ue.sipSession, 'the SIP session goes on').to.equal(session);
  });

  it('comes back by itself when the core closes the connection', async () => {
    const session = ue.sipSession;
    const until0 = ue.registration.expiresAt ?? 0;
    await clock.advance(901_000); // an engine closes a connection that was silent for 900 s
    await until('the UE is registered again', () => ue.connected && (ue.registration.expiresAt ?? 0) > until0);
    expect(await ue.options()).to.include({ status: 200 });
    expect(ue.sipSession).to.equal(session);
  });

  it('de-registers, and names its next SIP session anew', async () => {
    const session = ue.sipSession;
    await ue.deregister();
    expect(registers().at(-1)).to.match(/^Expires: 0\r$/m);
    expect(ue.registration.state).to.equal('unregistered');
    expect(ue.sipSession).not.to.equal(session);
    expect((await refusal(ue.deregister())).code).to.equal('UE_REGISTRATION_STATE');
  });

  it('is refused with a wrong RES (403) and stays unregistered', async () => {
    const wrong = [{ at: 'sip', op: 'set', path: 'authorization.response', value: '0'.repeat(32) } as const];
    expect(await refusal(ue.register(wrong))).to.include({ code: 'UE_REGISTRATION_REFUSED', status: 403 });
    expect(ue.registration.state).to.equal('unregistered');
  });

  it('refuses a network that does not know its K: empty response, no auts (TS 24.229 5.1.1.5.3)', async () => {
    const other = await world.anotherUe({ usim: { k: '00000000000000000000000000000001' } });
    expect((await refusal(other.register([]))).code).to.equal('UE_NETWORK_NOT_AUTHENTICATED');
    const answer = authorization(registers().at(-1)!);
    expect(answer).to.include('response=""').and.not.include('auts');
    expect(answer).to.match(/nonce="[^"]+"/);
    expect(other.registration.lastAnswer).to.equal('mac-failure');
  });

  it('answers a stale SQN with AUTS and registers once the network has caught up (TS 33.102 6.3.5)', async () => {
    await world.core.verbs.setSqn!({ impi: IMPI, sqn: '000000000000' });
    await ue.register([]);
    expect(registers().filter((message) => /auts="[A-Za-z0-9+/=]{20}"/.test(authorization(message)))).to.have.length(1);
    expect(ue.registration.lastAnswer).to.equal('success');
    await ue.deregister();
  });

  it('sends any REGISTER wrong on purpose', async () => {
    const wrong = [
      { at: 'sip', op: 'set', path: 'Expires', value: '5' } as const,
      { at: 'sip', op: 'set', path: 'Contact', value: `<${ue.sipSession}>` } as const,
    ];
    expect(await refusal(ue.register(wrong))).to.include({ code: 'UE_REGISTRATION_REFUSED', status: 423 });
    expect(await refusal(ue.register([{ at: 'sip', op: 'remove', path: 'Authorization' }]))).to.include({
      code: 'UE_REGISTRATION_REFUSED',
      status: 401,
    });
    expect(
      await refusal(ue.register([{ at: 'sip', op: 'set', path: 'Authorization', value: 'Basic QQ==' }])),
    ).to.include({
      status: 400,
    });
  });

  it('asks for as long as the network wants when that is longer (423, TS 24.229 5.1.1.2.1)', async () => {
    const brief = await startWorld({ clock, expires: 30 });
    try {
      const [other] = brief.ues;
      await other.register([]);
      const asked = brief.records
        .filter(({ actor, direction }) => actor === 'ue-1' && direction === 'sent')
        .map(({ bytes }) => /^Expires: (\d+)/m.exec(Buffer.from(bytes).toString())?.[1]);
      expect(asked).to.deep.equal(['30', '60', '60']);
      expect(other.registration.expiresAt! - clock.now()).to.be.within(50_000, 60_000);
    } finally {
      await brief.close();
    }
  });

  it('connects to nobody whose certificate is not of its CA (HTTP1-1 says the same of HTTP-1)', async () => {
    const other = await world.anotherUe({ ca: (await createTestCa()).certificate });
    expect((await refusal(other.register([]))).code).to.equal('UE_NO_CONNECTION');
    const nowhere = await world.anotherUe({ coreUrl: 'wss://127.0.0.1:1' });
    expect((await refusal(nowhere.register([]))).code).to.equal('UE_NO_CONNECTION');
    expect(nowhere.registration.state).to.equal('unregistered');
  });

  it('the machine knows no other way', () => {
    expect(nextRegistrationState('unregistered', 'register')).to.equal('registering');
    expect(nextRegistrationState('refreshing', 'refused')).to.equal('registered');
    expect(() => nextRegistrationState('unregistered', 'refresh'))
      .to.throw(UeError)
      .with.property('code', 'UE_REGISTRATION_STATE');
  });
});
