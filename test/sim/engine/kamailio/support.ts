import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../sipp/support.ts';

const CONFIGURATION = fileURLToPath(new URL('../../../../fixtures/kamailio/kamailio.cfg', import.meta.url));
const PATIENCE_MS = 15_000;

/** A kamailio on UDP and TCP of one loopback port: registrar with digest (any user, password `kamailio`) and forking proxy. */
export class Kamailio {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(): Promise<Kamailio> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'kamailio-'));
    // -DD: in the foreground, with its workers; -m and -M: MB shared and per process.
    const child = spawn(
      'kamailio',
      ['-DD', '-E', '-m', '16', '-M', '4', '-f', CONFIGURATION, '-w', folder, '-Y', folder]
        .concat(['-l', `udp:127.0.0.1:${port}`])
        .concat(['-l', `tcp:127.0.0.1:${port}`]),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4000);
    });
    const end = Date.now() + PATIENCE_MS;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || Date.now() > end) {
        child.kill('SIGKILL');
        throw new Error(`kamailio does not listen on ${port}:\n${errors}`);
      }
    }
    return new Kamailio(port, child, folder);
  }

  /** `sip:user@` this proxy. */
  uri(user: string, transport: 'udp' | 'tcp' = 'udp'): string {
    return `sip:${user}@127.0.0.1:${this.port}${transport === 'udp' ? '' : ';transport=tcp'}`;
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'close');
    // Its main process ends the workers.
    this.#child.kill('SIGTERM');
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Whether somebody takes connections; kamailio opens UDP before TCP. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const connected = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  if (!connected) await new Promise((resolve) => setTimeout(resolve, 20));
  return connected;
}
