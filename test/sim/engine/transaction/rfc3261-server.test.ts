import { expect } from 'chai';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { TimerWheel } from '../../../../sim/engine/timers.ts';
import { FinalResponses } from '../../../../sim/engine/transaction/final-responses.ts';
import { InviteServerTransaction } from '../../../../sim/engine/transaction/invite-server.ts';
import { NonInviteServerTransaction } from '../../../../sim/engine/transaction/non-invite-server.ts';

const octets = (text: string): Buffer => Buffer.from(text);

function setup(reliable: boolean) {
  const clock = new ManualClock();
  const start = clock.now();
  const sent: [text: string, at: number][] = [];
  const path = { reliable, to: {}, send: (b: Buffer) => void sent.push([b.toString(), clock.now() - start]) };
  const forgotten: string[] = [];
  const context = { wheel: new TimerWheel(clock), forget: (key: string) => forgotten.push(key) };
  const finals = new FinalResponses(context.wheel);
  return {
    finals,
    clock,
    sent,
    forgotten,
    context,
    invite: new InviteServerTransaction('k', path, context),
    other: new NonInviteServerTransaction('k', path, context, finals),
    leaked: () => context.wheel.pending,
  };
}

describe('sim/engine: INVITE server transaction (RFC 3261 17.2.1, RFC 6026)', () => {
  it('repeats the last provisional response when the INVITE is repeated', () => {
    const { invite, sent } = setup(false);
    invite.retransmission();
    expect(sent).to.deep.equal([]);
    invite.respond(100, octets('100'));
    invite.respond(180, octets('180'));
    invite.retransmission();
    expect(sent.map(([text]) => text)).to.deep.equal(['100', '180', '180']);
    expect(invite.state).to.equal('proceeding');
  });

  it('timer G repeats a 300-699 from T1 doubling to T2, timer H ends it at 64*T1', () => {
    const { invite, sent, clock, forgotten, leaked } = setup(false);
    let missing = 0;
    invite.user = { onCancel: () => undefined, onAckTimeout: () => missing++ };
    invite.respond(404, octets('404'));
    clock.advance(31_999);
    expect(sent.map(([, at]) => at)).to.deep.equal([
      0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(missing).to.equal(0);
    clock.advance(1);
    expect(missing).to.equal(1);
    expect(invite.state).to.equal('terminated');
    expect(forgotten).to.deep.equal(['k']);
    expect(leaked()).to.equal(0);
  });

  it('is confirmed by the ACK, absorbs further ones for timer I (T4)', () => {
    const { invite, sent, clock, leaked } = setup(false);
    invite.respond(486, octets('486'));
    invite.acknowledged();
    expect(invite.state).to.equal('confirmed');
    invite.acknowledged();
    invite.retransmission();
    clock.advance(4_999);
    expect(invite.state).to.equal('confirmed');
    clock.advance(1);
    expect(invite.state).to.equal('terminated');
    expect(sent).to.have.length(1);
    expect(leaked()).to.equal(0);
  });

  it('repeats a final response when the INVITE is repeated before the ACK', () => {
    const { invite, sent } = setup(false);
    invite.respond(486, octets('486'));
    invite.retransmission();
    expect(sent).to.have.length(2);
  });

  it('on a reliable transport neither G nor I runs', () => {
    const { invite, sent, clock, leaked } = setup(true);
    invite.respond(486, octets('486'));
    clock.advance(10_000);
    expect(sent).to.have.length(1);
    invite.acknowledged();
    expect(invite.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });

  it('is accepted by a 2xx: absorbs the INVITE, lets further 2xx pass, ends at timer L', () => {
    const { invite, sent, clock, leaked } = setup(false);
    expect(invite.respond(200, octets('200'))).to.equal(true);
    invite.retransmission();
    expect(sent).to.have.length(1);
    expect(invite.respond(200, octets('200 again'))).to.equal(true);
    expect(invite.respond(486, octets('486'))).to.equal(false);
    expect(sent).to.have.length(2);
    clock.advance(31_999);
    expect(invite.state).to.equal('accepted');
    clock.advance(1);
    expect(invite.state).to.equal('terminated');
    expect(invite.respond(200, octets('200'))).to.equal(false);
    expect(leaked()).to.equal(0);
  });
});

describe('sim/engine: non-INVITE server transaction (RFC 3261 17.2.2)', () => {
  it('absorbs repetitions while trying, repeats the last response while proceeding', () => {
    const { other, sent } = setup(false);
    other.retransmission();
    expect(sent).to.deep.equal([]);
    other.respond(100, octets('100'));
    other.retransmission();
    expect(sent.map(([text]) => text)).to.deep.equal(['100', '100']);
  });

  it('is forgotten with its final response, which is left to repeat it, and takes no other', () => {
    const { other, finals, sent, forgotten } = setup(false);
    other.respond(100, octets('100'));
    other.respond(200, octets('200'));
    expect(other.state).to.equal('completed');
    expect(forgotten).to.deep.equal(['k']);
    finals.find('k')!.retransmission();
    expect(sent.map(([text]) => text)).to.deep.equal(['100', '200', '200']);
    expect(other.respond(500, octets('500'))).to.equal(false);
    other.terminate();
    expect(forgotten).to.have.length(1);
  });

  it('remembers for timer J (64*T1) on UDP', () => {
    const { other, finals, clock, leaked } = setup(false);
    other.respond(200, octets('200'));
    clock.advance(31_999);
    expect(finals.find('k')?.state).to.equal('completed');
    clock.advance(1);
    expect(finals.find('k')).to.equal(undefined);
    expect(finals.size).to.equal(0);
    expect(leaked()).to.equal(0);
  });

  it('ends at once on a reliable transport', () => {
    const { other, finals, sent, forgotten, leaked } = setup(true);
    other.respond(200, octets('200'));
    expect(other.state).to.equal('terminated');
    expect(forgotten).to.deep.equal(['k']);
    expect(sent).to.have.length(1);
    expect(finals.size).to.equal(0);
    expect(leaked()).to.equal(0);
  });
});
