/** A world is the same at the start of every scenario, whatever the one before has left. */
import { expect } from 'chai';
import { httpsClient } from '../../../actors/messages/kms/https.ts';
import { type OpenWorld, openWorld } from '../../../sim/cli/world.ts';
import { ControlError } from '../../../sim/control/actor.ts';

describe('reset of a world', () => {
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: ['ue'] });
  });

  after(() => world.close());

  for (const name of ['idm', 'kms', 'mcptt-as']) {
    it(`gives ${name} its own certificate back`, async () => {
      const actor = world.actors.get(name)!;
      const { https } = await actor.read<{ https: string }>('endpoints');
      const trusting = httpsClient(world.outsider!);
      const seen = (): Promise<string> =>
        trusting.fetch(https).then(
          () => 'trusted',
          (error: Error) => String((error.cause as { code?: string }).code),
        );
      try {
        expect(await seen()).to.equal('trusted');
        await actor.do('presentCertificate', { of: 'stranger' });
        expect(await seen()).to.equal('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
        await world.reset();
        expect(await seen()).to.equal('trusted');
      } finally {
        await trusting.close();
      }
    });

    it(`${name} shows no certificate that it does not know`, async () => {
      const refusal: unknown = await world.actors
        .get(name)!
        .do('presentCertificate', { of: 'a friend' })
        .catch((error: unknown) => error);
      expect(refusal).to.be.instanceOf(ControlError).with.property('actorCode', 'HTTPS_UNKNOWN_CERTIFICATE');
    });
  }
});
