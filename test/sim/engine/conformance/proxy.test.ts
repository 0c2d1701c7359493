import { expect } from 'chai';
import type { RawApp } from '../support/app.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { Target, TIME } from './target.ts';

describe('control protocol, section 10: proxying', () => {
  let target: Target;
  let app: RawApp;
  let caller: Peer;
  let callee: Peer;
  before(async () => {
    target = await Target.start();
  });
  beforeEach(async () => {
    app = await target.app('invite', 'message', 'register');
    caller = await target.peer();
    callee = await target.peer();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  const to = (peer: Peer): string => `sip:uas@127.0.0.1:${peer.port}`;
  const text = (uri: string, ...headers: string[]): string =>
    [`INVITE ${uri} SIP/2.0`, ...headers, '', ''].join('\r\n');

  it('INVITE: continue with the final response, then done; Record-Route; headers added; Route removed', async () => {
    caller.send(requestText(caller, { method: 'INVITE', headers: ['Route: <sip:preloaded.example;lr>'] }));
    const { transaction } = await app.request('INVITE');
    const id = app.send(
      `proxy|${transaction}|remainInDialog|fullResponse||serial|||${to(callee)}`,
      text(to(callee), 'X-Added: yes'),
    );
    const invite = await callee.request('INVITE');
    expect(invite.requestUri).to.equal(to(callee));
    expect(invite.maxForwards).to.equal(69);
    expect(invite.getAll('via')).to.have.length(2);
    expect(invite.get('x-added')).to.equal('yes');
    expect(invite.has('route')).to.equal(false);
    expect(invite.recordRoutes[0]!.parsedUri.port).to.equal(target.udp.port);
    expect(invite.recordRoutes[0]!.parsedUri.params.has('lr')).to.equal(true);
    callee.send(responseText(invite, 180, { tag: 'u' }));
    const ringing = await caller.response(180);
    expect(ringing.getAll('via')).to.have.length(1);
    callee.send(responseText(invite, 200, { tag: 'u', headers: [`Contact: <${to(callee)}>`] }));
    await caller.response(200);
    const first = await app.reply(id);
    expect(first.tokens.slice(3, 5)).to.deep.equal(['OK', 'network']);
    expect(first.tokens.slice(6, 9)).to.deep.equal(['udp', '127.0.0.1', String(callee.port)]);
    expect(first.tokens[9]).to.match(TIME);
    expect(first.tokens.slice(10)).to.deep.equal(['', '', 'continue']);
    expect(first.sip!.toString()).to.match(/^SIP\/2\.0 200 /);
    expect((await app.reply(id)).tokens.slice(3)).to.deep.equal(['OK', 'done']);
  });

  it('without remainInDialog there is no Record-Route', async () => {
    caller.send(requestText(caller, { method: 'MESSAGE' }));
    const { transaction } = await app.request('MESSAGE');
    const id = app.send(`proxy|${transaction}||fullResponse||serial|||${to(callee)}`, text(to(callee)));
    const message = await callee.request('MESSAGE');
    expect(message.has('record-route')).to.equal(false);
    callee.send(responseText(message, 200, { tag: 'u' }));
    await caller.response(200);
    expect((await app.reply(id)).tokens[12]).to.equal('continue');
    expect((await app.reply(id)).tokens[4]).to.equal('done');
  });

  it('REGISTER with remainInDialog gets a Path', async () => {
    caller.send(requestText(caller, { method: 'REGISTER' }));
    const { transaction } = await app.request('REGISTER');
    app.send(`proxy|${transaction}|remainInDialog|fullResponse||serial|||${to(callee)}`, text(to(callee)));
    const register = await callee.request('REGISTER');
    expect(register.paths[0]!.parsedUri.port).to.equal(target.udp.port);
    expect(register.has('record-route')).to.equal(false);
    callee.send(responseText(register, 200, { tag: 'u' }));
    await caller.response(200);
  });

  it('serial: the next target after a failure, and its answer is what the caller gets', async () => {
    const second = await target.peer();
    caller.send(requestText(caller, { method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    const id = app.send(`proxy|${transaction}||fullResponse||serial|||${to(callee)}|${to(second)}`, text(to(callee)));
    const invite = await callee.request('INVITE');
    expect(second.inbox.items).to.deep.equal([]);
    callee.send(responseText(invite, 486, { tag: 'u' }));
    await callee.request('ACK');
    callee.send(responseText(await second.request('INVITE'), 200, { tag: 'w' }), undefined);
    const ok = await caller.response(200);
    expect(ok.to!.tag).to.equal('w');
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 486 /);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 200 /);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
  });

  it('simultaneous: a 2xx cancels the others', async () => {
    const second = await target.peer();
    caller.send(requestText(caller, { method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    app.send(`proxy|${transaction}||fullResponse||simultaneous|||${to(callee)}|${to(second)}`, text(to(callee)));
    const first = await callee.request('INVITE');
    const other = await second.request('INVITE');
    second.send(responseText(other, 180, { tag: 'w' }));
    await caller.response(180);
    callee.send(responseText(first, 200, { tag: 'u' }));
    await caller.response(200);
    const cancel = await second.request('CANCEL');
    second.send(responseText(cancel, 200, { tag: 'w' }));
    second.send(responseText(other, 487, { tag: 'w' }));
    await second.request('ACK');
  });

  it('CANCEL of the caller reaches the target without the application', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', branch: `z9hG4bK${fresh()}` };
    caller.send(requestText(caller, { ...parts, method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    const id = app.send(`proxy|${transaction}||fullResponse||serial|||${to(callee)}`, text(to(callee)));
    const invite = await callee.request('INVITE');
    callee.send(responseText(invite, 180, { tag: 'u' }));
    await caller.response(180);
    caller.send(requestText(caller, { ...parts, method: 'CANCEL' }));
    await caller.response(200, 'CANCEL');
    const cancel = await callee.request('CANCEL');
    expect(cancel.via!.branch).to.equal(invite.via!.branch);
    callee.send(responseText(cancel, 200, { tag: 'u' }));
    callee.send(responseText(invite, 487, { tag: 'u' }));
    const terminated = await caller.response(487, 'INVITE');
    caller.send(requestText(caller, { ...parts, method: 'ACK', to: terminated.get('to')! }));
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 487 /);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
  });

  it('in-dialog requests with our Route are forwarded by the stack alone', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    caller.send(requestText(caller, { ...parts, method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    app.send(`proxy|${transaction}|remainInDialog|fullResponse||serial|||${to(callee)}`, text(to(callee)));
    const invite = await callee.request('INVITE');
    callee.send(responseText(invite, 200, { tag: 'u', headers: [`Contact: <${to(callee)}>`] }));
    const ok = await caller.response(200);
    const inDialog = { ...parts, to: ok.get('to')!, uri: to(callee), headers: [`Route: ${ok.get('record-route')}`] };
    caller.send(requestText(caller, { ...inDialog, method: 'ACK' }));
    const ack = await callee.request('ACK');
    expect(ack.has('route')).to.equal(false);
    caller.send(requestText(caller, { ...inDialog, method: 'BYE', cseq: 2 }));
    const bye = await callee.request('BYE');
    expect(bye.maxForwards).to.equal(69);
    callee.send(responseText(bye, 200));
    await caller.response(200, 'BYE');
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
  });

  it('Max-Forwards 0: 483 by the stack, and NOK', async () => {
    caller.send(requestText(caller, { method: 'MESSAGE', maxForwards: 0 }));
    const { transaction } = await app.request('MESSAGE');
    const { tokens } = await app.ask(`proxy|${transaction}||fullResponse||serial|||${to(callee)}`, text(to(callee)));
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Rejected with 483 Too Many Hops due to Max-Forwards value of 0']);
    await caller.response(483);
  });

  it('a request in a dialog of the application’s is not one to be proxied: NOK, and the dialog stays', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    caller.send(requestText(caller, { ...parts, method: 'INVITE' }));
    const invite = await app.request('INVITE');
    app.answer(invite.message, invite.transaction, 200);
    const inDialog = { ...parts, to: (await caller.response(200)).get('to')! };
    caller.send(requestText(caller, { ...inDialog, method: 'ACK' }));
    await app.request('ACK');
    caller.send(requestText(caller, { ...inDialog, method: 'INFO', cseq: 2 }));
    const { message, transaction } = await app.request('INFO');
    const { tokens } = await app.ask(`proxy|${transaction}||fullResponse||serial|||${to(callee)}`, text(to(callee)));
    expect(tokens.slice(3)).to.deep.equal(['NOK', `Unknown transaction id: ${transaction}`]);
    app.answer(message, transaction, 200);
    await caller.response(200, 'INFO');
    caller.send(requestText(caller, { ...inDialog, method: 'BYE', cseq: 3 }));
    const bye = await app.request('BYE');
    app.answer(bye.message, bye.transaction, 200);
    await caller.response(200, 'BYE');
  });

  it('an unknown transaction: NOK', async () => {
    const { tokens } = await app.ask(`proxy|no-such||fullResponse||serial|||${to(callee)}`, text(to(callee)));
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Unknown transaction id: no-such']);
  });
});
