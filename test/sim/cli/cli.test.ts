import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { REPORT_VERSION } from '../../../sim/report/json.ts';

const PROGRAM = ['--import', 'tsx', 'sim/cli/main.ts'];

const cli = (...args: string[]): { code: number | null; out: string; err: string } => {
  const run = spawnSync(process.execPath, [...PROGRAM, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, MCPTT_TESTBED_FOLDER: '', MCPTT_TESTBED_FIXTURES: '', MCPTT_TESTBED_WAIT: '' },
  });
  return { code: run.status, out: run.stdout, err: run.stderr };
};

describe('command line', function () {
  this.timeout(90_000);

  const wrong: [string, string[], RegExp][] = [
    [
      'an unknown scenario',
      ['run', 'figure-9'],
      /^mcptt-testbed: there is no scenario 'figure-9'; `list` names them all\n$/,
    ],
    [
      'an unknown option',
      ['run', 'figure-7.x.2-1', '--jsno', 'x'],
      /^mcptt-testbed: unknown option '--jsno'.*; see --help\n$/,
    ],
    [
      'an unknown scenario beside all of them',
      ['run', 'all', 'figure-9'],
      /^mcptt-testbed: there is no scenario 'figure-9'; `list` names them all\n$/,
    ],
    [
      'a pause before a step that there is not',
      ['run', 'figure-7.x.2-1', '--pause-before', '9'],
      /^mcptt-testbed: there is no step '9' to pause before; there are: 0, 1, 2, 3a, 3b, 4\n$/,
    ],
    [
      'two reports in one file',
      ['run', 'figure-7.x.2-1', '--json', 'out/report', '--junit', './out/report'],
      /^mcptt-testbed: two reports cannot go to one file\n$/,
    ],
    ['an unknown command', ['rnu'], /^mcptt-testbed: unknown command 'rnu'.*; see --help\n$/],
    ['no command', [], /^mcptt-testbed: name a command; see --help\n$/],
    ['a missing argument', ['run'], /^mcptt-testbed: missing required argument 'scenario'; see --help\n$/],
    ['rotate without a key', ['cek', 'rotate'], /^mcptt-testbed: cek rotate: give either --key-id or --user\n$/],
    [
      'an unknown option of cek list',
      ['cek', 'list', '--jsno'],
      /^mcptt-testbed: unknown option '--jsno'.*; see --help\n$/,
    ],
    [
      'an argument too many',
      ['cek', 'revoke', 'f0000000'],
      /^mcptt-testbed: too many arguments for 'revoke'.*; see --help\n$/,
    ],
    ['an unknown command of cek', ['cek', 'help'], /^mcptt-testbed: unknown command 'help'.*; see --help\n$/],
    [
      'a Key ID that is none',
      ['cek', 'revoke', '--key-id', 'f0'],
      /^mcptt-testbed: option '--key-id <hex>' argument 'f0' is invalid. Give its 8 hexadecimal digits.*\n$/,
    ],
    ['a wait that is no number', ['run', 'figure-7.x.2-1', '--wait', 'soon'], /--wait.*'soon' is invalid.*seconds/],
    ['a wait without end', ['actor', 'idm', '--peer-wait', 'Infinity'], /--peer-wait.*'Infinity' is invalid.*seconds/],
    [
      'a report that cannot be written',
      ['run', 'figure-7.x.2-1', '--json', 'package.json/report.json'],
      /^mcptt-testbed: the report cannot be written: .*package\.json/,
    ],
    [
      'a report whose name is a folder’s',
      ['run', 'figure-7.x.2-1', '--junit', 'sim'],
      /^mcptt-testbed: the report cannot be written: .*'sim'/,
    ],
  ];
  for (const [what, args, line] of wrong) {
    it(`says in one line what is wrong with ${what}, exit code 2`, () => {
      const { code, out, err } = cli(...args);
      expect(err).to.match(line);
      expect(out).to.equal('');
      expect(code).to.equal(2);
    });
  }

  it('says what is wrong with a report below a folder in which nothing can be made, and does not look for ever', function () {
    if (process.platform !== 'linux') this.skip();
    const { code, err } = cli('run', 'figure-7.x.2-1', '--json', '/proc/no/report.json');
    expect(err).to.match(/^mcptt-testbed: the report cannot be written: .*'\/proc\/no'\n$/);
    expect(code).to.equal(2);
  });

  it('says which fixture a scenario misses', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    try {
      for (const part of ['network', 'policy', 'users', 'subscribers']) {
        const [first, second] = readFileSync(`fixtures/${part}.yaml`, 'utf8').split(/^(?=- imsi)/m);
        writeFileSync(join(folder, `${part}.yaml`), `${first}${second ?? ''}`);
      }
      const { code, err } = cli('run', 'message', '--fixtures', folder);
      expect(err).to.equal('mcptt-testbed: ue-b needs subscriber 2 of subscribers.yaml, which does not name so many\n');
      expect(code).to.equal(3);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('goes on without a reader of its standard output', async () => {
    const child = spawn(process.execPath, [...PROGRAM, 'list'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (text: Buffer) => {
      err += text.toString();
    });
    const [code] = (await once(child, 'close')) as [number | null];
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
  });

  it('says that its standard output cannot be written, exit code 3', function () {
    if (process.platform !== 'linux') this.skip();
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [...PROGRAM, 'list'], {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
      timeout: 60_000,
    });
    closeSync(full);
    expect(stderr).to.match(/^mcptt-testbed: standard output cannot be written: ENOSPC.*\n$/);
    expect(status).to.equal(3);
  });

  it('does not wait for somebody at a standard input that has ended', () => {
    const { code, out } = cli('run', 'figure-7.x.2-1', '--pause-before', '0');
    expect(out).to.include('standard input has ended: nobody can say when to go on');
    expect(code).to.equal(3);
  });

  for (const command of ['', 'run', 'list', 'up', 'actor', 'init', 'cek', 'health']) {
    it(`${command === '' ? 'the program' : command} explains itself with --help`, () => {
      const { code, out } = cli(...(command === '' ? [] : [command]), '--help');
      expect(out).to.match(/^Usage: mcptt-testbed/);
      expect(code).to.equal(0);
    });
  }

  it('lists scenarios with what they prove', () => {
    expect(cli('list').out).to.match(/^figure-7\.x\.2-1 +Figure 7\.x\.2-1: .*\[INT-1, /m);
    expect(JSON.parse(cli('list', '--json').out))
      .to.be.an('array')
      .with.lengthOf.at.least(40);
  });

  it('runs the figure and writes JSON, JUnit and Mermaid', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    try {
      const files = ['report.json', 'report.xml', 'ladder.mmd'].map((name) => join(folder, 'new', name));
      const { code, out } = cli(
        'run',
        'figure-7.x.2-1',
        '--json',
        files[0]!,
        '--junit',
        files[1]!,
        '--mermaid',
        files[2]!,
      );
      expect(out).to.match(/✔ PASS {2}figure-7\.x\.2-1: 6 of 6 steps passed/);
      expect(out).to.match(/Choices made where the pCR is open/);
      expect(out).to.match(/What Release 13 did instead/);
      expect(code).to.equal(0);
      const [json, junit, mermaid] = files.map((file) => readFileSync(file, 'utf8'));
      const report = JSON.parse(json!) as {
        version: number;
        verdict: string;
        scenarios: { steps: { number: string }[]; messages: unknown[] }[];
      };
      expect(report).to.include({ version: REPORT_VERSION, verdict: 'pass' });
      expect(report.scenarios[0]!.steps.map((s) => s.number)).to.deep.equal(['0', '1', '2', '3a', '3b', '4']);
      expect(report.scenarios[0]!.messages.length).to.be.greaterThan(30);
      expect(junit!.match(/<testcase /g)).to.have.length(6);
      expect(mermaid).to.match(/ue->>sip_core: SIP-1 PUBLISH sip:mcptt-participating@/);
      const octets = [...json!.matchAll(/"bytes": "([^"]*)"/g)].map((m) =>
        Buffer.from(m[1]!, 'base64').toString('latin1'),
      );
      expect(octets.length).to.be.greaterThan(30);
      for (const text of [json!, out, ...octets]) {
        expect(text, 'no token in a report').not.to.match(/eyJ[\w-]{10,}\.eyJ/);
        expect(text, 'no password in a report').not.to.include('alice-wonderland-1865');
        expect(text, 'no private key in a report').not.to.match(/<UserDecryptKey[^>]*>[0-9a-fA-F]/);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
