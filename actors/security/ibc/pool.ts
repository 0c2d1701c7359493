import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { BackendChoice } from './backend.ts';
import { type EngineLimits, nameOf, type SakkeEngine } from './engine.ts';
import { IbcError } from './errors.ts';
import type { Answer, Method, Task, WorkerData } from './pool-worker.ts';
import type { Decapsulated } from './sakke.ts';

export interface PoolOptions {
  /** Worker threads; one less than the processors unless told, so that the event loop keeps one. */
  readonly size?: number;
  readonly backend?: BackendChoice;
  /** Tables kept in each worker. */
  readonly limits?: EngineLimits;
  /** How long a worker may take to start, in milliseconds. */
  readonly startTimeout?: number;
  /** How long one task may take, its wait in the queue included, before its worker is given up, in milliseconds. */
  readonly taskTimeout?: number;
}

/** How many tasks a worker that holds a receiver's table may lag behind the idlest one before that one builds its own. */
const AFFINITY = 3;

/**
 * SAKKE in worker threads: no request waits on another's arithmetic, and the event loop never does any. Make one with
 * {@link IbcPool.start}, share it among the actors of a process, close it with its owner. Rejects as `SakkeEngine` says, and
 * with `pool-closed` or `pool-worker-died`.
 *
 * A receiver's table stays in the worker that built it, and work for that receiver goes there unless it lags behind. Secrets
 * travel as transferred memory, not as copies, and the worker zeroes them.
 */
export class IbcPool implements SakkeEngine {
  readonly #options: PoolOptions;
  readonly #members: Member[] = [];
  #closed = false;
  #strippedMasks = 0;

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Starts the workers and waits until their fixed tables stand (about 60 ms). `pool-worker-died` when one does not. */
  static async start(options: PoolOptions = {}): Promise<IbcPool> {
    const pool = new IbcPool(options);
    const size = Math.max(1, options.size ?? availableParallelism() - 1);
    for (let index = 0; index < size; index++) pool.#members.push(pool.#member());
    try {
      await Promise.all(pool.#members.map((member) => member.ready));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** Name of the arithmetic backend that the workers chose. */
  get backend(): string {
    return this.#members[0]?.backend ?? 'none';
  }

  get size(): number {
    return this.#members.length;
  }

  get strippedMasks(): number {
    return this.#strippedMasks;
  }

  async encapsulate(zT: Uint8Array, b: Uint8Array, ssv: Uint8Array): Promise<Uint8Array> {
    return this.#idlest().run('encapsulate', [zT, b, ssv]);
  }

  async decapsulate(zT: Uint8Array, b: Uint8Array, rsk: Uint8Array, sed: Uint8Array): Promise<Decapsulated> {
    const opened: Decapsulated = await this.#withTable(rsk).run('decapsulate', [zT, b, rsk, sed]);
    if (opened.maskForm === 'stripped') this.#strippedMasks++;
    return opened;
  }

  async extractRsk(masterSecret: Uint8Array, id: Uint8Array): Promise<Uint8Array> {
    return this.#idlest().run('extractRsk', [masterSecret, id]);
  }

  async validateRsk(zT: Uint8Array, id: Uint8Array, rsk: Uint8Array): Promise<boolean> {
    return this.#withTable(rsk).run('validateRsk', [zT, id, rsk]);
  }

  async validatePublicKey(zT: Uint8Array): Promise<boolean> {
    return this.#idlest().run('validatePublicKey', [zT]);
  }

  async prepare(rsk: Uint8Array): Promise<void> {
    return this.#withTable(rsk).run('prepare', [rsk]);
  }

  async forget(rsk: Uint8Array): Promise<void> {
    const name = nameOf(rsk);
    const holders = this.#members.filter((member) => member.tables.delete(name));
    await Promise.all(holders.map((member) => member.run<void>('forget', [rsk])));
  }

  /** Lets no new task in, has every worker zero its tables and end, and terminates one that does not within 2 s. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#members.splice(0).map((member) => member.close()));
  }

  #member(): Member {
    const member: Member = new Member(this.#options, () => this.#replace(member));
    return member;
  }

  /** A worker that died in service gets a successor; one that never started does not, or it would die for ever. */
  #replace(dead: Member): void {
    const index = this.#members.indexOf(dead);
    if (index < 0 || this.#closed) return;
    if (dead.backend === undefined) this.#members.splice(index, 1);
    else this.#members[index] = this.#member();
  }

  /** When none is left, the task has another started, and waits for it. */
  #idlest(): Member {
    if (this.#closed) throw new IbcError('pool-closed', 'the pool has been closed: start another');
    if (this.#members.length === 0) this.#members.push(this.#member());
    const [first, ...rest] = this.#members as [Member, ...Member[]];
    return rest.reduce((least, member) => (member.load < least.load ? member : least), first);
  }

  #withTable(rsk: Uint8Array): Member {
    const name = nameOf(rsk);
    const idlest = this.#idlest();
    const holders = this.#members.filter((member) => member.tables.has(name) && member.load - idlest.load < AFFINITY);
    const chosen = holders.reduce<Member>(
      (least, member) => (member.load <= least.load ? member : least),
      holders[0] ?? idlest,
    );
    chosen.tables.add(name);
    return chosen;
  }
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** One worker thread and the tasks it has not answered. */
class Member {
  /** Names of the receivers' tables that it holds, as far as known here: a hint for choosing, no more. */
  readonly tables = new Set<string>();
  readonly ready: Promise<void>;
  backend: string | undefined;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  readonly #taskTimeout: number;
  #nextId = 1;

  constructor(options: PoolOptions, onDeath: () => void) {
    this.#taskTimeout = options.taskTimeout ?? 60_000;
    this.#worker = startWorker({ backend: options.backend ?? 'auto', limits: options.limits ?? {} });
    let cause: Error | undefined;
    this.#worker.on('error', (error) => {
      cause = error instanceof Error ? error : undefined;
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        const error = new IbcError('pool-worker-died', 'an arithmetic worker ended; ask again', { cause });
        for (const { reject, timer } of this.#pending.values()) {
          clearTimeout(timer);
          reject(error);
        }
        this.#pending.clear();
        onDeath();
        resolve();
      });
    });
    this.ready = this.#start(options.startTimeout ?? 60_000);
    this.ready.catch(() => undefined); // a successor's start is awaited by nobody; its tasks then say what happened
  }

