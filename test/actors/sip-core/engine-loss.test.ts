import { expect } from 'chai';
import { Engine } from '../../../sim/engine/index.ts';
import { type Bench, IMPU, startBench, until } from './bench.ts';
import { SipPeer } from './sip-peer.ts';

describe('SIP core without its engine', () => {
  let bench: Bench;
  afterEach(() => bench.close());

  it('says so, lets go of what was under way, and goes on when the engine is back', async () => {
    bench = await startBench();
    bench.server.onRequest = undefined;
    const ue = await bench.ue();
    await ue.register();
    await bench.server.next('third-party REGISTER');
    expect(await bench.core.readings.health!({})).to.deep.equal({ ok: true, waitingFor: [] });

    await bench.engine.stop();
    await until(async () => JSON.stringify(await bench.core.readings.health!({})).includes('SIP engine'), 'the loss');
    expect(await bench.core.readings.thirdParty!({ impu: IMPU })).to.deep.include({
      server: bench.subscribers[0]!.initialFilterCriteria[0]!.applicationServer.serverName,
      expires: 600,
      status: null,
    });

    const again = new Engine({
      listen: [bench.ports.sip1, bench.ports.sip2].map((port) => ({ protocol: 'tcp', host: '127.0.0.1', port })),
      control: { host: '127.0.0.1', port: bench.controlPort, secret: 'test' },
    });
    await again.start();
    try {
      const healthy = async (): Promise<boolean> =>
        ((await bench.core.readings.health!({})) as { ok: boolean }).ok && again.figures.applications === 1;
      await until(healthy, 'the reconnection');
      const later = await bench.ue(ue.usim);
      await until(async () => {
        const answer = await later.exchange();
        return answer.status === 401;
      }, 'a challenge by the new engine');
    } finally {
      await bench.core.stop();
      await again.stop();
    }
  });

  it('stops while a third-party REGISTER is unanswered', async () => {
    bench = await startBench();
    bench.server.onRequest = undefined;
    const ue = await bench.ue();
    await ue.register();
    await bench.server.next('third-party REGISTER');
    await bench.core.stop();
    const late = await SipPeer.connect(bench.ports.sip1);
    late.send(ue.registerText());
    expect((await late.next('503')).status).to.equal(503);
    await late.close();
  });
});
