import { expect } from 'chai';
import type { RawApp } from '../support/app.ts';
import { Bench } from '../support/bench.ts';
import { fresh, type Peer, requestText } from '../support/peer.ts';
import { connectSrf, newSrf, type SrfDialog } from '../support/srf.ts';
import { settle, until } from '../support/wait.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const RELIABLY = ['Require: 100rel', 'Content-Type: application/sdp'];
const TOO_LATE = 'Response not sent due to unknown transaction';

describe('sim/engine: reliable provisional responses and the final one (RFC 3262 3)', () => {
  let bench: Bench;
  let app: RawApp;
  let peer: Peer;

  beforeEach(async () => {
    bench = await Bench.start();
    peer = await bench.peer('udp');
  });

  afterEach(() => bench.stop());

  /** The peer calls; its INVITE and its PRACK for a reliable response are at hand. */
  const called = async () => {
    app = await bench.app('invite');
    const call = { callId: fresh('c'), from: `<sip:a@example.com>;tag=${fresh('a')}` };
    peer.send(requestText(peer, { ...call, method: 'INVITE', headers: ['Supported: 100rel'] }));
    const { message, transaction } = await app.request('INVITE');
    return {
      answer: (status: number, headers: readonly string[] = [], body = '') =>
        app.answer(message, transaction, status, headers, body),
      provisional: async (status: number) => {
        const { to, rseq } = await peer.response(status).then((r) => ({ to: r.get('to')!, rseq: r.get('rseq')! }));
        return { ...call, method: 'PRACK', cseq: 2, to, headers: [`RAck: ${rseq} 1 INVITE`] };
      },
    };
  };
  const answers = (status: number): number => peer.inbox.items.filter((m) => m.status === status).length;

  it('a 2xx waits for the PRACK of a response that described the session, and comes behind it', async () => {
    const { answer, provisional } = await called();
    answer(183, RELIABLY, SDP);
    const prack = await provisional(183);
    const id = answer(200);
    const second = answer(200);
    expect((await app.reply(second)).tokens.slice(3)).to.deep.equal(['NOK', TOO_LATE]);
    await settle();
    expect(answers(200)).to.equal(0);
    peer.send(requestText(peer, prack));
    await peer.response(200, 'INVITE');
    expect((await app.reply(id)).tokens[3]).to.equal('OK');
    await app.request('PRACK');
  });

  it('drachtio-srf: the PRACK reaches its hook, and the ACK that of the 200', async () => {
    const heard: string[] = [];
    const dialogs: SrfDialog[] = [];
    const srf = newSrf();
    srf.invite((req, res) => {
      const early = { headers: { Require: '100rel' }, body: SDP };
      res.send(183, early, null, (prack) => heard.push(prack.method));
      void srf.createUAS(req, res, { localSdp: SDP }).then((dialog) => {
        dialogs.push(dialog);
        dialog.on('ack', () => heard.push('ACK'));
      });
    });
    await connectSrf(srf, bench.addresses.control);
    await until('its route', () => bench.engine.figures.routes === 1);
    const call = { callId: fresh('c'), from: '<sip:a@example.com>;tag=a' };
    peer.send(requestText(peer, { ...call, method: 'INVITE', headers: ['Supported: 100rel'] }));
    const early = await peer.response(183);
    const to = early.get('to')!;
    const headers = [`RAck: ${early.get('rseq')} 1 INVITE`];
    peer.send(requestText(peer, { ...call, method: 'PRACK', cseq: 2, to, headers }));
    await peer.response(200, 'PRACK');
    await peer.response(200, 'INVITE');
    peer.send(requestText(peer, { ...call, method: 'ACK', to }));
    await until('the dialog and its ACK', () => dialogs.length === 1 && heard.length === 2);
    expect(heard).to.deep.equal(['PRACK', 'ACK']);
    srf.disconnect();
  });

  it('a 2xx need not wait where the response described nothing; its PRACK may come later', async () => {
    const { answer, provisional } = await called();
    answer(180, ['Require: 100rel']);
    const prack = await provisional(180);
    answer(200);
    await peer.response(200, 'INVITE');
    peer.send(requestText(peer, prack));
    const { message, transaction } = await app.request('PRACK');
    app.answer(message, transaction, 200);
    await peer.response(200, 'PRACK');
    peer.send(requestText(peer, { ...prack, cseq: 3 }));
    await peer.response(481);
  });

  it('the application hears of provisional responses that a final one overtook', async () => {
    const { answer, provisional } = await called();
    answer(183, RELIABLY, SDP);
    await provisional(183);
    const ringing = answer(180, ['Require: 100rel']);
    answer(486);
    await peer.response(486);
    expect((await app.reply(ringing)).tokens.slice(3)).to.deep.equal(['NOK', TOO_LATE]);
    expect(answers(180)).to.equal(0);
  });

  it('no PRACK: 504 goes out in place of the 2xx, of which the application hears', async () => {
    const { answer, provisional } = await called();
    answer(183, RELIABLY, SDP);
    await provisional(183);
    const id = answer(200);
    await app.ask('ping');
    bench.clock.advance(32_000);
    await peer.response(504);
    expect((await app.reply(id)).tokens.slice(3)).to.deep.equal(['NOK', TOO_LATE]);
    expect(answers(200)).to.equal(0);
    expect(bench.engine.figures).to.include({ dialogs: 0, unanswered: 0 });
  });
});
