import { expect } from 'chai';
import { type OpenWorld, openWorld } from '../../../sim/cli/world.ts';

describe('UE: attach, asked for by several at once, beside a restart', function () {
  this.timeout(30_000);
  let world: OpenWorld;

  before(async () => {
    world = await openWorld({ actors: ['ue'] });
  });
  after(() => world.close());

  it('leaves one attachment, and the next attach has an address as ever', async () => {
    const ue = world.actors.get('ue')!;
    const word = (): Promise<unknown> => ue.do('attach').catch(() => undefined);
    for (let i = 0; i < 5; i++) {
      await word();
      await Promise.all([word(), word(), ue.do('restart'), word()]);
      await Promise.all([ue.do('restart'), word()]);
    }
    for (let i = 0; i < 5; i++) {
      await ue.do('restart');
      await ue.do('attach');
      // Over the bearer, and so long enough for word of the earlier one's end.
      await ue.do('register');
      const seen = await ue.read<{ attached: boolean; pdnAddress?: string }>('attach');
      expect(seen.attached).to.equal(true);
      expect(seen.pdnAddress).to.match(/^10\.45\./);
    }
  });
});
