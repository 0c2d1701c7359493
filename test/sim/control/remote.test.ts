import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { createTestCa } from '../../../actors/security/ca.ts';
import { type Actor, ControlError, type Json, type JsonObject } from '../../../sim/control/actor.ts';
import { InProcessControl } from '../../../sim/control/in-process.ts';
import { RemoteControl } from '../../../sim/control/remote.ts';
import { ControlServer } from '../../../sim/control/server.ts';
import { ShiftedClock } from '../../../sim/control/shifted-clock.ts';
import { RUNNER_URI } from '../../../sim/control/wire.ts';
import type { MessageRecord, Report } from '../../../sim/trace/record.ts';
import { createRecorder } from '../../../sim/trace/recorder.ts';

/** The smallest actor: it reports as many messages as it is told to. */
function parrot(report: Report): Actor {
  return {
    name: 'kms',
    kind: 'kms',
    start: () => Promise.resolve({}),
    connect: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    verbs: {
      speak: (args) => {
        for (let i = 0; i < Number(args.times); i++) {
          const bytes = Buffer.concat([Buffer.from(`POST /${i} HTTP/1.1\r\n\r\n`), Uint8Array.of(0, 255, 10)]);
          report({ direction: 'sent', interface: 'HTTP-1', peer: 'ue', protocol: 'http', bytes });
        }
        return Promise.resolve({ said: args.times ?? 0 });
      },
      refuse: () =>
        Promise.reject(
          Object.assign(new Error('the user is unknown'), {
            code: 'KMS_UNKNOWN_USER',
            detail: { httpStatus: 403 },
            secret: 'K',
          }),
        ),
    },
    readings: { health: () => ({ ok: true }), echo: (args: JsonObject): Json => args },
  };
}

