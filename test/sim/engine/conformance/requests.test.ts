import { expect } from 'chai';
import { sipOf } from '../support/app.ts';
import { fresh, responseText } from '../support/peer.ts';
import { NUMBER, Target, TIME } from './target.ts';

describe('control protocol, section 6: an application sends a request', () => {
  let target: Target;
  before(async () => {
    target = await Target.start();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  it('MESSAGE outside a dialog: the frame of acknowledgement, then the response with the same transaction id', async () => {
    const app = await target.app();
    const peer = await target.peer();
    const id = app.send(
      'sip||',
      `MESSAGE sip:alice@127.0.0.1:${peer.port} SIP/2.0\r\nContent-Type: text/plain\r\nFrom: <sip:as@example.com>\r\nContent-Length: 5\r\n\r\nhello`,
    );
    const ack = await app.reply(id);
    const { tokens } = ack;
    expect(tokens.slice(1, 5)).to.deep.equal(['response', id, 'OK', 'application']);
    expect(tokens[5]).to.match(NUMBER);
    expect(tokens.slice(6, 9)).to.deep.equal(['udp', target.udp.host, String(target.udp.port)]);
    expect(tokens[9]).to.match(TIME);
    expect(tokens[10]).to.match(/^[0-9a-f-]{36}$/);
    expect(tokens.slice(11)).to.deep.equal(['Msg sent:', '']);
    const message = await peer.request('MESSAGE');
    expect(sipOf(ack).callId).to.equal(message.callId);
    expect(message.from!.uri).to.equal('sip:as@example.com');
    expect(message.from!.tag).to.be.a('string');
    expect(message.to!.uri).to.equal(`sip:alice@127.0.0.1:${peer.port}`);
    expect(message.maxForwards).to.equal(70);
    expect(message.cseq!.method).to.equal('MESSAGE');
    expect(message.has('contact')).to.equal(false);
    expect(message.body.toString()).to.equal('hello');
    peer.send(responseText(message, 200, { tag: 'x' }));
    const { frame, transaction } = await app.response(200);
    expect(transaction).to.equal(tokens[10]);
    expect(frame.tokens.slice(1, 3)).to.deep.equal(['sip', 'network']);
    expect(frame.tokens.slice(4, 7)).to.deep.equal(['udp', '127.0.0.1', String(peer.port)]);
    expect(frame.tokens.slice(9)).to.deep.equal(['', '']);
  });

  it('From, To and Contact that are bare URIs get angle brackets, and their parameters stay the header’s', async () => {
    const app = await target.app();
    const peer = await target.peer();
    app.send(
      'sip||',
      [
        `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0`,
        'From: sip:as@example.com',
        'To: sip:bob@example.com;x=y',
        'Contact: sip:foo@localhost;q=0.5',
        '',
        '',
      ].join('\r\n'),
    );
    const options = await peer.request('OPTIONS');
    expect(options.get('from')).to.match(/^<sip:as@example\.com>;tag=[^;]+$/);
    expect(options.get('to')).to.equal('<sip:bob@example.com>;x=y');
    expect(options.get('contact')).to.equal(`<sip:foo@${target.udp.host}:${target.udp.port}>;q=0.5`);
    peer.send(responseText(options, 200, { tag: 'x' }));
    await app.response(200);
  });

  it('Call-ID and CSeq of the application are honoured; From and To have defaults', async () => {
    const app = await target.app();
    const peer = await target.peer();
    const callId = fresh('own');
    app.send(
      'sip||',
      `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nCall-ID: ${callId}\r\nCSeq: 41 OPTIONS\r\n\r\n`,
    );
    const options = await peer.request('OPTIONS');
    expect(options.callId).to.equal(callId);
    expect(options.get('cseq')).to.equal('41 OPTIONS');
    expect(options.from!.parsedUri.port).to.equal(target.udp.port);
    expect(options.to!.uri).to.equal(`sip:bob@127.0.0.1:${peer.port}`);
    peer.send(responseText(options, 200, { tag: 'x' }));
    await app.response(200);
  });

  it('the next hop may be given apart from the Request-URI', async () => {
    const app = await target.app();
    const peer = await target.peer();
    app.send(`sip|||sip:127.0.0.1:${peer.port}`, 'OPTIONS sip:bob@elsewhere.example SIP/2.0\r\n\r\n');
    const options = await peer.request('OPTIONS');
    expect(options.requestUri).to.equal('sip:bob@elsewhere.example');
    peer.send(responseText(options, 200, { tag: 'x' }));
    await app.response(200);
  });

  it('Via, Route and Record-Route of the application are dropped', async () => {
    const app = await target.app();
    const peer = await target.peer();
    const headers = 'Via: SIP/2.0/UDP 192.0.2.1\r\nRoute: <sip:192.0.2.2;lr>\r\nRecord-Route: <sip:192.0.2.3;lr>\r\n';
    app.send('sip||', `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n${headers}\r\n`);
    const options = await peer.request('OPTIONS');
    expect(options.getAll('via').length).to.equal(1);
    expect(options.has('route')).to.equal(false);
    expect(options.has('record-route')).to.equal(false);
    peer.send(responseText(options, 404, { tag: 'x' }));
    await app.response(404);
  });

  it('INVITE: Contact is added, 100 stays with the stack, 180 goes up, a 486 is acknowledged by the stack', async () => {
    const app = await target.app();
    const peer = await target.peer();
    const ack = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\nv=0\r\n`);
    const invite = await peer.request('INVITE');
    expect(invite.contact!.parsedUri.port).to.equal(target.udp.port);
    expect(invite.get('content-type')).to.equal('application/sdp');
    peer.send(responseText(invite, 100));
    peer.send(responseText(invite, 180, { tag: 'b' }));
    const ringing = await app.response(180);
    expect(ringing.dialog).to.equal(`${invite.callId};from-tag=${invite.from!.tag}`);
    expect(ringing.transaction).to.equal(ack.tokens[10]);
    peer.send(responseText(invite, 486, { tag: 'b' }));
    const busy = await app.response(486);
    expect(busy.dialog).to.equal(ringing.dialog);
    expect((await peer.request('ACK')).via!.branch).to.equal(invite.via!.branch);
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
    const refusal = await app.ask(`sip||${busy.dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect(refusal.tokens[3]).to.equal('NOK');
    expect(refusal.tokens[4]).to.match(/^ACK for non-success/);
  });

  for (const [what, text, reason] of [
    ['to itself', 'OPTIONS sip:x@SELF SIP/2.0\r\n\r\n', /^can not send request to myself$/],
    ['a body without Content-Type', 'MESSAGE sip:x@127.0.0.1:9 SIP/2.0\r\n\r\nhello', /^missing content-type$/],
    ['no URI', 'MESSAGE not-a-uri SIP/2.0\r\n\r\n', /^invalid request-uri: /],
    ['an unknown method', 'FROBNICATE sip:x@127.0.0.1:9 SIP/2.0\r\n\r\n', /^invalid request-uri: /],
    [
      'a transport that the server does not have',
      'MESSAGE sip:x@127.0.0.1:9;transport=sctp SIP/2.0\r\n\r\n',
      /^requested protocol\/transport not available$/,
    ],
  ] as const) {
    it(`NOK: ${what}`, async () => {
      const app = await target.app();
      const self = `${target.udp.host}:${target.udp.port}`;
      const { tokens } = await app.ask('sip||', text.replace('SELF', self));
      expect(tokens[3]).to.equal('NOK');
      expect(tokens[4]).to.match(reason);
    });
  }

  it('NOK: the dialog is unknown', async () => {
    const app = await target.app();
    const { tokens } = await app.ask('sip||no;from-tag=such', 'BYE sip:placeholder SIP/2.0\r\n\r\n');
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Server error: unable to find dialog for dialog id provided']);
  });

  it('nobody listens on TCP: a 503 made by the stack', async () => {
    const app = await target.app();
    const { tokens } = await app.ask('sip||', 'OPTIONS sip:x@127.0.0.1:9;transport=tcp SIP/2.0\r\n\r\n');
    expect(tokens[3]).to.equal('OK');
    expect((await app.response(503)).transaction).to.equal(tokens[10]);
  });
});
