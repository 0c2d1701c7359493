import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

/** The package as a stranger gets it. Takes its dependencies from the npm registry or the npm cache. */
describe('the house: npm pack', function () {
  this.timeout(240_000);
  let folder: string;

  const run = (command: string, args: string[], cwd: string): string => {
    const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 200_000 });
    expect(done.status, `${command} ${args.join(' ')}\n${done.stdout}\n${done.stderr}`).to.equal(0);
    return done.stdout;
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pack-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('installed into an empty folder runs the figure', () => {
    run('npm', ['pack', '--pack-destination', folder, '--silent'], process.cwd());
    const [tarball] = readdirSync(folder);
    expect(tarball).to.match(/^mcptt-testbed-.*\.tgz$/);
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`], folder);
    const out = run('npx', ['--no-install', 'mcptt-testbed', 'run', 'figure-7.x.2-1'], folder);
    expect(out).to.match(/✔ PASS {2}figure-7\.x\.2-1/);
  });
});
