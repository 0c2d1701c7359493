import { expect } from 'chai';
import { MemoryReplayCache } from '../../../../actors/security/ibc/mikey/replay.ts';

describe('Replay cache, RFC 3830 section 5.4', () => {
  const window = 1000;
  const admit = (cache: MemoryReplayCache, digest: string, sentAt: number, now = sentAt) =>
    cache.admit(digest, sentAt, sentAt + window, now);

  it('admits a message once', () => {
    const cache = new MemoryReplayCache();
    expect(admit(cache, 'a', 1)).to.equal(true);
    expect(admit(cache, 'a', 1)).to.equal(false);
    expect(admit(cache, 'b', 1)).to.equal(true);
  });

  it('stays within its bound and drops what has expired first', () => {
    const cache = new MemoryReplayCache(8);
    for (let n = 0; n < 8; n++) admit(cache, `old ${n}`, n);
    expect(admit(cache, 'new', 5000)).to.equal(true);
    expect(cache.size).to.equal(1);
    expect(admit(cache, 'from before', 100, 5000), 'nothing that could still be valid was forgotten').to.equal(true);
  });

  it('a message at the last moment of its window is accepted, so what was sent as early is remembered still', () => {
    const cache = new MemoryReplayCache(3);
    for (const digest of ['a', 'b', 'c']) admit(cache, digest, 0);
    expect(admit(cache, 'd', 1, window)).to.equal(true);
    expect(admit(cache, 'a', 0, window)).to.equal(false);
  });

  it('full of what has not expired: forgets the oldest, and refuses all that is as old', () => {
    const cache = new MemoryReplayCache(8);
    for (let n = 0; n < 8; n++) admit(cache, `m${n}`, 100 + n);
    expect(admit(cache, 'm8', 108)).to.equal(true);
    expect(cache.size).to.equal(8);
    expect(admit(cache, 'm0', 100), 'forgotten, yet refused').to.equal(false);
    expect(admit(cache, 'another', 100)).to.equal(false);
    expect(admit(cache, 'm7', 107)).to.equal(false);
  });
});
