import { expect } from 'chai';
import fc from 'fast-check';
import { Table } from '../../../sim/engine/table.ts';

describe('sim/engine: table', () => {
  it('deletes an entry only for its holder, if one is named', () => {
    const table = new Table<object>();
    const first = {};
    const successor = {};
    table.set('k', first);
    table.set('k', successor);
    table.delete('k', first);
    expect(table.get('k')).to.equal(successor);
    table.delete('k', successor);
    expect(table.get('k')).to.equal(undefined);
    expect(table.size).to.equal(0);
  });

  it('lets entries be deleted while its values are looked through', () => {
    const table = new Table<{ key: string }>();
    for (const key of ['a', 'b', 'c']) table.set(key, { key });
    const seen: string[] = [];
    for (const { key } of table.values()) {
      seen.push(key);
      table.delete(key);
      table.delete('b');
    }
    expect(seen).to.deep.equal(['a', 'c']);
  });

  it('property: holds what a Map holds', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(
        fc.array(fc.record({ key, value: fc.option(fc.record({ n: fc.nat() }), { nil: undefined }) })),
        (ops) => {
          const table = new Table<object>();
          const map = new Map<string, object>();
          for (const { key: name, value } of ops) {
            map.delete(name);
            if (value === undefined) table.delete(name);
            else {
              table.set(name, value);
              map.set(name, value);
            }
            expect([...table.values()]).to.deep.equal([...map.values()]);
            expect(table.size).to.equal(map.size);
            expect(table.get(name)).to.equal(map.get(name));
          }
        },
      ),
    );
  });
});
