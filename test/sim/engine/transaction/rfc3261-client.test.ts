import { expect } from 'chai';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { TimerWheel } from '../../../../sim/engine/timers.ts';
import { InviteClientTransaction } from '../../../../sim/engine/transaction/invite-client.ts';
import { NonInviteClientTransaction } from '../../../../sim/engine/transaction/non-invite-client.ts';

function setup(reliable: boolean) {
  const clock = new ManualClock();
  const start = clock.now();
  const sent: [text: string, at: number][] = [];
  const heard: string[] = [];
  const path = { reliable, to: {}, send: (b: Buffer) => void sent.push([b.toString(), clock.now() - start]) };
  const context = { wheel: new TimerWheel(clock), forget: (key: string) => heard.push(`forgotten ${key}`) };
  const user = {
    onResponse: (_: string, status: number) => void heard.push(String(status)),
    buildAck: (response: string) => Buffer.from(`ACK ${response}`),
    onFailure: (failure: string) => void heard.push(failure),
  };
  const request = Buffer.from('request');
  return {
    clock,
    sent,
    heard,
    invite: new InviteClientTransaction<string>('k', request, path, context, user),
    other: new NonInviteClientTransaction<string>('k', request, path, context, user),
    times: () => sent.map(([, at]) => at),
    leaked: () => context.wheel.pending,
  };
}

describe('sim/engine: INVITE client transaction (RFC 3261 17.1.1, RFC 6026)', () => {
  it('timer A repeats from T1, doubling; timer B gives up at 64*T1', () => {
    const { invite, clock, times, heard, leaked } = setup(false);
    invite.start();
    clock.advance(31_999);
    expect(times()).to.deep.equal([0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    clock.advance(1);
    expect(heard).to.deep.equal(['forgotten k', 'timeout']);
    expect(leaked()).to.equal(0);
  });

  it('a provisional response stops A and B', () => {
    const { invite, clock, times, heard } = setup(false);
    invite.start();
    invite.receive('r', 180);
    clock.advance(200_000);
    expect(times()).to.deep.equal([0]);
    expect(heard).to.deep.equal(['180']);
    expect(invite.state).to.equal('proceeding');
  });

  it('acknowledges a 300-699, and again when it is repeated, until timer D', () => {
    const { invite, clock, sent, heard, leaked } = setup(false);
    invite.start();
    invite.receive('busy', 486);
    invite.receive('busy', 486);
    expect(sent.slice(1).map(([text]) => text)).to.deep.equal(['ACK busy', 'ACK busy']);
    expect(heard).to.deep.equal(['486']);
    clock.advance(31_999);
    expect(invite.state).to.equal('completed');
    clock.advance(1);
    expect(invite.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });

  it('passes every 2xx up until timer M, and no ACK of its own', () => {
    const { invite, clock, sent, heard, leaked } = setup(false);
    invite.start();
    invite.receive('ok', 200);
    invite.receive('ok', 200);
    invite.receive('late', 180);
    expect(heard).to.deep.equal(['200', '200']);
    expect(sent).to.have.length(1);
    clock.advance(32_000);
    expect(invite.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });

  it('on a reliable transport repeats nothing and ends with the ACK', () => {
    const { invite, clock, times, leaked } = setup(true);
    invite.start();
    clock.advance(20_000);
    expect(times()).to.deep.equal([0]);
    invite.receive('busy', 486);
    expect(invite.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });

  it('9.1: after its CANCEL an answer is awaited for 64*T1 more, repeated provisional responses or not', () => {
    const { invite, clock, heard, leaked } = setup(false);
    invite.start();
    invite.receive('r', 180);
    clock.advance(100_000);
    invite.cancelled();
    clock.advance(31_999);
    invite.receive('r', 180);
    expect(invite.state).to.equal('proceeding');
    clock.advance(1);
    expect(heard).to.deep.equal(['180', '180', 'forgotten k', 'timeout']);
    expect(leaked()).to.equal(0);
  });

  it('tells of a transport error once', () => {
    const { invite, heard, leaked } = setup(true);
    invite.start();
    invite.transportError();
    invite.transportError();
    expect(heard).to.deep.equal(['forgotten k', 'transport']);
    expect(leaked()).to.equal(0);
  });
});

describe('sim/engine: non-INVITE client transaction (RFC 3261 17.1.2)', () => {
  it('timer E repeats from T1 doubling to T2; timer F gives up at 64*T1', () => {
    const { other, clock, times, heard, leaked } = setup(false);
    other.start();
    clock.advance(32_000);
    expect(times()).to.deep.equal([0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(heard).to.deep.equal(['forgotten k', 'timeout']);
    expect(leaked()).to.equal(0);
  });

  it('after a provisional response E runs at T2, and F still gives up', () => {
    const { other, clock, times, heard } = setup(false);
    other.start();
    other.receive('r', 100);
    clock.advance(31_999);
    expect(times()).to.deep.equal([0, 500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    clock.advance(1);
    expect(heard).to.deep.equal(['100', 'forgotten k', 'timeout']);
  });

  it('absorbs repeated finals for timer K (T4)', () => {
    const { other, clock, heard, leaked } = setup(false);
    other.start();
    other.receive('r', 200);
    other.receive('r', 200);
    expect(heard).to.deep.equal(['200']);
    clock.advance(4_999);
    expect(other.state).to.equal('completed');
    clock.advance(1);
    expect(other.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });

  it('on a reliable transport only F runs, and a final ends it', () => {
    const { other, clock, times, leaked } = setup(true);
    other.start();
    clock.advance(5_000);
    expect(times()).to.deep.equal([0]);
    other.receive('r', 404);
    expect(other.state).to.equal('terminated');
    expect(leaked()).to.equal(0);
  });
});
