import { expect } from 'chai';
import { ShiftedClock } from '../../../sim/control/shifted-clock.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';

describe('shifted clock: real time with jumps', () => {
  it('fires in order what a jump passes, each at its own time', async () => {
    const base = new ManualClock(0);
    const clock = new ShiftedClock(base);
    const fired: [string, number][] = [];
    clock.setTimer(2000, () => fired.push(['b', clock.now()]));
    clock.setTimer(1000, () => {
      fired.push(['a', clock.now()]);
      clock.setTimer(500, () => fired.push(['a+', clock.now()]));
    });
    clock.setTimer(9000, () => fired.push(['never', clock.now()]));
    await clock.advance(3000);
    expect(fired).to.deep.equal([
      ['a', 1000],
      ['a+', 1500],
      ['b', 2000],
    ]);
    expect(clock.now()).to.equal(3000);
  });

  it('runs with the clock beneath it between jumps', async () => {
    const base = new ManualClock(0);
    const clock = new ShiftedClock(base);
    await clock.advance(10_000);
    let fired = 0;
    clock.setTimer(100, () => fired++);
    base.advance(99);
    expect(fired).to.equal(0);
    base.advance(1);
    expect(fired).to.equal(1);
    expect(clock.now()).to.equal(10_100);
  });

  it('forgets a cancelled timer and leaves nothing behind', () => {
    const base = new ManualClock(0);
    const clock = new ShiftedClock(base);
    clock.setTimer(100, () => expect.fail('was cancelled')).cancel();
    base.advance(1000);
    expect(base.pending).to.equal(0);
  });

  it('held, shows the new time but fires nothing until released, and then in order', async () => {
    const clock = new ShiftedClock(new ManualClock(0));
    const fired: string[] = [];
    clock.setTimer(200, () => fired.push('second'));
    clock.setTimer(100, () => fired.push('first'));
    clock.hold(1000);
    expect(clock.now()).to.equal(1000);
    clock.setTimer(500, () => fired.push('not yet'));
    expect(fired).to.deep.equal([]);
    await clock.release();
    expect(fired).to.deep.equal(['first', 'second']);
  });

  it('starts ahead where it was told to, as an actor does that starts again', () => {
    const clock = new ShiftedClock(new ManualClock(50), 7000);
    expect(clock.now()).to.equal(7050);
    expect(clock.shift).to.equal(7000);
  });
});
