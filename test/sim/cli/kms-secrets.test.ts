/** The KMS's master secrets from the environment instead of a file (CEK-2, issue 4). */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createTestCa } from '../../../actors/security/ca.ts';
import { createArithmetic } from '../../../actors/security/ibc/backend.ts';
import { LocalSakkeEngine } from '../../../actors/security/ibc/engine.ts';
import { loadFixtures } from '../../../fixtures/load.ts';
import { DEFAULT_LISTEN, KMS_SECRETS, type LaunchContext, launch } from '../../../sim/cli/launch.ts';
import { systemClock } from '../../../sim/engine/clock.ts';

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

describe(`A KMS with ${KMS_SECRETS}`, () => {
  let stateFolder: string;
  let context: LaunchContext;
  before(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'kms-secrets-'));
    const tls = await (await createTestCa()).issue({ commonName: 'kms' });
    const ibc = new LocalSakkeEngine(createArithmetic());
    context = { clock: systemClock, log, report: () => {}, tls, stateFolder, ibc };
  });
  after(async () => {
    delete process.env[KMS_SECRETS];
    await context.ibc?.close();
    await rm(stateFolder, { recursive: true });
  });
  const start = async () => launch({ name: 'kms', kind: 'kms', listen: DEFAULT_LISTEN.kms }, loadFixtures(), context);

  it('takes them and makes no file; what is no such text stops it, and is not quoted', async () => {
    process.env[KMS_SECRETS] = JSON.stringify({
      version: 1,
      zT: `00${'5a'.repeat(127)}`,
      ksak: '3c'.repeat(32),
      storeKey: '11'.repeat(32),
    });
    await (await start()).stop();
    expect(await readdir(stateFolder))
      .to.include('kms.db')
      .and.not.include('master-secrets.json');
    process.env[KMS_SECRETS] = 'sesame';
    const error = (await start().catch((caught: Error) => caught)) as Error;
    expect(error).to.have.property('code', 'KMS_SECRETS_MALFORMED');
    expect(error.message).to.not.contain('sesame');
  });

  it('empty, it counts as not there: the file is made', async () => {
    await rm(join(stateFolder, 'kms.db'));
    process.env[KMS_SECRETS] = '';
    await (await start()).stop();
    expect(await readdir(stateFolder)).to.include('master-secrets.json');
  });
});
