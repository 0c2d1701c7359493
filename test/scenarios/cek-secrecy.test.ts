/** A CEK stands nowhere but in key stores: not in a log, a reading, a verb's answer or error, a record or a report. */
import { expect } from 'chai';
import { CekKeyStore } from '../../actors/security/cek/key-store.ts';
import { scenarios } from '../../scenarios/index.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import type { ActorControl, Json, Log } from '../../sim/control/actor.ts';
import { consoleReporter } from '../../sim/report/console.ts';
import { jsonReport } from '../../sim/report/json.ts';
import { type Reporter, runScenario } from '../../sim/scenario/runner.ts';
import type { ScenarioResult } from '../../sim/scenario/scenario.ts';

/** Refusals, retries, rekeys, ends, calls and a service that is switched off and on. */
const RUN = [
  'figure-7.x.2-1',
  'step-3b-push-retry',
  'mime-1-profiles',
  'mime-2',
  'ibc-1-server-signature',
  'private-call',
  'pol-1-switched',
  'life-1-log-off',
  'life-2-operator',
  'life-4-server-restarts',
];

describe('a CEK', () => {
  const keys = new Map<string, string[]>();
  const { take } = Object.getOwnPropertyDescriptors(CekKeyStore.prototype);
  let world: OpenWorld;
  /** Everything that anybody gets to see, in the order in which it came. */
  const seen: string[] = [];

  before(async function () {
    this.timeout(30_000);
    CekKeyStore.prototype.take = function (cek) {
      keys.set(cek.keyId, written(cek.key));
      return take.value!.call(this, cek);
    };
    const line = (fields: object, message: string): void => void seen.push(`${JSON.stringify(fields)} ${message}`);
    const log: Log = { debug: line, info: line, warn: line, error: line };
    world = await openWorld({ actors: ['ue', 'ue-b'], log });
  });

  after(async () => {
    Object.defineProperty(CekKeyStore.prototype, 'take', take);
    await world.close();
  });

  it('is in no log, reading, answer, error, record or report', async function () {
    this.timeout(90_000);
    const actors = new Map([...world.actors].map(([name, actor]) => [name, overheard(actor, seen)]));
    const results: ScenarioResult[] = [];
    const console: Reporter = consoleReporter({
      write: (text) => void seen.push(text),
      columns: 160,
      color: false,
      brief: false,
      notes: [],
    });
    for (const id of RUN) {
      const scenario = scenarios.find((one) => one.id === id)!;
      results.push(await runScenario(scenario, { ...world, actors }, console));
    }
    expect(results.map(({ id, verdict }) => `${id} ${verdict}`)).to.deep.equal(RUN.map((id) => `${id} pass`));
    seen.push(jsonReport(results, 'pass', false));
    for (const { arrows } of results) {
      for (const { sent, received } of arrows) {
        for (const record of [sent, received]) seen.push(Buffer.from(record?.bytes ?? []).toString('latin1'));
      }
    }
    expect(keys.size, 'CEKs that the run was about').to.be.greaterThan(20);
    const all = seen.join('\n').toLowerCase();
    expect(all.length).to.be.greaterThan(100_000);
    const found = [...keys].filter(([, forms]) => forms.some((form) => all.includes(form.toLowerCase())));
    expect(
      found.map(([keyId]) => keyId),
      'Key IDs of CEKs that could be read somewhere',
    ).to.deep.equal([]);
    // The search finds what is there.
    expect([...keys.keys()].some((keyId) => all.includes(keyId))).to.equal(true);
  });
});

/** The forms in which octets are written down. */
function written(octets: Uint8Array): string[] {
  const key = Buffer.from(octets);
  return [
    key.toString('hex'),
    key.toString('base64').replace(/=+$/, ''),
    key.toString('base64url'),
    key.toString('latin1'),
    [...key].join(','),
  ];
}

/** The actor, with what it answers written down. */
function overheard(actor: ActorControl, seen: string[]): ActorControl {
  const hear = async <T>(doing: Promise<T>): Promise<T> => {
    try {
      const value = await doing;
      seen.push(JSON.stringify(value as Json));
      return value;
    } catch (error) {
      seen.push(String(error), JSON.stringify(error));
      throw error;
    }
  };
  return {
    name: actor.name,
    kind: actor.kind,
    do: (verb, args) => hear(actor.do(verb, args)),
    read: (what, args) => hear(actor.read(what, args)),
    onRecord: (listener) => actor.onRecord(listener),
    close: () => actor.close(),
  };
}
