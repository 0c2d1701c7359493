/** Every scenario of the catalogue against the actors as they are: the committed verdicts are what a change shows against. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { scenarios } from '../../scenarios/index.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import type { ActorControl, JsonObject } from '../../sim/control/actor.ts';
import { runScenario, type World } from '../../sim/scenario/runner.ts';
import type { ScenarioResult } from '../../sim/scenario/scenario.ts';

const EXPECTED = new URL('expected-verdicts.json', import.meta.url);

/** `docs/requirements.md`'s identifiers, of which each stands at the head of a table row. */
const requirementIds = (): string[] =>
  [
    ...readFileSync(new URL('../../docs/requirements.md', import.meta.url), 'utf8').matchAll(
      /^\| ([A-Z][A-Z0-9]*-\d+\w*) \|/gm,
    ),
  ].map((match) => match[1]!);

const why = (result: ScenarioResult): string =>
  result.steps
    .map(({ number, failure }) => (failure === undefined ? '' : `step ${number}: ${failure.message}`))
    .join('');

/** The world, in which `heard` is told of every user whom an actor is asked about by his handle. */
function listening(world: World, heard: (user: string) => void): World {
  const noting = ({ user }: JsonObject): void => {
    if (typeof user === 'string' && !user.startsWith('sip:')) heard(user);
  };
  const around = (actor: ActorControl): ActorControl => ({
    name: actor.name,
    kind: actor.kind,
    do: (verb, args = {}) => {
      noting(args);
      return actor.do(verb, args);
    },
    read: (what, args = {}) => {
      noting(args);
      return actor.read(what, args);
    },
    onRecord: (listener) => actor.onRecord(listener),
    close: () => actor.close(),
  });
  return { ...world, actors: new Map([...world.actors].map(([name, actor]) => [name, around(actor)])) };
}

describe('scenarios', () => {
  it('have an expected verdict each, and the file names no other', () => {
    const expected = JSON.parse(readFileSync(EXPECTED, 'utf8')) as Record<string, string>;
    expect(Object.keys(expected)).to.deep.equal(scenarios.map(({ id }) => id));
  });

  it('have ids of their own, and titles and clauses', () => {
    expect(new Set(scenarios.map(({ id }) => id)).size).to.equal(scenarios.length);
    for (const { id, title, steps } of scenarios) {
      expect(title, id).not.to.equal('');
      for (const step of steps) expect(step.clause, `${id}, step ${step.number}`).not.to.equal('');
    }
  });

  it('name every requirement', () => {
    const named = new Set(scenarios.flatMap(({ requirements }) => requirements));
    expect(requirementIds().filter((id) => !named.has(id))).to.deep.equal([]);
    expect([...named].filter((id) => !requirementIds().includes(id))).to.deep.equal([]);
  });

  describe('against the actors of one world, one after the other', () => {
    const expected = JSON.parse(readFileSync(EXPECTED, 'utf8')) as Record<string, string>;
    let world: OpenWorld;

    before(async function () {
      this.timeout(30_000);
      world = await openWorld({ actors: [...new Set(scenarios.flatMap(({ actors }) => actors))] });
    });

    after(() => world.close());

    for (const scenario of scenarios) {
      it(`${scenario.id}: ${scenario.title}`, async function () {
        this.timeout(90_000);
        const users = new Set(scenario.users);
        const result = await runScenario(
          scenario,
          listening(world, (user) => users.add(user)),
        );
        expect(result.verdict, why(result)).to.equal(expected[scenario.id]);
        expect([...users], 'users that it drives, against those that it declares').to.deep.equal(scenario.users);
      });
    }
  });
});
