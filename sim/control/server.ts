/**
 * Serves one actor's control interface: verbs, readings, the record stream and the clock to whoever holds the runner's
 * certificate; `/healthz` and `/metrics` to anybody who trusts the CA.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import express, { type NextFunction, type Request, type Response } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { MessageRecord } from '../trace/record.ts';
import type { Actor, ControlError, ControlErrorCode, Json, JsonObject, TlsIdentity } from './actor.ts';
import { invoke } from './invoke.ts';
import type { ShiftedClock } from './shifted-clock.ts';
import { type ControlAnswer, LIFE_HEADER, PATHS, RUNNER_URI, toLine } from './wire.ts';

/** Records kept for a runner that connects or reconnects later; older ones are gone. */
const KEPT_RECORDS = 20_000;
const BODY_LIMIT = '1mb';
/** Far longer than the runner leaves a connection idle, so that it never writes into one that is being closed. */
const IDLE_MS = 60_000;
/** How long the connection of a run is silent before it is asked whether anybody is there. */
const PROBE_MS = 5_000;
/** Longest that a clock is moved at one time: a hundred years. */
const LONGEST_JUMP_MS = 100 * 365.25 * 86_400_000;

export interface ControlServerOptions {
  readonly actor: Actor;
  readonly tls: TlsIdentity;
  readonly host: string;
  readonly port: number;
  /** The actor's clock, so that the runner can move it; without one nothing moves. */
  readonly clock?: ShiftedClock;
  /** Told by how much the clock is now ahead of real time, after the runner has moved it. */
  readonly onShift?: (shift: number) => void;
  /** Peers that the actor still waits for; an empty list is healthy. */
  readonly waitingFor: () => readonly string[];
}

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #records: MessageRecord[] = [];
  readonly #followers = new Set<Follower>();
  /** The run that is at work on the actor, and how many record streams it has: it ends with the last of them. */
  #run: { readonly id: string; streams: number } | undefined;
  readonly #metrics = new Registry();
  readonly #messages: Counter;
  readonly #asked: Counter;
  readonly #life = randomUUID();
  #made = 0;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    const { certificate, privateKey, ca } = options.tls;
    this.#server = createServer(
      {
        cert: certificate,
        key: privateKey,
        ca,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        keepAliveTimeout: IDLE_MS,
      },
      this.#app(),
    );
    this.#metrics.setDefaultLabels({ actor: options.actor.name });
    collectDefaultMetrics({ register: this.#metrics });
    this.#messages = new Counter({
      name: 'mcptt_testbed_messages_total',
      help: 'Messages that the actor sent or received on the interfaces of the figure',
      labelNames: ['interface', 'direction', 'protocol'],
      registers: [this.#metrics],
    });
    this.#asked = new Counter({
      name: 'mcptt_testbed_control_total',
      help: 'Verbs that the actor was told to do and readings that were taken of it',
      labelNames: ['kind', 'name', 'result'],
      registers: [this.#metrics],
    });
    new Gauge({
      name: 'mcptt_testbed_waiting_for',
      help: 'Peers that the actor still waits for',
      registers: [this.#metrics],
      collect() {
        this.set(options.waitingFor().length);
      },
    });
  }

  /** Where the actor's recorder delivers. */
  readonly sink = (record: MessageRecord): void => {
    this.#made = record.sequence + 1;
    this.#records.push(record);
    if (this.#records.length > KEPT_RECORDS) this.#records.shift();
    this.#messages.inc({ interface: record.interface, direction: record.direction, protocol: record.protocol });
    for (const follower of this.#followers) this.#pump(follower);
  };

  /** @returns the port that it listens at */
  async start(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const { stream } of this.#followers) stream.end();
    this.#metrics.clear();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #app(): express.Express {
    const app = express();
    app.disable('x-powered-by');
    app.get('/healthz', (_req, res) => {
      const waitingFor = this.#options.waitingFor();
      res
        .status(waitingFor.length === 0 ? 200 : 503)
        .json({ ok: waitingFor.length === 0, actor: this.#options.actor.name, waitingFor });
    });
    app.get('/metrics', async (_req, res) => {
      res.type(this.#metrics.contentType).send(await this.#metrics.metrics());
    });
    app.use('/control', onlyRunner, express.json({ limit: BODY_LIMIT }), argumentsOnly);
    app.post(`${PATHS.do}/holdClock`, (req, res) => {
      const { clock, onShift } = this.#options;
      const ms = (req.body as JsonObject).ms ?? Number.NaN;
      if (typeof ms !== 'number' || !(ms >= 0 && ms <= LONGEST_JUMP_MS))
        throw refusal(`ms must be a number from 0 to ${LONGEST_JUMP_MS}`);
      clock?.hold(ms);
      if (clock !== undefined) onShift?.(clock.shift);
      res.json({ ...this.#stand(), value: clock?.now() ?? null } satisfies ControlAnswer);
    });
    app.post(`${PATHS.do}/releaseClock`, async (_req, res) => {
      await this.#options.clock?.release();
      res.json({ ...this.#stand(), value: null } satisfies ControlAnswer);
    });
    app.post(`${PATHS.do}/:name`, (req, res) => this.#answer('verbs', req, res));
    app.post(`${PATHS.read}/:name`, (req, res) => this.#answer('readings', req, res));
    app.get(PATHS.clock, (_req, res) => {
      res.json({ now: Date.now() });
    });
    app.get(PATHS.records, (req, res) => {
      const { from = '0', run } = req.query;
      const first = Number(from);
      if (!Number.isSafeInteger(first) || first < 0) throw refusal('from must be the sequence number of a record');
      if (typeof run === 'string') this.#occupy(run, req, res);
      this.#follow(first, res);
    });
    app.use('/control', (req) => {
      throw refusal(`the control interface has no ${req.method} ${req.originalUrl.split('?', 1)[0]}`, 404);
    });
    app.use((error: Error & Partial<Refused>, _req: Request, res: Response, _next: NextFunction) => {
      res.status(error.status ?? 500).json({
        ...this.#stand(),
        error: { code: error.control ?? 'CONTROL_FAILED', message: error.message },
      } satisfies ControlAnswer);
    });
    return app;
  }

  #stand(): Pick<ControlAnswer, 'records' | 'life'> {
    return { records: this.#made, life: this.#life };
  }

  async #answer(table: 'verbs' | 'readings', req: Request, res: Response): Promise<void> {
    const kind = table === 'verbs' ? 'verb' : 'reading';
    let answer: Omit<ControlAnswer, 'records' | 'life'>;
    try {
      answer = {
        value: (await invoke(this.#options.actor, table, String(req.params.name), req.body as JsonObject)) as Json,
      };
      this.#asked.inc({ kind, name: String(req.params.name), result: 'done' });
    } catch (cause) {
      const { code, message, actorCode, detail } = cause as ControlError;
      const known = code !== 'CONTROL_UNKNOWN';
      this.#asked.inc({ kind, name: known ? String(req.params.name) : 'unknown', result: 'refused' });
      answer = { error: { code, message, detail, ...(actorCode === undefined ? {} : { actorCode }) } };
    }
    res.json({ ...answer, ...this.#stand() } satisfies ControlAnswer);
  }

  /** Two runs at a time would restart each other's UEs and move each other's clocks. */
  #occupy(id: string, req: Request, res: Response): void {
    if (this.#run !== undefined && this.#run.id !== id)
      throw refusal(`another run is at work on ${this.#options.actor.name}`, 409, 'CONTROL_BUSY');
    const run = this.#run ?? { id, streams: 0 };
    run.streams += 1;
    this.#run = run;
    // A machine that has gone does not close its connection; this finds out within seconds.
    req.socket.setKeepAlive(true, PROBE_MS);
    res.on('close', () => {
      run.streams -= 1;
      if (run.streams === 0) this.#run = undefined;
    });
  }

  #follow(from: number, res: Response): void {
    res.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      [LIFE_HEADER]: this.#life,
    });
    res.flushHeaders();
    // A number that this life of the actor has not come to is another life's.
    const follower: Follower = { stream: res, next: Math.min(from, this.#made) };
    this.#followers.add(follower);
    res.on('drain', () => this.#pump(follower));
    res.on('close', () => this.#followers.delete(follower));
    this.#pump(follower);
  }

  /** Writes as much as the follower takes: one that reads slowly, or not at all, costs no memory beside the records kept anyway. */
  #pump(follower: Follower): void {
    const { stream } = follower;
    while (follower.next < this.#made && !stream.writableNeedDrain && !stream.destroyed) {
      const oldest = this.#made - this.#records.length;
      follower.next = Math.max(follower.next, oldest);
      stream.write(toLine(this.#records[follower.next - oldest]!));
      follower.next += 1;
    }
  }
}

/** Somebody who reads the record stream, and the sequence number of the next record for them. */
interface Follower {
  readonly stream: Response;
  next: number;
}

interface Refused {
  readonly status: number;
  readonly control: ControlErrorCode;
}

const refusal = (message: string, status = 400, control: ControlErrorCode = 'CONTROL_FAILED'): Error & Refused =>
  Object.assign(new Error(message), { status, control });

/** No body is no arguments; anything but an object is refused. */
function argumentsOnly(req: Request, _res: Response, next: NextFunction): void {
  req.body ??= {};
  if (Array.isArray(req.body)) throw refusal('arguments are a JSON object');
  next();
}

function onlyRunner(req: Request, res: Response, next: NextFunction): void {
  const socket = req.socket as TLSSocket;
  const names = socket.authorized ? (socket.getPeerCertificate().subjectaltname ?? '') : '';
  if (names.split(', ').includes(`URI:${RUNNER_URI}`)) {
    next();
    return;
  }
  const message = `the control interface takes only a certificate of this testbed's CA for ${RUNNER_URI}`;
  res.status(403).json({ records: 0, life: '', error: { code: 'CONTROL_FAILED', message } } satisfies ControlAnswer);
}
