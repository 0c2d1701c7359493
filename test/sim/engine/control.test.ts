import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { Engine, ManualClock } from '../../../sim/engine/index.ts';
import { freePort } from './sipp/support.ts';
import { RawApp } from './support/app.ts';
import { Bench } from './support/bench.ts';
import { testCertificate } from './support/certificate.ts';
import { fresh, requestText, responseText } from './support/peer.ts';
import { connectSrf, newSrf, responseTo, type Srf, type SrfRequest, type SrfResponse } from './support/srf.ts';
import { settle, until } from './support/wait.ts';

describe('sim/engine: the control port', () => {
  const open: { stop(): Promise<void> }[] = [];
  const start = async (options: Parameters<typeof Bench.start>[0] = {}): Promise<Bench> => {
    const bench = await Bench.start(options);
    open.push(bench);
    return bench;
  };
  const srfs: Srf[] = [];
  const srf = (): Srf => {
    const app = newSrf();
    srfs.push(app);
    return app;
  };

  afterEach(async () => {
    for (const app of srfs.splice(0)) app.disconnect();
    for (const bench of open.splice(0)) await bench.stop();
  });

  it('speaks TLS, and believes only clients of the authority it was given', async () => {
    const tls = await testCertificate();
    const control = { host: '127.0.0.1', port: 0, secret: 'cymru', tls: { ...tls, ca: tls.certificate } };
    const bench = await start({ control });
    const trusted = srf();
    const secure = {
      ca: tls.certificate,
      cert: tls.certificate,
      key: tls.privateKey,
      checkServerIdentity: () => undefined,
    };
    await connectSrf(trusted, bench.addresses.control, { tls: secure });
    expect(bench.engine.figures.applications).to.equal(1);
    const plain = await RawApp.open(bench.addresses.control);
    plain.send('ping');
    await until('the engine to drop it', () => plain.closed);
  });

  it('strict: a frame that would never complete in drachtio-server’s ring ends the connection, with the reason in the log', async () => {
    const bench = await start();
    const app = await bench.app();
    app.sendMessage(`m|sip||`, Buffer.alloc(12_300, 'x'));
    await until('the engine to close', () => app.closed);
    expect(bench.log.join('\n')).to.match(/frame of \d+ octets is over the limit of 12228/);
  });

  it('not strict: large frames and bodies pass, NUL included, and an application may send to the engine itself', async () => {
    const bench = await start({ strict: false });
    const app = await bench.app('message');
    const body = Buffer.concat([Buffer.alloc(100_000, 'x'), Buffer.from([0, 1])]);
    const { host, port } = bench.at('tcp');
    const head = `MESSAGE sip:me@${host}:${port};transport=tcp SIP/2.0\r\nContent-Type: application/octet-stream\r\n\r\n`;
    const { tokens } = await app.ask('sip||', Buffer.concat([Buffer.from(head), body]));
    expect(tokens[3]).to.equal('OK');
    const received = await app.request('MESSAGE');
    expect(received.message.body.equals(body)).to.equal(true);
    app.answer(received.message, received.transaction, 200);
    expect((await app.response(200)).transaction).to.equal(tokens[10]);
  });

  it('not strict: a Route of the application decides the next hop (RFC 3261 8.1.2)', async () => {
    const bench = await start({ strict: false });
    const app = await bench.app();
    const peer = await bench.peer('udp');
    const route = `<sip:127.0.0.1:${peer.port};lr>`;
    await app.ask('sip||', `OPTIONS sip:bob@elsewhere.example SIP/2.0\r\nRoute: ${route}\r\n\r\n`);
    expect((await peer.request('OPTIONS')).get('route')).to.equal(route);
  });

  for (const strict of [true, false]) {
    it(`${strict ? '' : 'not '}strict: a Contact at localhost inside a dialog ${strict ? 'is lost, as in drachtio-server' : 'gets our address'}`, async () => {
      const bench = await start({ strict });
      const app = await bench.app('subscribe');
      const peer = await bench.peer('udp');
      const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
      peer.send(requestText(peer, { ...call, method: 'SUBSCRIBE', headers: ['Event: reg', 'Expires: 60'] }));
      const { message, transaction } = await app.request('SUBSCRIBE');
      app.answer(message, transaction, 200);
      await peer.response(200);
      const headers = 'Event: reg\r\nSubscription-State: active\r\nContact: <sip:me@localhost>';
      await app.ask(`sip||${call.callId};from-tag=a`, `NOTIFY sip:placeholder SIP/2.0\r\n${headers}\r\n\r\n`);
      const notify = await peer.request('NOTIFY');
      expect(notify.contact?.uri).to.equal(strict ? undefined : `sip:me@127.0.0.1:${bench.at('udp').port}`);
    });
  }

  it('the acknowledgement of a request and its response never come in one turn (section 6)', async () => {
    const bench = await start({ strict: false });
    const app = srf();
    app.message((_req, res) => res.send(200));
    await connectSrf(app, bench.addresses.control);
    await until('the route', () => bench.engine.figures.routes === 1);
    const { host, port } = bench.at('tcp');
    for (const [to, expected] of [
      [`sip:me@${host}:${port};transport=tcp`, 200],
      // A failure made here follows at once: the hardest case.
      ['sip:me@unknown.example', 503],
    ] as const) {
      for (let i = 0; i < 20; i++) {
        // As written in many applications: the listener is attached after the await.
        const request: SrfRequest = await app.request(to, { method: 'MESSAGE' });
        expect((await responseTo(request)).status).to.equal(expected);
      }
    }
  });

  it('an engine may be restarted under a running application', async () => {
    const bench = await start();
    const { control } = bench.addresses;
    const app = srf();
    app.on('error', () => undefined);
    app.register((_req, res) => res.send(200));
    await connectSrf(app, control);
    await until('the route', () => bench.engine.figures.routes === 1);
    await bench.engine.stop();
    const clock = new ManualClock();
    const second = new Engine({
      listen: [{ protocol: 'udp', host: '127.0.0.1', port: 0 }],
      control: { ...control, secret: 'cymru' },
      clock,
    });
    open.push(second);
    await second.start();
    await until('the application to come back with its routes', () => second.figures.routes === 1);
  });

  it('an application that goes away leaves its transactions without an answer; another takes the next requests', async () => {
    const bench = await start();
    const first = await bench.app('message');
    const peer = await bench.peer('udp');
    peer.send(requestText(peer, { method: 'MESSAGE' }));
    await first.request('MESSAGE');
    const outgoing = await first.ask('sip||', `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    expect(outgoing.tokens[3]).to.equal('OK');
    const options = await peer.request('OPTIONS');
    await first.close();
    peer.send(responseText(options, 200, { tag: 'x' }));
    const second = await bench.app('message');
    peer.send(requestText(peer, { method: 'MESSAGE' }));
    const { message, transaction } = await second.request('MESSAGE');
    second.answer(message, transaction, 200);
    await peer.response(200);
    bench.clock.advance(100_000);
    await settle();
    expect(peer.inbox.items).to.deep.equal([]);
    expect(bench.engine.figures).to.deep.include({
      unanswered: 0,
      serverTransactions: 0,
      clientTransactions: 0,
      timers: 0,
    });
  });

  describe('outbound mode (section 2b)', () => {
    const listener = async (heard: (socket: Socket) => void) => {
      const server = createServer(heard);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      open.push({ stop: () => new Promise((resolve) => server.close(() => resolve())) });
      return (server.address() as AddressInfo).port;
    };

    it('connects to the application, which authenticates and gets the one request', async () => {
      const octets: string[] = [];
      let socket: Socket | undefined;
      const port = await listener((s) => {
        socket = s;
        s.on('error', () => undefined);
        s.on('data', (chunk: Buffer) => octets.push(chunk.toString()));
        s.write('31#m1|authenticate|cymru|tagA,tagB');
      });
      const bench = await start({ requestHandlers: [{ method: 'invite', uri: `tcp://127.0.0.1:${port}` }] });
      const peer = await bench.peer('udp');
      peer.send(requestText(peer, { method: 'INVITE' }));
      await peer.response(100);
      await until('the request', () => octets.join('').includes('INVITE sip:'));
      const text = octets.join('');
      expect(text.indexOf('|response|m1|OK|')).to.be.greaterThan(0);
      expect(text.indexOf('|sip|network|')).to.be.greaterThan(text.indexOf('|response|m1|OK|'));
      socket!.destroy();
    });

    for (const secure of [false, true]) {
      it(`an unmodified drachtio-srf listens${secure ? ' with TLS' : ''}: a call to its end, each request on a connection of its own`, async () => {
        const { certificate, privateKey } = await testCertificate();
        const port = await freePort();
        const app = newSrf() as Srf & {
          listen(options: object): void;
          endSession(request: SrfRequest): void;
          readonly _app: { close(): void };
        };
        open.push({ stop: async () => app._app.close() });
        const heard: string[] = [];
        app.on('connect', () => heard.push('connected'));
        app.invite((request, response) => {
          void app.createUAS(request, response, { localSdp: 'v=0\r\n' }).then((dialog) => {
            dialog.on('info', (_request: SrfRequest, answer: SrfResponse) => answer.send(200));
            dialog.on('destroy', () => app.endSession(request));
          });
        });
        app.message((request, response) => response.send(202, {}, () => app.endSession(request)));
        const tls = { cert: certificate, key: privateKey };
        app.listen({ host: '127.0.0.1', port, secret: 'cymru', ...(secure ? { tls } : {}) });
        const uri = `${secure ? 'tls' : 'tcp'}://127.0.0.1:${port}`;
        const bench = await start({ requestHandlers: [{ method: '*', uri }] });
        const peer = await bench.peer('udp');
        const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
        peer.send(requestText(peer, { ...call, method: 'INVITE' }));
        const inDialog = { ...call, to: (await peer.response(200, 'INVITE')).get('to')! };
        peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
        peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 2 }));
        await peer.response(200, 'INFO');
        peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 3 }));
        await peer.response(200, 'BYE');
        peer.send(requestText(peer, { method: 'MESSAGE' }));
        await peer.response(202);
        await until('the ends of both sessions', () => bench.engine.figures.applications === 0);
        expect(heard).to.deep.equal(['connected', 'connected']);
      });
    }

    it('nobody listens: 480', async () => {
      const bench = await start({ requestHandlers: [{ method: '*', uri: 'tcp://127.0.0.1:9' }] });
      const peer = await bench.peer('udp');
      peer.send(requestText(peer, { method: 'MESSAGE' }));
      await peer.response(480);
    });

    it('refuses a handler that it cannot connect to', () => {
      expect(
        () =>
          new Engine({
            listen: [],
            control: { host: '127.0.0.1', port: 0, secret: 's' },
            requestHandlers: [{ method: 'invite', uri: 'http://x/' }],
          }),
      )
        .to.throw('write tcp://host:port')
        .with.property('code', 'ERR_ENGINE_CONFIG');
    });
  });

  it('call detail records (section 11): attempt, start, stop', async () => {
    const bench = await start();
    const app = await bench.app('invite', 'cdr:attempt', 'cdr:start', 'cdr:stop');
    const peer = await bench.peer('udp');
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    peer.send(requestText(peer, { ...call, method: 'ACK', to: ok.get('to')! }));
    peer.send(requestText(peer, { ...call, method: 'BYE', to: ok.get('to')!, cseq: 2 }));
    const record = async (verb: string) => (await app.inbox.next(verb, (frame) => frame.verb === verb)).tokens;
    expect((await record('cdr:attempt'))[2]).to.equal('network');
    const started = await record('cdr:start');
    expect([started[2], started[4]]).to.deep.equal(['application', 'uas']);
    const stopped = await record('cdr:stop');
    expect([stopped[2], stopped[4]]).to.deep.equal(['network', 'normal-release']);
  });
});
