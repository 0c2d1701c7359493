import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { readNonce } from '../../../actors/security/aka/digest.ts';
import { createSipCore } from '../../../actors/sip-core/index.ts';
import { Usim } from '../../../actors/ue/usim.ts';
import { ManualClock } from '../../../sim/engine/index.ts';
import { type Bench, DOMAIN, IMPU, startBench, subscriber, TEL, until } from './bench.ts';

describe('TS 24.229 5.4.1 and TS 33.203: registration at the SIP core (step 1)', () => {
  let bench: Bench;
  afterEach(() => bench.close());

  const registration = async (): Promise<{ registered: boolean; contactUri?: string }> =>
    (await bench.core.readings.registration!({ impu: IMPU })) as { registered: boolean };

  describe('with the right USIM', () => {
    beforeEach(async () => {
      bench = await startBench();
    });

    it('challenges with AKAv1-MD5 and shows neither CK nor IK', async () => {
      const ue = await bench.ue();
      const unauthorized = await ue.exchange();
      expect(unauthorized.status).to.equal(401);
      const challenge = unauthorized.header('WWW-Authenticate')!;
      expect(challenge).to.match(
        /^Digest realm="ims\.mnc001\.mcc001\.3gppnetwork\.org", nonce="[A-Za-z0-9+/=]+", algorithm=AKAv1-MD5, qop="auth"$/,
      );
      expect(unauthorized.text).not.to.match(/\b[ci]k=/i);
    });

    it('accepts RES and answers with P-Associated-URI, Service-Route, Path and the granted expiry', async () => {
      const ue = await bench.ue();
      const ok = await ue.register({ expires: 1200 });
      expect(ok.status).to.equal(200);
      expect(ok.header('P-Associated-URI')).to.equal(`<${IMPU}>, <${TEL}>`);
      expect(ok.header('Service-Route')).to.equal(`<sip:orig@127.0.0.1:${bench.ports.sip1};lr>`);
      expect(ok.header('Path')).to.match(/^<sip:[^>]+;lr>$/);
      expect(ok.header('Contact')).to.equal(`<${ue.session}>;+g.3gpp.mcptt;expires=1200`);
      expect(await registration()).to.include({ registered: true, contactUri: ue.session });
    });

    it('keeps the parameters of the Contact as they are, +sip.instance with its angle brackets too (RFC 5626 4.1)', async () => {
      const ue = await bench.ue();
      const instance = '+sip.instance="<urn:uuid:00000000-0000-4000-8000-000000000001;expires=7>"';
      const ok = await ue.register({ contact: `<${ue.session}>;expires=300;${instance};+g.3gpp.mcptt` });
      expect(ok.header('Contact')).to.equal(`<${ue.session}>;${instance};+g.3gpp.mcptt;expires=300`);
      const bare = await ue.register({ contact: 'sip:ue@127.0.0.1;expires=300;q=0.5' });
      expect(bare.header('Contact')).to.equal('<sip:ue@127.0.0.1>;q=0.5;expires=300');
    });

    it('takes the Contact’s expires before the header field, and grants no more than allowed', async () => {
      const ue = await bench.ue();
      const one = await ue.register({ contact: `<${ue.session}>;expires=300`, expires: 900 });
      expect(one.header('Contact')).to.match(/;expires=300$/);
      const two = await ue.register({ expires: 9_999_999 });
      expect(two.header('Contact')).to.match(/;expires=600000$/);
      const three = await ue.register({ expires: '' });
      expect(three.header('Contact')).to.match(/;expires=600000$/);
    });

    it('white space and folding before a parameter of the Contact change nothing (RFC 3261 25.1, 7.3.1)', async () => {
      const ue = await bench.ue();
      const ok = await ue.register({ contact: `<${ue.session}> ; expires = 300\r\n ;+g.3gpp.mcptt`, expires: 900 });
      expect(ok.header('Contact')).to.equal(`<${ue.session}>;+g.3gpp.mcptt;expires=300`);
    });

    it('a first REGISTER without Authorization is challenged by its IMPU (TS 24.229 5.4.1.2.1)', async () => {
      const ue = await bench.ue();
      const unauthorized = await ue.exchange({ authorization: '' });
      expect(unauthorized.status).to.equal(401);
      expect((await ue.exchange({ authorization: ue.rightAnswer(unauthorized) })).status).to.equal(200);
      expect((await ue.exchange({ authorization: '' })).status, 'and a later one too').to.equal(401);
      expect((await ue.exchange({ authorization: '', to: `<sip:nobody@${DOMAIN}>` })).status).to.equal(403);
    });

    it('credentials for another realm beside its own are passed over (RFC 3261 20.7)', async () => {
      const ue = await bench.ue();
      const foreign =
        'Authorization: Digest username="x", realm="example.com", nonce="1", uri="sip:example.com", response="0"';
      const unauthorized = await ue.exchange({ headers: [foreign] });
      expect(unauthorized.status).to.equal(401);
      const text = ue.registerText({ authorization: ue.rightAnswer(unauthorized) });
      ue.peer.send(text.replace('Authorization:', `${foreign}\r\nAuthorization:`));
      expect((await ue.peer.next('the answer')).status).to.equal(200);
      await until(() => bench.server.seen.length > 0, 'the third-party REGISTER');
      const told = bench.server.seen.at(-1)!;
      expect(told.body)
        .to.match(/^REGISTER /)
        .and.not.match(/^authorization/im);
    });

    it('a REGISTER without Contact asks what is bound, and binds nothing (RFC 3261 10.2.3)', async () => {
      const ue = await bench.ue();
      const none = await ue.register({ contact: '', expires: '' });
      expect([none.status, none.header('Contact')]).to.deep.equal([200, undefined]);
      expect(await registration()).to.deep.equal({ registered: false });
      await ue.register({ expires: 600 });
      expect((await ue.exchange({ contact: '' })).status, 'only for who can answer a challenge').to.equal(401);
      for (const expires of ['', 0, 1] as const) {
        const bound = await ue.register({ contact: '', expires });
        expect(bound.status).to.equal(200);
        const { groups } = /^<(?<uri>[^>]*)>;\+g\.3gpp\.mcptt;expires=(?<left>\d+)$/.exec(bound.header('Contact')!)!;
        expect(groups!.uri).to.equal(ue.session);
        expect(Number(groups!.left)).to.be.within(590, 600);
        expect(bound.header('P-Associated-URI')).to.equal(`<${IMPU}>, <${TEL}>`);
      }
      expect(await registration()).to.include({ registered: true, contactUri: ue.session });
      expect(bench.server.seen.filter(({ startLine }) => startLine.startsWith('REGISTER'))).to.have.length(1);
    });

    it('a refresh that replays its credentials is challenged again, then accepted', async () => {
      const ue = await bench.ue();
      const unauthorized = await ue.exchange();
      const credentials = ue.rightAnswer(unauthorized);
      expect((await ue.exchange({ authorization: credentials })).status).to.equal(200);
      const again = await ue.exchange({ authorization: credentials });
      expect(again.status).to.equal(401);
      expect(again.header('WWW-Authenticate')).to.contain('stale=TRUE');
      expect((await ue.exchange({ authorization: ue.rightAnswer(again) })).status).to.equal(200);
    });

    it('an unknown nonce is challenged anew', async () => {
      const ue = await bench.ue();
      const stranger = ue.answer(randomBytes(32).toString('base64'), randomBytes(8));
      expect((await ue.exchange({ authorization: stranger })).status).to.equal(401);
    });

    it('a REGISTER older than the registration changes nothing', async () => {
      const ue = await bench.ue();
      await ue.register();
      const unauthorized = await ue.exchange({ cseq: '1 REGISTER' });
      const late = await ue.exchange({ cseq: '2 REGISTER', authorization: ue.rightAnswer(unauthorized), expires: 0 });
      expect(late.status).to.equal(500);
      expect(await registration()).to.include({ registered: true });
    });

    it('de-registers by Expires: 0 and by Contact: *', async () => {
      const ue = await bench.ue();
      await ue.register();
      const bye = await ue.register({ expires: 0 });
      expect(bye.status).to.equal(200);
      expect(bye.header('Contact')).to.equal(undefined);
      expect(await registration()).to.deep.equal({ registered: false });
      await ue.register();
      expect((await ue.register({ contact: '*', expires: 0 })).status).to.equal(200);
      expect(await registration()).to.deep.equal({ registered: false });
    });

    it('a new contact address takes the place of the old one', async () => {
      const first = await bench.ue();
      await first.register();
      const second = await bench.ue(first.usim);
      await second.register();
      expect(await registration()).to.include({ registered: true, contactUri: second.session });
      const other = await first.register({ expires: 0 });
      expect(other.header('Contact')).to.contain(second.session);
      expect(await registration()).to.include({ registered: true });
    });

    it('resynchronises from AUTS and accepts the next answer', async () => {
      const ue = await bench.ue(
        new Usim(
          subscriber(),
          Array.from({ length: 32 }, () => 9000),
        ),
      );
      const unauthorized = await ue.exchange();
      const { nonce, answer } = ue.challengeOf(unauthorized);
      if (answer.outcome !== 'synch-failure') throw new Error(answer.outcome);
      const auts = Buffer.from(answer.auts).toString('base64');
      const again = await ue.exchange({ authorization: ue.answer(nonce, new Uint8Array(), { auts }) });
      expect(again.status).to.equal(401);
      expect((await ue.exchange({ authorization: ue.rightAnswer(again) })).status).to.equal(200);
    });

    it('setSqn puts the AuC out of step', async () => {
      const ue = await bench.ue();
      await ue.register();
      await bench.core.verbs.setSqn!({ impi: ue.usim.impi, sqn: '000000000020' });
      let outcome = '';
      // Until the AuC’s IND comes round to the entry of the USIM’s array that was used.
      for (let i = 0; i < 16 && outcome !== 'synch-failure'; i++) {
        outcome = ue.challengeOf(await ue.exchange()).answer.outcome;
      }
      expect(outcome).to.equal('synch-failure');
    });

    it('the answer over another Call-ID, IMPU, realm, algorithm, or without qop, is refused with 403', async () => {
      const ue = await bench.ue();
      const deviations: [string, (nonce: string, res: Uint8Array) => Parameters<typeof ue.exchange>[0]][] = [
        ['Call-ID', (nonce, res) => ({ callId: 'another', authorization: ue.answer(nonce, res) })],
        ['IMPU', (nonce, res) => ({ to: `<${TEL}>`, authorization: ue.answer(nonce, res) })],
        ['realm', (nonce, res) => ({ authorization: ue.answer(nonce, res, { realm: 'example.com' }) })],
        ['algorithm', (nonce, res) => ({ authorization: ue.answer(nonce, res, { algorithm: 'MD5' }) })],
        ['no algorithm', (nonce, res) => ({ authorization: ue.answer(nonce, res, { algorithm: undefined }) })],
        ['no qop', (nonce, res) => ({ authorization: ue.answer(nonce, res, { qop: undefined }) })],
        ['no cnonce', (nonce, res) => ({ authorization: ue.answer(nonce, res, { cnonce: undefined }) })],
        ['no nc', (nonce, res) => ({ authorization: ue.answer(nonce, res, { nc: undefined }) })],
        ['wrong RES', (nonce) => ({ authorization: ue.answer(nonce, randomBytes(8)) })],
        [
          'RES in hex',
          (nonce, res) => ({ authorization: ue.answer(nonce, Buffer.from(Buffer.from(res).toString('hex'))) }),
        ],
        ['empty response, no auts', (nonce, res) => ({ authorization: ue.answer(nonce, res, { response: '' }) })],
        ['auts not base64', (nonce) => ({ authorization: ue.answer(nonce, new Uint8Array(), { auts: '!!' }) })],
        [
          'auts of 13 octets',
          (nonce) => ({
            authorization: ue.answer(nonce, new Uint8Array(), { auts: randomBytes(13).toString('base64') }),
          }),
        ],
        [
          'auts with a wrong MAC-S',
          (nonce) => ({
            authorization: ue.answer(nonce, new Uint8Array(), { auts: randomBytes(14).toString('base64') }),
          }),
        ],
        [
          'auts beside a response that is not over the empty password',
          (nonce, res) => ({ authorization: ue.answer(nonce, res, { auts: randomBytes(14).toString('base64') }) }),
        ],
      ];
      for (const [what, deviate] of deviations) {
        const { nonce, answer } = ue.challengeOf(await ue.exchange());
        if (answer.outcome !== 'success') throw new Error(answer.outcome);
        expect((await ue.exchange(deviate(nonce, answer.res))).status, what).to.equal(403);
        const late = await ue.exchange({ authorization: ue.answer(nonce, answer.res) });
        expect(late.status, `${what}: the challenge is used up`).to.equal(401);
      }
      expect(await registration()).to.deep.equal({ registered: false });
    });

    it('resynchronisation without end is refused', async () => {
      const ue = await bench.ue();
      let unauthorized = await ue.exchange();
      for (const [seqAtUsim, status] of [
        [2 ** 20, 401],
        [2 ** 21, 401],
        [2 ** 22, 403],
      ] as const) {
        const usim = new Usim(
          subscriber(),
          Array.from({ length: 32 }, () => seqAtUsim),
        );
        const { nonce } = ue.challengeOf(unauthorized);
        const { rand, autn } = readNonce(nonce)!;
        const answer = usim.authenticate(rand, autn);
        if (answer.outcome !== 'synch-failure') throw new Error(answer.outcome);
        const auts = Buffer.from(answer.auts).toString('base64');
        unauthorized = await ue.exchange({ authorization: ue.answer(nonce, new Uint8Array(), { auts }) });
        expect(unauthorized.status).to.equal(status);
      }
    });

    it('malformed fields get 400 with a reason', async () => {
      const ue = await bench.ue();
      const cases: [RegExp, Parameters<typeof ue.exchange>[0]][] = [
        [/To/, { to: '<mailto:nobody@example.com>' }],
        [/Contact/, { contact: [`<${ue.session}>`, '<sip:other@127.0.0.1>'] }],
        [/Expires/, { expires: 'soon' }],
        [/Expires/, { contact: `<${ue.session}>;expires=never` }],
        [/Authorization/, { authorization: 'Basic QQ==' }],
        [/username/, { authorization: ue.credentials({ username: undefined }) }],
        [/response/, { authorization: ue.credentials({ response: undefined }) }],
        [/uri/, { authorization: ue.credentials({ uri: 'sip:example.com' }) }],
      ];
      for (const [reason, fields] of cases) {
        const { startLine, status } = await ue.exchange(fields);
        expect(status, JSON.stringify(fields)).to.equal(400);
        expect(startLine, JSON.stringify(fields)).to.match(reason);
      }
      expect((await ue.exchange({ contact: ['*', `<${ue.session}>`], expires: 0 })).status).to.equal(400);
      expect((await ue.exchange({ contact: '*', expires: 600 })).status).to.equal(400);
      expect((await ue.exchange({ cseq: '1 INVITE' })).status).to.equal(400);
    });

    it('an extension that it does not have gets 420 (RFC 3261 10.3 step 2); Path and a UE that offers IPsec do not', async () => {
      const ue = await bench.ue();
      const refused = await ue.exchange({ headers: ['Require: path, outbound', 'Proxy-Require: sec-agree'] });
      expect(refused.status).to.equal(420);
      expect(refused.header('Unsupported')).to.equal('outbound');
      expect((await ue.exchange({ headers: ['Require: path, sec-agree'] })).status).to.equal(401);
    });

    it('too short an expiry gets 423 with Min-Expires', async () => {
      const ue = await bench.ue();
      const brief = await ue.exchange({ expires: 10 });
      expect(brief.status).to.equal(423);
      expect(brief.header('Min-Expires')).to.equal('60');
    });

    it('other subscribers, identities and domains get 403', async () => {
      const ue = await bench.ue();
      const cases: Parameters<typeof ue.exchange>[0][] = [
        { authorization: ue.credentials({ username: `nobody@${DOMAIN}` }) },
        { to: `<sip:ue-2@${DOMAIN}>` },
        { requestUri: 'sip:example.com', authorization: ue.credentials({ uri: 'sip:example.com' }) },
      ];
      for (const fields of cases) expect((await ue.exchange(fields)).status, JSON.stringify(fields)).to.equal(403);
    });

    it('reports what crossed SIP-1, word for word', async () => {
      const ue = await bench.ue();
      await ue.register();
      await until(() => bench.records.filter((r) => r.interface === 'SIP-1').length === 4, 'four records');
      const sip1 = bench.records.filter((r) => r.interface === 'SIP-1');
      expect(sip1.map((r) => [r.direction, r.peer])).to.deep.equal([
        ['received', 'ue'],
        ['sent', 'ue'],
        ['received', 'ue'],
        ['sent', 'ue'],
      ]);
      expect(Buffer.from(sip1[3]!.bytes).toString()).to.equal(ue.peer.seen[1]!.text);
    });
  });

  it('a challenge is good for its time only (reg-await-auth)', async () => {
    const clock = new ManualClock();
    bench = await startBench({ clock });
    const ue = await bench.ue();
    const unauthorized = await ue.exchange();
    clock.advance(241_000);
    const late = await ue.exchange({ authorization: ue.rightAnswer(unauthorized) });
    expect(late.status).to.equal(401);
    expect((await ue.exchange({ authorization: ue.rightAnswer(late) })).status).to.equal(200);
  });

  it('a registration ends with its time', async () => {
    const clock = new ManualClock();
    bench = await startBench({ clock });
    const ue = await bench.ue();
    await ue.register({ expires: 600 });
    clock.advance(599_000);
    expect(await registration()).to.include({ registered: true });
    await ue.register({ expires: 600 });
    clock.advance(599_000);
    expect(await registration()).to.include({ registered: true });
    clock.advance(1_000);
    await until(async () => !(await registration()).registered, 'the end of the registration');
  });

  it('a barred IMPU cannot be registered and is not among the associated ones', async () => {
    bench = await startBench({ subscribers: [subscriber({ barredImpus: [TEL] })] });
    const ue = await bench.ue();
    expect((await ue.exchange({ to: `<${TEL}>` })).status).to.equal(403);
    expect((await ue.register()).header('P-Associated-URI')).to.equal(`<${IMPU}>`);
  });

  it('a USIM with another K refuses the network; the empty response gets 403', async () => {
    bench = await startBench();
    const ue = await bench.ue(new Usim({ ...subscriber(), k: randomBytes(16).toString('hex') }));
    const { nonce, answer } = ue.challengeOf(await ue.exchange());
    expect(answer.outcome).to.equal('mac-failure');
    expect(
      (await ue.exchange({ authorization: ue.answer(nonce, new Uint8Array(), { response: '' }) })).status,
    ).to.equal(403);
  });

  it('an engine that is not there, or wants another secret, is named', async () => {
    bench = await startBench();
    for (const drachtio of [
      { host: '127.0.0.1', port: 1, secret: 'x' },
      { host: '127.0.0.1', port: bench.controlPort, secret: 'wrong' },
    ]) {
      const core = createSipCore({ drachtio, homeDomain: DOMAIN, subscribers: [], connectMs: 100 }, bench.context);
      const error = await core.start().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.include({ code: 'SIP_CORE_NO_ENGINE' });
      await core.stop();
    }
  });
});
