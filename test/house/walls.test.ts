import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';

const sources = (): string[] =>
  ['sim', 'actors', 'scenarios', 'fixtures'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file)),
  );

/** Every import of the tree as [importing file, imported path], both relative to the root. */
function imports(): [string, string][] {
  const found: [string, string][] = [];
  for (const file of sources()) {
    const text = readFileSync(file, 'utf8');
    for (const match of text.matchAll(/(?:from|import|new URL\()\s*\(?['"](\.[^'"]+)['"]/g)) {
      found.push([file, normalize(join(dirname(file), match[1]!))]);
    }
  }
  return found;
}

const room = (path: string, depth: number): string => path.split('/').slice(0, depth).join('/');
const SHARED = new Set(['actors/security', 'actors/messages']);

/** The walls of ARCHITECTURE.md, one rule each: true = this import goes through a wall. */
const WALLS: Record<string, (from: string, to: string) => boolean> = {
  'an actor never imports another actor': (from, to) =>
    from.startsWith('actors/') && to.startsWith('actors/') && room(from, 2) !== room(to, 2) && !SHARED.has(room(to, 2)),
  'what actors share imports no actor': (from, to) =>
    SHARED.has(room(from, 2)) && to.startsWith('actors/') && !SHARED.has(room(to, 2)),
  'security and messages import nothing from sim': (from, to) => SHARED.has(room(from, 2)) && to.startsWith('sim/'),
  'sim outside sim/cli imports no actor, scenario or fixture': (from, to) =>
    from.startsWith('sim/') && room(from, 2) !== 'sim/cli' && !to.startsWith('sim/'),
  'the engine imports nothing outside itself': (from, to) =>
    room(from, 2) === 'sim/engine' && room(to, 2) !== 'sim/engine',
  'actors use of sim only trace, control and the clock': (from, to) =>
    from.startsWith('actors/') && to.startsWith('sim/') && !/^sim\/(trace|control)\/|^sim\/engine\/clock\.ts$/.test(to),
  'scenarios import no fixture: what is provisioned comes with the world': (from, to) =>
    from.startsWith('scenarios/') && to.startsWith('fixtures/'),
  'scenarios import no part of sim but its types of scenario, control and trace': (from, to) =>
    from.startsWith('scenarios/') && to.startsWith('sim/') && !/^sim\/(scenario|control|trace)\//.test(to),
};

describe('the house: import walls', () => {
  const all = imports();

  it('sees the tree', () => {
    expect(all.length).to.be.greaterThan(50);
  });

  for (const [wall, crossed] of Object.entries(WALLS)) {
    it(wall, () => {
      expect(all.filter(([from, to]) => crossed(from, to)).map(([from, to]) => `${from} imports ${to}`)).to.deep.equal(
        [],
      );
    });
  }
});
