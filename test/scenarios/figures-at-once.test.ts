/** Nothing is global: two testbeds live in one process, each with its own actors, ports and records, and leave nothing behind. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { figure } from '../../scenarios/figure-7.x.2-1.ts';
import { openWorld } from '../../sim/cli/world.ts';
import { runScenario } from '../../sim/scenario/runner.ts';
import { headerOf } from '../../sim/trace/describe.ts';
import type { Arrow } from '../../sim/trace/trace.ts';

const callIdOf = ({ sent, received }: Arrow): string | undefined => {
  const record = sent ?? received;
  return record?.protocol === 'sip' ? headerOf(record.bytes, 'Call-ID') : undefined;
};

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const PROGRAM = `
  const { openWorld } = await import('./sim/cli/world.ts');
  const { runScenario } = await import('./sim/scenario/runner.ts');
  const { figure } = await import('./scenarios/figure-7.x.2-1.ts');
  const world = await openWorld({ actors: figure.actors });
  const { verdict } = await runScenario(figure, world);
  await world.close();
  process.stdout.write(verdict);
`;

describe('Figure 7.x.2-1, twice at once in one process', () => {
  it('passes in both testbeds, and neither sees a message of the other', async function () {
    this.timeout(60_000);
    const worlds = await Promise.all([1, 2].map(() => openWorld({ actors: figure.actors })));
    try {
      const [one, two] = await Promise.all(worlds.map((world) => runScenario(figure, world)));
      expect([one!.verdict, two!.verdict]).to.deep.equal(['pass', 'pass']);
      const callIds = [one, two].map(
        (result) => new Set(result!.arrows.map(callIdOf).filter((callId) => callId !== undefined)),
      );
      expect(callIds[0]!.size, 'SIP dialogs and transactions seen').to.be.at.least(3);
      expect([...callIds[0]!].filter((callId) => callIds[1]!.has(callId))).to.deep.equal([]);
      expect(one!.arrows.length, 'messages in each').to.be.closeTo(two!.arrows.length, 4);
      const ids = await Promise.all(
        worlds.map(async (world) =>
          (await world.actors.get('kms')!.read<{ keyId: string }[]>('ceks')).map((cek) => cek.keyId),
        ),
      );
      expect(
        ids.map((own) => own.length),
        'CEKs at each KMS',
      ).to.deep.equal([1, 1]);
      expect(ids[0]).not.to.deep.equal(ids[1]);
    } finally {
      await Promise.all(worlds.map((world) => world.close()));
    }
  });

  it('leaves no open handle or timer: the process ends by itself', async function () {
    this.timeout(60_000);
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', PROGRAM], {
      cwd: ROOT,
      timeout: 50_000,
    });
    expect((await run).stdout).to.equal('pass');
  });
});
