/**
 * The messages of all actors as one sequence of arrows. Each arrow joins the sender's and the receiver's record of one
 * message where both were seen, and stands for one end's word where only one was.
 *
 * Order is causal: an actor's own order is kept, and nothing is received before it was sent; between what neither
 * rule orders, time decides, corrected by the clock offsets that the control interface measured.
 */
import { createHash } from 'node:crypto';
import { httpMethod, sipHead, summary } from './describe.ts';
import type { InterfaceName, MessageRecord, Protocol } from './record.ts';

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly interface: InterfaceName;
  readonly protocol: Protocol;
  readonly summary: string;
  readonly sent?: MessageRecord;
  readonly received?: MessageRecord;
  /** Milliseconds since 1970 on the runner's clock: when sent, or when received if the sender said nothing. */
  readonly time: number;
  /** Number of the step during which it was seen. */
  readonly step: string;
}

/** What request, answer and events of one HTTP exchange have in common at both ends; undefined where that is not told. */
export const exchangeOf = ({ correlation }: MessageRecord): string | undefined => correlation?.split('/', 1)[0];

type Waiter = { matches: (record: MessageRecord) => boolean; resolve: (record: MessageRecord) => void };

export class Trace {
  readonly #records: MessageRecord[] = [];
  /** Where each SIP message was seen already, and the records that only tell of it again. */
  readonly #seen = new Set<string>();
  readonly #repeats = new WeakSet<MessageRecord>();
  /** The step during which each record was seen. */
  readonly #steps: string[] = [];
  readonly #waiters = new Set<Waiter>();
  /** Milliseconds that an actor's clock is ahead of the runner's. */
  readonly #offsets = new Map<string, number>();
  #step = '';

  readonly #kindOf: (actor: string) => string;
  readonly #earlier: ReadonlySet<string>;

  /**
   * @param kindOf tells an actor's kind from its instance name (`ue-bob` → `ue`), since peers are reported by kind
   * @param earlier exchanges (see {@link exchangeOf}) that began before the trace: what comes late of them is no part of it
   */
  constructor(kindOf: (actor: string) => string = (actor) => actor, earlier: ReadonlySet<string> = new Set()) {
    this.#kindOf = kindOf;
    this.#earlier = earlier;
  }

  get records(): readonly MessageRecord[] {
    return this.#records;
  }

  get offsets(): ReadonlyMap<string, number> {
    return this.#offsets;
  }

  /** Records from now on belong to this step. */
  enterStep(step: string): void {
    this.#step = step;
  }

  setOffset(actor: string, aheadMs: number): void {
    this.#offsets.set(actor, aheadMs);
  }

  /** Whether the record is of a retransmission: the same octets at the same place as before (RFC 3261 17). */
  isRepeat(record: MessageRecord): boolean {
    return this.#repeats.has(record);
  }

