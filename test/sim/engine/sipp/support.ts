import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from 'mocha';
import { type BoundPoint, Engine, type Protocol } from '../../../../sim/engine/index.ts';
import { connectSrf, newSrf, type Srf, type SrfDialog, type SrfRequest, type SrfResponse } from '../support/srf.ts';

/** Skips a test, with the reason, when a program it needs is missing; under CI that is a failure. */
export function needs(test: Context, program: string, ...probe: string[]): void {
  const found = spawnSync(program, probe, { stdio: 'ignore' }).error === undefined;
  if (!found) missing(test, `${program} is not installed (Debian: sip-tester, tshark)`);
}

/** The same for what only turns out later, such as a missing right to capture. */
export function missing(test: Context, why: string): void {
  if (process.env.CI === 'true') throw new Error(`${why}: required under CI`);
  console.log(`      skipped: ${why}`);
  test.skip();
}

const ports = new Set<number>();

/** Whether nobody holds a port, tried by taking it for a moment. */
async function isFree(transport: 'udp' | 'tcp', port: number): Promise<boolean> {
  const socket = transport === 'udp' ? createSocket('udp4') : createServer();
  const taken = once(socket, 'error').then(() => false);
  const got = once(socket, 'listening').then(() => true);
  if (socket instanceof Server) socket.listen(port, '127.0.0.1');
  else socket.bind(port, '127.0.0.1');
  const free = await Promise.race([got, taken]);
  if (free) await new Promise<void>((resolve) => socket.close(() => resolve()));
  return free;
}

/** A port free on UDP and TCP, which no other caller in this process got. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 20; tries++) {
    const probe = createSocket('udp4').bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    await new Promise<void>((resolve) => probe.close(resolve));
    if (!ports.has(port) && (await isFree('tcp', port))) {
      ports.add(port);
      return port;
    }
  }
  throw new Error('no port is free on both UDP and TCP');
}

export interface SippResult {
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** How SIPp ended, and what it wrote about unexpected messages: for the failure text. */
  readonly errors: string;
}

export interface SippRun {
  /** Settles when SIPp has made or taken all its calls. */
  readonly done: Promise<SippResult>;
  readonly port: number;
  stop(): void;
}

/** Starts a scenario of fixtures/sipp: as a client towards `remote`, or as a server without it. */
export async function sipp(
  scenario: string,
  options: { calls: number; transport: Protocol; remote?: number; rate?: number; lost?: number; seconds?: number },
): Promise<SippRun> {
  const { calls, transport, remote, rate = 200, lost = 0, seconds = 40 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sipp-'));
  const port = await freePort();
  const args = ['-sf', fileURLToPath(new URL(`../../../../fixtures/sipp/${scenario}.xml`, import.meta.url))]
    .concat(['-i', '127.0.0.1', '-p', String(port), '-t', transport === 'tcp' ? 't1' : 'u1', '-nostdin'])
    .concat(['-m', String(calls), '-r', String(rate), '-timeout', String(seconds), '-timeout_error'])
    .concat(['-trace_stat', '-stf', 'statistics.csv', '-trace_err', '-error_file', 'errors.log'])
    // Where packets are lost, repeated ones come out of turn: SIPp must not take them for errors.
    .concat(lost > 0 ? ['-lost', String(lost), '-default_behaviors', 'all,-abortunexp'] : [])
    .concat(remote === undefined ? [] : [`127.0.0.1:${remote}`]);
  const child = spawn('sipp', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  const done = once(child, 'exit').then(([code, signal]) => {
    const result = read(folder, `SIPp ended with ${String(code ?? signal)}\n`);
    rmSync(folder, { recursive: true });
    return result;
  });
  child.stdout.resume();
  if (remote === undefined) await listening(transport === 'tcp' ? 'tcp' : 'udp', port);
  return { done, port, stop: () => kill(child) };
}

/** SIPp does not say when it listens; its port is taken then. */
async function listening(transport: 'udp' | 'tcp', port: number): Promise<void> {
  const end = Date.now() + 5000;
  while (await isFree(transport, port)) {
    if (Date.now() > end) throw new Error(`SIPp does not listen on ${port} after 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const kill = (child: ChildProcess): void => void (child.exitCode === null && child.kill('SIGKILL'));

function read(folder: string, ending: string): SippResult {
  const files = readdirSync(folder);
  const log = files.includes('errors.log') ? readFileSync(join(folder, 'errors.log'), 'utf8').slice(0, 4000) : '';
  const errors = ending + log;
  if (!files.includes('statistics.csv')) throw new Error(`SIPp left no statistics: ${errors}`);
  const rows = readFileSync(join(folder, 'statistics.csv'), 'utf8').trim().split('\n');
  const names = rows[0]!.split(';');
  const figure = (name: string): number => Number(rows.at(-1)!.split(';')[names.indexOf(name)]);
  return {
    successful: figure('SuccessfulCall(C)'),
    failed: figure('FailedCall(C)'),
    retransmissions: figure('Retransmissions(C)'),
    errors,
  };
}

/** An engine with a small drachtio-srf application behind it, joined by the control port. */
export class Application {
  readonly engine: Engine;
  readonly srf: Srf = newSrf();
  /** How many requests of each method the application saw. */
  readonly seen: Record<string, number> = {};
  listen: readonly BoundPoint[] = [];

  private constructor(engine: Engine) {
    this.engine = engine;
  }

  static async start(protocols: readonly Protocol[], tls?: { key: string; cert: string }): Promise<Application> {
    const host = '127.0.0.1';
    const engine = new Engine({
      listen: protocols.map((protocol) => ({ protocol, host, port: 0 })),
      control: { host, port: 0, secret: 'cymru' },
      ...(tls === undefined ? {} : { tls: { privateKey: tls.key, certificate: tls.cert, ca: tls.cert } }),
    });
    const application = new Application(engine);
    const { control, listen } = await engine.start();
    application.listen = listen;
    application.#serve();
    await connectSrf(application.srf, control);
    return application;
  }

  port(protocol: Protocol): number {
    return this.listen.find((point) => point.protocol === protocol)!.port;
  }

  async stop(): Promise<void> {
    this.srf.disconnect();
    await this.engine.stop();
  }

  #serve(): void {
    for (const method of ['register', 'message', 'options']) {
      this.srf.use(method, (request, response) => {
        this.#count(method);
        response.send(200, { headers: request.has('contact') ? { Contact: request.get('contact') } : {} });
      });
    }
    const localSdp =
      'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\n';
    this.srf.use('invite', (request, response) => {
      this.#count('invite');
      // The callback form: after a promise, a BYE that comes in one read with the ACK is over before anyone listens.
      const answer = (): void =>
        this.#createUas(request, response, { localSdp }, (error, dialog) => {
          if (error) this.#count('failed');
          else dialog.on('destroy', () => this.#count('bye'));
        });
      switch (/^sip:(\w+)@/.exec(request.uri)?.[1]) {
        case 'answer':
          response.send(180);
          answer();
          break;
        case 'ring':
          request.on('cancel', () => this.#count('cancel'));
          response.send(180);
          break;
        case 'prack':
          response.send(
            183,
            { headers: { Require: '100rel' }, body: localSdp },
            () => undefined,
            () => {
              this.#count('prack');
              answer();
            },
          );
          break;
        default:
          response.send(404);
      }
    });
  }

  #createUas(
    request: SrfRequest,
    response: SrfResponse,
    options: object,
    made: (error: unknown, dialog: SrfDialog) => void,
  ): void {
    const srf = this.srf as unknown as { createUAS(...all: unknown[]): void };
    srf.createUAS(request, response, options, made);
  }

  #count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }
}
