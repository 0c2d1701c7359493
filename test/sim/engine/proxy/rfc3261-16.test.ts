import { createSocket } from 'node:dgram';
import { expect } from 'chai';
import type { RawApp } from '../support/app.ts';
import { Bench } from '../support/bench.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { Inbox, settle } from '../support/wait.ts';

describe('sim/engine: stateful proxy (RFC 3261 16)', () => {
  let bench: Bench;
  let app: RawApp;
  let caller: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    app = await bench.app('invite', 'message', 'register');
    caller = await bench.peer('udp');
  });

  afterEach(() => bench.stop());

  const to = (peer: Peer): string =>
    peer.protocol === 'TCP' ? `sip:u@127.0.0.1:${peer.port};transport=tcp` : `sip:u@127.0.0.1:${peer.port}`;
  const proxy = async (
    method: string,
    targets: readonly string[],
    how: { readonly remain?: boolean; readonly follow?: boolean; readonly fork?: boolean } = {},
    parts = {},
  ) => {
    caller.send(requestText(caller, { method, from: '<sip:a@example.com>;tag=a', ...parts }));
    const { transaction } = await app.request(method);
    const leader = [
      'proxy',
      transaction,
      how.remain === true ? 'remainInDialog' : '',
      'fullResponse',
      how.follow === true ? 'followRedirects' : '',
      how.fork === true ? 'simultaneous' : 'serial',
      '',
      '',
      ...targets,
    ].join('|');
    return app.send(leader, `${method} ${targets[0]} SIP/2.0\r\n\r\n`);
  };

  it('follows redirects when asked to, each target once (16.7 step 4)', async () => {
    const redirector = await bench.peer('udp');
    const end = await bench.peer('udp');
    const id = await proxy('MESSAGE', [to(redirector)], { follow: true });
    const first = await redirector.request('MESSAGE');
    redirector.send(responseText(first, 302, { tag: 'r', headers: [`Contact: <${to(redirector)}>, <${to(end)}>`] }));
    const second = await end.request('MESSAGE');
    expect(second.requestUri).to.equal(to(end));
    end.send(responseText(second, 200, { tag: 'e' }));
    expect((await caller.response(200)).to!.tag).to.equal('e');
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 302/);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 200/);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
    await settle();
    expect(redirector.inbox.items).to.deep.equal([]);
  });

  it('tries the contacts of a redirect by their q (16.6, 20.10)', async () => {
    const [redirector, last, first, second] = await Promise.all([1, 2, 3, 4].map(() => bench.peer('udp')));
    await proxy('MESSAGE', [to(redirector!)], { follow: true });
    const contact = `Contact: <${to(last!)}>;q=0.1, <${to(first!)}>, <${to(second!)}>;q=0.7`;
    redirector!.send(responseText(await redirector!.request('MESSAGE'), 302, { tag: 'r', headers: [contact] }));
    for (const peer of [first!, second!, last!]) {
      const message = await peer.request('MESSAGE');
      expect([first, second, last].filter((other) => other!.inbox.items.length > 0)).to.deep.equal([]);
      peer.send(responseText(message, peer === last ? 200 : 480, { tag: 'e' }));
    }
    await caller.response(200);
  });

  it('a response without the caller’s Via is not forwarded (16.7 step 3): 502 for a final one', async () => {
    const callee = await bench.peer('udp');
    await proxy('INVITE', [to(callee)]);
    const invite = await callee.request('INVITE');
    for (const status of [180, 183, 404]) {
      const [first, ours, , ...rest] = responseText(invite, status, { tag: 'u' }).split('\r\n');
      callee.send(status === 183 ? responseText(invite, 183, { tag: 'u' }) : [first, ours, ...rest].join('\r\n'));
    }
    expect((await caller.response(502)).getAll('via')).to.have.length(1);
    expect(caller.inbox.items.map((m) => m.status)).to.deep.equal([100, 183]);
  });

  it('header lines pass unchanged and in order, and the body octet for octet; only Via and Max-Forwards change', async () => {
    const callee = createSocket('udp4');
    const arrived = new Inbox<Buffer>((octets) => octets.toString('latin1'));
    callee.on('message', (octets) => arrived.put(octets));
    await new Promise<void>((resolve) => callee.bind(0, '127.0.0.1', resolve));
    const body = Buffer.from([1, 0xff, 0x0d, 0x0a, 0x80, 0x0d, 0x0a, 0x0d, 0x0a, 2]);
    const lines = [
      'f :   "A;,\\" \xc3\xa4" <sip:a@b;x=%20?h=v> ;tag=1;p="q;,"',
      'subJECT:\r\n folded\r\n\tmore  ',
      'X-Octets: \xff\xfe\x80',
      'via: SIP/2.0/UDP second.example;branch=zz , SIP/2.0/UDP  third',
      'To:<tel:+1-201-555-0123>',
      'i:a@b',
      'MAX-forwards:  17',
      'm: "x" <sip:a@127.0.0.1>;q=0.7 , <tel:+12>',
      'X-Empty:',
      'x-empty: ',
      'CSEQ:   77 MESSAGE',
      'Unknown-Header: a,b , c;;d',
      'c: application/octet-stream',
      `l: ${body.length}`,
    ];
    const head = `MESSAGE urn:service:sos SIP/2.0\r\nv:SIP/2.0/UDP 127.0.0.1:${caller.port};branch=z9hG4bKbytes`;
    caller.send(Buffer.concat([Buffer.from(`${[head, ...lines].join('\r\n')}\r\n\r\n`, 'latin1'), body]));
    const { transaction, message } = await app.request('MESSAGE');
    expect(message.requestUri).to.equal('urn:service:sos');
    const target = `sip:u@127.0.0.1:${callee.address().port}`;
    app.send(`proxy|${transaction}||fullResponse||serial|||${target}`, `MESSAGE ${target} SIP/2.0\r\n\r\n`);
    const text = (await arrived.next('the MESSAGE')).toString('latin1');
    callee.close();
    const [first, ours, theirs, ...rest] = text.split(/\r\n(?![ \t])/);
    expect(first).to.equal(`MESSAGE ${target} SIP/2.0`);
    expect(ours).to.match(/^Via: SIP\/2\.0\/UDP /);
    expect(theirs).to.equal(head.split('\r\n')[1]);
    const expected = lines.map((line) => line.replace('  17', ' 16')).join('\r\n');
    expect(rest.join('\r\n')).to.equal(`${expected}\r\n\r\n${body.toString('latin1')}`);
  });

  it('without followRedirects a 302 is the caller’s business', async () => {
    const redirector = await bench.peer('udp');
    await proxy('MESSAGE', [to(redirector)]);
    const first = await redirector.request('MESSAGE');
    redirector.send(responseText(first, 302, { tag: 'r', headers: ['Contact: <sip:x@127.0.0.1:9>'] }));
    expect((await caller.response(302)).contact!.uri).to.equal('sip:x@127.0.0.1:9');
  });

  it('a 6xx ends the search and cancels what rings (16.7 step 5)', async () => {
    const [one, two] = [await bench.peer('udp'), await bench.peer('udp')];
    await proxy('INVITE', [to(one), to(two)], { fork: true });
    const first = await one.request('INVITE');
    const second = await two.request('INVITE');
    two.send(responseText(second, 180, { tag: 't' }));
    await caller.response(180);
    one.send(responseText(first, 603, { tag: 'o' }));
    const cancel = await two.request('CANCEL');
    two.send(responseText(cancel, 200, { tag: 't' }));
    two.send(responseText(second, 487, { tag: 't' }));
    await caller.response(603);
  });

  it('a 2xx is the last that the application hears of, be another target ever so silent', async () => {
    const silent = await bench.peer('udp');
    const callee = await bench.peer('udp');
    const id = await proxy('INVITE', [to(silent), to(callee)], { fork: true });
    await silent.request('INVITE');
    callee.send(responseText(await callee.request('INVITE'), 200, { tag: 'u' }));
    await caller.response(200);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 200/);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
    bench.clock.advance(32_000);
    await app.ask('ping');
    expect(app.inbox.items.map((frame) => frame.tokens)).to.deep.equal([]);
    expect(bench.engine.figures.clientTransactions).to.equal(0);
  });

  it('every 2xx of a forked INVITE goes up, repeated ones too (16.7 step 5)', async () => {
    const [one, two] = [await bench.peer('udp'), await bench.peer('udp')];
    await proxy('INVITE', [to(one), to(two)], { fork: true });
    const first = await one.request('INVITE');
    const second = await two.request('INVITE');
    one.send(responseText(first, 200, { tag: 'one' }));
    two.send(responseText(second, 200, { tag: 'two' }));
    two.send(responseText(second, 200, { tag: 'two' }));
    const tags = [await caller.response(200), await caller.response(200), await caller.response(200)].map(
      (m) => m.to!.tag,
    );
    expect(tags.toSorted((a, b) => String(a).localeCompare(String(b)))).to.deep.equal(['one', 'two', 'two']);
  });

  it('nobody there: 500 to the caller (16.7 step 6), the application hears of the 503 (16.9)', async () => {
    const id = await proxy('MESSAGE', ['sip:u@127.0.0.1:9;transport=tcp']);
    await caller.response(500);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 503/);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
  });

  it('a 503 of the only target is 500 to the caller, another failure goes before it (16.7 step 6)', async () => {
    const [busy, gone] = [await bench.peer('udp'), await bench.peer('udp')];
    for (const targets of [[busy], [busy, gone]]) {
      const id = await proxy(
        'MESSAGE',
        targets.map((peer) => to(peer)),
      );
      for (const peer of targets) {
        const status = peer === busy ? 503 : 504;
        const headers = ['Retry-After: 3600'];
        peer.send(responseText(await peer.request('MESSAGE'), status, { tag: 'b', headers }));
        expect((await app.reply(id)).sip!.toString()).to.match(new RegExp(`^SIP/2\\.0 ${status}`));
      }
      const answer = await caller.response(targets.length === 1 ? 500 : 504);
      expect(answer.has('retry-after')).to.equal(targets.length === 2);
    }
    expect(caller.inbox.items).to.deep.equal([]);
  });

  it('from UDP to TCP: two Record-Routes, and requests in the dialog pass both ways (RFC 5658)', async () => {
    const callee = await bench.peer('tcp');
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    await proxy('INVITE', [to(callee)], { remain: true }, call);
    const invite = await callee.request('INVITE');
    const routes = invite.recordRoutes.map((route) => route.parsedUri);
    expect(routes.map((uri) => uri.params.get('transport'))).to.deep.equal(['tcp', undefined]);
    callee.send(responseText(invite, 200, { tag: 'u', headers: [`Contact: <${to(callee)}>`] }));
    const ok = await caller.response(200);
    const back = ok
      .getAll('record-route')
      .reverse()
      .map((route) => `Route: ${route}`);
    caller.send(
      requestText(caller, { ...call, method: 'ACK', to: ok.get('to')!, uri: ok.contact!.uri, headers: back }),
    );
    expect((await callee.request('ACK')).has('route')).to.equal(false);
    callee.send(
      requestText(callee, {
        method: 'BYE',
        callId: call.callId,
        from: ok.get('to')!,
        to: call.from,
        uri: invite.contact!.uri,
        headers: invite.getAll('record-route').map((route) => `Route: ${route}`),
      }),
    );
    const bye = await caller.request('BYE');
    expect(bye.getAll('via')).to.have.length(2);
    caller.send(responseText(bye, 200));
    await callee.response(200, 'BYE');
  });

  it('a strict router before us: the Request-URI is ours, the last Route is the target (16.4)', async () => {
    const callee = await bench.peer('udp');
    const { host, port } = bench.at('udp');
    const own = `sip:${host}:${port};lr`;
    caller.send(
      requestText(caller, {
        method: 'INFO',
        uri: own,
        from: '<sip:a@example.com>;tag=a',
        to: '<sip:u@example.com>;tag=u',
        headers: [`Route: <${own}>`, `Route: <${to(callee)}>`],
      }),
    );
    const info = await callee.request('INFO');
    expect(info.requestUri).to.equal(to(callee));
    expect(info.has('route')).to.equal(false);
    // A strict router takes our own Route for the Request-URI: nothing but that tells whose request it is.
    caller.send(
      requestText(caller, {
        method: 'MESSAGE',
        uri: own,
        from: '<sip:a@example.com>;tag=a',
        to: '<sip:u@example.com>;tag=u',
        headers: [`Route: <${to(callee)}>`],
      }),
    );
    const message = await callee.request('MESSAGE');
    expect(message.requestUri).to.equal(to(callee));
    expect(message.has('route')).to.equal(false);
  });

  it('a strict router behind us: the request is addressed to it, the target goes last (16.6 step 6)', async () => {
    const strict = await bench.peer('udp');
    const { host, port } = bench.at('udp');
    const inDialog = {
      uri: 'sip:target@192.0.2.1',
      from: '<sip:a@example.com>;tag=a',
      to: '<sip:u@example.com>;tag=u',
      headers: [`Route: <sip:${host}:${port};lr>, <${to(strict)}>, <sip:192.0.2.2;lr>`],
    };
    for (const method of ['INFO', 'ACK']) {
      caller.send(requestText(caller, { ...inDialog, method }));
      const request = await strict.request(method);
      expect(request.requestUri).to.equal(to(strict));
      expect(request.getAll('route')).to.deep.equal(['<sip:192.0.2.2;lr>', '<sip:target@192.0.2.1>']);
    }
  });

  it('in a dialog: Max-Forwards 0 is 483, a dialog that ends here and does not exist 481', async () => {
    const { host, port } = bench.at('udp');
    const inDialog = {
      from: '<sip:a@example.com>;tag=a',
      to: '<sip:u@example.com>;tag=u',
      headers: [`Route: <sip:${host}:${port};lr>`],
    };
    caller.send(requestText(caller, { ...inDialog, method: 'INFO', uri: 'sip:u@127.0.0.1:9', maxForwards: 0 }));
    await caller.response(483);
    caller.send(requestText(caller, { ...inDialog, method: 'INFO', uri: `sip:u@${host}:${port}` }));
    await caller.response(481);
  });

  it('targets that are no URIs: NOK, and the application may still answer', async () => {
    caller.send(requestText(caller, { method: 'MESSAGE' }));
    const { message, transaction } = await app.request('MESSAGE');
    const { tokens } = await app.ask(
      `proxy|${transaction}||fullResponse||serial|||sip:`,
      'MESSAGE sip: SIP/2.0\r\n\r\n',
    );
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'error proxying request to ']);
    app.answer(message, transaction, 404);
    await caller.response(404);
  });
});
