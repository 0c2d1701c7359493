import { expect } from 'chai';
import { type SessionExpires, sessionExpires } from '../../../../sim/engine/dialog/session-timer.ts';
import { buildRequest } from '../../../../sim/engine/message/index.ts';
import type { RawApp } from '../support/app.ts';
import { Bench } from '../support/bench.ts';
import { fresh, type Peer, requestText, responseText } from '../support/peer.ts';
import { connectSrf, newSrf } from '../support/srf.ts';
import { settle, until } from '../support/wait.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const SECOND = 1000;
/** The wheel fires at most a tick late. */
const TICK = 10;
const REASON = 'SIP ;cause=200 ;text="Session timer expired"';

describe('sim/engine: the Session-Expires header (RFC 4028 4)', () => {
  const cases: [string, SessionExpires | undefined][] = [
    ['1800', { seconds: 1800, refresher: undefined }],
    ['1800;refresher=uac', { seconds: 1800, refresher: 'uac' }],
    ['90 ; Refresher = UAS ;x=1', { seconds: 90, refresher: 'uas' }],
    ['90;refresher=nobody', { seconds: 90, refresher: undefined }],
    ['99999999999999999999', { seconds: 2 ** 32 - 1, refresher: undefined }],
    ['0', undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['', undefined],
  ];
  for (const [value, expected] of cases) {
    it(`"${value}"`, () => {
      expect(sessionExpires(buildRequest('INVITE', 'sip:a@b', [['Session-Expires', value]]))).to.deep.equal(expected);
    });
  }

  it('its compact form is x', () => {
    const request = buildRequest('INVITE', 'sip:a@b', [['x', '100;refresher=uas']]);
    expect(sessionExpires(request)).to.deep.equal({ seconds: 100, refresher: 'uas' });
  });
});

describe('sim/engine: session timers (RFC 4028)', () => {
  let bench: Bench;
  let app: RawApp;
  let peer: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    app = await bench.app('invite', 'cdr:stop');
    peer = await bench.peer('udp');
  });

  afterEach(() => bench.stop());

  interface Call {
    readonly dialog: string;
    /** What the peer's requests in the dialog bear. */
    readonly inDialog: { readonly callId: string; readonly from: string; readonly to: string };
  }

  const expires = (value: string): string[] => (value === '' ? [] : [`Session-Expires: ${value}`]);

  /** A call of the peer's, which the application answers. */
  const taken = async (value: string): Promise<Call> => {
    const call = { callId: fresh('c'), from: `<sip:a@example.com>;tag=${fresh('a')}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE', headers: ['Supported: timer'] }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200, ['Content-Type: application/sdp', ...expires(value)], SDP);
    const inDialog = { ...call, to: (await peer.response(200)).get('to')! };
    peer.send(requestText(peer, { ...inDialog, method: 'ACK' }));
    return { dialog: (await app.request('ACK')).dialog, inDialog };
  };

  /** A call of the application's, which the peer answers. */
  const made = async (value: string): Promise<Call> => {
    await app.ask('sip||', `INVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\n\r\n${SDP}`);
    const invite = await peer.request('INVITE');
    const headers = [`Contact: <sip:bob@127.0.0.1:${peer.port}>`, ...expires(value)];
    peer.send(responseText(invite, 200, { tag: 'b', headers }));
    const { dialog, message } = await app.response(200);
    await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
    await peer.request('ACK');
    const inDialog = { callId: invite.callId!, from: message.get('to')!, to: invite.get('from')! };
    return { dialog, inDialog };
  };

  /** Nothing has come to anybody but answers. */
  const quiet = async (): Promise<void> => {
    await settle();
    expect(peer.inbox.items.filter((m) => m.isRequest).map((m) => m.startLine)).to.deep.equal([]);
    expect(app.inbox.items.filter((f) => f.verb === 'sip').map((f) => String(f.sip))).to.deep.equal([]);
  };

  const quietUntil = async (ms: number): Promise<void> => {
    bench.clock.advance(ms - TICK);
    await quiet();
    bench.clock.advance(2 * TICK);
  };

  /** The stack ends the call: BYE to the peer, the same to the application, and nothing stays behind. */
  const ended = async (dialog: string): Promise<void> => {
    const bye = await peer.request('BYE');
    expect(bye.get('reason')).to.equal(REASON);
    const told = await app.request('BYE');
    expect(told.frame.tokens[2]).to.equal('application');
    expect(told).to.deep.include({ transaction: 'unsolicited', dialog });
    expect(told.message.get('reason')).to.equal(REASON);
    const record = await app.inbox.next('cdr:stop', (frame) => frame.verb === 'cdr:stop');
    expect(record.tokens[4]).to.equal('session-expired');
    peer.send(responseText(bye, 200));
    await until('the BYE to be over', () => bench.engine.figures.dialogs === 0);
    await settle();
    bench.clock.advance(64 * SECOND);
    expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0, serverTransactions: 0 });
    await quiet();
  };

  /** The stack refreshes; the peer answers with these headers. */
  const refreshed = async (seconds: number, answer: string[]) => {
    const invite = await peer.request('INVITE');
    expect(invite.get('session-expires')).to.equal(`${seconds};refresher=uac`);
    peer.send(responseText(invite, 200, { headers: [`Contact: <sip:b@127.0.0.1:${peer.port}>`, ...answer] }));
    const ack = await peer.request('ACK');
    expect(ack.cseq!.number).to.equal(invite.cseq!.number);
    return { invite, ack };
  };

  /** The peer sends a re-INVITE, which the application accepts. */
  const reInvited = async ({ inDialog }: Call, cseq: number, value: string, answer = ''): Promise<void> => {
    peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq, headers: expires(value) }));
    const { message, transaction } = await app.request('INVITE');
    app.answer(message, transaction, 200, expires(answer));
    await peer.response(200, 'INVITE');
    peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq }));
    await app.request('ACK');
  };

  const updated = async ({ inDialog }: Call, cseq: number, value: string, status = 200): Promise<void> => {
    peer.send(requestText(peer, { ...inDialog, method: 'UPDATE', cseq, headers: expires(value) }));
    const { message, transaction } = await app.request('UPDATE');
    app.answer(message, transaction, status);
    await peer.response(status, 'UPDATE');
  };

  describe('where we refresh', () => {
    for (const [role, call, value] of [
      ['UAS', (v: string) => taken(v), '1800;refresher=uas'],
      ['UAC', (v: string) => made(v), '1800;refresher=uac'],
      ['UAC, nobody being named', (v: string) => made(v), '1800'],
    ] as const) {
      it(`${role}: a re-INVITE after half of the interval, of which the application hears nothing (7.4, 10)`, async () => {
        const { dialog } = await call(value);
        await quietUntil(900 * SECOND);
        const { invite, ack } = await refreshed(1800, ['Session-Expires: 1800;refresher=uac']);
        expect(invite.get('min-se')).to.equal('90');
        expect(invite.get('supported')).to.equal('timer');
        expect(invite.has('contact')).to.equal(true);
        expect(invite.get('content-type')).to.equal('application/sdp');
        expect(invite.body.toString()).to.equal(SDP);
        expect(ack.body.length).to.equal(0);
        await quietUntil(900 * SECOND - TICK);
        await refreshed(1800, ['Session-Expires: 1800;refresher=uac']);
        await quiet();
        await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
        peer.send(responseText(await peer.request('BYE'), 200));
        await app.response(200);
        bench.clock.advance(3600 * SECOND);
        await quiet();
        expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0, unanswered: 0 });
      });
    }

    it('the peer repeats its 2xx to the refresh: ACK again (RFC 3261 13.2.2.4)', async () => {
      await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      const { invite, ack } = await refreshed(200, ['Session-Expires: 200']);
      peer.send(responseText(invite, 200));
      expect((await peer.request('ACK')).serialise()).to.deep.equal(ack.serialise());
    });

    it('the peer changes the interval, and becomes the refresher, in its answer (7.2)', async () => {
      const { dialog } = await made('1800;refresher=uac');
      bench.clock.advance(900 * SECOND + TICK);
      await refreshed(1800, ['Session-Expires: 600;refresher=uac']);
      await settle();
      await quietUntil(300 * SECOND);
      await refreshed(600, ['Session-Expires: 600;refresher=uas']);
      await settle();
      await quietUntil(600 * SECOND);
      await ended(dialog);
    });

    it('the answer to a refresh has no Session-Expires: no limit any more (7.2)', async () => {
      await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      await refreshed(200, []);
      await settle();
      bench.clock.advance(7200 * SECOND);
      await quiet();
      expect(bench.engine.figures).to.include({ dialogs: 1, timers: 0 });
    });

    it('the description is what was agreed last, be it in a body of several parts', async () => {
      const { dialog } = await made('200');
      const reInvite = async (headers: string[], body: string, status: number): Promise<void> => {
        await app.ask(`sip||${dialog}`, ['INVITE sip:placeholder SIP/2.0', ...headers, '', body].join('\r\n'));
        peer.send(responseText(await peer.request('INVITE'), status));
        await app.response(status);
        if (status < 300) await app.ask(`sip||${dialog}`, 'ACK sip:placeholder SIP/2.0\r\n\r\n');
        await peer.request('ACK');
      };
      const parts = `--x\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--x--\r\n`;
      await reInvite(['Content-Type: multipart/mixed;boundary=x'], parts, 200);
      await reInvite([], `${SDP}a=sendonly\r\n`, 488);
      bench.clock.advance(100 * SECOND);
      const { invite } = await refreshed(200, []);
      expect(invite.get('content-type')).to.equal('multipart/mixed;boundary=x');
      expect(invite.body.toString()).to.equal(parts);
    });

    it('no answer: the call ends (10)', async () => {
      const { dialog } = await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      await peer.request('INVITE');
      bench.clock.advance(32 * SECOND);
      await settle();
      peer.inbox.items.splice(0, peer.inbox.items.length, ...peer.inbox.items.filter((m) => m.method === 'BYE'));
      await ended(dialog);
    });

    for (const status of [408, 422, 481, 500]) {
      it(`${status} to a refresh: the call ends (10, and as drachtio-server)`, async () => {
        const { dialog } = await made('200');
        bench.clock.advance(100 * SECOND + TICK);
        peer.send(responseText(await peer.request('INVITE'), status));
        await peer.request('ACK');
        await ended(dialog);
      });
    }

    it('provisional answers alone: the call ends with its interval (10)', async () => {
      const { dialog } = await made('200;refresher=uac');
      bench.clock.advance(100 * SECOND + TICK);
      peer.send(responseText(await peer.request('INVITE'), 180));
      await settle();
      await quietUntil(100 * SECOND - TICK);
      await ended(dialog);
    });

    it('491 to a refresh: again after a random while (10, RFC 3261 14.1), but not for ever', async () => {
      const { dialog } = await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      let refused = 0;
      for (;;) {
        await settle();
        const invite = peer.inbox.items.find((m) => m.method === 'INVITE');
        peer.inbox.items.splice(0, peer.inbox.items.length, ...peer.inbox.items.filter((m) => m.method === 'BYE'));
        if (invite !== undefined) {
          refused++;
          peer.send(responseText(invite, 491));
          await peer.request('ACK');
        } else if (peer.inbox.items.length > 0) break;
        bench.clock.advance(4 * SECOND + TICK);
      }
      expect(refused).to.be.within(20, 26);
      // Copies of the BYE, which was not answered at once.
      peer.inbox.items.length = 1;
      await ended(dialog);
    });

    it('not while another INVITE is under way (RFC 3261 14.1)', async () => {
      const { dialog } = await made('200');
      bench.clock.advance(95 * SECOND);
      await app.ask(`sip||${dialog}`, 'INVITE sip:placeholder SIP/2.0\r\n\r\n');
      const ours = await peer.request('INVITE');
      peer.send(responseText(ours, 100));
      await settle();
      bench.clock.advance(10 * SECOND);
      await quiet();
      peer.send(responseText(ours, 488));
      await app.response(488);
      await peer.request('ACK');
      bench.clock.advance(4 * SECOND + TICK);
      await refreshed(200, ['Session-Expires: 200']);
    });

    it('while a refresh is under way the peer’s re-INVITE is 491 (RFC 3261 14.2)', async () => {
      const { inDialog } = await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      const invite = await peer.request('INVITE');
      peer.send(requestText(peer, { ...inDialog, method: 'INVITE', cseq: 7 }));
      await peer.response(491);
      peer.send(responseText(invite, 200));
      await peer.request('ACK');
      await reInvited({ inDialog, dialog: '' }, 8, '');
    });

    it('an UPDATE of the peer’s while its answer to a refresh is awaited sets the limit, whatever the answer', async () => {
      const call = await made('200');
      bench.clock.advance(100 * SECOND + TICK);
      const invite = await peer.request('INVITE');
      await updated(call, 7, '300;refresher=uac');
      peer.send(responseText(invite, 491));
      await peer.request('ACK');
      await quietUntil(300 * SECOND);
      await ended(call.dialog);
    });

    it('not once the application has sent BYE, answered or not', async () => {
      const { dialog } = await made('200');
      bench.clock.advance(99 * SECOND);
      await app.ask(`sip||${dialog}`, 'BYE sip:placeholder SIP/2.0\r\n\r\n');
      const bye = await peer.request('BYE');
      bench.clock.advance(2 * SECOND);
      await settle();
      expect(peer.inbox.items.filter((m) => m.method === 'INVITE')).to.deep.equal([]);
      peer.send(responseText(bye, 200));
      await app.response(200);
      peer.inbox.items.length = 0;
      bench.clock.advance(200 * SECOND);
      await quiet();
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0 });
    });

    it('an UPDATE of the application’s that says nothing about it leaves the refreshes as they were', async () => {
      const { dialog } = await made('200');
      bench.clock.advance(50 * SECOND);
      await app.ask(`sip||${dialog}`, 'UPDATE sip:placeholder SIP/2.0\r\n\r\n');
      peer.send(responseText(await peer.request('UPDATE'), 200));
      await app.response(200);
      await quietUntil(50 * SECOND);
      await refreshed(200, []);
    });
  });

  describe('where the peer refreshes', () => {
    for (const [role, call, value] of [
      ['UAS', (v: string) => taken(v), '1800;refresher=uac'],
      ['UAS, nobody being named', (v: string) => taken(v), '1800'],
      ['UAC', (v: string) => made(v), '1800;refresher=uas'],
    ] as const) {
      it(`${role}: without a refresh the call ends with the interval, and the application is told (10)`, async () => {
        const { dialog } = await call(value);
        await quietUntil(1800 * SECOND);
        await ended(dialog);
      });

      it(`${role}: re-INVITE and UPDATE of the peer’s begin the interval anew`, async () => {
        const established = await call(value);
        await quietUntil(1700 * SECOND);
        await reInvited(established, 10, '1800;refresher=uac');
        await quietUntil(1700 * SECOND);
        await updated(established, 11, '1800;refresher=uac');
        await quietUntil(1800 * SECOND);
        await ended(established.dialog);
      });
    }

    it('an application’s interval below 90 s counts as 90 s, as with drachtio-server (4)', async () => {
      const { dialog } = await taken('10');
      await quietUntil(90 * SECOND);
      await ended(dialog);
    });

    it('a re-INVITE changes the interval', async () => {
      const call = await taken('1800;refresher=uac');
      bench.clock.advance(100 * SECOND);
      await reInvited(call, 2, '90;refresher=uac');
      await quietUntil(90 * SECOND);
      await ended(call.dialog);
    });

    it('a re-INVITE makes us the refresher; a later one that names nobody leaves it so', async () => {
      const call = await taken('1800;refresher=uac');
      bench.clock.advance(100 * SECOND);
      await reInvited(call, 2, '200;refresher=uas');
      await reInvited(call, 3, '300');
      await quietUntil(150 * SECOND);
      await refreshed(300, []);
    });

    it('what the application’s answer says goes before what the peer asked for (9)', async () => {
      const call = await taken('1800;refresher=uac');
      await reInvited(call, 2, '1800;refresher=uac', '400;refresher=uas');
      await quietUntil(200 * SECOND);
      await refreshed(400, []);
    });

    it('a refresh that the application refuses is none', async () => {
      const call = await taken('1800;refresher=uac');
      bench.clock.advance(1000 * SECOND);
      await updated(call, 2, '1800;refresher=uac', 488);
      await quietUntil(800 * SECOND);
      await ended(call.dialog);
    });

    it('a re-INVITE without Session-Expires takes the limit away (9)', async () => {
      await reInvited(await taken('1800;refresher=uac'), 2, '');
      await settle();
      bench.clock.advance(7200 * SECOND);
      await quiet();
      expect(bench.engine.figures).to.include({ dialogs: 1, timers: 0 });
    });

    for (const method of ['INVITE', 'UPDATE']) {
      it(`${method} with an interval below 90 s: 422 with Min-SE, and the application hears nothing (6)`, async () => {
        const { inDialog, dialog } = await taken('1800;refresher=uac');
        peer.send(requestText(peer, { ...inDialog, method, cseq: 2, headers: ['Session-Expires: 89'] }));
        const tooSmall = await peer.response(422);
        expect(tooSmall.get('min-se')).to.equal('90');
        if (method === 'INVITE') {
          const { branch } = tooSmall.via!;
          peer.send(requestText(peer, { ...inDialog, method: 'ACK', cseq: 2, branch: branch! }));
        }
        await quietUntil(1800 * SECOND);
        await ended(dialog);
      });
    }

    it('a request of the application’s begins the interval anew, or ends it (7.2)', async () => {
      const { dialog } = await made('1800;refresher=uas');
      const update = async (headers: string[]): Promise<void> => {
        await app.ask(`sip||${dialog}`, 'UPDATE sip:placeholder SIP/2.0\r\nSession-Expires: 1800\r\n\r\n');
        peer.send(responseText(await peer.request('UPDATE'), 200, { headers }));
        await app.response(200);
      };
      bench.clock.advance(1000 * SECOND);
      await update(['Session-Expires: 1800;refresher=uas']);
      bench.clock.advance(1700 * SECOND);
      await quiet();
      await update([]);
      bench.clock.advance(7200 * SECOND);
      await quiet();
      expect(bench.engine.figures).to.include({ dialogs: 1, timers: 0 });
    });
  });

  it('without Session-Expires there is no timer', async () => {
    await taken('');
    await made('');
    bench.clock.advance(7200 * SECOND);
    await quiet();
    expect(bench.engine.figures).to.include({ dialogs: 2, timers: 0 });
  });

  it('a call that the peer ends leaves no timer', async () => {
    for (const value of ['1800;refresher=uac', '1800;refresher=uas']) {
      const { inDialog } = await taken(value);
      peer.send(requestText(peer, { ...inDialog, method: 'BYE', cseq: 2 }));
      const bye = await app.request('BYE');
      app.answer(bye.message, bye.transaction, 200);
      await peer.response(200, 'BYE');
    }
    await settle();
    bench.clock.advance(64 * SECOND);
    expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0 });
    bench.clock.advance(3600 * SECOND);
    await quiet();
  });

  describe('the application has gone', () => {
    const gone = async (): Promise<void> => {
      await app.close();
      await until('the engine to see it', () => bench.engine.figures.applications === 0);
    };

    it('where the peer refreshes: its refresh is 481, and the session ends with its interval', async () => {
      const { inDialog } = await taken('1800;refresher=uac');
      await gone();
      peer.send(requestText(peer, { ...inDialog, method: 'UPDATE', cseq: 2, headers: ['Session-Expires: 1800'] }));
      await peer.response(481);
      bench.clock.advance(1800 * SECOND + TICK);
      const bye = await peer.request('BYE');
      expect(bye.get('reason')).to.equal(REASON);
      peer.send(responseText(bye, 200));
      await settle();
      bench.clock.advance(64 * SECOND);
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0 });
    });

    it('where we refresh: the call is kept for an application that comes back, an hour at most', async () => {
      await taken('1800;refresher=uas');
      await gone();
      for (let i = 0; i < 3; i++) {
        bench.clock.advance(900 * SECOND + TICK);
        await refreshed(1800, ['Session-Expires: 1800;refresher=uac']);
        await settle();
      }
      bench.clock.advance(900 * SECOND);
      expect((await peer.request('BYE')).get('reason')).to.contain('the application has gone');
      bench.clock.advance(64 * SECOND);
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0, clientTransactions: 0 });
    });
  });

  for (const refresher of ['uac', 'uas']) {
    it(`a WebSocket peer whose connection is gone (refresher=${refresher}): the application is told all the same`, async () => {
      const ue = await bench.peer('wss');
      ue.send(requestText(ue, { method: 'INVITE', contact: '<sip:ue@k3j4.invalid;transport=ws>' }));
      const { message, transaction } = await app.request('INVITE');
      app.answer(message, transaction, 200, [`Session-Expires: 100;refresher=${refresher}`]);
      const { from, to, callId } = await ue
        .response(200)
        .then((m) => ({ from: m.get('from')!, to: m.get('to')!, callId: m.callId! }));
      ue.send(requestText(ue, { method: 'ACK', from, to, callId }));
      const { dialog } = await app.request('ACK');
      await ue.close();
      await settle();
      bench.clock.advance(100 * SECOND + TICK);
      const told = await app.request('BYE');
      expect(told).to.deep.include({ transaction: 'unsolicited', dialog });
      expect(told.message.callId).to.equal(callId);
      expect(told.message.get('from')).to.equal(to);
      expect(told.message.get('to')).to.equal(from);
      expect(bench.engine.figures).to.include({ dialogs: 0, timers: 0 });
    });
  }

  it('drachtio-srf: the dialog is destroyed when its session expires', async () => {
    await app.close();
    const srf = newSrf();
    const reasons: string[] = [];
    let up = false;
    srf.invite((req, res) => {
      void srf
        .createUAS(req, res, { localSdp: SDP, headers: { 'Session-Expires': '1800;refresher=uac' } })
        .then((dialog) => {
          up = true;
          dialog.on('destroy', (bye: { get(name: string): string }) => reasons.push(bye.get('Reason')));
        });
    });
    try {
      await connectSrf(srf, bench.addresses.control);
      await until('the route', () => bench.engine.figures.routes === 1);
      const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
      peer.send(requestText(peer, { ...call, method: 'INVITE' }));
      const to = (await peer.response(200)).get('to')!;
      peer.send(requestText(peer, { ...call, method: 'ACK', to }));
      await until('the dialog', () => up);
      await settle();
      bench.clock.advance(1800 * SECOND + TICK);
      await peer.request('BYE');
      await until('the destroy event', () => reasons.length > 0);
      expect(reasons).to.deep.equal([REASON]);
    } finally {
      srf.disconnect();
    }
  });
});
