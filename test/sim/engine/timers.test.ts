import { expect } from 'chai';
import fc from 'fast-check';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { type Timer, TimerWheel } from '../../../sim/engine/timers.ts';

describe('sim/engine: timer wheel', () => {
  const setup = () => {
    const clock = new ManualClock();
    const start = clock.now();
    const fired: [name: string, at: number][] = [];
    const owner = { onTimer: (name: string) => fired.push([name, clock.now() - start]) };
    return { clock, fired, owner, wheel: new TimerWheel(clock) };
  };

  it('fires at the tick asked for, never before, in order of setting within a tick', () => {
    const { clock, fired, owner, wheel } = setup();
    wheel.set(owner, 'late', 500);
    wheel.set(owner, 'soon', 20);
    wheel.set(owner, 'also late', 495);
    clock.advance(499);
    expect(fired).to.deep.equal([['soon', 20]]);
    clock.advance(1);
    expect(fired.slice(1)).to.deep.equal([
      ['late', 500],
      ['also late', 500],
    ]);
    expect(clock.pending).to.equal(0);
  });

  it('keeps timers that lie several turns of the wheel ahead', () => {
    const { clock, fired, owner, wheel } = setup();
    wheel.set(owner, 'hour', 3_600_000);
    wheel.set(owner, 'turn', 40_960);
    clock.advance(3_599_990);
    expect(fired).to.deep.equal([['turn', 40_960]]);
    clock.advance(10);
    expect(fired[1]).to.deep.equal(['hour', 3_600_000]);
  });

  it('arms one timer of the clock however many are pending, and none when none is', () => {
    const { clock, owner, wheel } = setup();
    const timers = Array.from({ length: 1000 }, (_, i) => wheel.set(owner, String(i), 1000 + i));
    expect(clock.pending).to.equal(1);
    for (const timer of timers) wheel.clear(timer);
    expect(wheel.pending).to.equal(0);
    expect(clock.pending).to.equal(0);
  });

  it('lets an owner set and clear timers while one fires', () => {
    const { clock, wheel } = setup();
    const heard: string[] = [];
    let neighbour: Timer | undefined;
    const owner = {
      onTimer: (name: string) => {
        heard.push(name);
        if (name === 'first') {
          wheel.clear(neighbour);
          wheel.set(owner, 'next', 0);
        }
      },
    };
    wheel.set(owner, 'first', 10);
    neighbour = wheel.set(owner, 'cleared', 10);
    wheel.set(owner, 'last', 10);
    clock.advance(10);
    expect(heard).to.deep.equal(['first', 'last']);
    clock.advance(10);
    expect(heard).to.deep.equal(['first', 'last', 'next']);
  });

  it('goes on when an owner throws, and tells of it', () => {
    const clock = new ManualClock();
    const errors: unknown[] = [];
    const wheel = new TimerWheel(clock, (error) => errors.push(error));
    let fired = false;
    const broken = {
      onTimer: () => {
        throw new Error('broken owner');
      },
    };
    wheel.set(broken, 'a', 10);
    wheel.set({ onTimer: () => (fired = true) }, 'b', 10);
    clock.advance(10);
    expect(errors).to.have.length(1);
    expect(fired).to.equal(true);
  });

  it('catches up in order of time after a pause longer than a turn', () => {
    let now = 0;
    let due: (() => void) | undefined;
    const clock = {
      now: () => now,
      setTimer: (_: number, callback: () => void) => {
        due = callback;
        return { cancel: () => undefined };
      },
    };
    const wheel = new TimerWheel(clock);
    const heard: string[] = [];
    const owner = { onTimer: (name: string) => heard.push(name) };
    // Two turns apart, hence in one slot.
    wheel.set(owner, 'second', 10 + 2 * 40_960);
    wheel.set(owner, 'first', 10);
    now = 200_000;
    due!();
    expect(heard).to.deep.equal(['first', 'second']);
  });

  it('stops for good', () => {
    const { clock, fired, owner, wheel } = setup();
    wheel.set(owner, 'x', 10);
    wheel.stop();
    wheel.set(owner, 'y', 10);
    clock.advance(1000);
    expect(fired).to.deep.equal([]);
    expect(wheel.pending).to.equal(0);
  });

  it('property: each timer that is not cleared fires once, at its delay rounded up to a tick', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ delay: fc.integer({ min: 0, max: 200_000 }), clear: fc.boolean() }), { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 20 }),
        (timers, steps) => {
          const { clock, fired, owner, wheel } = setup();
          const set = timers.map(({ delay }, i) => wheel.set(owner, String(i), delay));
          for (const [i, { clear }] of timers.entries()) if (clear) wheel.clear(set[i]);
          for (const step of steps) clock.advance(step);
          clock.advance(250_000);
          const expected = timers
            .map(({ delay, clear }, i) =>
              clear ? undefined : ([String(i), Math.max(10, Math.ceil(delay / 10) * 10)] as const),
            )
            .filter((entry) => entry !== undefined);
          expect(new Map(fired)).to.deep.equal(new Map(expected));
          expect(fired).to.have.length(expected.length);
        },
      ),
    );
  });
});
