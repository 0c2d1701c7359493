import type { Clock, TimerHandle } from './clock.ts';

/** Width of a tick in milliseconds: no SIP timer (RFC 3261 table 4) needs a finer one. */
const TICK_MS = 10;
/** Slots of the wheel; one turn (40.96 s) holds 64*T1, so that a timer is seldom looked at before it is due. */
const SLOTS = 4096;

/** Whoever owns timers: one method for all of them, so that no timer needs a closure of its own. */
export interface TimerOwner<Name extends string = string> {
  onTimer(name: Name): void;
}

/** A pending timer, a node of its slot's ring. Opaque to its owner, who keeps it to clear it. */
export class Timer {
  /** The tick at which it fires; -1 once it has fired or was cleared. */
  tick = -1;
  previous: Timer = this;
  next: Timer = this;
  readonly owner: TimerOwner;
  readonly name: string;

  constructor(owner: TimerOwner, name: string) {
    this.owner = owner;
    this.name = name;
  }
}

const NOBODY: TimerOwner = { onTimer: () => undefined };

/**
 * All timers of an engine on one hashed wheel: setting and clearing cost the same however many are pending, and a
 * single timer of the {@link Clock} is armed, for the next tick at which anything is due. Timers of one tick fire in
 * the order in which they were set; none fires early.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #start: number;
  readonly #slots: Timer[];
  readonly #onError: (error: unknown) => void;
  /** The last tick whose timers have fired. */
  #current = 0;
  #pending = 0;
  #armed: TimerHandle | undefined;
  #armedTick = Number.POSITIVE_INFINITY;
  #stopped = false;

  /** @param onError receives what a timer's owner throws: one broken owner must not stop the wheel. */
  constructor(clock: Clock, onError: (error: unknown) => void = () => undefined) {
    this.#clock = clock;
    this.#start = clock.now();
    this.#onError = onError;
    this.#slots = Array.from({ length: SLOTS }, () => new Timer(NOBODY, ''));
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#pending;
  }

  /** The time by which timers are set, in milliseconds. */
  get now(): number {
    return this.#clock.now();
  }

  /** Calls `owner.onTimer(name)` once, `delayMs` milliseconds from now or up to one tick later. */
  set<Name extends string>(owner: TimerOwner<Name>, name: Name, delayMs: number): Timer {
    const timer = new Timer(owner as TimerOwner, name);
    if (this.#stopped) return timer;
    const due = Math.ceil((this.#clock.now() - this.#start + delayMs) / TICK_MS);
    timer.tick = Math.max(due, this.#current + 1);
    const ring = this.#slots[timer.tick % SLOTS]!;
    timer.previous = ring.previous;
    timer.next = ring;
    ring.previous.next = timer;
    ring.previous = timer;
    this.#pending++;
    if (timer.tick < this.#armedTick) this.#arm(timer.tick);
    return timer;
  }

  /** Takes a timer back; does nothing for one that has fired or for `undefined`. */
  clear(timer: Timer | undefined): void {
    if (timer === undefined || timer.tick === -1) return;
    this.#unlink(timer);
    if (this.#pending === 0) this.#disarm();
  }

  /** Drops every pending timer, and takes no more. */
  stop(): void {
    this.#stopped = true;
    this.#disarm();
    for (const ring of this.#slots) while (ring.next !== ring) this.#unlink(ring.next);
  }

  #unlink(timer: Timer): void {
    timer.previous.next = timer.next;
    timer.next.previous = timer.previous;
    // One that has grown old must not keep its former neighbours, with all that they own, for the garbage collector.
    timer.previous = timer;
    timer.next = timer;
    timer.tick = -1;
    this.#pending--;
  }

  #arm(tick: number): void {
    this.#armed?.cancel();
    this.#armedTick = tick;
    const delay = this.#start + tick * TICK_MS - this.#clock.now();
    this.#armed = this.#clock.setTimer(Math.max(0, delay), this.#turn);
  }

  #disarm(): void {
    this.#armed?.cancel();
    this.#armed = undefined;
    this.#armedTick = Number.POSITIVE_INFINITY;
  }

  readonly #turn = (): void => {
    this.#armed = undefined;
    this.#armedTick = Number.POSITIVE_INFINITY;
    const now = Math.floor((this.#clock.now() - this.#start) / TICK_MS);
    if (now - this.#current >= SLOTS) this.#fireOverdue(now);
    while (this.#current < now && this.#pending > 0) {
      this.#current++;
      this.#fireSlot(this.#current);
    }
    this.#current = Math.max(this.#current, now);
    this.#armNext();
  };

  #fireSlot(tick: number): void {
    const ring = this.#slots[tick % SLOTS]!;
    for (let timer = ring.next; timer !== ring; ) {
      const { next } = timer;
      if (timer.tick === tick) {
        this.#fire(timer);
        // The owner may have cleared the neighbour: begin again, what has fired is gone.
        timer = next.tick === -1 && next !== ring ? ring.next : next;
      } else timer = next;
    }
  }

  /** After a pause longer than a turn (a suspended machine) slots hold several turns' timers: fire in order of time. */
  #fireOverdue(now: number): void {
    const overdue: Timer[] = [];
    for (const ring of this.#slots) {
      for (let timer = ring.next; timer !== ring; timer = timer.next) if (timer.tick <= now) overdue.push(timer);
    }
    this.#current = now;
    for (const timer of overdue.sort((a, b) => a.tick - b.tick)) if (timer.tick !== -1) this.#fire(timer);
  }

  #fire(timer: Timer): void {
    this.#unlink(timer);
    try {
      timer.owner.onTimer(timer.name);
    } catch (error) {
      this.#onError(error);
    }
  }

  #armNext(): void {
    if (this.#pending === 0) return;
    for (let ahead = 1; ahead <= SLOTS; ahead++) {
      const ring = this.#slots[(this.#current + ahead) % SLOTS]!;
      if (ring.next !== ring) {
        this.#arm(this.#current + ahead);
        return;
      }
    }
  }
}
