import { expect } from 'chai';
import { fresh, requestText } from '../support/peer.ts';
import { Target, TIME } from './target.ts';

describe('control protocol, section 4: requests from the network', () => {
  let target: Target;
  before(async () => {
    target = await Target.start();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  it('a new REGISTER: thirteen tokens, the message as it came', async () => {
    const app = await target.app('register');
    const peer = await target.peer();
    const callId = fresh('c');
    const text = requestText(peer, { method: 'REGISTER', uri: 'sip:example.com', callId });
    peer.send(text);
    const { frame, message, transaction } = await app.request('REGISTER');
    const { tokens } = frame;
    expect(tokens.slice(1, 3)).to.deep.equal(['sip', 'network']);
    expect(tokens[3]).to.equal(String(text.length));
    expect(tokens.slice(4, 7)).to.deep.equal(['udp', '127.0.0.1', String(peer.port)]);
    expect(tokens[7]).to.match(TIME);
    expect(transaction).to.match(/^[0-9a-f-]{36}$/);
    expect(tokens[9]).to.equal('');
    expect(tokens.slice(10)).to.deep.equal([target.udp.host, String(target.udp.port), '']);
    expect(message.callId).to.equal(callId);
    expect(message.via!.received).to.equal('127.0.0.1');
    expect(message.via!.rport).to.equal(peer.port);
    app.answer(message, transaction, 200);
    await peer.response(200);
  });

  it('over TCP token 4 is tcp', async () => {
    const app = await target.app('options');
    const peer = await target.tcpPeer();
    peer.send(requestText(peer, { method: 'OPTIONS' }));
    const { frame, message, transaction } = await app.request('OPTIONS');
    expect(frame.tokens[4]).to.equal('tcp');
    app.answer(message, transaction, 200);
    await peer.response(200);
  });

  it('compact names, header order and the body pass through unchanged', async () => {
    const app = await target.app('message');
    const peer = await target.peer();
    const body = Buffer.from('línea uno\r\nline two', 'utf8');
    const text = [
      'MESSAGE sip:service@example.com SIP/2.0',
      `v: SIP/2.0/UDP 127.0.0.1:${peer.port};rport;branch=z9hG4bK${fresh()}`,
      'X-First: 1',
      'f: "Å" <sip:alice@example.com>;tag=1',
      't: <sip:service@example.com>',
      `i: ${fresh('c')}`,
      'CSeq: 7 MESSAGE',
      'Max-Forwards: 70',
      'c: text/plain',
      `l: ${body.length}`,
      '',
      '',
    ].join('\r\n');
    peer.send(Buffer.concat([Buffer.from(text, 'utf8'), body]));
    const { frame, message, transaction } = await app.request('MESSAGE');
    const names = frame
      .sip!.toString('utf8')
      .split('\r\n\r\n')[0]!
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(':')[0]);
    expect(names).to.deep.equal(['v', 'X-First', 'f', 't', 'i', 'CSeq', 'Max-Forwards', 'c', 'l']);
    expect(frame.sip!.includes(Buffer.from('"Å"', 'utf8'))).to.equal(true);
    expect(message.body.equals(body)).to.equal(true);
    app.answer(message, transaction, 200);
    await peer.response(200);
  });

  it('a repeated request reaches the application once', async () => {
    const app = await target.app('register');
    const peer = await target.peer();
    const register = requestText(peer, { method: 'REGISTER' });
    peer.send(register);
    peer.send(register);
    const { message, transaction } = await app.request('REGISTER');
    app.answer(message, transaction, 200);
    await peer.response(200);
    peer.send(register);
    await peer.response(200);
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
  });

  it('INVITE: 100 comes from the stack', async () => {
    const app = await target.app('invite');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'INVITE' }));
    expect((await peer.response(100)).to!.tag).to.equal(undefined);
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 486);
    const busy = await peer.response(486);
    peer.send(
      requestText(peer, {
        method: 'ACK',
        callId: message.callId!,
        branch: message.via!.branch!,
        from: message.get('from')!,
        to: busy.get('to')!,
      }),
    );
  });

  it('no application serves the method: 503', async () => {
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'PUBLISH' }));
    await peer.response(503);
  });

  for (const method of ['BYE', 'UPDATE']) {
    it(`${method} outside a dialog: 481`, async () => {
      await target.app(method.toLowerCase());
      const peer = await target.peer();
      peer.send(requestText(peer, { method, to: '<sip:b@example.com>;tag=unknown' }));
      await peer.response(481);
    });
  }

  it('INVITE with the To tag of no dialog: 481', async () => {
    await target.app('invite');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'INVITE', to: '<sip:b@example.com>;tag=unknown' }));
    await peer.response(481);
  });

  it('CANCEL of nothing: 481', async () => {
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'CANCEL' }));
    await peer.response(481);
  });

  it('REGISTER with Contact: * and Expires other than 0: 400', async () => {
    const app = await target.app('register');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'REGISTER', contact: '*', headers: ['Expires: 60'] }));
    await peer.response(400);
    peer.send(requestText(peer, { method: 'REGISTER', contact: '*', headers: ['Expires: 0'] }));
    const { message, transaction } = await app.request('REGISTER');
    app.answer(message, transaction, 200);
    await peer.response(200);
  });

  for (const method of ['REFER', 'FROBNICATE']) {
    it(`${method} outside a dialog gets no answer, and no application hears of it`, async () => {
      const app = await target.app('options', 'refer');
      const peer = await target.peer();
      peer.send(requestText(peer, { method, headers: ['Refer-To: <sip:c@example.com>'] }));
      peer.send(requestText(peer, { method: 'OPTIONS' }));
      const { message, transaction } = await app.request('OPTIONS');
      app.answer(message, transaction, 200);
      await peer.response(200, 'OPTIONS');
      expect(peer.inbox.items).to.deep.equal([]);
      expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
    });
  }

  it('a body of more than 8,192 octets, or with a NUL: 400', async () => {
    const app = await target.app('message');
    const peer = await target.tcpPeer();
    const headers = ['Content-Type: text/plain'];
    peer.send(requestText(peer, { method: 'MESSAGE', headers, body: 'x'.repeat(8193) }));
    await peer.response(400);
    const second = await target.peer();
    second.send(requestText(second, { method: 'MESSAGE', headers, body: 'a\0b' }));
    await second.response(400);
    second.send(requestText(second, { method: 'MESSAGE', headers, body: 'x'.repeat(8192) }));
    const { message, transaction } = await app.request('MESSAGE');
    expect(message.body.length).to.equal(8192);
    app.answer(message, transaction, 200);
    await second.response(200);
  });

  it('two applications for one method take turns', async () => {
    const first = await target.app('options');
    const second = await target.app('options');
    const peer = await target.peer();
    const calls = [fresh('c'), fresh('c'), fresh('c'), fresh('c')];
    for (const callId of calls) peer.send(requestText(peer, { method: 'OPTIONS', callId }));
    const heard = [first, second].map(async (app) => {
      for (let i = 0; i < 2; i++) {
        const { message, transaction } = await app.request('OPTIONS');
        app.answer(message, transaction, 200);
      }
    });
    await Promise.all(heard);
    for (const _ of calls) await peer.response(200);
  });

  it('remove_route: OK, and the method is served no more', async () => {
    const app = await target.app('options');
    const peer = await target.peer();
    expect((await app.ask('remove_route|options')).tokens.slice(3)).to.deep.equal(['OK']);
    peer.send(requestText(peer, { method: 'OPTIONS' }));
    await peer.response(503);
  });

  it('an application that disconnects takes its routes along', async () => {
    const app = await target.app('options');
    await app.close();
    const other = await target.app();
    await other.ask('ping');
    const peer = await target.peer();
    peer.send(requestText(peer, { method: 'OPTIONS' }));
    await peer.response(503);
  });
});
