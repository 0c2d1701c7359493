import { expect } from 'chai';
import type { RawApp } from './support/app.ts';
import { Bench } from './support/bench.ts';
import { fresh, type Peer, requestText, responseText } from './support/peer.ts';
import { settle, until } from './support/wait.ts';

describe('sim/engine: time-outs, on a clock that tests move', () => {
  let bench: Bench;
  let app: RawApp;
  let peer: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    app = await bench.app('invite', 'message', 'subscribe');
    peer = await bench.peer('udp');
  });

  afterEach(() => bench.stop());

  const parts = () => ({ callId: fresh('c'), from: `<sip:a@example.com>;tag=${fresh('a')}` });
  const count = (method: string): number => peer.inbox.items.filter((m) => m.isRequest && m.method === method).length;

  it('a silent UDP target: the request is repeated, then the application gets a 408 made here', async () => {
    const { tokens } = await app.ask('sip||', `OPTIONS sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    bench.clock.advance(32_000);
    const timeout = await app.response(408);
    expect(timeout.transaction).to.equal(tokens[10]);
    expect(timeout.frame.tokens[2]).to.equal('network');
    await until('eleven copies', () => count('OPTIONS') === 11);
    expect(bench.engine.figures.clientTransactions).to.equal(0);
  });

  it('a CANCEL that nobody heeds: 64*T1 later the application gets a 408 made here (9.1)', async () => {
    const { tokens } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    peer.send(responseText(await peer.request('INVITE'), 180, { tag: 'b' }));
    await app.response(180);
    await app.ask(`sip|${tokens[10]}|`, `CANCEL sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    await peer.request('CANCEL');
    bench.clock.advance(32_000);
    expect((await app.response(408)).transaction).to.equal(tokens[10]);
    expect(bench.engine.figures).to.include({ clientTransactions: 0, dialogs: 0 });
  });

  it('an application that cancels twice: one CANCEL goes out, and is not repeated once it is answered (9.1)', async () => {
    const { tokens } = await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
    peer.send(responseText(await peer.request('INVITE'), 180, { tag: 'b' }));
    await app.response(180);
    for (const _ of [1, 2]) {
      const reply = await app.ask(`sip|${tokens[10]}|`, `CANCEL sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
      expect(reply.tokens[3]).to.equal('OK');
    }
    peer.send(responseText(await peer.request('CANCEL'), 200));
    await settle();
    bench.clock.advance(10_000);
    await app.ask('ping');
    await settle();
    expect(count('CANCEL')).to.equal(0);
  });

  it('200 to INVITE is repeated from T1 to T2 until the ACK (13.3.1.4)', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    bench.clock.advance(8_000);
    await until('four more', () => peer.inbox.items.filter((m) => m.status === 200).length === 4);
    peer.send(requestText(peer, { ...call, method: 'ACK', to: ok.get('to')! }));
    await app.request('ACK');
    peer.inbox.items.length = 0;
    bench.clock.advance(20_000);
    await settle();
    expect(peer.inbox.items).to.deep.equal([]);
  });

  it('no ACK for 64*T1: BYE by the stack, and the application hears of it as unsolicited (section 9)', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    bench.clock.advance(32_000);
    const bye = await peer.request('BYE');
    expect(bye.get('reason')).to.equal('SIP ;cause=200 ;text="ACK timeout"');
    expect(bye.from!.tag).to.equal(ok.to!.tag);
    const { frame, dialog } = await app.request('BYE');
    expect(frame.tokens[2]).to.equal('application');
    expect(frame.tokens[8]).to.equal('unsolicited');
    expect(dialog).to.equal(`${call.callId};from-tag=${message.from!.tag}`);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('CANCEL after our 200: 481, BYE by the stack, unsolicited BYE to the application', async () => {
    const call = { ...parts(), branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    await peer.response(200);
    peer.send(requestText(peer, { ...call, method: 'CANCEL' }));
    await peer.response(481, 'CANCEL');
    expect((await peer.request('BYE')).get('reason')).to.equal('SIP ;cause=200 ;text="CANCEL after 200 OK"');
    expect((await app.request('BYE')).transaction).to.equal('unsolicited');
  });

  it('CANCEL after the ACK is merely late: 481, and the call lives on', async () => {
    const call = { ...parts(), branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    peer.send(requestText(peer, { ...call, branch: `z9hG4bK${fresh()}`, method: 'ACK', to: ok.get('to')! }));
    await app.request('ACK');
    peer.send(requestText(peer, { ...call, method: 'CANCEL' }));
    await peer.response(481, 'CANCEL');
    expect(bench.engine.figures.dialogs).to.equal(1);
    expect(count('BYE')).to.equal(0);
  });

  it('an ACK with another CSeq does not acknowledge our 200', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE', cseq: 5 }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    peer.send(requestText(peer, { ...call, method: 'ACK', cseq: 6, to: ok.get('to')! }));
    await settle();
    bench.clock.advance(500);
    await peer.response(200);
  });

  it('a refusal is repeated until its ACK, and no longer', async () => {
    const call = { ...parts(), branch: `z9hG4bK${fresh()}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 486);
    const busy = await peer.response(486);
    bench.clock.advance(500);
    await peer.response(486);
    peer.send(requestText(peer, { ...call, method: 'ACK', to: busy.get('to')! }));
    await settle();
    bench.clock.advance(5_000);
    await settle();
    expect(peer.inbox.items.filter((m) => m.status === 486)).to.deep.equal([]);
    expect(bench.engine.figures.serverTransactions).to.equal(0);
  });

  it('a reliable 1xx is repeated, doubling; without PRACK the INVITE ends with 504 (RFC 3262 3)', async () => {
    peer.send(requestText(peer, { ...parts(), method: 'INVITE', headers: ['Supported: 100rel'] }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 183, ['require: 100rel']);
    app.answer(message, transaction, 180, ['require: 100rel']);
    await peer.response(183);
    bench.clock.advance(31_999);
    await until('the repetitions', () => peer.inbox.items.filter((m) => m.status === 183).length === 6);
    // The second one waits for the PRACK of the first.
    expect(peer.inbox.items.some((m) => m.status === 180)).to.equal(false);
    bench.clock.advance(1);
    await peer.response(504);
  });

  it('over UDP a request that comes again within timer J gets the same octets where the first came from (17.2.2)', async () => {
    const elsewhere = await bench.peer('udp');
    const request = requestText(peer, { method: 'MESSAGE', branch: `z9hG4bK${fresh()}` });
    peer.send(request);
    const { message, transaction } = await app.request('MESSAGE');
    app.answer(message, transaction, 202, ['x-octets: \u00e4']);
    const accepted = await peer.response(202);
    bench.clock.advance(31_999);
    peer.send(request);
    expect((await peer.response(202)).serialise().equals(accepted.serialise())).to.equal(true);
    elsewhere.send(request);
    expect((await peer.response(202)).serialise().equals(accepted.serialise())).to.equal(true);
    await settle();
    expect(elsewhere.inbox.items).to.deep.equal([]);
    expect(bench.engine.figures).to.include({ serverTransactions: 1, unanswered: 0, timers: 1 });
    bench.clock.advance(1);
    expect(bench.engine.figures).to.include({ serverTransactions: 0, timers: 0 });
    peer.send(request);
    const next = await app.request('MESSAGE');
    expect(next.transaction).not.to.equal(transaction);
  });

  it('over TCP nothing waits for timer J: the same request again is a new one (17.2.2)', async () => {
    const stream = await bench.peer('tcp');
    const request = requestText(stream, { method: 'MESSAGE', branch: `z9hG4bK${fresh()}` });
    stream.send(request);
    const { message, transaction } = await app.request('MESSAGE');
    app.answer(message, transaction, 202);
    await stream.response(202);
    expect(bench.engine.figures).to.include({ serverTransactions: 0, timers: 0 });
    stream.send(request);
    expect((await app.request('MESSAGE')).transaction).not.to.equal(transaction);
  });

  it('an application that never answers: after 64 s the request is forgotten, without an answer', async () => {
    peer.send(requestText(peer, { method: 'MESSAGE' }));
    const { message, transaction } = await app.request('MESSAGE');
    bench.clock.advance(63_999);
    expect(bench.engine.figures.unanswered).to.equal(1);
    bench.clock.advance(10);
    expect(bench.engine.figures.unanswered).to.equal(0);
    expect(bench.engine.figures.serverTransactions).to.equal(0);
    const { tokens } = await app.reply(app.answer(message, transaction, 200));
    expect(tokens[4]).to.equal('Response not sent due to unknown transaction');
    expect(peer.inbox.items).to.deep.equal([]);
  });

  it('an application that comes back and lets ring what another had left: forgotten 64 s after it has gone, too', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    await app.close();
    const back = await bench.app();
    await back.reply(back.answer(message, transaction, 180));
    bench.clock.advance(100_000);
    expect(bench.engine.figures.unanswered).to.equal(1);
    await back.close();
    await until('the end of it', () => bench.engine.figures.applications === 0);
    bench.clock.advance(64_000);
    expect(bench.engine.figures).to.include({ unanswered: 0, serverTransactions: 0, dialogs: 0 });
  });

  it('an application that rings and then proxies keeps no dialog', async () => {
    peer.send(requestText(peer, { ...parts(), method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    await app.reply(app.answer(message, transaction, 180));
    expect(bench.engine.figures.dialogs).to.equal(1);
    app.send(`proxy|${transaction}||fullResponse||serial|||sip:127.0.0.1:${peer.port}`, 'INVITE sip:x SIP/2.0\r\n\r\n');
    peer.send(responseText(await peer.request('INVITE'), 486, { tag: 'b' }));
    await peer.response(486);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('a subscription that ends before it is granted leaves no timer', async () => {
    await app.ask('sip||', `SUBSCRIBE sip:s@127.0.0.1:${peer.port} SIP/2.0\r\nEvent: reg\r\nExpires: 9000\r\n\r\n`);
    const subscribe = await peer.request('SUBSCRIBE');
    const { callId, from, to } = subscribe;
    peer.send(
      requestText(peer, {
        method: 'NOTIFY',
        callId: callId!,
        from: `<${to!.uri}>;tag=n`,
        to: `<${from!.uri}>;tag=${from!.tag}`,
        headers: ['Event: reg', 'Subscription-State: terminated'],
      }),
    );
    const notify = await app.request('NOTIFY');
    app.answer(notify.message, notify.transaction, 200);
    await peer.response(200);
    peer.send(responseText(subscribe, 200, { tag: 'n', headers: ['Expires: 9000'] }));
    await app.response(200);
    bench.clock.advance(33_000);
    expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0 });
  });

  for (const when of ['rings', 'is asked to change'] as const) {
    it(`BYE while the call ${when}, whose INVITE the peer never answers: given up after 64*T1 (15.1.2)`, async () => {
      const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
      await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
      const status = when === 'rings' ? 180 : 200;
      peer.send(responseText(await peer.request('INVITE'), status, { tag: 'b', headers: [contact] }));
      const { dialog } = await app.response(status);
      if (when !== 'rings') {
        await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
        await app.ask(`sip||${dialog}`, 'INVITE sip:placeholder SIP/2.0\r\n\r\n');
        peer.send(responseText(await peer.request('INVITE'), 180));
        await app.response(180);
      }
      await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
      peer.send(responseText(await peer.request('BYE'), 200));
      await app.response(200);
      bench.clock.advance(32_100);
      await app.response(408);
      bench.clock.advance(1_000);
      expect(bench.engine.figures).to.include({ clientTransactions: 0, dialogs: 0 });
    });
  }

  it('a request in a call that rings, left alone by the application, is forgotten, and the call rings on', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const invite = await app.request('INVITE');
    app.answer(invite.message, invite.transaction, 180);
    const to = (await peer.response(180)).get('to')!;
    peer.send(requestText(peer, { ...call, method: 'INFO', cseq: 2, to }));
    await app.request('INFO');
    bench.clock.advance(70_000);
    expect(bench.engine.figures).to.include({ dialogs: 1, unanswered: 1 });
    app.answer(invite.message, invite.transaction, 200);
    await peer.response(200, 'INVITE');
    peer.send(requestText(peer, { ...call, method: 'ACK', to }));
    expect((await app.request('ACK')).transaction).to.equal(invite.transaction);
  });

  it('a call that rings for minutes is not forgotten', async () => {
    peer.send(requestText(peer, { ...parts(), method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 180);
    await peer.response(180);
    bench.clock.advance(170_000);
    app.answer(message, transaction, 200);
    await peer.response(200);
  });

  it('proxy, serial: the provisional time-out brings the next target', async () => {
    const second = await bench.peer('udp');
    peer.send(requestText(peer, { ...parts(), method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    const silent = await bench.peer('udp');
    const id = app.send(
      `proxy|${transaction}||fullResponse||serial|2s||sip:u@127.0.0.1:${silent.port}|sip:u@127.0.0.1:${second.port}`,
      'INVITE sip:u@x SIP/2.0\r\n\r\n',
    );
    const first = await silent.request('INVITE');
    bench.clock.advance(2_000);
    const invite = await second.request('INVITE');
    // The first target wakes up: now it can be cancelled (9.1).
    silent.send(responseText(first, 180, { tag: 's' }));
    await silent.request('CANCEL');
    second.send(responseText(invite, 200, { tag: 'u' }));
    expect((await peer.response(200)).to!.tag).to.equal('u');
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 408 /);
    expect((await app.reply(id)).sip!.toString()).to.match(/^SIP\/2\.0 200 /);
    expect((await app.reply(id)).tokens[4]).to.equal('done');
  });

  it('proxy: the final time-out cancels a target that only rings; the caller gets 408', async () => {
    const target = await bench.peer('udp');
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    app.send(
      `proxy|${transaction}||fullResponse||serial||1500ms|sip:u@127.0.0.1:${target.port}`,
      'INVITE sip:u@x SIP/2.0\r\n\r\n',
    );
    const invite = await target.request('INVITE');
    target.send(responseText(invite, 180, { tag: 'u' }));
    await peer.response(180);
    bench.clock.advance(1_500);
    const cancel = await target.request('CANCEL');
    target.send(responseText(cancel, 200, { tag: 'u' }));
    target.send(responseText(invite, 487, { tag: 'u' }));
    await target.request('ACK');
    await peer.response(408, 'INVITE');
  });

  it('proxy: timer C ends an INVITE that rings for ever (16.8)', async () => {
    const target = await bench.peer('udp');
    peer.send(requestText(peer, { ...parts(), method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    app.send(
      `proxy|${transaction}||fullResponse||serial|||sip:u@127.0.0.1:${target.port}`,
      'INVITE sip:u@x SIP/2.0\r\n\r\n',
    );
    target.send(responseText(await target.request('INVITE'), 180, { tag: 'u' }));
    await peer.response(180);
    bench.clock.advance(180_000);
    await settle();
    expect(target.inbox.items).to.deep.equal([]);
    bench.clock.advance(1_000);
    await target.request('CANCEL');
    await peer.response(408, 'INVITE');
  });

  it('proxy: each provisional response but 100 starts timer C anew (16.7 step 2)', async () => {
    const target = await bench.peer('udp');
    peer.send(requestText(peer, { ...parts(), method: 'INVITE' }));
    const { transaction } = await app.request('INVITE');
    const uri = `sip:u@127.0.0.1:${target.port}`;
    app.send(`proxy|${transaction}||fullResponse||serial|||${uri}`, 'INVITE sip:u@x SIP/2.0\r\n\r\n');
    const invite = await target.request('INVITE');
    for (let minutes = 0; minutes < 10; minutes += 2) {
      target.send(responseText(invite, 180, { tag: 'u' }));
      await peer.response(180);
      bench.clock.advance(120_000);
    }
    await settle();
    expect(target.inbox.items).to.deep.equal([]);
    bench.clock.advance(62_000);
    await target.request('CANCEL');
  });

  describe('calls whose application has gone', () => {
    const HOUR = 3_600_000;
    const orphan = async (): Promise<string> => {
      const call = parts();
      peer.send(requestText(peer, { ...call, method: 'INVITE' }));
      const { message, transaction, frame } = await app.request('INVITE');
      expect(frame.tokens[9]).to.equal('');
      app.answer(message, transaction, 200);
      const ok = await peer.response(200, 'INVITE');
      peer.send(requestText(peer, { ...call, method: 'ACK', to: ok.get('to')! }));
      const { dialog } = await app.request('ACK');
      await app.close();
      await until('the engine to see it', () => bench.engine.figures.applications === 0);
      return dialog;
    };

    it('after an hour the stack sends BYE, and nothing is kept, peer or no peer', async () => {
      await orphan();
      bench.clock.advance(HOUR - 1000);
      await settle();
      expect(count('BYE')).to.equal(0);
      bench.clock.advance(1000);
      await peer.request('BYE');
      bench.clock.advance(64_000);
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0 });
    });

    it('an application that is back may use its call, which puts the end off, and end it', async () => {
      const dialog = await orphan();
      const back = await bench.app('invite');
      bench.clock.advance(HOUR - 1000);
      await back.ask(`sip||${dialog}`, 'INFO sip:placeholder SIP/2.0\r\n\r\n');
      peer.send(responseText(await peer.request('INFO'), 200));
      await back.response(200);
      bench.clock.advance(HOUR - 1000);
      await settle();
      expect(count('BYE')).to.equal(0);
      await back.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
      peer.send(responseText(await peer.request('BYE'), 200));
      await back.response(200);
      expect(bench.engine.figures.dialogs).to.equal(0);
    });

    it('an INVITE of its that only rings is cancelled', async () => {
      await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n`);
      peer.send(responseText(await peer.request('INVITE'), 180, { tag: 'b' }));
      await app.response(180);
      await app.close();
      await until('the engine to see it', () => bench.engine.figures.applications === 0);
      bench.clock.advance(HOUR);
      await peer.request('CANCEL');
      bench.clock.advance(64_000);
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0 });
    });
  });

  it('nothing remains when all is over', async () => {
    const call = parts();
    peer.send(requestText(peer, { ...call, method: 'INVITE' }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200);
    const ok = await peer.response(200);
    const inDialog = { ...call, to: ok.get('to')! };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
    await app.request('ACK');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 2 }));
    const bye = await app.request('BYE');
    app.answer(bye.message, bye.transaction, 200);
    await peer.response(200, 'BYE');
    bench.clock.advance(70_000);
    expect(bench.engine.figures).to.deep.include({
      serverTransactions: 0,
      clientTransactions: 0,
      dialogs: 0,
      unanswered: 0,
      timers: 0,
    });
  });
});
