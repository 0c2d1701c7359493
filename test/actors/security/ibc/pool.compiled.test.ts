import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { vector } from './vectors.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

describe('Worker pool for SAKKE, compiled', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ibc-compiled-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('its workers start from JavaScript, without any loader', () => {
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const files = ['pool.ts', 'pool-worker.ts'].map((name) => join(root, 'actors/security/ibc', name));
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        rootDir: root,
        outDir: folder,
        incremental: false,
        tsBuildInfoFile: null,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files,
      include: [],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [compiler, '-p', join(folder, 'tsconfig.json')], {
      encoding: 'utf8',
      timeout: 60_000,
    });

    const appendix = vector('RFC6508 Appendix A');
    writeFileSync(
      join(folder, 'main.js'),
      `import { IbcPool } from './actors/security/ibc/pool.js';
       const octets = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
       const pool = await IbcPool.start({ size: 1 });
       const sed = await pool.encapsulate(octets('${appendix.text('Z_T')}'), octets('${appendix.text('b')}'), octets('${appendix.text('SSV')}'));
       await pool.close();
       process.stdout.write(Buffer.from(sed).toString('hex'));`,
    );
    const environment = { ...process.env, NODE_OPTIONS: '' };
    const out = execFileSync(process.execPath, ['main.js'], {
      cwd: folder,
      encoding: 'utf8',
      env: environment,
      timeout: 20_000,
    });
    expect(out).to.equal(appendix.text('SED'));
  }).timeout(90_000);
});
