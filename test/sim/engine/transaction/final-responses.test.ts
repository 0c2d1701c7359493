import { expect } from 'chai';
import fc from 'fast-check';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { TimerWheel } from '../../../../sim/engine/timers.ts';
import { FinalResponses } from '../../../../sim/engine/transaction/final-responses.ts';

const J = 32_000;

function setup() {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const sent: [to: string, octets: Buffer][] = [];
  const ends = new Map<string, object>();
  const path = (to: string) => {
    if (!ends.has(to)) ends.set(to, { to });
    return { reliable: false, to: ends.get(to)!, send: (octets: Buffer) => void sent.push([to, octets]) };
  };
  const finals = new FinalResponses(wheel);
  /** What goes out when the request comes again; undefined: it counts as new. */
  const again = (key: string): [to: string, octets: Buffer] | undefined => {
    finals.find(key)?.retransmission();
    return sent.pop();
  };
  return { clock, wheel, path, finals, again };
}

describe('sim/engine: final responses of completed server transactions (RFC 3261 17.2.2)', () => {
  it('repeats the same octets on the same way, until timer J', () => {
    const { clock, path, finals, again } = setup();
    finals.add('MESSAGE z9hG4bK1 a:5060', path('a'), Buffer.from([0, 255, 13, 10]));
    clock.advance(J - 1);
    expect(again('MESSAGE z9hG4bK1 a:5060')).to.deep.equal(['a', Buffer.from([0, 255, 13, 10])]);
    expect(again('MESSAGE z9hG4bK2 a:5060')).to.equal(undefined);
    clock.advance(1);
    expect(again('MESSAGE z9hG4bK1 a:5060')).to.equal(undefined);
  });

  it('hands out copies: what was repeated may be written over', () => {
    const { path, finals, again } = setup();
    const response = Buffer.from('200');
    finals.add('k', path('a'), response);
    response.fill('x');
    again('k')![1].fill('y');
    expect(again('k')![1].toString()).to.equal('200');
  });

  it('a key used again after its time has the new response', () => {
    const { clock, path, finals, again } = setup();
    finals.add('k', path('a'), Buffer.from('first'));
    finals.add('other', path('a'), Buffer.from('other'));
    clock.advance(20_000);
    finals.add('third', path('b'), Buffer.from('third'));
    clock.advance(12_000);
    expect(again('k')).to.equal(undefined);
    finals.add('k', path('c'), Buffer.from('second'));
    expect(again('k')).to.deep.equal(['c', Buffer.from('second')]);
    expect(again('third')).to.deep.equal(['b', Buffer.from('third')]);
    clock.advance(J);
    expect(finals.size).to.equal(0);
  });

  it('responses of any size: larger than a chunk, and empty', () => {
    const { path, finals, again } = setup();
    const sizes = [0, 100_000, 300_000, 1, 262_144, 200_000, 70_000];
    for (const size of sizes) finals.add(`k${size}`, path('a'), Buffer.alloc(size, size % 251));
    for (const size of sizes) expect(again(`k${size}`)![1].equals(Buffer.alloc(size, size % 251))).to.equal(true);
  });

  it('memory stays level under a steady load, and is given back after timer J', () => {
    const { clock, wheel, path, finals, again } = setup();
    const atRest = finals.octets;
    const response = Buffer.alloc(400, 'r');
    const held: number[] = [];
    for (let second = 0; second < 200; second++) {
      for (let i = 0; i < 100; i++) finals.add(`REGISTER z9hG4bK-${second}-${i} host:5060`, path('a'), response);
      clock.advance(1000);
      held.push(finals.octets);
    }
    expect(finals.size).to.equal(3100);
    expect(wheel.pending).to.equal(1);
    // After the first 32 s nothing is added but the chunk begun while the oldest one is not yet through.
    expect(Math.max(...held.slice(33)) - Math.min(...held.slice(33))).to.be.at.most(2 * 256 * 1024);
    expect(again('REGISTER z9hG4bK-169-0 host:5060')?.[1].equals(response)).to.equal(true);
    expect(again('REGISTER z9hG4bK-168-0 host:5060')).to.equal(undefined);
    clock.advance(J);
    expect(finals.octets).to.equal(atRest);
    expect(wheel.pending).to.equal(0);
    expect(clock.pending).to.equal(0);
  });

  it('property: answers as a table of objects with a timer each would', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 5000 }),
      burst: fc.integer({ min: 1, max: 700 }),
      size: fc.integer({ min: 0, max: 2000 }),
      wait: fc.integer({ min: 0, max: 9_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const { clock, path, finals, again } = setup();
        const model = new Map<string, { to: string; response: Buffer; due: number }>();
        for (const { key, burst, size, wait } of steps) {
          for (let k = key; k < key + burst; k++) {
            const to = String(k % 3);
            const response = Buffer.alloc(size, k % 256);
            finals.add(`k${k}`, path(to), response);
            model.set(`k${k}`, { to, response, due: Math.ceil((clock.now() + J) / 10) * 10 });
          }
          clock.advance(wait);
          for (const [k, { due }] of model) if (due <= clock.now()) model.delete(k);
          for (let k = key; k < key + burst + 3; k += 3) {
            const expected = model.get(`k${k}`);
            expect(again(`k${k}`)).to.deep.equal(expected && [expected.to, expected.response]);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});