describe('control interface: an actor in another process', () => {
  let ca: Awaited<ReturnType<typeof createTestCa>>;
  let server: ControlServer;
  let remote: RemoteControl;
  let clock: ShiftedClock;
  let port: number;
  let waiting: string[];

  before(async () => {
    ca = await createTestCa();
  });

  const serve = async (at = 0): Promise<void> => {
    let deliver: (record: MessageRecord) => void = () => {};
    const actor = parrot(createRecorder({ actor: 'kms', clock, sink: (record) => deliver(record) }));
    const tls = await ca.issue({ commonName: 'kms', dns: ['localhost'], ip: ['127.0.0.1'] });
    server = new ControlServer({ actor, tls, host: '127.0.0.1', port: at, clock, waitingFor: () => waiting });
    deliver = server.sink;
    port = await server.start();
  };

  beforeEach(async () => {
    clock = new ShiftedClock();
    waiting = [];
    await serve();
    const tls = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    remote = new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls });
    await remote.open();
  });

  afterEach(async () => {
    await remote.close();
    await server.stop();
  });

  const caught = async (run: () => Promise<unknown>): Promise<ControlError> => {
    try {
      await run();
    } catch (error) {
      expect(error).to.be.instanceOf(ControlError);
      return error as ControlError;
    }
    throw new Error('was not refused');
  };

  it('answers verbs and readings as one in this process does', async () => {
    const local = new InProcessControl(parrot(() => {}));
    for (const control of [remote, local]) {
      expect(await control.do('speak', { times: 2 })).to.deep.equal({ said: 2 });
      expect(await control.read('echo', { a: [1, null, 'x'] })).to.deep.equal({ a: [1, null, 'x'] });
      const refused = await caught(() => control.do('refuse'));
      expect(refused).to.include({
        code: 'CONTROL_FAILED',
        actorCode: 'KMS_UNKNOWN_USER',
        message: 'kms could not refuse: the user is unknown',
      });
      expect(refused.detail).to.deep.equal({ httpStatus: 403 });
      const unknown = await caught(() => control.read('hasOwnProperty'));
      expect(unknown.code).to.equal('CONTROL_UNKNOWN');
      expect(unknown.message).to.equal("kms has no reading 'hasOwnProperty'; it has: health, echo");
    }
  });

  it('has delivered every record of a verb, octet for octet, when the verb settles', async () => {
    const seen: MessageRecord[] = [];
    remote.onRecord((record) => seen.push(record));
    await remote.do('speak', { times: 500 });
    expect(seen.map((r) => r.sequence)).to.deep.equal(Array.from({ length: 500 }, (_, i) => i));
    expect([...seen[7]!.bytes.subarray(-3)]).to.deep.equal([0, 255, 10]);
  });

  it('takes the record stream up again after the actor was restarted', async () => {
    const seen: MessageRecord[] = [];
    remote.onRecord((record) => seen.push(record));
    await remote.do('speak', { times: 3 });
    await server.stop();
    await serve(port);
    let answered = false;
    while (!answered)
      answered = await remote.do('speak', { times: 1 }).then(
        () => true,
        () => false,
      );
    expect(seen.map((r) => r.sequence).slice(0, 4)).to.deep.equal([0, 1, 2, 0]);
  });

  it('does not hang on to an attempt at a place where the actor no longer is', async () => {
    const seen: MessageRecord[] = [];
    remote.onRecord((record) => seen.push(record));
    await server.stop();
    // Whoever connects now is taken and never answered, as at the old address of a container that has been started anew.
    const stuck: Socket[] = [];
    const silent = createServer((socket) => stuck.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    try {
      const end = Date.now() + 5_000;
      while (stuck.length === 0 && Date.now() < end) await new Promise(setImmediate);
      expect(stuck, 'attempts of the record stream').not.to.have.length(0);
      const ask = remote.do('speak', { times: 1 });
      while (stuck.length < 2 && Date.now() < end) await new Promise(setImmediate);
      silent.close();
      await serve(port);
      await Promise.all([ask, remote.do('speak', { times: 1 })]);
      expect(seen.map((r) => r.sequence)).to.deep.equal([0, 1]);
    } finally {
      for (const socket of stuck) socket.destroy();
      silent.close();
    }
  });

  it('refuses whoever does not hold the runner’s certificate', async () => {
    const strangers = {
      'an actor': await ca.issue({ commonName: 'ue', uri: ['urn:other'] }),
      'another CA': {
        ...(await (await createTestCa()).issue({ commonName: 'runner', uri: [RUNNER_URI] })),
        ca: (await ca.issue({ commonName: 'x' })).ca,
      },
    };
    for (const tls of Object.values(strangers)) {
      const stranger = new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls });
      const error = await caught(() => stranger.do('speak', { times: 1 }));
      expect(error.message).to.include('takes only a certificate');
      await stranger.close();
    }
  });

  it('refuses an actor’s own certificate and another CA’s already when records are to be followed', async () => {
    const own = await ca.issue({ commonName: 'mcptt-as', dns: ['localhost'], uri: ['sip:mcptt-server@mcptt.example'] });
    const actor = new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls: own });
    expect((await caught(() => actor.open())).message).to.include('takes only a certificate');
    await actor.close();
  });

  /** Asks with the runner's certificate whatever is to be asked. */
  const ask = async (path: string, body?: string): Promise<[number, string]> => {
    const { Agent, fetch } = await import('undici');
    const { certificate, privateKey, ca: trust } = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const dispatcher = new Agent({ connect: { cert: certificate, key: privateKey, ca: trust } });
    try {
      const response = await fetch(`https://127.0.0.1:${port}${path}`, {
        dispatcher,
        ...(body === undefined ? {} : { method: 'POST', body, headers: { 'content-type': 'application/json' } }),
      });
      return [response.status, await response.text()];
    } finally {
      await dispatcher.close();
    }
  };

  const malformed: [string, string, string | undefined, number, RegExp][] = [
    ['arguments that are a list', '/control/v1/read/echo', '[1]', 400, /arguments are a JSON object/],
    ['arguments that are no JSON', '/control/v1/read/echo', '{', 400, /JSON/],
    ['more arguments than a mebibyte', '/control/v1/read/echo', `{"a":"${'x'.repeat(1 << 20)}"}`, 413, /too large/],
    ['a clock moved by a word', '/control/v1/do/holdClock', '{"ms":"soon"}', 400, /ms must be a number/],
    ['a clock moved by nothing', '/control/v1/do/holdClock', '{}', 400, /ms must be a number/],
    ['a clock moved back', '/control/v1/do/holdClock', '{"ms":-3600000}', 400, /ms must be a number/],
    ['a clock moved to the end of time', '/control/v1/do/holdClock', '{"ms":1e300}', 400, /ms must be a number/],
    ['records from no number', '/control/v1/records?from=first', undefined, 400, /from must be/],
    ['records from two numbers', '/control/v1/records?from=1&from=2', undefined, 400, /from must be/],
    ['a path that there is not', '/control/v1/undo/speak', '{}', 404, /has no POST \/control\/v1\/undo\/speak/],
  ];
  for (const [what, path, body, status, message] of malformed) {
    it(`refuses ${what}, in JSON, and goes on`, async () => {
      const before = clock.shift;
      const [code, text] = await ask(path, body);
      expect(code).to.equal(status);
      expect((JSON.parse(text) as { error: { message: string } }).error.message).to.match(message);
      expect(clock.shift).to.equal(before);
      expect(await remote.read('echo', { still: 'here' })).to.deep.equal({ still: 'here' });
    });
  }

  it('many follow the records, and one that reads none of them neither holds up the others nor the actor', async () => {
    const { certificate, privateKey, ca: trust } = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const sleeper = connect({ host: '127.0.0.1', port, cert: certificate, key: privateKey, ca: trust });
    await once(sleeper, 'secureConnect');
    sleeper.write('GET /control/v1/records?from=0 HTTP/1.1\r\nHost: kms\r\n\r\n');
    await once(sleeper, 'readable');
    const tls = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const others = Array.from(
      { length: 8 },
      () => new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls }),
    );
    try {
      const counts = others.map(() => 0);
      await Promise.all(others.map((other) => other.open()));
      for (const [i, other] of others.entries())
        other.onRecord(() => {
          counts[i]! += 1;
        });
      await remote.do('speak', { times: 5_000 });
      await Promise.all(others.map((other) => other.read('health')));
      expect(counts).to.deep.equal(others.map(() => 5_000));
    } finally {
      sleeper.destroy();
      await Promise.all(others.map((other) => other.close()));
    }
  });

  it('is one run’s at a time, and free once that has gone; who only watches is not in the way', async () => {
    const tls = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const another = (): RemoteControl =>
      new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls });
    const [first, again, second, third, watcher] = Array.from({ length: 5 }, another) as [
      RemoteControl,
      RemoteControl,
      RemoteControl,
      RemoteControl,
      RemoteControl,
    ];
    try {
      await first.open('run-1');
      await again.open('run-1');
      await watcher.open();
      const busy = await caught(() => second.open('run-2'));
      expect(busy).to.include({ code: 'CONTROL_BUSY', message: 'another run is at work on kms' });
      await first.close();
      expect((await caught(() => second.open('run-2'))).code, 'with one stream left').to.equal('CONTROL_BUSY');
      await again.close();
      const end = Date.now() + 5_000;
      for (;;) {
        const code = await second.open('run-2').then(
          () => 'open',
          (error: ControlError) => error.code,
        );
        if (code === 'open') break;
        expect([code, Date.now() < end]).to.deep.equal(['CONTROL_BUSY', true]);
      }
      const seen: MessageRecord[] = [];
      second.onRecord((record) => seen.push(record));
      await second.do('speak', { times: 2 });
      expect(seen).to.have.length(2);
      expect((await caught(() => third.open('run-3'))).code).to.equal('CONTROL_BUSY');
    } finally {
      await Promise.all([first, again, second, third, watcher].map((one) => one.close()));
    }
  });

  it('stays the run’s when the actor has been started anew', async () => {
    const tls = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const [first, second] = [1, 2].map(
      () => new RemoteControl({ name: 'kms', kind: 'kms', url: `https://127.0.0.1:${port}`, tls }),
    ) as [RemoteControl, RemoteControl];
    try {
      await first.open('run-1');
      await server.stop();
      await serve(port);
      const end = Date.now() + 5_000;
      let answered = false;
      while (!answered && Date.now() < end)
        answered = await first.do('speak', { times: 1 }).then(
          () => true,
          () => false,
        );
      expect(answered).to.equal(true);
      expect((await caught(() => second.open('run-2'))).code).to.equal('CONTROL_BUSY');
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });

  it('moves the actor’s clock ahead and measures how far clocks differ', async () => {
    let rang = false;
    clock.setTimer(3_600_000, () => {
      rang = true;
    });
    await remote.do('holdClock', { ms: 3_600_001 });
    expect(clock.now() - Date.now()).to.be.at.least(3_600_000);
    expect(rang, 'no timer before every machine’s clock has been moved').to.equal(false);
    await remote.do('releaseClock');
    expect(rang).to.equal(true);
    expect(Math.abs(await remote.clockOffset())).to.be.below(1000);
  });

  it('says at /healthz for whom the actor waits, and counts messages at /metrics', async () => {
    const { Agent, fetch } = await import('undici');
    const dispatcher = new Agent({ connect: { ca: (await ca.issue({ commonName: 'x' })).ca } });
    const get = async (path: string): Promise<[number, string, string | null]> => {
      const response = await fetch(`https://127.0.0.1:${port}${path}`, { dispatcher });
      return [response.status, await response.text(), response.headers.get('keep-alive')];
    };
    await remote.do('speak', { times: 2 });
    await caught(() => remote.do('refuse'));
    await caught(() => remote.do('no such verb'));
    await remote.read('echo');
    expect((await get('/healthz'))[0]).to.equal(200);
    expect((await get('/healthz'))[2], 'far longer than the runner leaves a connection idle').to.equal('timeout=60');
    waiting = ['idm'];
    expect((await get('/healthz')).slice(0, 2)).to.deep.equal([503, '{"ok":false,"actor":"kms","waitingFor":["idm"]}']);
    expect((await get('/metrics'))[1]).to.match(
      /mcptt_testbed_messages_total\{interface="HTTP-1",direction="sent",protocol="http",actor="kms"\} 2/,
    );
    const text = (await get('/metrics'))[1];
    for (const [labels, count] of [
      ['kind="verb",name="speak",result="done"', 1],
      ['kind="verb",name="refuse",result="refused"', 1],
      ['kind="verb",name="unknown",result="refused"', 1],
      ['kind="reading",name="echo",result="done"', 1],
    ] as const)
      expect(text).to.include(`mcptt_testbed_control_total{${labels},actor="kms"} ${count}`);
    expect(text).to.include('mcptt_testbed_waiting_for{actor="kms"} 1');
    expect(text).not.to.include('no such verb');
    await dispatcher.close();
  });

  it('says that nobody answers where nobody listens', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port: closed } = free.address() as { port: number };
    free.close();
    const gone = new RemoteControl({
      name: 'idm',
      kind: 'idm',
      url: `https://127.0.0.1:${closed}`,
      tls: await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] }),
    });
    const error = await caught(() => gone.read('health'));
    expect(error.code).to.equal('CONTROL_UNREACHABLE');
    expect(error.message).to.match(/^idm at https:.* did not answer: /);
    await gone.close();
  });
});
