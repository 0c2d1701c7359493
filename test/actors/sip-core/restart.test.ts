import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createSipCore } from '../../../actors/sip-core/index.ts';
import type { Actor } from '../../../sim/control/actor.ts';
import { ManualClock } from '../../../sim/engine/index.ts';
import { type Bench, DOMAIN, IMPU, startBench, until } from './bench.ts';

describe('SIP core that was killed', () => {
  let bench: Bench;
  let stateFolder: string;
  let again: Actor | undefined;
  const clock = new ManualClock();
  beforeEach(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'sip-core-'));
    bench = await startBench({ stateFolder, clock });
  });
  afterEach(async () => {
    await again?.stop();
    await bench.close();
    await rm(stateFolder, { recursive: true });
  });

  const restart = async (): Promise<Actor> => {
    await bench.core.stop();
    again = createSipCore(
      {
        drachtio: { host: '127.0.0.1', port: bench.controlPort, secret: 'test' },
        homeDomain: DOMAIN,
        subscribers: bench.subscribers,
      },
      bench.context,
    );
    await again.start();
    await again.connect({ 'mcptt-as': { sip2: `sip:127.0.0.1:${bench.server.port};transport=tcp` } });
    return again;
  };
  const registered = async (core: Actor): Promise<unknown> => core.readings.registration!({ impu: IMPU });

  it('knows who is registered, but not over which connection, and ends registrations in their time', async () => {
    const ue = await bench.ue();
    await ue.register({ expires: 600 });
    await bench.core.readings.thirdParty!({ impu: IMPU });
    expect((await stat(join(stateFolder, 'registrations.json'))).mode & 0o777).to.equal(0o600);
    const core = await restart();
    expect(await registered(core)).to.include({ registered: true, contactUri: ue.session, flow: '' });
    ue.peer.send(ue.request('MESSAGE', 'sip:x@y'));
    expect((await ue.peer.next('the answer')).status).to.equal(403);
    expect((await ue.register({ expires: 600 })).status).to.equal(200);
    await core.readings.thirdParty!({ impu: IMPU });
    ue.peer.send(ue.request('MESSAGE', 'sip:x@y'));
    expect((await ue.peer.next('the answer')).status).to.equal(200);
    clock.advance(600_000);
    await until(() => bench.server.seen.some((one) => one.header('Expires') === '0'), 'the end at the MCPTT server');
    expect(await registered(core)).to.deep.equal({ registered: false });
  });

  it('ends at once what ran out while it was away', async () => {
    const ue = await bench.ue();
    await ue.register({ expires: 600 });
    await bench.core.readings.thirdParty!({ impu: IMPU });
    await bench.core.stop();
    clock.advance(601_000);
    const core = await restart();
    clock.advance(0);
    await until(() => bench.server.seen.some((one) => one.header('Expires') === '0'), 'the end at the MCPTT server');
    expect(await registered(core)).to.deep.equal({ registered: false });
  });

  it('does not start over with a file that it cannot read', async () => {
    await writeFile(join(stateFolder, 'registrations.json'), '[{');
    const failure = await restart().then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failure).to.include({ code: 'SIP_CORE_BAD_STATE' });
    expect(failure!.message).to.contain('registrations.json');
  });
});
