import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Usim } from '../../../actors/ue/usim.ts';
import {
  type Bench,
  DOMAIN,
  IMPU,
  RawUe,
  requestCriterion,
  SERVER,
  startBench,
  subscriber,
  TEL,
  until,
} from './bench.ts';
import { response, SipPeer, type SipText } from './sip-peer.ts';

const PSI = `sip:mcptt-participating@${DOMAIN}`;
const PUBLISH_HEADERS = [
  'Event: poc-settings',
  'Expires: 4294967295',
  'P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mcptt',
  'Accept-Contact: *;+g.3gpp.mcptt;require;explicit',
  'Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name="smime.p7m"',
  'Content-Transfer-Encoding: base64',
];
const BODY = `${randomBytes(1200).toString('base64')}\r\n`;

describe('TS 24.229 5.2.6.3 and 5.4.3.2: requests from a UE', () => {
  let bench: Bench;
  let ue: RawUe;
  afterEach(() => bench.close());

  const start = async (options: Parameters<typeof startBench>[0] = {}): Promise<void> => {
    bench = await startBench(options);
    ue = await bench.ue();
    await ue.register();
    await bench.core.readings.thirdParty!({ impu: IMPU });
    while (bench.server.unread > 0) await bench.server.next('third-party REGISTER');
  };
  const exchange = async (text: string): Promise<SipText> => {
    ue.peer.send(text);
    return ue.peer.next('the answer');
  };

  it('a PUBLISH reaches the MCPTT server with the asserted identity and its body as it was', async () => {
    await start();
    bench.server.onRequest = (request) =>
      response(request, '200 OK', ['SIP-ETag: x1', 'Expires: 600', 'Content-Type: application/pkcs7-mime'], BODY);
    const ok = await exchange(
      ue.request('PUBLISH', PSI, [...PUBLISH_HEADERS, `Route: <sip:orig@127.0.0.1:${bench.ports.sip1};lr>`], BODY),
    );
    const atServer = await bench.server.next('PUBLISH');
    expect(atServer.startLine).to.equal(`PUBLISH ${PSI} SIP/2.0`);
    expect(atServer.header('P-Asserted-Identity')).to.equal(`<${IMPU}>`);
    expect(atServer.header('P-Asserted-Service')).to.equal('urn:urn-7:3gpp-service.ims.icsi.mcptt');
    expect(atServer.header('P-Preferred-Service')).to.equal(undefined);
    expect(atServer.header('P-Charging-Vector')).to.match(/^icid-value="[0-9a-f]{32}"/);
    expect(atServer.header('Event')).to.equal('poc-settings');
    expect(atServer.header('Accept-Contact')).to.equal('*;+g.3gpp.mcptt;require;explicit');
    expect(atServer.header('Max-Forwards')).to.equal('69');
    expect(atServer.header('Route')).to.equal(undefined);
    expect(atServer.body).to.equal(BODY);
    expect(ok.status).to.equal(200);
    expect(ok.header('SIP-ETag')).to.equal('x1');
    expect(ok.header('Expires')).to.equal('600');
    expect(ok.body).to.equal(BODY);
    await until(() => bench.records.at(-1)?.direction === 'sent' && bench.records.at(-1)?.interface === 'SIP-1', '200');
    expect(bench.records.slice(-4).map((r) => `${r.interface} ${r.direction}`)).to.deep.equal([
      'SIP-1 received',
      'SIP-2 sent',
      'SIP-2 received',
      'SIP-1 sent',
    ]);
  });

  it('what the UE asserts of itself is taken away; what it prefers is heard when it is its own', async () => {
    await start();
    const cases: [string[], string][] = [
      [['P-Asserted-Identity: <sip:somebody@example.com>'], IMPU],
      // RFC 3325 9.1: with a tel URI goes the registered IMPU, which is what the server was told of.
      [[`P-Preferred-Identity: <${TEL}>`], `${TEL}>, <${IMPU}`],
      [['P-Preferred-Identity: <sip:ue-2@example.com>'], IMPU],
      [['P-Asserted-Service: urn:urn-7:other', 'P-Charging-Vector: icid-value=own'], IMPU],
    ];
    for (const [headers, asserted] of cases) {
      expect((await exchange(ue.request('MESSAGE', PSI, headers))).status).to.equal(200);
      const atServer = await bench.server.next('MESSAGE');
      expect(atServer.header('P-Asserted-Identity')).to.equal(`<${asserted}>`);
      expect(atServer.header('P-Preferred-Identity')).to.equal(undefined);
      expect(atServer.text).not.to.contain('urn:urn-7:other').and.not.contain('icid-value=own');
    }
  });

  it('UEs that share a connection are told apart by the identity that they name', async () => {
    const second = subscriber({ imsi: '001010000000002', impi: `2@${DOMAIN}`, impus: [`sip:ue-2@${DOMAIN}`] });
    await start({ subscribers: [subscriber(), second] });
    const other = new RawUe(ue.peer, new Usim(second));
    expect((await other.register({ to: `<sip:ue-2@${DOMAIN}>` })).status).to.equal(200);
    await bench.core.readings.thirdParty!({ impu: second.impus[0]! });
    while (bench.server.unread > 0) await bench.server.next('third-party REGISTER');
    for (const [headers, asserted] of [
      [[], IMPU],
      [[`P-Preferred-Identity: <${second.impus[0]}>`], second.impus[0]],
    ] as const) {
      await exchange(ue.request('MESSAGE', PSI, headers));
      expect((await bench.server.next('MESSAGE')).header('P-Asserted-Identity')).to.equal(`<${asserted}>`);
    }
    const anonymous = ue.request('MESSAGE', PSI).replace(`From: <${IMPU}>`, 'From: <sip:anonymous@anonymous.invalid>');
    expect((await exchange(anonymous)).status).to.equal(403);
  });

  it('a refusal comes back with its Warning', async () => {
    await start();
    const warning = '399 mcptt.example "101 service authorisation failed"';
    bench.server.onRequest = (request) => response(request, '403 Forbidden', [`Warning: ${warning}`]);
    const refused = await exchange(ue.request('PUBLISH', PSI, PUBLISH_HEADERS, BODY));
    expect(refused.status).to.equal(403);
    expect(refused.header('Warning')).to.equal(warning);
  });

  it('a 493 comes back as a 493', async () => {
    await start();
    bench.server.onRequest = (request) => response(request, '493 Undecipherable');
    expect((await exchange(ue.request('PUBLISH', PSI, PUBLISH_HEADERS, BODY))).startLine).to.equal(
      'SIP/2.0 493 Undecipherable',
    );
  });

  it('nothing passes for a UE that is not registered, or over another connection', async () => {
    await start();
    const stranger = await SipPeer.connect(bench.ports.sip1);
    stranger.send(ue.request('MESSAGE', PSI, [], '').replace(`:${ue.peer.port};`, `:${stranger.port};`));
    expect((await stranger.next('403')).status).to.equal(403);
    await stranger.close();
    await ue.register({ expires: 0 });
    await bench.core.readings.thirdParty!({ impu: IMPU });
    await bench.server.next('third-party REGISTER');
    for (const method of ['MESSAGE', 'PUBLISH', 'OPTIONS', 'INVITE']) {
      const refused = await exchange(ue.request(method, PSI, ['Contact: <sip:x@127.0.0.1>']));
      const final = refused.status === 100 ? await ue.peer.next('403') : refused;
      expect(final.status, method).to.equal(403);
      if (method === 'INVITE') ue.peer.send(ue.request('ACK', PSI));
    }
    expect(bench.server.unread).to.equal(0);
  });

  it('a request close behind the 200 to REGISTER does not overtake the third-party REGISTER', async () => {
    bench = await startBench();
    ue = await bench.ue();
    let release = (): void => undefined;
    bench.server.onRequest = (request) => {
      if (!request.startLine.startsWith('REGISTER')) return response(request, '200 OK');
      release = () => bench.server.send(response(request, '200 OK'));
      return undefined;
    };
    await ue.register();
    ue.peer.send(ue.request('MESSAGE', PSI));
    expect((await bench.server.next('third-party REGISTER')).startLine).to.match(/^REGISTER/);
    await until(() => bench.records.some((r) => Buffer.from(r.bytes).toString().startsWith('MESSAGE')), 'the MESSAGE');
    expect(bench.server.unread).to.equal(0);
    release();
    expect((await bench.server.next('MESSAGE')).startLine).to.match(/^MESSAGE/);
    expect((await ue.peer.next('the answer')).status).to.equal(200);
  });

  it('OPTIONS to the core itself is answered by it', async () => {
    await start();
    const ok = await exchange(ue.request('OPTIONS', `sip:${DOMAIN}`));
    expect(ok.status).to.equal(200);
    expect(ok.header('Allow')).to.contain('PUBLISH');
    expect(bench.server.unread).to.equal(0);
  });

  it('an extension of proxies that it does not have goes no further (420, RFC 3261 16.3)', async () => {
    await start();
    const refused = await exchange(ue.request('MESSAGE', PSI, ['Proxy-Require: sec-agree, x']));
    expect(refused.status).to.equal(420);
    expect(refused.header('Unsupported')).to.equal('x');
    expect((await exchange(ue.request('MESSAGE', PSI, ['Proxy-Require: sec-agree', 'Require: x']))).status).to.equal(
      200,
    );
  });

  it('Max-Forwards 0 goes no further', async () => {
    await start();
    const text = ue.request('MESSAGE', PSI).replace('Max-Forwards: 70', 'Max-Forwards: 0');
    expect((await exchange(text)).status).to.equal(483);
    expect(bench.server.unread).to.equal(0);
  });

  it('default handling: a failing server ends the request, or is passed by', async () => {
    const continued = {
      ...requestCriterion,
      applicationServer: { serverName: SERVER, defaultHandling: 'SESSION_CONTINUED' as const },
    };
    for (const [criterion, status] of [
      [requestCriterion, 503],
      [continued, 404],
    ] as const) {
      await start({ subscribers: [subscriber({ initialFilterCriteria: [criterion] })] });
      bench.server.onRequest = (request) => response(request, '503 Service Unavailable');
      expect((await exchange(ue.request('MESSAGE', `sip:nobody@${DOMAIN}`))).status).to.equal(status);
      if (criterion === requestCriterion) await bench.close();
    }
  });

  it('an INVITE is proxied with Record-Route and the asserted identity', async () => {
    await start();
    bench.server.onRequest = (request) =>
      request.startLine.startsWith('INVITE')
        ? response(request, '200 OK', [
            `Record-Route: ${request.header('Record-Route')}`,
            `Contact: <sip:as@127.0.0.1:${bench.server.port};transport=tcp>`,
          ])
        : undefined;
    const invite = ue.request('INVITE', PSI, [`Contact: <${ue.session}>`]);
    ue.peer.send(invite);
    let ok = await ue.peer.next('the answer');
    while (ok.status < 200) ok = await ue.peer.next('the answer');
    expect(ok.status).to.equal(200);
    const atServer = await bench.server.next('INVITE');
    expect(atServer.startLine).to.match(/^INVITE sip:mcptt-participating@/);
    expect(atServer.header('P-Asserted-Identity')).to.equal(`<${IMPU}>`);
    expect(atServer.header('Record-Route')).to.match(/^<sip:127\.0\.0\.1:\d+;transport=tcp;lr>/);
    expect(atServer.header('Call-ID')).to.equal(ok.header('Call-ID'));
  });

  it('an INVITE that carries P-Asserted-Identity or P-Preferred-Identity is refused', async () => {
    await start();
    for (const name of ['P-Asserted-Identity', 'P-Preferred-Identity']) {
      ue.peer.send(ue.request('INVITE', PSI, [`Contact: <${ue.session}>`, `${name}: <sip:boss@example.com>`]));
      let answer = await ue.peer.next('the answer');
      while (answer.status < 200) answer = await ue.peer.next('the answer');
      expect(answer.status, name).to.equal(403);
    }
    expect(bench.server.unread).to.equal(0);
  });

  describe('TS 24.229 5.4.3.3: requests to a UE', () => {
    /** The MCPTT server as client, on a connection of its own to SIP-2. */
    const fromServer = async (uri: string, port = bench.ports.sip2): Promise<SipText> => {
      const client = await SipPeer.connect(port);
      const lines = [
        `MESSAGE ${uri} SIP/2.0`,
        `Via: SIP/2.0/TCP 127.0.0.1:${client.port};branch=z9hG4bK${randomBytes(6).toString('hex')}`,
        'Max-Forwards: 70',
        `From: <${PSI}>;tag=as`,
        `To: <${uri}>`,
        `Call-ID: ${randomBytes(6).toString('hex')}`,
        'CSeq: 7 MESSAGE',
        `P-Asserted-Identity: <${PSI}>`,
        'P-Charging-Vector: icid-value=abc',
        'Content-Type: text/plain',
        'Content-Length: 5',
      ];
      client.send(`${lines.join('\r\n')}\r\n\r\nhello`);
      try {
        return await client.next('the answer');
      } finally {
        await client.close();
      }
    };

    it('go to the registered contact, whichever IMPU of the set is named', async () => {
      await start();
      ue.peer.onRequest = (request) => response(request, '200 OK');
      for (const impu of [IMPU, TEL]) {
        expect((await fromServer(impu)).status).to.equal(200);
        const atUe = await ue.peer.next('MESSAGE');
        expect(atUe.startLine).to.equal(`MESSAGE ${ue.session} SIP/2.0`);
        expect(atUe.header('P-Called-Party-ID')).to.equal(`<${impu}>`);
        expect(atUe.header('P-Asserted-Identity')).to.equal(`<${PSI}>`);
        expect(atUe.header('P-Charging-Vector')).to.equal(undefined);
        expect(atUe.body).to.equal('hello');
      }
    });

    it('480 for a subscriber who is not registered, 404 for nobody, 403 over SIP-1', async () => {
      await start();
      await ue.register({ expires: 0 });
      expect((await fromServer(IMPU)).status).to.equal(480);
      expect((await fromServer(`sip:nobody@${DOMAIN}`)).status).to.equal(404);
      expect((await fromServer(IMPU, bench.ports.sip1)).status).to.equal(403);
    });

    it('an INVITE reaches the contact, and its dialog stays between the two ends', async () => {
      await start();
      const server = await SipPeer.connect(bench.ports.sip2);
      const ask = (method: string, uri: string, headers: readonly string[]): string =>
        `${[
          `${method} ${uri} SIP/2.0`,
          `Via: SIP/2.0/TCP 127.0.0.1:${server.port};branch=z9hG4bK${randomBytes(6).toString('hex')}`,
          'Max-Forwards: 70',
          `From: <${PSI}>;tag=as`,
          'Call-ID: call-of-the-server',
          ...headers,
          'Content-Length: 0',
        ].join('\r\n')}\r\n\r\n`;
      try {
        const contact = `Contact: <sip:as@127.0.0.1:${bench.server.port};transport=tcp>`;
        server.send(ask('INVITE', IMPU, [`To: <${IMPU}>`, 'CSeq: 1 INVITE', contact]));
        const invite = await ue.peer.next('INVITE');
        expect(invite.startLine).to.equal(`INVITE ${ue.session} SIP/2.0`);
        expect(invite.header('P-Called-Party-ID')).to.equal(`<${IMPU}>`);
        const recordRoute = invite.header('Record-Route')!;
        ue.peer.send(response(invite, '200 OK', [`Record-Route: ${recordRoute}`, `Contact: <${ue.session}>`]));
        let ok = await server.next('200');
        while (ok.status < 200) ok = await server.next('200');
        const to = ok.header('To')!;
        const route = `Route: ${ok.header('Record-Route')!.split(/, ?/).reverse().join(', ')}`;
        server.send(ask('ACK', ue.session, [`To: ${to}`, 'CSeq: 1 ACK', route]));
        expect((await ue.peer.next('ACK')).startLine).to.equal(`ACK ${ue.session} SIP/2.0`);
        server.send(ask('BYE', ue.session, [`To: ${to}`, 'CSeq: 2 BYE', route]));
        const bye = await ue.peer.next('BYE');
        expect(bye.startLine).to.equal(`BYE ${ue.session} SIP/2.0`);
        ue.peer.send(response(bye, '200 OK'));
        expect((await server.next('200 to BYE')).status).to.equal(200);
      } finally {
        await server.close();
      }
    });

    it('nobody registers over SIP-2', async () => {
      await start();
      const client = await SipPeer.connect(bench.ports.sip2);
      client.send(ue.registerText());
      expect((await client.next('403')).status).to.equal(403);
      await client.close();
    });
  });
});
