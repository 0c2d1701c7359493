/** STEP-3bP at the KMS: pushes go out in order, and again with growing pauses until each is acknowledged. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Audit } from '../../../actors/kms/audit.ts';
import { openLibsqlStore } from '../../../actors/kms/libsql-store.ts';
import { Pusher } from '../../../actors/kms/pusher.ts';
import { Vault } from '../../../actors/kms/vault.ts';
import type { CekNews } from '../../../actors/messages/kms/cek.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { keyIdOf, silentLog, until } from './harness.ts';

describe('Pusher', () => {
  const setUp = (post: (news: readonly CekNews[]) => Promise<readonly string[]>, ended: readonly string[] = []) => {
    const clock = new ManualClock();
    const store = openLibsqlStore(undefined, new Vault(randomBytes(32)));
    const audit = new Audit(clock);
    const sent: string[][] = [];
    const delivered: string[] = [];
    const pusher = new Pusher({
      store,
      clock,
      audit,
      log: silentLog,
      compose: async ({ keyId }) => (ended.includes(keyId) ? undefined : { end: { keyId, reason: 'revoked' } }),
      post: (news) => {
        sent.push(news.map(keyIdOf));
        return post(news);
      },
      delivered: async (push) => {
        delivered.push(push.keyId);
        await store.change([], { pushed: [push.id] });
      },
    });
    const queue = async (...keyIds: string[]): Promise<void> => {
      await store.change([], { pushes: keyIds.map((keyId) => ({ keyId, what: 'end' as const })) });
      pusher.wake();
    };
    const failures = () => audit.since(0).filter((entry) => entry.event === 'push-failed').length;
    const close = async (): Promise<void> => {
      await pusher.stop();
      await store.close();
      expect(clock.pending, 'no timer is left').to.equal(0);
    };
    return { clock, store, audit, sent, delivered, pusher, queue, failures, close };
  };

  it('sends what is queued in one push, in order', async () => {
    const { queue, sent, delivered, close } = setUp(async (news) => news.map(keyIdOf));
    await queue('f0000001', 'f0000002', 'f0000003');
    await until('the push', () => delivered.length === 3);
    expect(sent).to.deep.equal([['f0000001', 'f0000002', 'f0000003']]);
    await close();
  });

  it('what the server leaves out of its acknowledgement is sent again, and that alone, after a pause', async () => {
    let first = true;
    const { queue, sent, delivered, clock, failures, close } = setUp(async (news) => {
      const taken = news.map(keyIdOf).filter((keyId) => !first || keyId !== 'f0000002');
      first = false;
      return taken;
    });
    await queue('f0000001', 'f0000002', 'f0000003');
    await until('the failure', () => failures() === 1 && clock.pending === 1);
    expect(delivered).to.deep.equal(['f0000001', 'f0000003']);
    clock.advance(100);
    await until('the second push', () => delivered.length === 3);
    expect(sent).to.deep.equal([['f0000001', 'f0000002', 'f0000003'], ['f0000002']]);
    await close();
  });

  it('what the server refuses for good holds up nothing else, however much of it there is (more than a batch)', async () => {
    const bad = Array.from({ length: 40 }, (_, i) => `f1${String(i).padStart(6, '0')}`);
    const { queue, sent, delivered, clock, failures, close } = setUp(async (news) =>
      news.map(keyIdOf).filter((keyId) => !bad.includes(keyId)),
    );
    await queue(...bad, 'f0000001');
    await until('the good one', () => delivered.length === 1);
    await until('many refusals', () => {
      clock.advance(500);
      return failures() >= 8 * bad.length;
    });
    await until('the pause after them, by one timer', () => clock.pending === 1);
    const before = sent.length;
    await queue('f0000002');
    await until('the new one', () => delivered.length === 2);
    expect(sent.slice(before), 'it went out alone and without the clock having moved').to.deep.equal([['f0000002']]);
    await close();
  });

  it('the pauses grow to ten seconds and do not end; a success begins anew', async () => {
    let up = false;
    const { queue, sent, delivered, clock, failures, close } = setUp(async (news) => {
      if (!up) throw new Error('down');
      return news.map(keyIdOf);
    });
    await queue('f0000001');
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      await until(`failure ${attempt}`, () => failures() === attempt && clock.pending === 1);
      const begun = clock.now();
      while (clock.pending === 1 && clock.now() - begun < 20_000) clock.advance(25);
      pauses.push(clock.now() - begun);
    }
    expect(pauses[0]).to.be.within(75, 125);
    expect(pauses[3]).to.be.within(600, 825);
    for (const pause of pauses.slice(8)) expect(pause).to.be.within(7_500, 10_025);
    up = true;
    await until('failure 11, or the push', () => clock.pending === 1 || delivered.length === 1);
    clock.advance(10_000);
    await until('the push', () => delivered.length === 1);
    expect(sent.length).to.be.within(11, 12);
    await close();
  });

  it('what is queued while the server is down waits with the rest, and retryNow ends the pause', async () => {
    let up = false;
    const { queue, delivered, clock, failures, pusher, close } = setUp(async (news) => {
      if (!up) throw new Error('down');
      return news.map(keyIdOf);
    });
    await queue('f0000001');
    await until('the failure', () => failures() === 1 && clock.pending === 1);
    await queue('f0000002');
    expect(failures()).to.equal(1);
    up = true;
    pusher.retryNow();
    await until('the pushes', () => delivered.length === 2);
    expect(delivered).to.deep.equal(['f0000001', 'f0000002']);
    await close();
  });

  it('what there is nothing to tell of any more is not sent', async () => {
    const { queue, sent, delivered, close } = setUp(async (news) => news.map(keyIdOf), ['f0000001']);
    await queue('f0000001', 'f0000002');
    await until('both', () => delivered.length === 2);
    expect(sent).to.deep.equal([['f0000002']]);
    await close();
  });

  it('stops in a pause and keeps what is queued', async () => {
    const { queue, store, clock, failures, pusher } = setUp(async () => {
      throw new Error('down');
    });
    await queue('f0000001');
    await until('the failure', () => failures() === 1 && clock.pending === 1);
    await pusher.stop();
    expect(await store.queuedPushes(10)).to.have.length(1);
    expect(clock.pending).to.equal(0);
    await store.close();
  });
});
