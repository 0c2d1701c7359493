import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Context } from 'mocha';
import { until } from '../transport/support.ts';
import { Application, missing, needs, sipp } from './support.ts';

const CALLS = 10;

/** Captures a port on loopback until stopped; undefined if that is not allowed here. */
async function capture(test: Context, port: number, file: string): Promise<ChildProcess> {
  const child = spawn('dumpcap', ['-q', '-i', 'lo', '-f', `port ${port}`, '-w', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = once(child, 'exit');
  await Promise.race([ended, until('the beginning of the capture', () => said.includes('File:'))]);
  if (child.exitCode !== null) missing(test, `no right to capture on loopback: ${said.trim().split('\n')[0] ?? ''}`);
  return child;
}

interface Dissected {
  readonly messages: number;
  readonly complaints: string[];
}

/** What Wireshark makes of the captured SIP messages. */
function dissect(file: string, transport: 'udp' | 'tcp', port: number): Dissected {
  const fields = ['sip.CSeq', '_ws.malformed.expert', '_ws.expert.severity', '_ws.expert.message'].flatMap((name) => [
    '-e',
    name,
  ]);
  const args = ['-r', file, '-d', `${transport}.port==${port},sip`, '-Y', 'sip', '-T', 'fields', '-E', 'separator=|'];
  // The file is still being written to: tshark may complain of its end, having read all before.
  const { stdout } = spawnSync('tshark', [...args, ...fields]);
  const lines = stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  // Expert severities: 0x00800000 error, 0x00600000 warning.
  const bad = lines.filter((line) => {
    const [, malformed, severities = ''] = line.split('|');
    return malformed !== '' || severities.split(',').some((severity) => Number(severity) >= 0x600000);
  });
  return { messages: lines.reduce((sum, line) => sum + line.split('|')[0]!.split(',').length, 0), complaints: bad };
}

describe('Wireshark on what the engine sends and receives', function () {
  this.timeout(60_000);
  let application: Application;
  before(async function () {
    needs(this, 'sipp', '-v');
    needs(this, 'tshark', '-v');
    application = await Application.start(['udp', 'tcp']);
  });
  after(() => application?.stop());

  for (const transport of ['udp', 'tcp'] as const) {
    it(`finds no message malformed over ${transport}`, async function () {
      const folder = mkdtempSync(join(tmpdir(), 'capture-'));
      const file = join(folder, 'loopback.pcapng');
      const port = application.port(transport);
      const dumpcap = await capture(this, port, file);
      try {
        for (const scenario of ['register', 'message', 'invite', 'cancel', 'prack']) {
          const result = await (await sipp(scenario, { calls: CALLS, transport, remote: port })).done;
          expect(result, result.errors).to.include({ successful: CALLS, failed: 0 });
        }
        // 2 for REGISTER and MESSAGE, at least 5 for INVITE, 7 for CANCEL, 8 for PRACK.
        const least = CALLS * (2 + 2 + 5 + 7 + 8);
        let dissected: Dissected = { messages: 0, complaints: [] };
        await until(`${least} captured messages`, () => {
          dissected = dissect(file, transport, port);
          return dissected.messages >= least;
        });
        expect(dissected.complaints).to.deep.equal([]);
      } finally {
        const ended = once(dumpcap, 'exit');
        dumpcap.kill('SIGINT');
        await ended;
        rmSync(folder, { recursive: true });
      }
    });
  }
});