  add(record: MessageRecord): void {
    if (this.#earlier.has(exchangeOf(record) ?? '')) return;
    this.#records.push(record);
    this.#steps.push(this.#step);
    if (record.protocol === 'sip') {
      const octets = createHash('sha256').update(record.bytes).digest('base64');
      const place = `${record.actor} ${record.direction} ${record.interface} ${octets}`;
      if (this.#seen.has(place)) {
        this.#repeats.add(record);
        return;
      }
      this.#seen.add(place);
    }
    for (const waiter of this.#waiters) {
      if (!waiter.matches(record)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(record);
    }
  }

  /** Resolves with the first record that matches and is no repeat, seen already (from record `since` on) or yet to come. The caller bounds the wait. */
  next(matches: (record: MessageRecord) => boolean, signal: AbortSignal, since = 0): Promise<MessageRecord> {
    const seen = this.#records.find((record, i) => i >= since && !this.isRepeat(record) && matches(record));
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { matches, resolve };
      this.#waiters.add(waiter);
      signal.addEventListener(
        'abort',
        () => {
          this.#waiters.delete(waiter);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  /** All arrows so far, in causal order. */
  arrows(): Arrow[] {
    return this.#inCausalOrder(this.#paired());
  }

  #paired(): Arrow[] {
    const open = new Map<string, MutableArrow>();
    const occurrences = new Map<string, number>();
    const arrows: MutableArrow[] = [];
    const methods = this.#httpMethods();
    for (const [i, record] of this.#records.entries()) {
      const step = this.#steps[i]!;
      const name = this.#nameOf(record);
      const count = `${record.actor}|${record.direction}|${name}`;
      const nth = occurrences.get(count) ?? 0;
      occurrences.set(count, nth + 1);
      const key = `${name}|${nth}`;
      const time = record.time - (this.#offsets.get(record.actor) ?? 0);
      const arrow = open.get(key);
      if (arrow !== undefined && arrow[record.direction] === undefined) {
        arrow[record.direction] = record;
        if (record.direction === 'sent') Object.assign(arrow, { from: record.actor, time });
        else arrow.to = record.actor;
        continue;
      }
      const sent = record.direction === 'sent';
      const fresh: MutableArrow = {
        from: sent ? record.actor : record.peer,
        to: sent ? record.peer : record.actor,
        interface: record.interface,
        protocol: record.protocol,
        summary: summary(record, methods.get(exchangeOf(record) ?? '')),
        [record.direction]: record,
        time,
        step,
      };
      open.set(key, fresh);
      arrows.push(fresh);
    }
    return arrows;
  }

  /** Exchange → method of its request. */
  #httpMethods(): Map<string, string> {
    const methods = new Map<string, string>();
    for (const record of this.#records) {
      if (record.protocol !== 'http') continue;
      const [exchange, method] = [exchangeOf(record), httpMethod(record.bytes)];
      if (exchange !== undefined && method !== undefined) methods.set(exchange, method);
    }
    return methods;
  }

  /** What names one message alike at both ends. */
  #nameOf(record: MessageRecord): string {
    const sender = this.#kindOf(record.direction === 'sent' ? record.actor : record.peer);
    const line = `${record.interface}|${sender}`;
    if (record.correlation !== undefined) return `${line}|${record.correlation}`;
    if (record.protocol === 'sip') {
      const head = sipHead(record.bytes);
      return `${line}|${head.callId}|${head.cseq}|${head.status ?? head.method}`;
    }
    return `${line}|${createHash('sha256').update(record.bytes).digest('base64')}`;
  }

  /** Kahn's algorithm; of all arrows whose predecessors are out, the earliest goes next. */
  #inCausalOrder(arrows: Arrow[]): Arrow[] {
    const before = new Map<Arrow, Set<Arrow>>(arrows.map((a) => [a, new Set()]));
    const perActor = new Map<string, { sequence: number; arrow: Arrow }[]>();
    for (const arrow of arrows) {
      for (const record of [arrow.sent, arrow.received]) {
        if (record === undefined) continue;
        const list = perActor.get(record.actor) ?? [];
        list.push({ sequence: record.sequence, arrow });
        perActor.set(record.actor, list);
      }
    }
    for (const list of perActor.values()) {
      list.sort((a, b) => a.sequence - b.sequence);
      for (let i = 1; i < list.length; i++) {
        if (list[i]!.arrow !== list[i - 1]!.arrow) before.get(list[i]!.arrow)!.add(list[i - 1]!.arrow);
      }
    }
    const waiting = new Set(arrows.toSorted((a, b) => a.time - b.time));
    const ordered: Arrow[] = [];
    while (waiting.size > 0) {
      let next: Arrow | undefined;
      for (const arrow of waiting) {
        if ([...before.get(arrow)!].every((b) => !waiting.has(b))) {
          next = arrow;
          break;
        }
      }
      // Two actors that report the same two messages in opposite orders (crossing messages) make a cycle: time decides.
      next ??= waiting.values().next().value!;
      waiting.delete(next);
      ordered.push(next);
    }
    return ordered;
  }
}

type MutableArrow = { -readonly [K in keyof Arrow]: Arrow[K] };
