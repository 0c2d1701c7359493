import { expect } from 'chai';
import { PSI, startWorld, type World } from './world.ts';

describe('service authorization by PUBLISH (TS 24.379 7.3.3, pCR step 4)', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());

  it('registers, authorizes and gives the profile under the CEK', async () => {
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const view = ue.clientOf('alice').view(ue.sipSession);
    expect(view).to.include({ bound: true, mcpttId: 'sip:alice@mcptt.example' });
    expect(view.profile).to.include({ mcpttId: 'sip:alice@mcptt.example', privateCall: true });
    const { bindings } = await world.server.view();
    expect(bindings).to.have.length(1);
    expect((bindings as { impu: string; sipSession: string }[])[0]).to.include({ sipSession: ue.sipSession });
    expect(PSI).to.be.a('string');
  });
});
