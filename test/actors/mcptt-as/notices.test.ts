/** LIFE-1 (pCR 7.x.3): the KMS hears of an end even when it was away for long, or the server was. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { fileStores } from '../../../actors/mcptt-as/file-stores.ts';
import { type EndedAtServer, memoryNoticeStore, type NoticeStore, Notices } from '../../../actors/mcptt-as/notices.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import { quiet } from './world.ts';

const SESSION = { sipSession: 'sip:a@ue', reason: 'deregistered', keyIds: ['10000001', '10000002'] };
const LOG_OFF = { ...SESSION, userUri: 'sip:alice@mcptt.example', reason: 'logged-off', keyIds: ['10000001'] };
const MINUTE = 60_000;

/** A KMS that comes back at some time, and what it is told. */
class Kms {
  readonly clock = new ManualClock();
  readonly told: { ok: boolean; ended: EndedAtServer }[] = [];
  readonly begunAnew = new Set<string>();
  #backAt = this.clock.now();

  awayFor(ms: number): void {
    this.#backAt = this.clock.now() + ms;
  }

  notices(store: NoticeStore = memoryNoticeStore()): Notices {
    return new Notices({
      store,
      clock: this.clock,
      log: quiet,
      tellKms: (ended) => {
        const ok = this.clock.now() >= this.#backAt;
        this.told.push({ ok, ended });
        return ok ? Promise.resolve() : Promise.reject(new Error('the KMS is away'));
      },
      mayHaveBegunAnew: ({ sipSession }) => Promise.resolve(this.begunAnew.has(sipSession)),
    });
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) await this.clock.advanceAsync(Math.min(left, 1_000));
  }
}

describe('telling the KMS that a CEK has ended', () => {
  let kms: Kms;
  beforeEach(() => {
    kms = new Kms();
  });

  it('goes on until the KMS has heard, and then stops', async () => {
    const store = memoryNoticeStore();
    const notices = kms.notices(store);
    kms.awayFor(10 * MINUTE);
    (await notices.keep(SESSION))();
    await kms.pass(12 * MINUTE);
    expect(kms.told.at(-1)).to.deep.equal({ ok: true, ended: { ...SESSION, only: false } });
    expect(kms.told.filter(({ ok }) => ok)).to.have.length(1);
    expect(kms.told.length).to.be.within(15, 30);
    expect([await store.all(), kms.clock.pending]).to.deep.equal([[], 0]);
  });

  it('gives up after a day', async () => {
    const store = memoryNoticeStore();
    kms.awayFor(48 * 60 * MINUTE);
    (await kms.notices(store).keep(SESSION))();
    await kms.pass(24 * 60 * MINUTE + MINUTE);
    expect([await store.all(), kms.clock.pending]).to.deep.equal([[], 0]);
  });

  it('late, names only what had ended where the session may have begun anew', async () => {
    const notices = kms.notices();
    kms.awayFor(MINUTE);
    (await notices.keep(SESSION))();
    (await notices.keep({ ...SESSION, sipSession: 'sip:b@ue', keyIds: [] }))();
    kms.begunAnew.add('sip:a@ue').add('sip:b@ue');
    await kms.pass(2 * MINUTE);
    expect(kms.told.filter(({ ok }) => ok).map(({ ended }) => ended)).to.deep.equal([{ ...SESSION, only: true }]);
    expect(kms.clock.pending, 'nothing to be named, nothing to be told').to.equal(0);
  });

  it('is told once at a time, though a restart comes while it is being told', async () => {
    const notices = kms.notices();
    kms.awayFor(10 * MINUTE);
    const tell = await notices.keep(SESSION);
    tell();
    await notices.resume();
    await kms.clock.advanceAsync(0);
    expect(kms.clock.pending, 'timers').to.equal(1);
    notices.stop();
    expect(kms.clock.pending, 'timers after a stop').to.equal(0);
  });

  it('ends with the server', async () => {
    const notices = kms.notices();
    kms.awayFor(60 * MINUTE);
    (await notices.keep(SESSION))();
    await kms.pass(MINUTE);
    notices.stop();
    const before = kms.told.length;
    await kms.pass(5 * MINUTE);
    expect(kms.told.length).to.equal(before);
    expect(kms.clock.pending).to.equal(0);
  });

  it('goes on where a server was killed that had not told it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'notices-'));
    try {
      kms.awayFor(60 * MINUTE);
      const killed = kms.notices(fileStores(folder).notices);
      // One that was told once in vain, and one whose telling had not begun.
      (await killed.keep(LOG_OFF))();
      await killed.keep({ ...SESSION, sipSession: 'sip:b@ue' });
      await kms.pass(MINUTE);
      killed.stop();
      kms.awayFor(0);
      kms.told.length = 0;

      const { notices: store } = fileStores(folder);
      const again = kms.notices(store);
      await again.resume();
      expect(kms.told).to.have.deep.members([
        { ok: true, ended: { ...LOG_OFF, only: false } },
        { ok: true, ended: { ...SESSION, sipSession: 'sip:b@ue', only: false } },
      ]);
      expect(await store.all()).to.deep.equal([]);
      expect(await fileStores(folder).notices.all()).to.deep.equal([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
