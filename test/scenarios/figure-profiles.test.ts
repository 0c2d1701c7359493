/** Figure 7.x.2-1 under each profile of bodies that a provider may choose in policy.yaml (docs/requirements.md, choices 1 and 5). */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { OID, unwrap } from '../../actors/security/smime/asn1.ts';
import { PROFILES, type Profile } from '../../actors/security/smime/profiles.ts';
import { packagedFixtures } from '../../fixtures/load.ts';
import { INTEGRITY_OF_DIRECT } from '../../scenarios/checks/cms.ts';
import { cmsOf } from '../../scenarios/checks/sealed.ts';
import { figure } from '../../scenarios/figure-7.x.2-1.ts';
import { openWorld } from '../../sim/cli/world.ts';
import { runScenario } from '../../sim/scenario/runner.ts';

const CONTENT_TYPE: Readonly<Record<Profile, string>> = {
  kek: OID.authEnvelopedData,
  'kek+sign': OID.authEnvelopedData,
  direct: OID.encryptedData,
};

describe('Figure 7.x.2-1 under the profile that policy.yaml names', () => {
  for (const profile of PROFILES) {
    it(`passes with ${profile}, in that form`, async function () {
      this.timeout(60_000);
      const folder = await mkdtemp(join(tmpdir(), 'mcptt-fixtures-'));
      try {
        await cp(packagedFixtures(), folder, { recursive: true });
        const file = join(folder, 'policy.yaml');
        const changed = (await readFile(file, 'utf8')).replace(/^( *profile: )\S+/m, `$1${profile}`);
        await writeFile(file, changed);
        const world = await openWorld({ actors: figure.actors, fixtures: folder });
        try {
          const { verdict, steps, arrows } = await runScenario(figure, world);
          expect({ verdict, failures: steps.flatMap(({ failure }) => failure ?? []) }).to.deep.equal({
            verdict: 'pass',
            failures: [],
          });
          const told = steps.flatMap(({ shown }) => shown).some(({ value }) => value === INTEGRITY_OF_DIRECT);
          expect(told, 'said that integrity rests on the signature alone').to.equal(profile === 'direct');
          const bodies = arrows.flatMap(({ sent, received }) => cmsOf((sent ?? received)!) ?? []);
          expect(bodies.length, 'protected bodies, on two interfaces each').to.equal(4);
          for (const body of bodies) expect(unwrap(body).contentType).to.equal(CONTENT_TYPE[profile]);
        } finally {
          await world.close();
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});
