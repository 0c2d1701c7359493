import { expect } from 'chai';
import type { ApplicationServer, InitialFilterCriterion } from '../../../actors/messages/subscriber.ts';
import { ManualClock } from '../../../sim/engine/index.ts';
import { type Bench, DOMAIN, IMPU, SERVER, startBench, subscriber, TEL, until } from './bench.ts';
import { response, type SipText } from './sip-peer.ts';

const criterion = (applicationServer: Partial<ApplicationServer>, more: Partial<InitialFilterCriterion> = {}) => ({
  priority: 0,
  triggerPoint: { conditionTypeCnf: true, servicePointTriggers: [{ group: [0], method: 'REGISTER' }] },
  applicationServer: { serverName: SERVER, ...applicationServer },
  ...more,
});

describe('TS 24.229 5.4.1.7: third-party REGISTER (step 2)', () => {
  let bench: Bench;
  afterEach(() => bench.close());

  const start = async (
    applicationServer: Partial<ApplicationServer>,
    options: Parameters<typeof startBench>[0] = {},
  ): Promise<void> => {
    const subscribers = [subscriber({ initialFilterCriteria: [criterion(applicationServer)] })];
    bench = await startBench({ subscribers, ...options });
  };
  const registered = async (): Promise<boolean> =>
    ((await bench.core.readings.registration!({ impu: IMPU })) as { registered: boolean }).registered;
  const next = (): Promise<SipText> => bench.server.next('the third-party REGISTER');

  it('field by field', async () => {
    await start({ includeRegisterRequest: true });
    const ue = await bench.ue();
    await ue.register({ expires: 1234 });
    const request = await next();
    const core = `127.0.0.1:${bench.ports.sip2}`;
    expect(request.startLine).to.equal(`REGISTER ${SERVER} SIP/2.0`);
    expect(request.header('From')).to.match(new RegExp(`^<sip:${core}>;tag=\\w+$`));
    expect(request.header('Contact')).to.contain(`<sip:${core};transport=tcp>`);
    expect(request.header('To')).to.equal(`<${IMPU}>`);
    expect(request.header('Expires')).to.equal('1234');
    expect(request.header('P-Access-Network-Info')).to.equal('3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010019B01');
    expect(request.header('P-Visited-Network-ID')).to.equal(DOMAIN);
    expect(request.header('P-Charging-Vector')).to.match(
      /^icid-value="[0-9a-f]{32}";icid-generated-at=127\.0\.0\.1;orig-ioi=/,
    );
    expect(request.header('Call-ID')).not.to.equal(ue.callId);
    expect(request.header('Authorization')).to.equal(undefined);
    expect(request.header('Content-Type')).to.equal('message/sip');
    const enclosed = request.body;
    expect(enclosed).to.match(new RegExp(`^REGISTER sip:${DOMAIN} SIP/2\\.0\r\n`));
    expect(enclosed)
      .to.contain(`Contact: <${ue.session}>;+g.3gpp.mcptt\r\n`)
      .and.not.match(/authorization/i);
    expect(await bench.core.readings.thirdParty!({ impu: TEL })).to.deep.equal([
      { server: SERVER, expires: 1234, status: 200 },
    ]);
  });

  it('comes after the UE’s 200, and is reported on SIP-2 with its answer', async () => {
    await start({});
    const ue = await bench.ue();
    await ue.register();
    await next();
    await bench.core.readings.thirdParty!({ impu: IMPU });
    expect(bench.records.slice(-3).map((r) => [r.interface, r.direction, r.peer])).to.deep.equal([
      ['SIP-1', 'sent', 'ue'],
      ['SIP-2', 'sent', 'mcptt-as'],
      ['SIP-2', 'received', 'mcptt-as'],
    ]);
  });

  it('without anything to include it has no body', async () => {
    await start({});
    await (await bench.ue()).register();
    const request = await next();
    expect(request.body).to.equal('');
    expect(request.header('Content-Type')).to.equal(undefined);
  });

  it('service-info alone is one part, its text escaped', async () => {
    await start({ serviceInfo: 'a < b & c' });
    await (await bench.ue()).register();
    const request = await next();
    expect(request.header('Content-Type')).to.equal('application/3gpp-ims+xml');
    expect(request.body).to.contain('<ims-3gpp version="1"><service-info>a &lt; b &amp; c</service-info></ims-3gpp>');
  });

  it('several parts are multipart/mixed: service-info, then the REGISTER, then the 200', async () => {
    await start({ serviceInfo: 'mcptt', includeRegisterRequest: true, includeRegisterResponse: true });
    const ue = await bench.ue();
    const ok = await ue.register();
    const request = await next();
    const boundary = /^multipart\/mixed; ?boundary="?([^";]+)"?$/.exec(request.header('Content-Type')!)![1]!;
    const parts = request.body.split(`--${boundary}`).slice(1, -1);
    expect(parts.map((part) => /Content-Type: (\S+)/i.exec(part)![1])).to.deep.equal([
      'application/3gpp-ims+xml',
      'message/sip',
      'message/sip',
    ]);
    expect(parts[1]).to.contain('REGISTER sip:');
    expect(parts[2]!.trim().split('\r\n\r\n').slice(1).join('\r\n\r\n').trim()).to.equal(ok.text.trim());
  });

  it('follows refresh and de-registration', async () => {
    await start({ includeRegisterRequest: true });
    const ue = await bench.ue();
    await ue.register({ expires: 600 });
    expect((await next()).header('Expires')).to.equal('600');
    await ue.register({ expires: 900 });
    expect((await next()).header('Expires')).to.equal('900');
    await ue.register({ expires: 0 });
    const bye = await next();
    expect(bye.header('Expires')).to.equal('0');
    expect(bye.body).to.contain(ue.session);
  });

  it('follows the end of the registration’s time', async () => {
    const clock = new ManualClock();
    await start({ includeRegisterRequest: true }, { clock });
    await (await bench.ue()).register({ expires: 600 });
    await next();
    clock.advance(600_000);
    const bye = await next();
    expect(bye.header('Expires')).to.equal('0');
    expect(bye.body, 'no REGISTER of the UE was the cause').to.equal('');
  });

  it('follows network-initiated de-registration', async () => {
    await start({});
    await (await bench.ue()).register();
    await next();
    await bench.core.verbs.deregisterSubscriber!({ impu: TEL });
    expect((await next()).header('Expires')).to.equal('0');
    expect(await registered()).to.equal(false);
    const again = await bench.core.verbs.deregisterSubscriber!({ impu: IMPU }).catch((error: unknown) => error);
    expect(again).to.include({ code: 'SIP_CORE_NOT_REGISTERED' });
  });

  it('a new contact ends the old SIP session first', async () => {
    await start({ includeRegisterRequest: true });
    const first = await bench.ue();
    await first.register();
    await next();
    const second = await bench.ue(first.usim);
    await second.register();
    expect((await next()).header('Expires')).to.equal('0');
    expect((await next()).body).to.contain(second.session);
  });

  for (const [defaultHandling, stays] of [
    ['SESSION_CONTINUED', true],
    ['SESSION_TERMINATED', false],
  ] as const) {
    for (const status of ['503 Service Unavailable', '408 Request Timeout']) {
      it(`${defaultHandling}: a server that answers ${status} ${stays ? 'changes nothing' : 'ends the registration'}`, async () => {
        await start({ defaultHandling });
        bench.server.onRequest = (request) => response(request, status);
        await (await bench.ue()).register();
        await next();
        expect(await bench.core.readings.thirdParty!({ impu: IMPU })).to.have.length(1);
        if (stays) expect(await registered()).to.equal(true);
        else await until(async () => !(await registered()), 'de-registration');
      });
    }
  }

  it('SESSION_TERMINATED: a server that cannot be reached ends the registration, one that refuses does not', async () => {
    await start({ defaultHandling: 'SESSION_TERMINATED' });
    bench.server.onRequest = (request) => response(request, '403 Forbidden');
    const ue = await bench.ue();
    await ue.register();
    expect(await bench.core.readings.thirdParty!({ impu: IMPU })).to.deep.equal([
      { server: SERVER, expires: 600, status: 403 },
    ]);
    expect(await registered()).to.equal(true);
    await bench.server.close();
    await ue.register();
    await until(async () => !(await registered()), 'de-registration');
  });

  it('goes only where the criteria point: registration type, header field, priority', async () => {
    const trigger = (servicePointTriggers: object[], conditionTypeCnf = true) => ({
      triggerPoint: { conditionTypeCnf, servicePointTriggers },
    });
    const named = (name: string) => ({ serverName: `sip:${name}.${DOMAIN}` });
    const initialFilterCriteria = [
      criterion(named('late'), { priority: 9 }),
      criterion(named('initial'), {
        priority: 1,
        ...trigger([{ group: [0], method: 'REGISTER', registrationType: ['INITIAL_REGISTRATION'] }]),
      } as Partial<InitialFilterCriterion>),
      criterion(named('header'), {
        priority: 2,
        ...trigger([
          { group: [0], method: 'REGISTER' },
          { group: [1], sipHeader: { header: 'Contact', content: 'g\\.3gpp\\.mcptt' } },
        ]),
      } as Partial<InitialFilterCriterion>),
      criterion(named('not'), {
        priority: 3,
        ...trigger([{ group: [0], sipHeader: { header: 'Contact' }, conditionNegated: true }]),
      } as Partial<InitialFilterCriterion>),
      criterion(named('either'), {
        priority: 4,
        ...trigger(
          [
            { group: [0], method: 'INVITE' },
            { group: [1], requestUri: `${DOMAIN}$` },
          ],
          false,
        ),
      } as Partial<InitialFilterCriterion>),
    ];
    bench = await startBench({ subscribers: [subscriber({ initialFilterCriteria })] });
    const ue = await bench.ue();
    const told = async (): Promise<string[]> => {
      const outcomes = (await bench.core.readings.thirdParty!({ impu: IMPU })) as { server: string }[];
      return outcomes.map(({ server }) => server.slice(4).split('.')[0]!);
    };
    await ue.register();
    expect(await told()).to.deep.equal(['initial', 'header', 'either', 'late']);
    await ue.register();
    expect(await told()).to.deep.equal(['header', 'either', 'late']);
  });
});
