import { randomBytes } from 'node:crypto';
import type { Timer, TimerOwner, TimerWheel } from '../timers.ts';
import { TRANSACTION_LIFETIME } from './constants.ts';
import type { Path } from './context.ts';

/** Octets of a chunk: a few hundred responses; a larger response gets a chunk of its own size. */
const CHUNK = 256 * 1024;
const FEWEST_BUCKETS = 1024;
const NONE = -1;

/** A record: when timer J fires, the record before it in its bucket, and then hash, path, two lengths, key, response. */
const DUE = 0;
const PREVIOUS = 8;
const HASH = 16;
const PATH = 20;
const KEY_LENGTH = 24;
const RESPONSE_LENGTH = 28;
const HEAD = 32;

interface Chunk {
  readonly octets: Buffer;
  /** Octets taken by records. */
  used: number;
  /** The ways of its records; those that follow one another on the same way share it. */
  readonly paths: Path[];
}

interface Index {
  /** For each bucket the address of its youngest record. */
  readonly buckets: Float64Array;
  /** Address of the first record in this index; those before are in the one before. */
  readonly from: number;
}

/** What is left of a non-INVITE server transaction in state completed. */
export interface CompletedTransaction {
  readonly kind: 'non-invite-server';
  readonly state: 'completed';
  /** The request again, from the wire: the final response again. */
  retransmission(): void;
}

/**
 * Non-INVITE server transactions in state completed (RFC 3261 17.2.2), of which nothing is needed any more but the final
 * response, for whenever the request comes again. At thousands of requests a second hundreds of thousands wait here for
 * timer J, so they are no objects, which the garbage collector would have to copy and trace, but records of octets.
 *
 * Timer J is the same for all: the log is written at one end and forgotten at the other. Records lie one after another
 * in chunks, and an address is serial number of chunk * CHUNK + offset, so that younger ones have higher addresses. A
 * bucket of an index holds the address of its youngest record, each record that of the one before it; an address below
 * the oldest record's ends the chain, so that forgetting a record is no more than moving on. When there are more records
 * than buckets, those to come go into an index of twice the size: nothing is ever moved, which would take milliseconds.
 */
export class FinalResponses implements TimerOwner<'J'> {
  readonly #wheel: TimerWheel;
  /** The oldest first. */
  #chunks: Chunk[] = [];
  /** Serial number of the first chunk. */
  #serial = 0;
  /** Address of the oldest record. */
  #oldest = 0;
  #size = 0;
  /** The oldest first; it is dropped when all its records are. */
  #indexes = [emptyIndex(FEWEST_BUCKETS, 0)];
  /** The octets of the chunk last given up, for the next one. */
  #spare: Buffer | undefined;
  /** One for all, set for the oldest. */
  #timer: Timer | undefined;
  /** Unknown to peers, who choose the keys: they cannot put all of them into one bucket. */
  readonly #seed = randomBytes(4).readInt32LE();

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  /** Responses remembered. */
  get size(): number {
    return this.#size;
  }

  /** Octets of memory held, outside the heap of JavaScript. */
  get octets(): number {
    const chunks = this.#chunks.reduce((sum, { octets }) => sum + octets.length, this.#spare?.length ?? 0);
    return this.#indexes.reduce((sum, { buckets }) => sum + buckets.byteLength, chunks);
  }

