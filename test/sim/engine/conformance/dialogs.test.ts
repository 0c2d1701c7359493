import { expect } from 'chai';
import type { SipMessage } from '../../../../sim/engine/message/index.ts';
import type { RawApp } from '../support/app.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { Target } from './target.ts';

const ACK = 'ACK sip:placeholder SIP/2.0\r\nContent-Length: 0\r\n\r\n';

describe('control protocol, sections 7 and 8: dialogs, ACK, CANCEL, PRACK', () => {
  let target: Target;
  let app: RawApp;
  let peer: Peer;
  before(async () => {
    target = await Target.start();
  });
  beforeEach(async () => {
    app = await target.app('invite', 'subscribe');
    peer = await target.peer();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  /** A call from the network, answered and acknowledged. */
  const answered = async () => {
    const parts = { callId: fresh('c'), from: `<sip:a@example.com>;tag=${fresh('a')}` };
    peer.send(requestText(peer, { ...parts, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    const sent = await app.reply(app.answer(message, transaction, 200, ['content-type: application/sdp'], 'v=0\r\n'));
    const ok = await peer.response(200);
    const inDialog = { ...parts, to: ok.get('to')!, uri: ok.contact!.uri };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
    const ack = await app.request('ACK');
    return { inDialog, transaction, sent, ack, dialog: `${parts.callId};from-tag=${message.from!.tag}`, message };
  };

  /** A call to the network, answered; `ok` is the 2xx. */
  const called = async () => {
    const { tokens } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\nv=0\r\n`);
    const invite = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(invite, 200, { tag: 'bob', headers: [contact] }));
    const ok = await app.response(200);
    return { invite, transaction: tokens[10]!, ok, dialog: ok.dialog };
  };

  it('ACK to our 2xx: the transaction id of the INVITE, the dialog id, an empty protocol', async () => {
    const { ack, transaction, dialog, sent } = await answered();
    expect(sent.tokens[11]).to.equal(dialog);
    expect(ack.transaction).to.equal(transaction);
    expect(ack.dialog).to.equal(dialog);
    expect(ack.frame.tokens[4]).to.equal('');
    expect(ack.frame.tokens).to.have.length(11);
    expect(ack.frame.tokens[10]).to.equal('');
  });

  it('requests in the dialog: the dialog id, a transaction id of their own, eleven tokens', async () => {
    const { inDialog, transaction, dialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 2 }));
    const info = await app.request('INFO');
    expect(info.dialog).to.equal(dialog);
    expect(info.transaction)
      .to.match(/^[0-9a-f-]{36}$/)
      .and.not.equal(transaction);
    expect(info.frame.tokens).to.have.length(11);
    const sent = await app.reply(app.answer(info.message, info.transaction, 200));
    expect(sent.tokens[11]).to.equal(dialog);
    await peer.response(200, 'INFO');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 3 }));
    const bye = await app.request('BYE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 4 }));
    await peer.response(481, 'BYE');
  });

  it('in-dialog REFER is passed up', async () => {
    const { inDialog, dialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'REFER', cseq: 2, headers: ['Refer-To: <sip:c@example.com>'] }));
    const refer = await app.request('REFER');
    expect(refer.dialog).to.equal(dialog);
    app.answer(refer.message, refer.transaction, 202);
    await peer.response(202);
  });

  it('re-INVITE: the ACK has a transaction id of its own', async () => {
    const { inDialog, transaction } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 2 }));
    const again = await app.request('INVITE');
    app.answer(again.message, again.transaction, 200);
    await peer.response(200);
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 2 }));
    const ack = await app.request('ACK');
    expect([transaction, again.transaction]).to.not.include(ack.transaction);
  });

  it('UPDATE for a session of less than 90 s: 422 with Min-SE by the stack (RFC 4028 6)', async () => {
    const { inDialog } = await answered();
    peer.send(requestText(peer, { ...inDialog, method: 'UPDATE', cseq: 2, headers: ['Session-Expires: 89'] }));
    expect((await peer.response(422)).get('min-se')).to.equal('90');
    peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 3 }));
    await app.request('INFO');
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
  });

  it('an application sends inside the dialog of an incoming call', async () => {
    const { dialog, message } = await answered();
    const { tokens } = await app.ask(
      `sip||${dialog}`,
      'INFO sip:placeholder SIP/2.0\r\nContent-Type: text/plain\r\n\r\nx',
    );
    expect(tokens[3]).to.equal('OK');
    expect(tokens[11]).to.equal('Msg sent:');
    const info = await peer.request('INFO');
    expect(info.requestUri).to.equal(message.contact!.uri);
    expect(info.to!.tag).to.equal(message.from!.tag);
    expect(info.callId).to.equal(message.callId);
    peer.send(responseText(info, 200));
    const response = await app.response(200);
    expect(response.dialog).to.equal(dialog);
    expect(response.transaction).to.equal(tokens[10]);
    await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
    const bye = await peer.request('BYE');
    expect(bye.cseq!.number).to.equal(info.cseq!.number + 1);
    peer.send(responseText(bye, 200));
    await app.response(200);
    const after = await app.ask(`sip||${dialog}`, 'INFO sip:placeholder SIP/2.0\r\n\r\n');
    expect(after.tokens[4]).to.equal('Server error: unable to find dialog for dialog id provided');
  });

  it('ACK for a 2xx that an application received: target and CSeq are the dialog’s', async () => {
    const { invite, dialog } = await called();
    expect(dialog).to.equal(`${invite.callId};from-tag=${invite.from!.tag}`);
    const { tokens } = await app.ask(`sip||${dialog}`, ACK);
    expect(tokens.slice(3, 5)).to.deep.equal(['OK', 'application']);
    expect(tokens[11]).to.equal('Msg sent:');
    const ack = await peer.request('ACK');
    expect(ack.requestUri).to.equal(`sip:bob@127.0.0.1:${peer.port}`);
    expect(ack.cseq!.number).to.equal(invite.cseq!.number);
    expect(ack.to!.tag).to.equal('bob');
  });

  it('a re-INVITE that is refused: the stack acknowledges it, an ACK of the application is NOK, the call lives on', async () => {
    const { dialog } = await called();
    await app.ask(`sip||${dialog}`, ACK);
    await peer.request('ACK');
    await app.ask(`sip||${dialog}`, 'INVITE sip:placeholder SIP/2.0\r\n\r\nv=0\r\n');
    const again = await peer.request('INVITE');
    peer.send(responseText(again, 488));
    expect((await peer.request('ACK')).via!.branch).to.equal(again.via!.branch);
    expect((await app.response(488)).dialog).to.equal(dialog);
    const refusal = await app.ask(`sip||${dialog}`, ACK);
    expect(refusal.tokens[3]).to.equal('NOK');
    expect(refusal.tokens[4]).to.match(/^ACK for non-success/);
    await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
    peer.send(responseText(await peer.request('BYE'), 200));
    await app.response(200);
    expect(peer.inbox.items.filter((m) => m.method === 'ACK')).to.deep.equal([]);
  });

  it('a request of the peer finds the dialog that an application opened', async () => {
    const { invite, dialog } = await called();
    await app.ask(`sip||${dialog}`, ACK);
    await peer.request('ACK');
    const from = `${invite.get('to')};tag=bob`;
    peer.send(
      requestText(peer, {
        method: 'BYE',
        callId: invite.callId!,
        from,
        to: invite.get('from')!,
        uri: invite.contact!.uri,
      }),
    );
    const bye = await app.request('BYE');
    expect(bye.dialog).to.equal(dialog);
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
  });

  it('CANCEL from the network: 200 and 487 by the stack, then a frame with the transaction id of the INVITE', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a', branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...parts, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 180);
    await peer.response(180);
    peer.send(requestText(peer, { ...parts, method: 'CANCEL' }));
    await peer.response(200, 'CANCEL');
    const terminated = await peer.response(487, 'INVITE');
    const cancel = await app.request('CANCEL');
    expect(cancel.transaction).to.equal(transaction);
    const needless = await app.reply(app.answer(cancel.message, cancel.transaction, 200));
    expect(needless.tokens.slice(3)).to.deep.equal([
      'NOK',
      '200 OK to incoming CANCEL is automatically generated by the stack',
    ]);
    peer.send(requestText(peer, { ...parts, method: 'ACK', to: terminated.get('to')! }));
    const late = await app.reply(app.answer(message, transaction, 200));
    expect(late.tokens.slice(3)).to.deep.equal(['NOK', 'Response not sent due to unknown transaction']);
  });

  it('CANCEL of an application: OK, sent with the branch of the INVITE; only the 487 comes up', async () => {
    const { tokens } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\nv=0\r\n`);
    const invite = await peer.request('INVITE');
    peer.send(responseText(invite, 180, { tag: 'b' }));
    await app.response(180);
    const headers = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\nx-why: late\r\n';
    const text = `CANCEL sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n${headers}\r\n`;
    const reply = await app.ask(`sip|${tokens[10]}|`, text);
    expect(reply.tokens[3]).to.equal('OK');
    const cancel = await peer.request('CANCEL');
    expect(cancel.get('reason')).to.contain('Call completed elsewhere');
    expect(cancel.get('x-why')).to.equal('late');
    expect(cancel.via!.branch).to.equal(invite.via!.branch);
    expect(cancel.cseq!.number).to.equal(invite.cseq!.number);
    peer.send(responseText(cancel, 200, { tag: 'b' }));
    peer.send(responseText(invite, 487, { tag: 'b' }));
    const terminated = await app.response(487);
    expect(terminated.transaction).to.equal(tokens[10]);
    expect(app.inbox.items.filter((frame) => frame.verb === 'sip')).to.deep.equal([]);
  });

  it('a reliable 1xx: RSeq by the stack, PRACK with a transaction id of its own and the dialog id', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...parts, method: 'INVITE', headers: ['Supported: 100rel'] }));
    const { message, transaction } = await app.request('INVITE');
    const sent = await app.reply(app.answer(message, transaction, 183, ['require: 100rel']));
    expect(sent.tokens[11]).to.equal(`${parts.callId};from-tag=a`);
    const progress = await peer.response(183);
    const inDialog = { ...parts, to: progress.get('to')!, uri: progress.contact!.uri };
    peer.send(
      requestText(peer, { ...inDialog, method: 'PRACK', cseq: 2, headers: [`RAck: ${progress.get('rseq')} 1 INVITE`] }),
    );
    const prack = await app.request('PRACK');
    expect(prack.dialog).to.equal(sent.tokens[11]);
    expect(prack.transaction).to.not.equal(transaction);
    app.answer(prack.message, prack.transaction, 200);
    await peer.response(200, 'PRACK');
    app.answer(message, transaction, 486);
    const busy = await peer.response(486);
    peer.send(requestText(peer, { ...parts, method: 'ACK', branch: message.via!.branch!, to: busy.get('to')! }));
  });

  it('PRACK of an application: RAck is filled in by the stack', async () => {
    await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nSupported: 100rel\r\n\r\nv=0\r\n`);
    const invite: SipMessage = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(invite, 183, { tag: 'b', headers: [contact, 'Require: 100rel', 'RSeq: 5'] }));
    const progress = await app.response(183);
    const { tokens } = await app.ask(
      `sip||${progress.dialog}`,
      'PRACK sip:placeholder SIP/2.0\r\nRAck: 5 0 INVITE\r\n\r\n',
    );
    expect(tokens[3]).to.equal('OK');
    const prack = await peer.request('PRACK');
    expect(prack.get('rack')).to.equal(`5 ${invite.cseq!.number} INVITE`);
    peer.send(responseText(prack, 200));
    await app.response(200);
    peer.send(responseText(invite, 486, { tag: 'b' }));
    await app.response(486);
  });

  it('UPDATE while the INVITE is pending bears its transaction id, and is answered by it', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...parts, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 180);
    const ringing = await peer.response(180);
    const inDialog = { ...parts, to: ringing.get('to')!, uri: ringing.contact!.uri };
    peer.send(requestText(peer, { ...inDialog, method: 'UPDATE', cseq: 2 }));
    const update = await app.request('UPDATE');
    expect(update.transaction).to.equal(transaction);
    app.answer(update.message, update.transaction, 200);
    await peer.response(200, 'UPDATE');
    app.answer(message, transaction, 486);
    const busy = await peer.response(486, 'INVITE');
    peer.send(requestText(peer, { ...parts, method: 'ACK', branch: message.via!.branch!, to: busy.get('to')! }));
  });

  it('SUBSCRIBE: dialog id in the acknowledgement of the 202, NOTIFY goes inside', async () => {
    const parts = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...parts, method: 'SUBSCRIBE', headers: ['Event: reg', 'Expires: 60'] }));
    const { message, transaction } = await app.request('SUBSCRIBE');
    const sent = await app.reply(app.answer(message, transaction, 202, ['expires: 60']));
    const dialog = `${parts.callId};from-tag=a`;
    expect(sent.tokens[11]).to.equal(dialog);
    expect((await peer.response(202)).contact!.parsedUri.port).to.equal(target.udp.port);
    await app.ask(
      `sip||${dialog}`,
      'NOTIFY sip:placeholder SIP/2.0\r\nEvent: reg\r\nSubscription-State: terminated\r\n\r\n',
    );
    const notify = await peer.request('NOTIFY');
    expect(notify.has('contact')).to.equal(false);
    peer.send(responseText(notify, 200));
    await app.response(200);
  });

  it('an application that has gone: in-dialog requests get 481, BYE excepted', async () => {
    const { inDialog } = await answered();
    await app.close();
    await (await target.app()).ask('ping');
    peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 2 }));
    await peer.response(481, 'INFO');
  });
});
