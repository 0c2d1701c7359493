import { expect } from 'chai';
import type { RawApp } from '../support/app.ts';
import { Bench } from '../support/bench.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { settle } from '../support/wait.ts';

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

  it('nobody there: the caller gets the 503 made here, the application hears of it', async () => {
    const id = await proxy('MESSAGE', ['sip:u@127.0.0.1:9;transport=tcp']);
    await caller.response(503);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 503/);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
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