  /** Remembers a response for timer J. `key`: that of the transaction, a byte string; the octets are copied. */
  add(key: string, path: Path, response: Buffer): void {
    const length = HEAD + key.length + response.length;
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used + length > chunk.octets.length) chunk = this.#open(length);
    if (chunk.paths.at(-1)?.to !== path.to) chunk.paths.push(path);
    const { octets, used: at } = chunk;
    const hash = this.#hash(key);
    octets.writeDoubleLE(this.#wheel.now + TRANSACTION_LIFETIME, at + DUE);
    octets.writeInt32LE(hash, at + HASH);
    octets.writeUInt32LE(chunk.paths.length - 1, at + PATH);
    octets.writeUInt32LE(key.length, at + KEY_LENGTH);
    octets.writeUInt32LE(response.length, at + RESPONSE_LENGTH);
    octets.write(key, at + HEAD, 'latin1');
    response.copy(octets, at + HEAD + key.length);
    chunk.used += length;
    const address = (this.#serial + this.#chunks.length - 1) * CHUNK + at;
    const buckets = this.#bucketsFor(address);
    const bucket = hash & (buckets.length - 1);
    octets.writeDoubleLE(buckets[bucket]!, at + PREVIOUS);
    buckets[bucket] = address;
    this.#size++;
    if (this.#size === 1) this.#timer = this.#wheel.set(this, 'J', TRANSACTION_LIFETIME);
  }

  /** The completed transaction with this key, if timer J has not fired. */
  find(key: string): CompletedTransaction | undefined {
    if (this.#size === 0) return undefined;
    const hash = this.#hash(key);
    for (let i = this.#indexes.length - 1; i >= 0; i--) {
      const { buckets } = this.#indexes[i]!;
      for (let address = buckets[hash & (buckets.length - 1)]!; address >= this.#oldest; ) {
        const chunk = this.#chunkAt(address);
        const at = address % CHUNK;
        if (isRecordOf(chunk, at, hash, key)) return completed(chunk, at);
        address = chunk.octets.readDoubleLE(at + PREVIOUS);
      }
    }
    return undefined;
  }

  /** Forgets all and gives the memory back. */
  clear(): void {
    this.#wheel.clear(this.#timer);
    this.#chunks = [];
    this.#serial = 0;
    this.#oldest = 0;
    this.#size = 0;
    this.#indexes = [emptyIndex(FEWEST_BUCKETS, 0)];
    this.#spare = undefined;
  }

  onTimer(): void {
    const { now } = this.#wheel;
    while (this.#size > 0) {
      const { octets } = this.#chunks[0]!;
      const due = octets.readDoubleLE((this.#oldest % CHUNK) + DUE);
      if (due > now) {
        this.#timer = this.#wheel.set(this, 'J', due - now);
        return;
      }
      this.#oldest = this.#after(this.#oldest);
      this.#size--;
      for (; this.#serial < Math.floor(this.#oldest / CHUNK); this.#serial++)
        this.#spare = this.#chunks.shift()!.octets;
      while (this.#indexes.length > 1 && this.#indexes[1]!.from <= this.#oldest) this.#indexes.shift();
    }
    this.clear();
  }

  #open(length: number): Chunk {
    const fits = length <= CHUNK && this.#spare?.length === CHUNK;
    const octets = fits ? this.#spare! : Buffer.allocUnsafeSlow(Math.max(length, CHUNK));
    this.#spare = undefined;
    const chunk = { octets, used: 0, paths: [] };
    this.#chunks.push(chunk);
    return chunk;
  }

  #chunkAt(address: number): Chunk {
    return this.#chunks[Math.floor(address / CHUNK) - this.#serial]!;
  }

  /** The address behind a record, at which the next one lies if there is one. */
  #after(address: number): number {
    const { octets, used } = this.#chunkAt(address);
    const at = address % CHUNK;
    const end = at + HEAD + octets.readUInt32LE(at + KEY_LENGTH) + octets.readUInt32LE(at + RESPONSE_LENGTH);
    return end < used ? address - at + end : (Math.floor(address / CHUNK) + 1) * CHUNK;
  }

  /** The buckets for a new record at this address. */
  #bucketsFor(address: number): Float64Array {
    const { buckets } = this.#indexes.at(-1)!;
    if (this.#size < buckets.length) return buckets;
    const wider = emptyIndex(buckets.length * 2, address);
    this.#indexes.push(wider);
    return wider.buckets;
  }

  #hash(key: string): number {
    let hash = this.#seed;
    for (let i = 0; i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
      hash ^= hash >>> 15;
    }
    return hash;
  }
}

function isRecordOf({ octets }: Chunk, at: number, hash: number, key: string): boolean {
  if (octets.readInt32LE(at + HASH) !== hash) return false;
  const length = octets.readUInt32LE(at + KEY_LENGTH);
  return length === key.length && octets.toString('latin1', at + HEAD, at + HEAD + length) === key;
}

function completed({ octets, paths }: Chunk, at: number): CompletedTransaction {
  const from = at + HEAD + octets.readUInt32LE(at + KEY_LENGTH);
  const response = Buffer.from(octets.subarray(from, from + octets.readUInt32LE(at + RESPONSE_LENGTH)));
  const path = paths[octets.readUInt32LE(at + PATH)]!;
  return { kind: 'non-invite-server', state: 'completed', retransmission: () => path.send(response) };
}

function emptyIndex(count: number, from: number): Index {
  return { buckets: new Float64Array(count).fill(NONE), from };
}
