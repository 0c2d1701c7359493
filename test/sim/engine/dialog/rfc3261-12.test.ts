import { expect } from 'chai';
import type { AppConnection } from '../../../../sim/engine/control/connection.ts';
import { AfterTurn } from '../../../../sim/engine/core/after-turn.ts';
import { Dialog } from '../../../../sim/engine/dialog/dialog.ts';
import { buildRequest, buildResponse } from '../../../../sim/engine/message/index.ts';
import type { Flow } from '../../../../sim/engine/transport/index.ts';
import type { RawApp } from '../support/app.ts';
import { Bench } from '../support/bench.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { settle, until } from '../support/wait.ts';

describe('sim/engine: dialog state (RFC 3261 12)', () => {
  const dialog = () =>
    new Dialog({
      role: 'uac',
      method: 'INVITE',
      callId: 'c',
      localTag: 'l',
      remoteTag: undefined,
      local: '<sip:a@b>;tag=l',
      remote: '<sip:c@d>',
      remoteTarget: 'sip:c@d',
      localSequence: 1,
      remoteSequence: undefined,
      app: undefined as unknown as AppConnection,
      flow: undefined,
    });
  const flow = {} as Flow;
  const response = (headers: [string, string][]) => {
    const request = buildRequest('INVITE', 'sip:c@d', [['To', '<sip:c@d>']]);
    const made = buildResponse(request, 200, 'OK', { toTag: 'r' });
    for (const [name, value] of headers) made.append(name, value);
    return made;
  };

  it('UAC: the route set is Record-Route reversed, the target the Contact (12.1.2)', () => {
    const d = dialog();
    d.learnFromResponse(
      response([
        ['Record-Route', '<sip:p1;lr>'],
        ['Record-Route', '<sip:p2;lr>'],
        ['Contact', '<sip:x@y:9>'],
      ]),
      flow,
    );
    expect(d.routing()).to.deep.include({ requestUri: 'sip:x@y:9', routes: ['<sip:p2;lr>', '<sip:p1;lr>'] });
    expect(d.routing().nextHop!.host).to.equal('p2');
    expect(d.remoteTag).to.equal('r');
  });

  it('UAC: a 2xx without a To tag makes a dialog all the same, a provisional response does not (12.1.2)', () => {
    const request = buildRequest('INVITE', 'sip:c@d', [['To', '<sip:c@d>']]);
    const [ringing, ok] = [180, 200].map((status) => {
      const made = buildResponse(request, status);
      made.append('Record-Route', '<sip:p1;lr>');
      made.append('Contact', '<sip:x@y:9>');
      return made;
    });
    const d = dialog();
    d.learnFromResponse(ringing!, flow);
    expect(d.routing()).to.deep.include({ requestUri: 'sip:c@d', routes: [] });
    d.learnFromResponse(ok!, flow);
    expect(d.routing()).to.deep.include({ requestUri: 'sip:x@y:9', routes: ['<sip:p1;lr>'] });
    expect(d.remoteTag).to.equal(undefined);
  });

  it('a strict router at the top gets the request addressed to itself, the target goes last (12.2.1.1)', () => {
    const d = dialog();
    d.learnFromResponse(
      response([
        ['Record-Route', '<sip:loose;lr>'],
        ['Record-Route', '<sip:strict>'],
        ['Contact', '<sip:x@y>'],
      ]),
      flow,
    );
    expect(d.routing()).to.deep.include({ requestUri: 'sip:strict', routes: ['<sip:loose;lr>', '<sip:x@y>'] });
  });

  it('frames wait for a turn behind our 2xx, and keep their order (contract, section 6)', async () => {
    const d = dialog();
    const heard: string[] = [];
    d.holdForATurn(new AfterTurn());
    d.deliver(() => heard.push('ACK'));
    d.deliver(() => heard.push('BYE'));
    expect(heard).to.deep.equal([]);
    await until('the frames', () => heard.length === 2);
    d.deliver(() => heard.push('at once'));
    expect(heard).to.deep.equal(['ACK', 'BYE', 'at once']);
  });

  it('the turn begins with the frame of the 2xx, when that is held back itself', async () => {
    const d = dialog();
    const heard: string[] = [];
    let held: (() => void) | undefined;
    d.holdForATurn(new AfterTurn(), (frame) => (held = frame));
    d.deliver(() => heard.push('NOTIFY'));
    await settle();
    expect(heard).to.deep.equal([]);
    held!();
    expect(heard).to.deep.equal([]);
    await until('the frame', () => heard.length === 1);
  });

  it('the route set is fixed once the dialog is confirmed; the target is refreshed', () => {
    const d = dialog();
    d.learnFromResponse(
      response([
        ['Record-Route', '<sip:p1;lr>'],
        ['Contact', '<sip:x@y>'],
      ]),
      flow,
    );
    d.confirm();
    d.learnFromResponse(response([['Contact', '<sip:new@y>']]), flow);
    expect(d.routing()).to.deep.include({ requestUri: 'sip:new@y', routes: ['<sip:p1;lr>'] });
  });
});

