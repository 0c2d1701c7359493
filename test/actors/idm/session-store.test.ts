import { expect } from 'chai';
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
});
