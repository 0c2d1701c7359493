import 'reflect-metadata';
import { type ChildProcess, spawn } from 'node:child_process';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { expect } from 'chai';
import { auth3 } from '../../../scenarios/auth-3.ts';
import { type HostedActor, hostActor } from '../../../sim/cli/hosted-actor.ts';
import { initFolder } from '../../../sim/cli/init-folder.ts';
import { loadProvisioned, loadTls, loadTopology, type Topology } from '../../../sim/cli/topology.ts';
import { openWorld, SILENT } from '../../../sim/cli/world.ts';
import { RemoteControl } from '../../../sim/control/remote.ts';
import { runScenario } from '../../../sim/scenario/runner.ts';
import { differences } from '../../containers/compare-reports.ts';

const CLI = ['--import', 'tsx', 'sim/cli/main.ts'];

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** Starts the command line; what it prints is gathered, and `ended` resolves when it is over. */
const start = (...args: string[]): Started => startWith([], ...args);

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly said: (what: RegExp) => Promise<void>;
}

function startWith(nodeOptions: readonly string[], ...args: string[]): Started {
  const child = spawn(process.execPath, [...nodeOptions, ...CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out }));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      child.emit('said');
    });
  }
  return {
    child,
    ended,
    said: async (what) => {
      while (!what.test(out)) {
        const over = await Promise.race([ended.then(() => true), once(child, 'said').then(() => false)]);
        if (over && !what.test(out)) throw new Error(`ended without saying ${what}: ${out}`);
      }
    },
  };
}

function get(url: string, ca: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { ca }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    })
      .on('error', reject)
      .end();
  });
}

