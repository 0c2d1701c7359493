import { parentPort, workerData } from 'node:worker_threads';
import { type BackendChoice, createArithmetic } from './backend.ts';
import { type EngineLimits, LocalSakkeEngine } from './engine.ts';
import { IbcError, type IbcErrorCode } from './errors.ts';
import { zero } from './octets.ts';
import type { Decapsulated } from './sakke.ts';

/** What a worker of `IbcPool` (pool.ts) is started with. */
export interface WorkerData {
  readonly backend: BackendChoice;
  readonly limits: EngineLimits;
}

export type Method =
  | 'start'
  | 'encapsulate'
  | 'decapsulate'
  | 'extractRsk'
  | 'validateRsk'
  | 'validatePublicKey'
  | 'prepare'
  | 'forget'
  | 'close';

/** The arguments' memory is the worker's: it zeroes them when the task is done. */
export interface Task {
  readonly id: number;
  readonly method: Method;
  readonly args: Uint8Array[];
}

type Value = string | boolean | Uint8Array | Decapsulated | undefined;

export type Answer =
  | { readonly id: number; readonly value: Value }
  | { readonly id: number; readonly code: IbcErrorCode | undefined; readonly message: string };

const { backend, limits } = workerData as WorkerData;
const arithmetic = createArithmetic(backend);
const engine = new LocalSakkeEngine(arithmetic, limits);
const port = parentPort!;

port.on('message', (task: Task) => void answer(task));

async function answer({ id, method, args }: Task): Promise<void> {
  let reply: Answer;
  try {
    reply = { id, value: await METHODS[method](args) };
  } catch (error) {
    const code = error instanceof IbcError ? error.code : undefined;
    reply = { id, code, message: error instanceof Error ? error.message : 'the task failed' };
  } finally {
    zero(...args);
  }
  port.postMessage(reply, transferable(reply));
}

const METHODS: Record<Method, (args: Uint8Array[]) => Promise<Value> | Value> = {
  start: () => {
    // Builds the tables of P and g, so that the first request does not wait for them
    arithmetic.mulBase(Uint8Array.of(1));
    arithmetic.gPow(Uint8Array.of(1));
    return arithmetic.name;
  },
  encapsulate: ([zT, b, ssv]) => engine.encapsulate(zT!, b!, ssv!),
  decapsulate: ([zT, b, rsk, sed]) => engine.decapsulate(zT!, b!, rsk!, sed!),
  extractRsk: ([masterSecret, id]) => engine.extractRsk(masterSecret!, id!),
  validateRsk: ([zT, id, rsk]) => engine.validateRsk(zT!, id!, rsk!),
  validatePublicKey: ([zT]) => engine.validatePublicKey(zT!),
  prepare: async ([rsk]) => {
    await engine.prepare(rsk!);
    return undefined;
  },
  forget: async ([rsk]) => {
    await engine.forget(rsk!);
    return undefined;
  },
  close: async () => {
    await engine.close();
    port.close(); // nothing else keeps the thread alive
    return undefined;
  },
};

/** Octets go back as moved memory; those that are a view of something larger are copied. */
function transferable(reply: Answer): ArrayBuffer[] {
  if (!('value' in reply) || typeof reply.value !== 'object') return [];
  const octets = reply.value instanceof Uint8Array ? reply.value : reply.value.ssv;
  return octets.buffer instanceof ArrayBuffer && octets.byteLength === octets.buffer.byteLength ? [octets.buffer] : [];
}
