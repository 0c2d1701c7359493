import { expect } from 'chai';
import { Bench } from './support/bench.ts';
import { fresh, type Peer, requestText, responseText } from './support/peer.ts';
import { connectSrf, newSrf, type Srf, type SrfDialog, type SrfRequest, type SrfResponse } from './support/srf.ts';
import { settle, until } from './support/wait.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

describe('sim/engine: dialogs of an unmodified drachtio-srf', () => {
  let bench: Bench;
  let srf: Srf;
  let peer: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    srf = newSrf();
    peer = await bench.peer('udp');
  });

  afterEach(async () => {
    srf.disconnect();
    await bench.stop();
  });

  const connected = async (routes: number) => {
    await connectSrf(srf, bench.addresses.control);
    await until('the routes of the application', () => bench.engine.figures.routes === routes);
  };

  it('UAS: INVITE, 200, ACK hook, re-INVITE, INFO, BYE from the peer', async () => {
    const dialogs: SrfDialog[] = [];
    const heard: string[] = [];
    srf.invite((req, res) => {
      void srf.createUAS(req, res, { localSdp: SDP }).then((dialog) => {
        dialogs.push(dialog);
        for (const event of ['ack', 'destroy', 'info', 'modify']) dialog.on(event, () => heard.push(event));
        dialog.removeAllListeners('info').removeAllListeners('modify');
        dialog.on('info', (_q: unknown, r: { send(status: number): void }) => r.send(200));
      });
    });
    await connected(1);
    const callId = fresh('c');
    const from = '<sip:alice@example.com>;tag=alice1';
    peer.send(
      requestText(peer, { method: 'INVITE', callId, from, headers: ['Content-Type: application/sdp'], body: SDP }),
    );
    await peer.response(100);
    const ok = await peer.response(200);
    expect(ok.get('content-type')).to.equal('application/sdp');
    expect(ok.body.toString()).to.equal(SDP);
    const inDialog = { callId, from, to: ok.get('to')!, uri: ok.contact!.uri };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
    await until('the ack event', () => heard.includes('ack'));
    expect(dialogs[0]!.id).to.equal(`${callId};from-tag=alice1`);
    expect(dialogs[0]!.sip.localTag).to.equal(ok.to!.tag);
    peer.send(
      requestText(peer, {
        ...inDialog,
        method: 'INVITE',
        cseq: 2,
        headers: ['Content-Type: application/sdp'],
        body: SDP,
      }),
    );
    const again = await peer.response(200);
    expect(again.cseq!.number).to.equal(2);
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 2 }));
    peer.send(requestText(peer, { ...inDialog, method: 'INFO', cseq: 3 }));
    await peer.response(200, 'INFO');
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 4 }));
    await peer.response(200, 'BYE');
    await until('the destroy event', () => heard.includes('destroy'));
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('UAS: an application that awaits createUAS hears the BYE that comes at the heels of the ACK', async () => {
    const heard: string[] = [];
    srf.invite((req, res) => {
      void answer(req, res);
    });
    const answer = async (req: SrfRequest, res: SrfResponse) => {
      const dialog = await srf.createUAS(req, res, { localSdp: SDP });
      dialog.on('destroy', () => heard.push('destroy'));
    };
    await connected(1);
    for (let i = 0; i < 10; i++) {
      heard.length = 0;
      const call = { callId: fresh('c'), from: '<sip:alice@example.com>;tag=a' };
      peer.send(requestText(peer, { ...call, method: 'INVITE' }));
      const inDialog = { ...call, to: (await peer.response(200, 'INVITE')).get('to')! };
      peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
      peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 2 }));
      await until('the destroy event', () => heard.length === 1);
      await peer.response(200, 'BYE');
    }
  });

  it('UAC: INVITE with 180 and 200, ACK, re-INVITE, BYE', async () => {
    await connected(0);
    const provisional: number[] = [];
    const call = srf.createUAC(
      `sip:bob@127.0.0.1:${peer.port}`,
      { localSdp: SDP },
      {
        cbProvisional: (response: { status: number }) => provisional.push(response.status),
      },
    );
    const invite = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(invite, 180, { tag: 'bob1', headers: [contact] }));
    peer.send(
      responseText(invite, 200, { tag: 'bob1', headers: [contact, 'Content-Type: application/sdp'], body: SDP }),
    );
    const ack = await peer.request('ACK');
    const dialog = await call;
    expect(provisional).to.deep.equal([180]);
    expect(ack.cseq!.number).to.equal(invite.cseq!.number);
    expect(dialog.id).to.equal(`${invite.callId};from-tag=${invite.from!.tag}`);
    // The 2xx again: the stack repeats the ACK, and the application hears nothing of it (13.2.2.4).
    peer.send(responseText(invite, 200, { tag: 'bob1', headers: [contact] }));
    expect((await peer.request('ACK')).cseq!.number).to.equal(invite.cseq!.number);
    const modified = dialog.modify(SDP);
    const reinvite = await peer.request('INVITE');
    expect(reinvite.to!.tag).to.equal('bob1');
    peer.send(responseText(reinvite, 200, { headers: [contact, 'Content-Type: application/sdp'], body: SDP }));
    expect((await peer.request('ACK')).cseq!.number).to.equal(reinvite.cseq!.number);
    expect(await modified).to.equal(SDP);
    const ended = dialog.destroy();
    const bye = await peer.request('BYE');
    expect(bye.cseq!.number).to.be.greaterThan(reinvite.cseq!.number);
    peer.send(responseText(bye, 200));
    await ended;
    await until('the dialog to go', () => bench.engine.figures.dialogs === 0);
  });

  it('UAC: a refused INVITE is acknowledged by the stack, and createUAC rejects with the status', async () => {
    await connected(0);
    const outcome = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: SDP }).then(
      () => 0,
      (error: { status: number }) => error.status,
    );
    const invite = await peer.request('INVITE');
    peer.send(responseText(invite, 486, { tag: 'bob1' }));
    const ack = await peer.request('ACK');
    expect(ack.via!.branch).to.equal(invite.via!.branch);
    expect(await outcome).to.equal(486);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('UAC: CANCEL waits for a provisional response; the 487 comes back', async () => {
    await connected(0);
    let sent: SrfRequest | undefined;
    const call = srf.createUAC(
      `sip:bob@127.0.0.1:${peer.port}`,
      { localSdp: SDP },
      {
        cbRequest: (_error: unknown, request: SrfRequest) => {
          sent = request;
        },
      },
    );
    const outcome = call.then(
      () => 0,
      (error: { status: number }) => error.status,
    );
    const invite = await peer.request('INVITE');
    await until('the request to be known to the application', () => sent !== undefined);
    sent!.cancel();
    await settle();
    expect(peer.inbox.items.map((m) => m.startLine)).to.deep.equal([]);
    peer.send(responseText(invite, 180, { tag: 'bob1' }));
    const cancel = await peer.request('CANCEL');
    expect(cancel.via!.branch).to.equal(invite.via!.branch);
    peer.send(responseText(cancel, 200, { tag: 'bob1' }));
    peer.send(responseText(invite, 487, { tag: 'bob1' }));
    await peer.request('ACK');
    expect(await outcome).to.equal(487);
  });

  it('UAS: CANCEL is answered by the stack, and the application hears of it', async () => {
    let cancelled = 0;
    srf.invite((req, res) => {
      res.send(180);
      req.on('cancel', () => cancelled++);
    });
    await connected(1);
    const branch = `z9hG4bK${fresh()}`;
    const parts = { callId: fresh('c'), from: '<sip:alice@example.com>;tag=a', branch };
    peer.send(requestText(peer, { ...parts, method: 'INVITE' }));
    await peer.response(180);
    peer.send(requestText(peer, { ...parts, method: 'CANCEL' }));
    await peer.response(200, 'CANCEL');
    const terminated = await peer.response(487, 'INVITE');
    peer.send(requestText(peer, { ...parts, method: 'ACK', to: terminated.get('to')! }));
    await until('the cancel event', () => cancelled === 1);
    expect(bench.engine.figures.dialogs).to.equal(0);
  });

  it('100rel as UAS: RSeq is added, PRACK reaches the hook and is answered', async () => {
    let pracks = 0;
    srf.invite((_req, res) => {
      res.send(183, { headers: { Require: '100rel' } }, null, () => {
        pracks++;
        res.send(200, { body: SDP });
      });
    });
    await connected(1);
    const parts = { callId: fresh('c'), from: '<sip:alice@example.com>;tag=a' };
    peer.send(requestText(peer, { ...parts, method: 'INVITE', headers: ['Supported: 100rel'] }));
    const progress = await peer.response(183);
    expect(Number(progress.get('rseq'))).to.be.greaterThan(0);
    expect(progress.getAll('require')).to.deep.equal(['100rel']);
    const inDialog = { ...parts, to: progress.get('to')!, uri: progress.contact!.uri };
    peer.send(
      requestText(peer, { ...inDialog, method: 'PRACK', cseq: 2, headers: [`RAck: ${progress.get('rseq')} 1 INVITE`] }),
    );
    await peer.response(200, 'PRACK');
    await peer.response(200, 'INVITE');
    expect(pracks).to.equal(1);
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
  });

  it('100rel as UAC: PRACK with the RAck of the response', async () => {
    await connected(0);
    const call = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: SDP, headers: { Supported: '100rel' } });
    const invite = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    const progress = responseText(invite, 183, { tag: 'b', headers: [contact, 'Require: 100rel', 'RSeq: 77'] });
    peer.send(progress);
    const prack = await peer.request('PRACK');
    expect(prack.get('rack')).to.equal(`77 ${invite.cseq!.number} INVITE`);
    peer.send(responseText(prack, 200));
    // The same again is discarded (RFC 3262 4): no second PRACK.
    peer.send(progress);
    peer.send(responseText(invite, 200, { tag: 'b', headers: [contact] }));
    await peer.request('ACK');
    await call;
    expect(peer.inbox.items.filter((m) => m.method === 'PRACK')).to.deep.equal([]);
  });

  it('100rel as UAC: each branch of a fork counts its RSeq by itself (RFC 3262 4, one early dialog each)', async () => {
    await connected(0);
    const call = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: SDP, headers: { Supported: '100rel' } });
    const invite = await peer.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    const progress = (tag: string, rseq: number): string =>
      responseText(invite, 183, { tag, headers: [contact, 'Require: 100rel', `RSeq: ${rseq}`] });
    for (const [tag, rseq] of [
      ['one', 100],
      ['two', 7],
      ['one', 101],
      ['two', 8],
    ] as const) {
      peer.send(progress(tag, rseq));
      const prack = await peer.request('PRACK');
      expect(prack.to!.tag).to.equal(tag);
      expect(prack.get('rack')).to.equal(`${rseq} ${invite.cseq!.number} INVITE`);
      peer.send(responseText(prack, 200));
      // What the other branch repeats is discarded.
      peer.send(progress('one', 100));
    }
    peer.send(responseText(invite, 200, { tag: 'two', headers: [contact] }));
    expect((await peer.request('ACK')).to!.tag).to.equal('two');
    await call;
    expect(peer.inbox.items.filter((m) => m.method === 'PRACK')).to.deep.equal([]);
  });

  it('100rel as UAC: branches that ring at the same moment get each its own PRACK', async () => {
    await connected(0);
    const call = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: SDP, headers: { Supported: '100rel' } });
    const invite = await peer.request('INVITE');
    const contact = (tag: string): string => `Contact: <sip:${tag}@127.0.0.1:${peer.port}>`;
    // The same RSeq twice: order alone tells the last two apart.
    const ringing = [
      ['one', 100],
      ['two', 7],
      ['three', 7],
    ] as const;
    for (const [tag, rseq] of ringing) {
      const headers = [contact(tag), 'Require: 100rel', `RSeq: ${rseq}`];
      peer.send(responseText(invite, 183, { tag, headers }));
    }
    for (const [tag, rseq] of ringing) {
      const prack = await peer.request('PRACK');
      expect([prack.to!.tag, prack.requestUri]).to.deep.equal([tag, `sip:${tag}@127.0.0.1:${peer.port}`]);
      expect(prack.get('rack')).to.equal(`${rseq} ${invite.cseq!.number} INVITE`);
      peer.send(responseText(prack, 200));
    }
    peer.send(responseText(invite, 200, { tag: 'two', headers: [contact('two')] }));
    expect((await peer.request('ACK')).to!.tag).to.equal('two');
    await call;
  });

  it('SUBSCRIBE as UAS: NOTIFY goes inside the dialog, and the terminating one ends it', async () => {
    const dialogs: SrfDialog[] = [];
    srf.subscribe((req, res) => {
      void srf.createUAS(req, res, { headers: { Expires: '60' } }).then((dialog) => dialogs.push(dialog));
    });
    await connected(1);
    const callId = fresh('c');
    peer.send(
      requestText(peer, {
        method: 'SUBSCRIBE',
        callId,
        from: '<sip:a@b>;tag=s1',
        headers: ['Event: reg', 'Expires: 60'],
      }),
    );
    await peer.response(202);
    await until('the dialog', () => dialogs.length === 1);
    const dialog = dialogs[0]!;
    const notified = dialog.request({
      method: 'NOTIFY',
      headers: { Event: 'reg', 'Subscription-State': 'active', 'Content-Type': 'text/plain' },
      body: 'state',
    });
    const notify = await peer.request('NOTIFY');
    expect(notify.to!.tag).to.equal('s1');
    expect(notify.requestUri).to.equal(`sip:alice@127.0.0.1:${peer.port}`);
    peer.send(responseText(notify, 200));
    expect((await notified).status).to.equal(200);
    const last = dialog.destroy();
    const terminating = await peer.request('NOTIFY');
    peer.send(responseText(terminating, 200));
    await last;
    await until('the dialog to go', () => bench.engine.figures.dialogs === 0);
  });

  it('SUBSCRIBE as UAC: a NOTIFY before the 200 finds the dialog', async () => {
    await connected(0);
    const subscribed = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, {
      method: 'SUBSCRIBE',
      headers: { Event: 'reg', Expires: '60' },
    });
    const subscribe = await peer.request('SUBSCRIBE');
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(subscribe, 200, { tag: 'n1', headers: [contact, 'Expires: 60'] }));
    const dialog = await subscribed;
    const notes: string[] = [];
    dialog.on('notify', (req: SrfRequest, res: { send(status: number): void }) => {
      notes.push(req.body);
      res.send(200);
    });
    peer.send(
      requestText(peer, {
        method: 'NOTIFY',
        uri: subscribe.contact!.uri,
        callId: subscribe.callId!,
        from: '<sip:bob@example.com>;tag=n1',
        to: subscribe.get('from')!,
        headers: ['Event: reg', 'Subscription-State: active', 'Content-Type: text/plain'],
        body: 'one',
      }),
    );
    await peer.response(200, 'NOTIFY');
    expect(notes).to.deep.equal(['one']);
  });

  it('UAC: digest authentication; the second INVITE has the Call-ID and tag of the first, and its own dialog', async () => {
    await connected(0);
    const call = srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, {
      localSdp: SDP,
      auth: { username: 'as', password: 'secret' },
    });
    const first = await peer.request('INVITE');
    const challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"';
    peer.send(responseText(first, 401, { tag: 'x', headers: [challenge] }));
    await peer.request('ACK');
    const second = await peer.request('INVITE');
    expect(second.callId).to.equal(first.callId);
    expect(second.cseq!.number).to.be.greaterThan(first.cseq!.number);
    expect(second.get('authorization')).to.match(/^Digest username="as"/);
    const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
    peer.send(responseText(second, 200, { tag: 'y', headers: [contact, 'Content-Type: application/sdp'], body: SDP }));
    const ack = await peer.request('ACK');
    expect(ack.cseq!.number).to.equal(second.cseq!.number);
    expect((await call).sip.remoteTag).to.equal('y');
  });

  it('a NOTIFY on the heels of the 200 to SUBSCRIBE comes after it, to an application that has awaited it', async () => {
    await connected(0);
    const subscribe = async (): Promise<string> => {
      const headers = { Event: 'reg' };
      const dialog = await srf.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { method: 'SUBSCRIBE', headers });
      return new Promise((resolve) => {
        dialog.once('notify', (notify: SrfRequest, res: SrfResponse) => {
          res.send(202);
          resolve(notify.get('Subscription-State'));
        });
      });
    };
    for (let i = 0; i < 20; i++) {
      const notified = subscribe();
      const request = await peer.request('SUBSCRIBE');
      const contact = `Contact: <sip:bob@127.0.0.1:${peer.port}>`;
      peer.send(responseText(request, 200, { tag: 'n1', headers: [contact, 'Expires: 60'] }));
      peer.send(
        requestText(peer, {
          method: 'NOTIFY',
          uri: request.contact!.uri,
          callId: request.callId!,
          from: '<sip:bob@example.com>;tag=n1',
          to: request.get('from')!,
          headers: ['Event: reg', 'Subscription-State: active'],
        }),
      );
      // To what nobody listens drachtio-srf answers 200.
      await peer.response(202, 'NOTIFY');
      expect(await notified).to.equal('active');
    }
  });

  it('B2BUA between two peers', async () => {
    const bob = await bench.peer('tcp');
    const ended: string[] = [];
    srf.invite((req, res) => {
      void srf
        .createB2BUA(req, res, `sip:bob@127.0.0.1:${bob.port};transport=tcp`, { localSdpB: req.body })
        .then(({ uas, uac }) => {
          uas.on('destroy', () => {
            ended.push('uas');
            void uac.destroy();
          });
        });
    });
    await connected(1);
    const parts = { callId: fresh('c'), from: '<sip:alice@example.com>;tag=a' };
    peer.send(requestText(peer, { ...parts, method: 'INVITE', headers: ['Content-Type: application/sdp'], body: SDP }));
    const invite = await bob.request('INVITE');
    const contact = `Contact: <sip:bob@127.0.0.1:${bob.port};transport=tcp>`;
    bob.send(responseText(invite, 200, { tag: 'b', headers: [contact, 'Content-Type: application/sdp'], body: SDP }));
    const ok = await peer.response(200);
    await bob.request('ACK');
    const inDialog = { ...parts, to: ok.get('to')!, uri: ok.contact!.uri };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
    peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 2 }));
    await peer.response(200, 'BYE');
    const bye = await bob.request('BYE');
    bob.send(responseText(bye, 200));
    await until('both dialogs to go', () => bench.engine.figures.dialogs === 0);
    expect(ended).to.deep.equal(['uas']);
  });
});
