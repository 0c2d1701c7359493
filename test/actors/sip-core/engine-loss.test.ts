import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { createSipCore } from '../../../actors/sip-core/index.ts';
import { Engine } from '../../../sim/engine/index.ts';
import { type Bench, DOMAIN, IMPU, startBench, until } from './bench.ts';
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

  it('stops with half a frame in hand, and does not choke on the other half', async () => {
    bench = await startBench();
    // A control port by hand: drachtio's frames, one of them in two halves around the stop.
    const frame = (text: string): string => `${Buffer.byteLength(text)}#${text}`;
    const request = `m2|sip|network|300|tcp|127.0.0.1|1|00:00:00.000000|t1||127.0.0.1|5060|\r\nOPTIONS sip:x SIP/2.0\r\n\r\n`;
    const half = frame(request).indexOf('OPTIONS');
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (octets) => {
        const id = /#([^|]+)\|authenticate/.exec(octets.toString())![1]!;
        const hostports = 'tcp/127.0.0.1:5060';
        socket.write(frame(`m1|response|${id}|OK|${hostports}|v0.9.0|${hostports}`) + frame(request).slice(0, half));
      });
      socket.on('end', () => {
        socket.end(frame(request).slice(half) + frame(request));
        end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const drachtio = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, secret: 'x' };
    const core = createSipCore({ drachtio, homeDomain: DOMAIN, subscribers: [] }, bench.context);
    try {
      await core.start();
      await core.stop();
      await ended;
      expect(await core.readings.health!({})).to.deep.include({ ok: false });
    } finally {
      await new Promise((resolve) => server.close(resolve));
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