describe('actors on their own', function () {
  this.timeout(120_000);
  let folder: string;
  let topology: Topology;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'topology-'));
    await initFolder(folder, 'loopback', false);
    topology = loadTopology(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const health = async (name: string): Promise<{ status: number | undefined; waitingFor: string[] }> => {
    const { ca } = loadTls(folder, 'runner');
    const { status, text } = await get(`https://${topology.actors[name]!.control}/healthz`, ca);
    return { status, waitingFor: (JSON.parse(text) as { waitingFor: string[] }).waitingFor };
  };

  it('start in any order: the first waits for the others, says for whom, and the world is complete in the end', async () => {
    const names = Object.keys(topology.actors).toReversed();
    expect(names[0]).to.equal('ue-c');
    const hosted: HostedActor[] = [];
    try {
      for (const name of names) hosted.push(await hostActor({ folder, name, log: SILENT, peerWait: 30_000 }));
      await Promise.all(hosted.map((one) => one.ready));
      expect(await health('ue-c')).to.deep.equal({ status: 200, waitingFor: [] });
      const world = await openWorld({ actors: ['ue'], folder, waitMs: 5000 });
      try {
        expect(await world.actors.get('ue')!.read('attach')).to.be.an('object');
      } finally {
        await world.close();
      }
    } finally {
      await Promise.all(hosted.map((one) => one.stop()));
    }
  });

  it('a peer that does not come is named within the bound, in the health answer and in the error', async () => {
    const idm = await hostActor({ folder, name: 'idm', log: SILENT });
    const kms = await hostActor({ folder, name: 'kms', log: SILENT, peerWait: 500 });
    try {
      await idm.ready;
      const late = kms.ready.then(
        () => undefined,
        (cause: Error & { code?: string }) => cause,
      );
      let told = await health('kms');
      while (told.waitingFor.length > 1) told = await health('kms');
      expect(told).to.deep.equal({ status: 503, waitingFor: ['mcptt-as'] });
      const error = await late;
      expect(error?.message).to.equal('kms waited 500 ms for mcptt-as: not reachable');
      expect(error?.code).to.equal('PEER_MISSING');
    } finally {
      await kms.stop();
      await idm.stop();
    }
  });

  it('a testbed of other fixtures has their subscribers and names: up is ready, and a UE is made for each USIM that there is', async () => {
    const fixtures = join(folder, 'fixtures');
    mkdirSync(fixtures);
    for (const part of ['network', 'policy', 'users', 'subscribers']) {
      const text = readFileSync(`fixtures/${part}.yaml`, 'utf8')
        .replaceAll('001010000000001', '001010000000077')
        .replaceAll('@mcptt.example', '@other.example')
        .replaceAll('kms.mcptt.example', 'kms.other.example');
      writeFileSync(join(fixtures, `${part}.yaml`), text.split(/^(?=- imsi: "001010000000003")/m)[0]!);
    }
    const copy = join(folder, 'other');
    const { child, ended, said } = start('up', '--folder', copy, '--fixtures', fixtures);
    try {
      await said(/^ready: /m);
      const world = await openWorld({ actors: ['ue'], folder: copy, waitMs: 5000 });
      const { verdict } = await runScenario(auth3, world);
      await world.close();
      expect(verdict, 'of a run that knows their names from the folder').to.equal('pass');
    } finally {
      child.kill('SIGTERM');
    }
    expect((await ended).code).to.equal(0);
    const { users } = loadProvisioned(copy);
    expect(users.map(({ mcpttId }) => mcpttId)).to.include('sip:alice@other.example');
    expect(users.flatMap(Object.keys), 'what a run is told of users').not.to.include('password');
    const ues = Object.entries(loadTopology(copy).actors).filter(([, { kind }]) => kind === 'ue');
    expect(ues.map(([name, { imsi }]) => [name, imsi])).to.deep.equal([
      ['ue', '001010000000077'],
      ['ue-b', '001010000000002'],
    ]);
    const kms = new x509.X509Certificate(loadTls(copy, 'kms').certificate);
    expect(kms.getExtension(x509.SubjectAlternativeNameExtension)!.names.toJSON()).to.deep.include({
      type: 'dns',
      value: 'kms.other.example',
    });
  });

  it('an actor process logs JSON lines, serves /healthz and /metrics, and ends with 0 on SIGTERM', async () => {
    const { child, ended, said } = start('actor', 'idm', '--folder', folder);
    try {
      await said(/"msg":"ready"/);
      const { ca } = loadTls(folder, 'runner');
      const at = `https://${topology.actors.idm!.control}`;
      expect(await get(`${at}/healthz`, ca)).to.deep.equal({
        status: 200,
        text: JSON.stringify({ ok: true, actor: 'idm', waitingFor: [] }),
      });
      const metrics = await get(`${at}/metrics`, ca);
      expect(metrics.text).to.match(/^process_cpu_user_seconds_total\{actor="idm"\}/m);
      expect((await get(`${at}/control/v1/clock`, ca)).status, 'control without the runner’s certificate').to.equal(
        403,
      );
    } finally {
      child.kill('SIGTERM');
    }
    const { code, out } = await ended;
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { actor: string; msg: string });
    expect(lines.every((line) => line.actor === 'idm')).to.equal(true);
    expect(lines.at(-1)?.msg).to.equal('stopped');
    expect(code).to.equal(0);
  });

  it('an actor process ends when the one that started it is gone without a word', async () => {
    const child = spawn(process.execPath, [...CLI, 'actor', 'idm', '--folder', folder], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    let out = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (text.includes('"msg":"ready"')) child.disconnect();
    });
    const [[code]] = await Promise.all([once(child, 'exit'), once(child.stdout!, 'end')]);
    expect(JSON.parse(out.trim().split('\n').at(-1)!)).to.include({ signal: 'disconnect', msg: 'stopped' });
    expect(code).to.equal(0);
  });

  it('an actor process that crashes says so in a JSON line and ends with 3', async () => {
    const bug = 'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("a bug")})';
    const { child, ended, said } = startWith(['--import', bug], 'actor', 'idm', '--folder', folder);
    await said(/"msg":"ready"/);
    child.kill('SIGUSR2');
    const { code, out } = await ended;
    const last = JSON.parse(out.trim().split('\n').at(-1)!) as Record<string, string>;
    expect(last).to.include({ actor: 'idm', msg: 'crashed', reason: 'a bug' });
    expect(last.stack).to.match(/^Error: a bug\n {4}at /);
    expect(code).to.equal(3);
  });

  it('an actor process whose peer is missing says so and ends with 3', async () => {
    const { code, out } = await start('actor', 'sip-core', '--folder', folder, '--peer-wait', '1').ended;
    expect(out).to.match(/"reason":"sip-core waited 1000 ms for mcptt-as: not reachable"/);
    expect(code).to.equal(3);
  });

  it('the same scenarios give the same report in one process and in one process each', async () => {
    const scenarios = ['figure-7.x.2-1', 'step-1n', 'life-4-server-restarts'];
    const [one, each] = ['one.json', 'each.json'].map((name) => join(folder, name)) as [string, string];
    const up = start('up', '--processes', '--folder', folder);
    try {
      await up.said(/^ready: /m);
      const runs = [
        start('run', ...scenarios, '--json', one),
        start('run', ...scenarios, '--folder', folder, '--json', each),
      ];
      for (const run of runs) {
        const { code, out } = await run.ended;
        expect(code, out).to.equal(0);
      }
      expect(differences(readFileSync(one, 'utf8'), readFileSync(each, 'utf8'))).to.deep.equal([]);
    } finally {
      up.child.kill('SIGTERM');
      expect((await up.ended).code).to.equal(0);
    }
  });

  it('an actor process that cannot start says why in one JSON line, leaves nothing open, and ends with 3', async () => {
    const wrong: [string, (copy: string) => void, RegExp][] = [
      ['control', () => {}, /idm cannot start: listen EADDRINUSE/],
      ['https', () => {}, /idm cannot start: listen EADDRINUSE/],
      [
        '',
        (copy) => writeFileSync(join(copy, 'idm', 'state', 'sessions.json'), '{'),
        /idm cannot start: .*idm\/state\/sessions\.json cannot be read: remove it/,
      ],
      ['', (copy) => writeFileSync(join(copy, 'idm', 'state', 'clock-shift'), 'soon'), /clock-shift holds no number/],
      ['', (copy) => writeFileSync(join(copy, 'idm', 'tls.key'), 'x'), /the certificate of 'idm' in .* cannot be used/],
      [
        '',
        (copy) => copyFileSync(join(copy, 'kms', 'tls.key'), join(copy, 'idm', 'tls.key')),
        /tls\.key is not the key of tls\.crt/,
      ],
      ['', (copy) => writeFileSync(join(copy, 'public', 'topology.yaml'), 'nobody'), /topology\.yaml names no actors/],
      ['', (copy) => writeFileSync(join(copy, 'public', 'topology.yaml'), 'actors: [1,'), /topology\.yaml is no YAML/],
      ['', (copy) => rmSync(join(copy, 'public', 'topology.yaml')), /has not made the topology folder after 100 ms/],
    ];
    for (const [i, [taken, spoil, reason]] of wrong.entries()) {
      const copy = join(folder, `copy-${i}`);
      await initFolder(copy, 'loopback', false);
      const { control, endpoints } = loadTopology(copy).actors.idm!;
      const at = taken === 'control' ? control : taken === 'https' ? endpoints.https! : '127.0.0.1:0';
      const server = createServer().listen(Number(at.split(':')[1]), '127.0.0.1');
      await once(server, 'listening');
      spoil(copy);
      const { code, out } = await start('actor', 'idm', '--folder', copy, '--peer-wait', '0.1').ended;
      server.close();
      const last = out.trim().split('\n').at(-1)!;
      expect(JSON.parse(last)).to.include({ actor: 'idm', msg: 'could not start' });
      expect((JSON.parse(last) as { reason: string }).reason).to.match(reason);
      expect(out).not.to.include('still open');
      expect(code).to.equal(3);
    }
  });

  it('an actor process ends with 0 on SIGTERM also while it still waits, for the folder or for a peer', async () => {
    const waits: [string, string, RegExp][] = [
      ['kms', join(folder, 'later'), /"reason":"init has not made the topology folder: .*later/],
      ['kms', folder, /"waitingFor":\["mcptt-as","idm"\],"msg":"waiting"/],
    ];
    for (const [name, where, waiting] of waits) {
      const { child, ended, said } = start('actor', name, '--folder', where);
      await said(waiting);
      child.kill('SIGTERM');
      const { code, out } = await ended;
      const lines = out.trim().split('\n');
      expect(JSON.parse(lines.at(-1)!)).to.include({ signal: 'SIGTERM', msg: 'stopped' });
      expect(code).to.equal(0);
    }
  });

  it('a topology has one run at a time: another is refused within its bound, or waits, and has it once the first has ended', async () => {
    const hosted: HostedActor[] = [];
    try {
      for (const name of Object.keys(topology.actors)) hosted.push(await hostActor({ folder, name, log: SILENT }));
      await Promise.all(hosted.map((one) => one.ready));
      const first = await openWorld({ actors: ['ue'], folder, waitMs: 5000 });
      try {
        const refused = await openWorld({ actors: ['ue'], folder }).catch((error: Error) => error);
        expect(refused).to.include({ code: 'CONTROL_BUSY' });
        expect((refused as Error).message).to.match(/^another run is at work on .*; wait for its end/);
        const told: string[] = [];
        const second = openWorld({ actors: ['ue'], folder, waitMs: 30_000, tell: (what) => told.push(what) });
        while (!told.some((what) => what.startsWith('another run is at work')))
          await Promise.race([second.then(() => expect.fail('let in')), new Promise(setImmediate)]);
        expect(await first.actors.get('ue')!.read('attach'), 'the first goes on').to.be.an('object');
        await first.close();
        await (await second).close();
      } finally {
        await first.close();
      }
    } finally {
      await Promise.all(hosted.map((one) => one.stop()));
    }
  });

  it('a run says at once what it waits for, and all who are missing when it gives up', async () => {
    const nowhere = start('run', 'figure-7.x.2-1', '--folder', join(folder, 'nowhere'));
    await nowhere.said(/^mcptt-testbed: waiting, init has not made .*nowhere: .* cannot be read .*make it with/m);
    nowhere.child.kill('SIGINT');
    const interrupted = await nowhere.ended;
    expect(interrupted.out).to.match(/SIGINT before the run had ended: no verdict and no report/);
    expect(interrupted.code).to.equal(3);
    const idm = await hostActor({ folder, name: 'idm', log: SILENT });
    try {
      const { code, out } = await start('run', 'figure-7.x.2-1', '--folder', folder, '--wait', '0.5').ended;
      expect(out).to.match(/not ready after 500 ms: access-network, sip-core, mcptt-as, kms, ue, ue-b, ue-c \(/);
      expect(code).to.equal(3);
    } finally {
      await idm.stop();
    }
  });

  it('an actor that hangs, its connections taken by the system, is said not to answer, and nothing waits on for it', async () => {
    const { port } = new URL(`https://${topology.actors.kms!.control}`);
    const silent = createServer().listen(Number(port), '127.0.0.1');
    await once(silent, 'listening');
    try {
      const { code, out } = await start('health', 'kms', '--folder', folder).ended;
      expect(out).to.match(/^kms at .* does not answer: .*\n$/);
      expect(code).to.equal(3);
    } finally {
      silent.close();
    }
  });

  it('`cek rotate` and `cek revoke` say in words what they have done, or, with exit code 3, that there is no such CEK', async () => {
    const names = Object.keys(topology.actors).filter((name) => !/^ue-/.test(name));
    const hosted = await Promise.all(names.map((name) => hostActor({ folder, name, log: SILENT })));
    const url = `https://${topology.actors.ue!.control}`;
    const ue = new RemoteControl({ name: 'ue', kind: 'ue', url, tls: loadTls(folder, 'runner') });
    const cek = (...args: string[]): Promise<Ended> => start('cek', ...args, '--folder', folder).ended;
    try {
      await Promise.all(hosted.map((one) => one.ready));
      for (const [verb, which, says] of [
        ['revoke', ['--key-id', 'f0000000'], /the KMS keeps no CEK with Key ID f0000000 that is in use/],
        ['rotate', ['--key-id', 'f0000000'], /no CEK with Key ID f0000000|unknown/],
        ['rotate', ['--user', 'sip:nobody@mcptt.example'], /the KMS keeps no CEK of sip:nobody@mcptt.example/],
      ] as const) {
        const { code, out } = await cek(verb, ...which);
        expect(out).to.match(says);
        expect(code).to.equal(3);
      }
      for (const verb of ['attach', 'register']) await ue.do(verb);
      await ue.do('logIn', { user: 'alice' });
      const { keyId } = await ue.do<{ keyId: string }>('requestKey', { user: 'alice' });
      const alice = ['--user', 'sip:alice@mcptt.example'];
      const words = `${keyId}  a new CEK takes its place: see cek list\n`;
      expect(await cek('rotate', ...alice)).to.deep.equal({ code: 0, out: words });
      const { code, out } = await cek('revoke', ...alice);
      expect(out, 'of the old CEK, while it still opens, and the new').to.match(/^([\da-f]{8} {2}has ended\n){1,2}$/);
      expect(code).to.equal(0);
    } finally {
      await ue.close();
      await Promise.all(hosted.map((one) => one.stop()));
    }
  });

  it('a topology with a field that is wrong is refused, and file and field named', () => {
    const path = join(folder, 'public', 'topology.yaml');
    const whole = readFileSync(path, 'utf8');
    const { actors } = topology;
    const wrong: [string, unknown, string][] = [
      ['kms', null, 'actors.kms must have kind, endpoints and control'],
      ['../kms', actors.kms, 'actors.../kms: a name is letters, digits, - and _'],
      ['kms', { ...actors.kms, kind: 'kmss' }, 'actors.kms.kind must be one of access-network, '],
      ['kms', { ...actors.kms, endpoints: [] }, 'actors.kms.endpoints must name'],
      ['kms', { ...actors.kms, endpoints: {} }, 'actors.kms.endpoints.https is missing'],
      [
        'idm',
        { ...actors.idm, endpoints: { https: '127.0.0.1:1', lte: '127.0.0.1:2' } },
        'actors.idm.endpoints.lte is none',
      ],
      ['ue', { ...actors.ue, imsi: 1010000000001 }, 'actors.ue.imsi must be'],
      ['ue', { ...actors.ue, imsi: undefined }, 'actors.ue.imsi must be'],
      ['kms', { ...actors.kms, drachtio: 9022 }, 'actors.kms.drachtio must be host:port'],
      ['kms', { ...actors.kms, facing: { https: 1 } }, 'actors.kms.facing must name a host'],
      ...['somewhere', ':80', 'host:', 'host:0', 'host:65536', '::1:80', '[::1:80', 'http://host:80', 80].flatMap(
        (at): [string, unknown, string][] => [
          ['kms', { ...actors.kms, control: at }, 'actors.kms.control must be host:port'],
          ['kms', { ...actors.kms, endpoints: { https: at } }, 'actors.kms.endpoints.https must be host:port'],
        ],
      ),
    ];
    try {
      for (const [name, actor, says] of wrong) {
        writeFileSync(path, JSON.stringify({ actors: { ...actors, [name]: actor } }));
        expect(() => loadTopology(folder), says).to.throw(`${path}: ${says}`);
      }
      for (const at of ['host:1', '[::1]:65535', 'sip-core.example:5060']) {
        writeFileSync(path, JSON.stringify({ actors: { ...actors, idm: { ...actors.idm, control: at } } }));
        expect(loadTopology(folder).actors.idm!.control).to.equal(at);
      }
    } finally {
      writeFileSync(path, whole);
    }
  });

  it('a certificate whose key or itself is missing is made anew by init; one that is out of date is refused, and the mend named', async () => {
    const copy = join(folder, 'halves');
    await initFolder(copy, 'loopback', false);
    for (const half of ['tls.key', 'tls.crt']) {
      rmSync(join(copy, 'idm', half));
      expect(() => loadTls(copy, 'idm')).to.throw(`${half} cannot be read`);
      expect(await initFolder(copy, 'loopback', false)).to.deep.equal(['certificate of idm']);
      loadTls(copy, 'idm');
    }
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const caKey = createPrivateKey(readFileSync(join(copy, 'ca', 'ca.key'))).export({ format: 'der', type: 'pkcs8' });
    const expired = await x509.X509CertificateGenerator.create({
      subject: 'CN=idm',
      issuer: new x509.X509Certificate(readFileSync(join(copy, 'ca', 'ca.crt'), 'utf8')).subject,
      notBefore: new Date(Date.now() - 2_000),
      notAfter: new Date(Date.now() - 1_000),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      publicKey: keys.publicKey,
      signingKey: await webcrypto.subtle.importKey('pkcs8', caKey, { name: 'ECDSA', namedCurve: 'P-256' }, false, [
        'sign',
      ]),
    });
    writeFileSync(join(copy, 'idm', 'tls.crt'), expired.toString('pem'));
    const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    writeFileSync(join(copy, 'idm', 'tls.key'), x509.PemConverter.encode(key, 'PRIVATE KEY'));
    expect(() => loadTls(copy, 'idm')).to.throw(/it expired on .*tls\.\* and run init again/);
  });
});
