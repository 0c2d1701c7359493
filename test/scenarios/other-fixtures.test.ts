/** Scenarios against fixtures of somebody's own: whatever users, servers and networks are called there, an actor is held for no name, and for no lifetime. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagedFixtures } from '../../fixtures/load.ts';
import { scenarios } from '../../scenarios/index.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import { runScenario } from '../../sim/scenario/runner.ts';

/** What the packaged fixtures say, and what these say in its place; handles of users stay. Lifetimes are in seconds. */
const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/sip:alice@mcptt\.example/g, 'sip:4711@brigade.test'],
  [/sip:bob@mcptt\.example/g, 'sip:leader-2@county.test'],
  [/sip:mcptt-server@mcptt\.example/g, 'sip:dispatch@services.test'],
  [/@mcptt\.example/g, '@brigade.test'],
  [/kms\.mcptt\.example/g, 'keys.brigade.test'],
  [/mcptt-participating@/g, 'talk@'],
  [/sip:mcptt-server\./g, 'sip:application-7.'],
  [/mcptt-client/g, 'brigade-app'],
  [/ims\.mnc001\.mcc001\.3gppnetwork\.org/g, 'ims.brigade.test'],
  [/ue-([123])@/g, 'truck-$1@'],
  [/\b00101/g, '99970'],
  [/lifetime: 3600/g, 'lifetime: 1800'],
  [/maxExpires: 600000/g, 'maxExpires: 300000'],
  [/465b5ce8b199b49faa5f0a2ee238a6bc/g, '000102030405060708090a0b0c0d0e0f'],
];

const IDS = new Set([
  'figure-7.x.2-1',
  'step-1-refusals',
  'int-3',
  'auth-3',
  'mime-2',
  'multi-1-in-turn',
  'message',
  'private-call',
  'conf-1',
  'life-1-log-off',
  'life-1-registration-expires',
  'life-1-token-expiry',
]);

describe('scenarios against fixtures with other names and lifetimes', () => {
  let folder: string;
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    folder = await mkdtemp(join(tmpdir(), 'mcptt-fixtures-'));
    await cp(packagedFixtures(), folder, { recursive: true });
    for (const part of ['network', 'policy', 'users', 'subscribers']) {
      const file = join(folder, `${part}.yaml`);
      const text = RENAMED.reduce((so, [from, to]) => so.replace(from, to), await readFile(file, 'utf8'));
      expect(text, part).not.to.match(/mcptt\.example|mnc001|kms\.mcptt/);
      await writeFile(file, text);
    }
    world = await openWorld({ actors: ['ue', 'ue-b'], fixtures: folder });
  });

  after(async () => {
    await world.close();
    await rm(folder, { recursive: true });
  });

  const chosen = scenarios.filter(({ id }) => IDS.has(id));

  it('are there to be run', () => expect(chosen).to.have.length(IDS.size));

  for (const scenario of chosen) {
    it(`${scenario.id} passes`, async function () {
      this.timeout(90_000);
      const { verdict, steps } = await runScenario(scenario, world);
      expect({ verdict, failures: steps.flatMap(({ failure }) => failure ?? []) }).to.deep.equal({
        verdict: 'pass',
        failures: [],
      });
    });
  }

  it('a scenario whose users the fixtures do not have is inconclusive, and says whom it needs', async () => {
    const { provisioned } = world;
    const users = provisioned.users.filter(({ userName }) => userName !== 'bob');
    const { verdict, steps } = await runScenario(chosen.find(({ id }) => id === 'message')!, {
      ...world,
      provisioned: { ...provisioned, users },
    });
    expect(verdict).to.equal('inconc');
    expect(steps[0]!.failure!.message).to.include('needs the users bob');
  });
});