  get load(): number {
    return this.#pending.size;
  }

  async #start(timeout: number): Promise<void> {
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.backend = await this.#post<string>('start', [], timeout);
  }

  async run<T>(method: Method, args: readonly Uint8Array[]): Promise<T> {
    return this.#post<T>(method, args, this.#taskTimeout);
  }

  #post<T>(method: Method, args: readonly Uint8Array[], timeout: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        reject(new IbcError('pool-worker-died', `an arithmetic worker did not answer ${method} within ${timeout} ms`));
        void this.#worker.terminate();
      }, timeout);
      this.#pending.set(id, { resolve, reject, timer });
      const owned = args.map((octets) => new Uint8Array(octets)); // in memory of its own, to be moved
      this.#worker.postMessage(
        { id, method, args: owned } satisfies Task,
        owned.map(({ buffer }) => buffer),
      );
    });
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    if ('value' in answer) pending.resolve(answer.value as never);
    else
      pending.reject(answer.code === undefined ? new Error(answer.message) : new IbcError(answer.code, answer.message));
  }

  async close(): Promise<void> {
    const guard = setTimeout(() => void this.#worker.terminate(), 2000);
    this.#worker.postMessage({ id: 0, method: 'close', args: [] } satisfies Task);
    await this.#exited;
    clearTimeout(guard);
  }
}

/**
 * Starts pool-worker beside this file. From source (tests, tsx) the thread must first register the loader that understands
 * TypeScript, because loaders do not pass from thread to thread; compiled, there is nothing to do.
 */
function startWorker(workerData: WorkerData): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL('./pool-worker.js', import.meta.url), { workerData, execArgv: [] });
  }
  // The CommonJS entry of tsx cannot register in a worker; the ES one stands beside it.
  const api = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/\.cjs$/, '.mjs');
  const loader = JSON.stringify(pathToFileURL(api).href);
  const entry = JSON.stringify(new URL('./pool-worker.ts', import.meta.url).href);
  const source = `import(${loader}).then(({ register }) => { register(); return import(${entry}); })`;
  return new Worker(source, { eval: true, workerData, execArgv: [] });
}
