import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { IdmError } from '../../../actors/idm/config.ts';
import { fileSessionStore } from '../../../actors/idm/file-session-store.ts';
import { memorySessionStore } from '../../../actors/idm/session-store.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';

const entry = (key: string, value: Record<string, unknown> = {}) => ({ key, value });

describe("IdM's session store", () => {
  it('forgets an entry when its life is over, in every index', async () => {
    const clock = new ManualClock();
    const store = memorySessionStore(clock);
    await store.put(entry('a'), ['user:alice'], 1000);
    await store.put(entry('b'), ['user:alice'], 2000);
    clock.advance(999);
    expect(await store.list('user:alice')).length(2);
    clock.advance(1);
    expect(await store.get('a')).equal(undefined);
    expect((await store.list('user:alice')).map(({ key }) => key)).deep.equal(['b']);
  });

  it('removes one entry, or all of an index and no others', async () => {
    const store = memorySessionStore(new ManualClock());
    await store.put(entry('a'), ['user:alice', 'grant:1'], 1000);
    await store.put(entry('b'), ['user:alice', 'grant:2'], 1000);
    await store.put(entry('c'), ['user:bob', 'grant:3'], 1000);
    await store.removeAll('grant:1');
    expect((await store.list('user:alice')).map(({ key }) => key)).deep.equal(['b']);
    await store.remove('b');
    expect(await store.list('user:alice')).deep.equal([]);
    expect(await store.list('user:bob')).length(1);
  });

  it('an entry that is written again leaves its old indexes', async () => {
    const store = memorySessionStore(new ManualClock());
    await store.put(entry('a', { n: 1 }), ['old'], 1000);
    await store.put(entry('a', { n: 2 }), ['new'], 1000);
    expect(await store.list('old')).deep.equal([]);
    expect(await store.list('new')).deep.equal([{ key: 'a', value: { n: 2 } }]);
  });

  it('what is changed outside stays as it was inside', async () => {
    const store = memorySessionStore(new ManualClock());
    const value = { scopes: ['openid'] };
    await store.put(entry('a', value), [], 1000);
    value.scopes.push('admin');
    ((await store.get('a'))!.value.scopes as string[]).push('admin');
    expect((await store.get('a'))!.value).deep.equal({ scopes: ['openid'] });
  });

  it('holds a bounded number: the oldest goes first', async () => {
    const store = memorySessionStore(new ManualClock());
    for (let i = 0; i < 10_001; i++) await store.put(entry(`${i}`), [], 1000);
    expect(await store.get('0')).equal(undefined);
    expect(await store.get('1')).not.equal(undefined);
    expect(await store.get('10000')).not.equal(undefined);
  });

  describe('in a file', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'idm-'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('another IdM at the same file goes on where the first one ended, lifetimes and indexes too', async () => {
      const file = join(folder, 'state', 'sessions.json');
      const clock = new ManualClock();
      const first = await fileSessionStore(file, clock);
      const puts = ['a', 'b', 'c'].map((key, i) => first.put(entry(key, { n: i }), ['user:alice'], 1000 * (i + 1)));
      await Promise.all(puts);
      await first.remove('b');
      const second = await fileSessionStore(file, clock);
      expect(await second.list('user:alice')).deep.equal([entry('a', { n: 0 }), entry('c', { n: 2 })]);
      clock.advance(1000);
      expect((await second.list('user:alice')).map(({ key }) => key)).deep.equal(['c']);
      await second.removeAll('user:alice');
      expect(await (await fileSessionStore(file, clock)).get('c')).equal(undefined);
      expect(statSync(file).mode & 0o077, 'refresh tokens are for the owner alone').equal(0);
    });

    it('that holds something else is named, and none of it is taken', async () => {
      const file = join(folder, 'sessions.json');
      for (const text of ['', '{', '{}', 'null', '[null]', '[{"key":"a","value":{},"indexes":"x","expires":1}]']) {
        writeFileSync(file, text);
        const error: unknown = await fileSessionStore(file, new ManualClock()).catch((caught: unknown) => caught);
        expect(error, text).instanceOf(IdmError).property('code', 'IDM_BAD_STATE');
        expect((error as Error).message).contain(file);
      }
    });
  });
});
