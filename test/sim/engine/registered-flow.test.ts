import { expect } from 'chai';
import { Bench } from './support/bench.ts';
import { requestText, responseText } from './support/peer.ts';
import { connectSrf, newSrf, responseTo, type Srf } from './support/srf.ts';
import { until } from './support/wait.ts';

/** Contract, section 6: requests to a registered contact use the connection that it registered over. */
describe('sim/engine: connections behind registered contacts (drachtio-srf as the registrar and proxy)', () => {
  let bench: Bench;
  let srf: Srf;
  const contact = '<sip:ue1@k3j4.invalid;transport=wss>';

  beforeEach(async () => {
    bench = await Bench.start();
    srf = newSrf();
    srf.register((req, res) => res.send(200, { headers: { Contact: `${req.get('contact')};expires=600` } }));
    srf.message((req, res) => {
      req
        .proxy({
          destination: 'sip:ue1@k3j4.invalid;transport=wss',
          headers: { 'P-Asserted-Identity': '<sip:as@example.com>' },
        })
        .catch(() => res.send(500));
    });
    srf.invite((req) => {
      void req.proxy({ destination: 'sip:ue1@k3j4.invalid;transport=wss', remainInDialog: true });
    });
    await connectSrf(srf, bench.addresses.control);
    await until('the routes of the application', () => bench.engine.figures.routes === 3);
  });

  afterEach(async () => {
    srf.disconnect();
    await bench.stop();
  });

  const register = async () => {
    const ue = await bench.peer('wss');
    ue.send(requestText(ue, { method: 'REGISTER', uri: 'sip:example.com', contact }));
    await ue.response(200, 'REGISTER');
    return ue;
  };

  it('carries a proxied MESSAGE from TCP to the UE over its own WSS connection', async () => {
    const ue = await register();
    const as = await bench.peer('tcp');
    as.send(requestText(as, { method: 'MESSAGE', headers: ['Content-Type: text/plain'], body: 'hello' }));
    const message = await ue.request('MESSAGE');
    expect(message.requestUri).to.equal('sip:ue1@k3j4.invalid;transport=wss');
    expect(message.get('p-asserted-identity')).to.equal('<sip:as@example.com>');
    expect(message.maxForwards).to.equal(69);
    expect(message.body.toString()).to.equal('hello');
    ue.send(responseText(message, 200, { tag: 'u1' }));
    const answer = await as.response(200, 'MESSAGE');
    expect(answer.getAll('via')).to.have.length(1);
  });

  it('carries a request of an application to the UE', async () => {
    const ue = await register();
    const sent = srf.request('sip:ue1@k3j4.invalid;transport=wss', {
      method: 'MESSAGE',
      headers: { 'Content-Type': 'text/plain', From: '<sip:core@localhost>' },
      body: 'x',
    });
    const message = await ue.request('MESSAGE');
    expect(message.via!.transport).to.equal('WSS');
    ue.send(responseText(message, 200, { tag: 'u2' }));
    expect((await responseTo(await sent)).status).to.equal(200);
  });

  it('stays in the dialog between WSS and TCP: ACK and BYE pass, whichever side sends them', async () => {
    const ue = await register();
    const as = await bench.peer('tcp');
    const invite = { method: 'INVITE', callId: 'call-1', from: '<sip:as@example.com>;tag=as1' };
    as.send(requestText(as, { ...invite, uri: 'sip:ue1@example.com' }));
    const received = await ue.request('INVITE');
    // RFC 5658: one value for each side, the UE's on top.
    expect(received.recordRoutes.map((route) => route.parsedUri.params.get('transport'))).to.deep.equal(['wss', 'tcp']);
    ue.send(responseText(received, 180, { tag: 'ue1' }));
    await as.response(180);
    ue.send(responseText(received, 200, { tag: 'ue1', headers: [`Contact: ${contact}`] }));
    const ok = await as.response(200, 'INVITE');
    const routes = ok
      .getAll('record-route')
      .reverse()
      .map((route) => `Route: ${route}`);
    const inDialog = { callId: 'call-1', from: '<sip:as@example.com>;tag=as1', to: ok.get('to')! };
    as.send(requestText(as, { ...inDialog, method: 'ACK', uri: ok.contact!.uri, headers: routes }));
    const ack = await ue.request('ACK');
    expect(ack.has('route')).to.equal(false);
    as.send(requestText(as, { ...inDialog, method: 'BYE', cseq: 2, uri: ok.contact!.uri, headers: routes }));
    const bye = await ue.request('BYE');
    ue.send(responseText(bye, 200));
    await as.response(200, 'BYE');
    // The other way: the route set of the UE, its own side first.
    const back = received.getAll('record-route').map((route) => `Route: ${route}`);
    ue.send(
      requestText(ue, {
        method: 'INFO',
        uri: received.contact!.uri,
        callId: 'call-1',
        from: ok.get('to')!,
        to: '<sip:as@example.com>;tag=as1',
        cseq: 7,
        headers: back,
      }),
    );
    const info = await as.request('INFO');
    expect(info.has('route')).to.equal(false);
    as.send(responseText(info, 200));
    await ue.response(200, 'INFO');
  });

  it('forgets the connection when it closes: 500 for what was to go over it (16.7 step 6)', async () => {
    const ue = await register();
    expect(bench.engine.figures.registeredFlows).to.equal(1);
    await ue.close();
    await until('the connection to be forgotten', () => bench.engine.figures.registeredFlows === 0);
    const as = await bench.peer('tcp');
    as.send(requestText(as, { method: 'MESSAGE' }));
    await as.response(500, 'MESSAGE');
  });
});
