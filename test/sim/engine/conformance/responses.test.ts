import { expect } from 'chai';
import { sipOf } from '../support/app.ts';
import { requestText } from '../support/peer.ts';
import { NUMBER, Target, TIME } from './target.ts';

describe('control protocol, section 5: an application answers', () => {
  let target: Target;
  before(async () => {
    target = await Target.start();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  const register = async (headers: readonly string[] = []) => {
    const app = await target.app('register');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'REGISTER', uri: 'sip:example.com', headers }));
    return { app, peer, ...(await app.request('REGISTER')) };
  };

  it('401: the frame of acknowledgement, token by token, with the response as it went out', async () => {
    const { app, peer, message, transaction } = await register();
    const id = app.answer(message, transaction, 401, ['www-authenticate: Digest realm="r", nonce="n"']);
    const ack = await app.reply(id);
    const { tokens } = ack;
    expect(tokens.slice(1, 5)).to.deep.equal(['response', id, 'OK', 'application']);
    expect(tokens[5]).to.match(NUMBER);
    expect(tokens.slice(6, 9)).to.deep.equal(['', '127.0.0.1', String(peer.port)]);
    expect(tokens[9]).to.match(TIME);
    expect(tokens[10]).to.equal(transaction);
    expect(tokens.slice(11)).to.deep.equal(['', '', 'Msg sent:', '']);
    const received = await peer.response(401);
    expect(sipOf(ack).get('to')).to.equal(received.get('to'));
    expect(Number(tokens[5])).to.equal(received.serialise().length);
    expect(received.lines.some((line) => line.raw.startsWith('WWW-Authenticate: Digest realm="r"'))).to.equal(true);
  });

  it('a To tag is added; Via, From, Call-ID and CSeq are those of the request', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    expect(ok.to!.tag).to.be.a('string');
    expect(ok.get('from')).to.equal(message.get('from'));
    expect(ok.callId).to.equal(message.callId);
    expect(ok.get('cseq')).to.equal('1 REGISTER');
    expect(ok.getAll('via')).to.have.length(1);
  });

  it('an application may choose the To tag', async () => {
    const { app, peer, message, transaction } = await register();
    app.send(
      `sip|${transaction}|`,
      `SIP/2.0 200 OK\r\nCall-ID: ${message.callId}\r\ncseq: 1 REGISTER\r\nfrom: ${message.get('from')}\r\nto: ${message.get('to')};tag=chosen\r\n\r\n`,
    );
    expect((await peer.response(200)).to!.tag).to.equal('chosen');
  });

  it('Content-Length counts octets, whatever the application said', async () => {
    const { app, peer, message, transaction } = await register();
    app.send(`sip|${transaction}|`, 'SIP/2.0 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 4\r\n\r\n€uro');
    const ok = await peer.response(200);
    expect(message.method).to.equal('REGISTER');
    expect(ok.get('content-length')).to.equal('6');
    expect(ok.body.toString()).to.equal('€uro');
  });

  it('Via, Record-Route and RSeq of the application are dropped', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200, [
      'via: SIP/2.0/UDP evil;branch=z9hG4bKx',
      'record-route: <sip:evil;lr>',
      'rseq: 9',
    ]);
    const ok = await peer.response(200);
    expect(ok.getAll('via')).to.have.length(1);
    expect(ok.has('record-route')).to.equal(false);
    expect(ok.has('rseq')).to.equal(false);
  });

  it('well-known headers are spelt as the standards spell them', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200, [
      'service-route: <sip:x;lr>',
      'p-associated-uri: <sip:alice@example.com>',
      'X-My-Own: 1',
    ]);
    const names = (await peer.response(200)).lines.map((line) => line.raw.split(':')[0]);
    expect(names).to.include.members(['Service-Route', 'P-Associated-URI', 'X-My-Own']);
  });

  it('localhost in Contact and P-Asserted-Identity becomes the address of the server', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200, ['contact: <sip:me@localhost>', 'p-asserted-identity: <sip:me@localhost>']);
    const ok = await peer.response(200);
    expect(ok.contact!.uri).to.match(new RegExp(`^sip:me@${target.udp.host}:${target.udp.port}`));
    expect(ok.get('p-asserted-identity')).to.match(new RegExp(`@${target.udp.host}:${target.udp.port}`));
  });

  it('a body that starts with v=0 and has no Content-Type is SDP', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200, [], 'v=0\r\n');
    expect((await peer.response(200)).get('content-type')).to.equal('application/sdp');
  });

  it('a body ends at its first NUL', async () => {
    const { app, peer, message, transaction } = await register();
    app.answer(message, transaction, 200, ['content-type: text/plain'], 'ab\0cd');
    const ok = await peer.response(200);
    expect(ok.body.toString()).to.equal('ab');
    expect(ok.get('content-length')).to.equal('2');
  });

  it('provisional, then final; a second final: NOK', async () => {
    const { app, peer, message, transaction } = await register();
    expect((await app.reply(app.answer(message, transaction, 100))).tokens[3]).to.equal('OK');
    expect((await app.reply(app.answer(message, transaction, 200))).tokens[3]).to.equal('OK');
    await peer.response(200);
    const { tokens } = await app.reply(app.answer(message, transaction, 200));
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Response not sent due to unknown transaction']);
  });

  it('an unknown transaction: NOK; none: NO', async () => {
    const app = await target.app();
    const text = 'SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n\r\n';
    expect((await app.ask('sip|no-such-transaction|', text)).tokens.slice(3)).to.deep.equal([
      'NOK',
      'Response not sent due to unknown transaction',
    ]);
    expect((await app.ask('sip||', text)).tokens.slice(3)).to.deep.equal(['NO', 'transaction id missing']);
  });

  it('INVITE: token 11 is the dialog id, and 1xx and 2xx bear a Contact of the server', async () => {
    const app = await target.app('invite');
    const peer = await target.peer();
    peer.send(
      requestText(peer, {
        method: 'INVITE',
        callId: 'call-5',
        from: '<sip:a@example.com>;tag=caller',
        headers: ['Record-Route: <sip:127.0.0.1:9;lr>'],
      }),
    );
    const { message, transaction } = await app.request('INVITE');
    const ringing = await app.reply(app.answer(message, transaction, 180));
    expect(ringing.tokens[11]).to.equal('call-5;from-tag=caller');
    expect(ringing.tokens[13]).to.equal('Msg sent:');
    const response = await peer.response(180);
    expect(response.contact!.parsedUri.port).to.equal(target.udp.port);
    expect(response.get('record-route')).to.equal('<sip:127.0.0.1:9;lr>');
    app.answer(message, transaction, 480);
    const gone = await peer.response(480);
    expect(gone.to!.tag).to.equal(response.to!.tag);
    peer.send(
      requestText(peer, {
        method: 'ACK',
        callId: 'call-5',
        branch: message.via!.branch!,
        from: message.get('from')!,
        to: gone.get('to')!,
      }),
    );
  });

  it('1xx with Require: 100rel to a peer that does not support it: NOK', async () => {
    const app = await target.app('invite');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    const { tokens } = await app.reply(app.answer(message, transaction, 183, ['require: 100rel']));
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Remote endpoint does not support 100rel']);
    app.answer(message, transaction, 480);
    const gone = await peer.response(480);
    peer.send(
      requestText(peer, {
        method: 'ACK',
        callId: message.callId!,
        branch: message.via!.branch!,
        from: message.get('from')!,
        to: gone.get('to')!,
      }),
    );
  });
});