describe('sim/engine: requests in dialogs (RFC 3261 12.2, 14)', () => {
  let bench: Bench;
  let app: RawApp;
  let peer: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    app = await bench.app('invite', 'subscribe');
    peer = await bench.peer('udp');
  });

  afterEach(() => bench.stop());

  const answered = async (record: readonly string[] = []) => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...call, method: 'INVITE', cseq: 5, headers: record }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    const inDialog = { ...call, to: ok.get('to')! };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 5 }));
    const ack = await app.request('ACK');
    return { inDialog, dialog: ack.dialog };
  };

  it('a CSeq lower than the last is 500', async () => {
    const { inDialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 4 }));
    await peer.response(500);
  });

  it('SUBSCRIBE with the tag of a dialog that is no more: what it makes has that tag, once', async () => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', to: '<sip:s@example.com>;tag=before' };
    peer.send(requestText(peer, { ...call, method: 'SUBSCRIBE', headers: ['Event: reg', 'Expires: 60'] }));
    const { message, transaction } = await app.request('SUBSCRIBE');
    const { tokens } = await app.reply(app.answer(message, transaction, 200, ['Expires: 60']));
    expect((await peer.response(200)).get('to')).to.equal(call.to);
    app.send(`sip||${tokens[11]}`, 'NOTIFY sip:placeholder SIP/2.0\r\nEvent: reg\r\n\r\n');
    expect((await peer.request('NOTIFY')).get('from')).to.equal(call.to);
    peer.send(requestText(peer, { ...call, method: 'SUBSCRIBE', cseq: 2, headers: ['Event: reg', 'Expires: 0'] }));
    expect((await app.request('SUBSCRIBE')).dialog).to.equal(tokens[11]);
  });

  it('SUBSCRIBE in a call that rings leaves the call as it is: the ACK of its 200 is still the INVITE’s', async () => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const invite = await app.request('INVITE');
    app.answer(invite.message, invite.transaction, 180);
    const to = (await peer.response(180)).get('to')!;
    peer.send(requestText(peer, { ...call, method: 'SUBSCRIBE', cseq: 2, to, headers: ['Event: dialog'] }));
    const subscribe = await app.request('SUBSCRIBE');
    app.answer(subscribe.message, subscribe.transaction, 200);
    await peer.response(200, 'SUBSCRIBE');
    app.answer(invite.message, invite.transaction, 200);
    await peer.response(200, 'INVITE');
    peer.send(requestText(peer, { ...call, method: 'ACK', to }));
    expect((await app.request('ACK')).transaction).to.equal(invite.transaction);
  });

  it('a BYE that is challenged may be sent again with credentials; 64*T1 later the dialog is gone', async () => {
    const { dialog } = await answered();
    for (const cseq of [1, 2]) {
      await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
      const bye = await peer.request('BYE');
      expect(bye.cseq!.number).to.equal(cseq);
      peer.send(responseText(bye, 401));
      await app.response(401);
    }
    bench.clock.advance(31_000);
    expect(bench.engine.figures.dialogs).to.equal(1);
    bench.clock.advance(1100);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('the answers to CANCEL and to its INVITE have one To tag (9.2)', async () => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 180);
    const tag = (await peer.response(180)).to!.tag;
    peer.send(requestText(peer, { ...call, method: 'CANCEL' }));
    expect((await peer.response(200, 'CANCEL')).to!.tag).to.equal(tag);
    expect((await peer.response(487)).to!.tag).to.equal(tag);
  });

  it('the 100 repeats the Timestamp of the INVITE (8.2.6.1)', async () => {
    peer.send(requestText(peer, { method: 'INVITE', headers: ['Timestamp: 54.1'] }));
    expect((await peer.response(100)).get('timestamp')).to.equal('54.1');
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 486);
    await peer.response(486);
  });

  it('another From tag is another dialog: 481', async () => {
    const { inDialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, from: '<sip:a@example.com>;tag=other', method: 'BYE', cseq: 6 }));
    await peer.response(481);
  });

  it('two re-INVITEs at once: 500 with Retry-After; ours under way: 491 (14.2)', async () => {
    const { inDialog, dialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 6 }));
    const first = await app.request('INVITE');
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 7 }));
    const busy = await peer.response(500);
    expect(Number(busy.get('retry-after'))).to.be.within(0, 10);
    app.answer(first.message, first.transaction, 200);
    await peer.response(200);
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 6 }));
    await app.request('ACK');
    await app.ask(`sip||${dialog}`, 'INVITE sip:placeholder SIP/2.0\r\n\r\nv=0\r\n');
    const ours = await peer.request('INVITE');
    expect(ours.has('contact')).to.equal(true);
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 8 }));
    await peer.response(491);
    peer.send(responseText(ours, 488));
    await app.response(488);
  });

  it('our requests go along the route set', async () => {
    const hop = await bench.peer('udp');
    const { dialog } = await answered([`Record-Route: <sip:127.0.0.1:${hop.port};lr>`]);
    await app.ask(`sip||${dialog}`, 'INFO sip:placeholder SIP/2.0\r\n\r\n');
    const info = await hop.request('INFO');
    expect(info.requestUri).to.equal(`sip:alice@127.0.0.1:${peer.port}`);
    expect(info.get('route')).to.equal(`<sip:127.0.0.1:${hop.port};lr>`);
  });

  it('a re-INVITE moves the target (12.2.2)', async () => {
    const { inDialog, dialog } = await answered();
    const moved = await bench.peer('udp');
    peer.send(
      requestText(peer, { ...inDialog, method: 'INVITE', cseq: 6, contact: `<sip:a@127.0.0.1:${moved.port}>` }),
    );
    const again = await app.request('INVITE');
    app.answer(again.message, again.transaction, 200);
    await peer.response(200);
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 6 }));
    await app.request('ACK');
    await app.ask(`sip||${dialog}`, 'INFO sip:placeholder SIP/2.0\r\n\r\n');
    await moved.request('INFO');
  });

  it('BYE while the INVITE rings: 487 to the INVITE, 200 by the application (15.1.2)', async () => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 180);
    const ringing = await peer.response(180);
    peer.send(requestText(peer, { ...call, method: 'BYE', cseq: 2, to: ringing.get('to')! }));
    await peer.response(487, 'INVITE');
    const bye = await app.request('BYE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('a re-INVITE that is answered reliably first: PRACK, then the 200 and its ACK (RFC 3262)', async () => {
    const { dialog } = await answered();
    await app.ask(`sip||${dialog}`, 'INVITE sip:placeholder SIP/2.0\r\n\r\nv=0\r\n');
    const invite = await peer.request('INVITE');
    const reliable = { headers: ['Require: 100rel', 'RSeq: 7', `Contact: <sip:a@127.0.0.1:${peer.port}>`] };
    peer.send(responseText(invite, 180));
    expect((await app.response(180)).dialog).to.equal(dialog);
    peer.send(responseText(invite, 183, reliable));
    expect((await app.response(183)).dialog).to.equal(dialog);
    await app.ask(`sip||${dialog}`, 'PRACK sip:placeholder SIP/2.0\r\n\r\n');
    const prack = await peer.request('PRACK');
    expect(prack.get('rack')).to.equal(`7 ${invite.cseq!.number} INVITE`);
    peer.send(responseText(prack, 200));
    await app.response(200);
    peer.send(responseText(invite, 200, { headers: [`Contact: <sip:a@127.0.0.1:${peer.port}>`] }));
    await app.response(200);
    await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect((await peer.request('ACK')).cseq!.number).to.equal(invite.cseq!.number);
    expect(bench.engine.figures.dialogs).to.equal(1);
  });

  it('an ACK that belongs to no dialog is refused: NOK, and nothing is sent', async () => {
    const { tokens } = await app.ask('sip||', `ACK sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    expect(tokens.slice(3)).to.deep.equal(['NOK', 'Server error: unable to find dialog for ACK']);
    expect(bench.engine.figures.clientTransactions).to.equal(0);
  });

  it('BYE overtakes a re-INVITE: the BYE gets its 200, then the re-INVITE its 487 (15.1.2)', async () => {
    const { inDialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 6 }));
    const again = await app.request('INVITE');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 7 }));
    const bye = await app.request('BYE');
    await peer.response(100, 'INVITE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(487, 'INVITE');
    const before = peer.inbox.items.filter((m) => m.status >= 200);
    expect(before.map((m) => `${m.status} ${m.method}`)).to.deep.equal(['200 BYE']);
    const { tokens } = await app.reply(app.answer(again.message, again.transaction, 200));
    expect(tokens[3]).to.equal('NOK');
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('BYE overtakes a re-INVITE, which the application accepts all the same: its 200 is sent once', async () => {
    const { inDialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 6 }));
    const again = await app.request('INVITE');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 7 }));
    const bye = await app.request('BYE');
    app.answer(again.message, again.transaction, 200);
    await peer.response(200, 'INVITE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
    peer.inbox.items.length = 0;
    bench.clock.advance(64_000);
    await settle();
    expect(peer.inbox.items).to.deep.equal([]);
    expect(bench.engine.figures.timers).to.equal(0);
  });

  it('a callee that sends BYE instead of a final response: 481, and the INVITE is still awaited (15)', async () => {
    await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    const invite = await peer.request('INVITE');
    peer.send(responseText(invite, 180, { tag: 'b' }));
    const ringing = (await app.response(180)).message;
    const parts = { callId: invite.callId!, from: ringing.get('to')!, to: ringing.get('from')! };
    peer.send(requestText(peer, { ...parts, method: 'BYE' }));
    await peer.response(481, 'BYE');
    peer.send(responseText(invite, 486, { tag: 'b' }));
    await app.response(486);
  });

  it('a CANCEL that finds another request than a pending INVITE is 200 and does nothing (9.2)', async () => {
    const subscribe = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...subscribe, method: 'SUBSCRIBE' }));
    const { message, transaction } = await app.request('SUBSCRIBE');
    peer.send(requestText(peer, { ...subscribe, method: 'CANCEL' }));
    await peer.response(200, 'CANCEL');
    app.answer(message, transaction, 404);
    await peer.response(404, 'SUBSCRIBE');
    const refused = { ...subscribe, branch: `z9hG4bK${fresh()}`, to: '<sip:service@example.com>;tag=none' };
    peer.send(requestText(peer, { ...refused, method: 'INVITE' }));
    await peer.response(481, 'INVITE');
    peer.send(requestText(peer, { ...refused, method: 'CANCEL' }));
    await peer.response(200, 'CANCEL');
    peer.send(requestText(peer, { ...refused, method: 'ACK' }));
  });

  it('a CANCEL with another sent-by, as UAs behind a NAT write it, is the INVITE’s all the same', async () => {
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 183);
    await peer.response(183);
    let hosts = 0;
    const elsewhere = (parts: object): string =>
      requestText(peer, { ...call, method: 'CANCEL', ...parts })
        .toString()
        .replace('UDP 127.0.0.1', `UDP 192.0.2.${++hosts}`);
    for (const wrong of [{ branch: `z9hG4bK${fresh()}` }, { cseq: 2 }, { from: '<sip:a@example.com>;tag=b' }]) {
      peer.send(elsewhere(wrong));
      await peer.response(481, 'CANCEL');
    }
    peer.send(elsewhere({ branch: call.branch, cseq: 1, from: call.from }));
    await peer.response(200, 'CANCEL');
    await peer.response(487, 'INVITE');
    await app.request('CANCEL');
  });

  it('while a forked INVITE rings, each branch may speak: an early dialog each, with its own CSeq (12.1.2)', async () => {
    const { tokens } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    const invite = await peer.request('INVITE');
    const contact = (tag: string): string => `<sip:${tag}@127.0.0.1:${peer.port}>`;
    for (const tag of ['x', 'y']) {
      peer.send(responseText(invite, 180, { tag, headers: [`Contact: ${contact(tag)}`] }));
      await app.response(180);
    }
    const from = (tag: string) => ({
      callId: invite.callId!,
      from: `${invite.get('to')!};tag=${tag}`,
      to: invite.get('from')!,
      contact: contact(tag),
    });
    peer.send(requestText(peer, { ...from('x'), method: 'UPDATE', cseq: 9 }));
    const update = await app.request('UPDATE');
    app.answer(update.message, update.transaction, 200);
    await peer.response(200, 'UPDATE');
    await app.ask(`sip||${update.dialog}`, 'INFO sip:placeholder SIP/2.0\r\n\r\n');
    const info = await peer.request('INFO');
    expect([info.to!.tag, info.requestUri]).to.deep.equal(['x', `sip:x@127.0.0.1:${peer.port}`]);
    peer.send(requestText(peer, { ...from('z'), method: 'UPDATE' }));
    await peer.response(481, 'UPDATE');
    peer.send(responseText(invite, 200, { tag: 'y', headers: [`Contact: ${contact('y')}`] }));
    expect((await app.response(200)).transaction).to.equal(tokens[10]);
    await app.ask(`sip||${update.dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect((await peer.request('ACK')).to!.tag).to.equal('y');
    peer.send(requestText(peer, { ...from('x'), method: 'UPDATE', cseq: 10 }));
    await peer.response(481, 'UPDATE');
    peer.send(requestText(peer, { ...from('y'), method: 'BYE', cseq: 1 }));
    const bye = await app.request('BYE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
  });

  it('before the other side is named there is no dialog to send in (12.1.2): NOK, and the call goes on', async () => {
    const { tokens, sip } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    const invite = await peer.request('INVITE');
    const id = `${invite.callId};from-tag=${invite.from!.tag}`;
    const early = await app.ask(`sip||${id}`, 'SUBSCRIBE sip:placeholder SIP/2.0\r\nEvent: dialog\r\n\r\n');
    const reason = 'Server error: unable to find dialog for dialog id provided';
    expect(early.tokens.slice(3)).to.deep.equal(['NOK', reason]);
    const callId = /^Call-ID: .*$/im.exec(sip!.toString())![0];
    await app.ask('sip||', `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n${callId}\r\n\r\n`);
    peer.send(responseText(await peer.request('OPTIONS'), 603, { tag: 'x' }));
    await app.response(603);
    peer.send(responseText(invite, 200, { tag: 'b', headers: [`Contact: <sip:bob@127.0.0.1:${peer.port}>`] }));
    expect((await app.response(200)).transaction).to.equal(tokens[10]);
    expect((await app.ask(`sip||${id}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n')).tokens[3]).to.equal('OK');
    await peer.request('ACK');
  });

  it('a second 2xx with another tag (a fork) is acknowledged and ended by the stack (13.2.2.4)', async () => {
    await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\nv=0\r\n`);
    const invite = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(invite, 200, { tag: 'one', headers: [contact] }));
    const { dialog } = await app.response(200);
    await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect((await peer.request('ACK')).to!.tag).to.equal('one');
    peer.send(responseText(invite, 200, { tag: 'two', headers: [contact] }));
    expect((await peer.request('ACK')).to!.tag).to.equal('two');
    expect((await peer.request('BYE')).to!.tag).to.equal('two');
    await settle();
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
    expect(bench.engine.figures.dialogs).to.equal(1);
  });

  it('a fork’s 2xx whose Contact leads nowhere is let go, and harms nothing', async () => {
    await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    const invite = await peer.request('INVITE');
    peer.send(responseText(invite, 200, { tag: 'one', headers: [`Contact: <sip:bob@127.0.0.1:${peer.port}>`] }));
    const { dialog } = await app.response(200);
    peer.send(responseText(invite, 200, { tag: 'two', headers: ['Contact: <sip:bob@127.0.0.1;transport=sctp>'] }));
    await until('the note', () => bench.log.some((line) => line.startsWith('info: ACK')));
    await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    expect((await peer.request('ACK')).to!.tag).to.equal('one');
    expect(bench.log.filter((line) => line.startsWith('warn'))).to.deep.equal([]);
  });

  it('NOTIFY before the 200 to SUBSCRIBE makes the dialog (RFC 6665 4.1.2.4)', async () => {
    await app.ask('sip||', `SUBSCRIBE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nEvent: reg\r\nExpires: 60\r\n\r\n`);
    const subscribe = await peer.request('SUBSCRIBE');
    peer.send(
      requestText(peer, {
        method: 'NOTIFY',
        callId: subscribe.callId!,
        from: '<sip:bob@example.com>;tag=n',
        to: subscribe.get('from')!,
        uri: subscribe.contact!.uri,
        headers: ['Event: reg', 'Subscription-State: active'],
      }),
    );
    const notify = await app.request('NOTIFY');
    expect(notify.dialog).to.equal(`${subscribe.callId};from-tag=${subscribe.from!.tag}`);
    app.answer(notify.message, notify.transaction, 200);
    await peer.response(200, 'NOTIFY');
    peer.send(
      responseText(subscribe, 200, { tag: 'n', headers: ['Expires: 60', `Contact: <sip:bob@127.0.0.1:${peer.port}>`] }),
    );
    expect((await app.response(200)).dialog).to.equal(notify.dialog);
    // Neither refreshed nor ended: it goes 64*T1 after the minute granted.
    bench.clock.advance(91_000);
    expect(bench.engine.figures.dialogs).to.equal(1);
    bench.clock.advance(1_500);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });
});
