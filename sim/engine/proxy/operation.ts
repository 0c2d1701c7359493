import { answer } from '../core/answer.ts';
import type { Core } from '../core/core.ts';
import { viaValue } from '../core/requests.ts';
import { type Address, buildResponse, type HeaderLine, parseUri, type SipMessage } from '../message/index.ts';
import type { InviteServerUser } from '../transaction/invite-server.ts';
import type { ServerTransaction } from '../transaction/transactions.ts';
import type { Flow } from '../transport/index.ts';
import { bestResponse } from './best-response.ts';
import { Branch, type BranchOwner } from './branch.ts';
import { addressStrictRouter, forwardedRequest, hopOf, hopOfRequest } from './forwarded-request.ts';

export interface ProxyOptions {
  readonly remainInDialog: boolean;
  readonly followRedirects: boolean;
  readonly simultaneous: boolean;
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  readonly targets: readonly string[];
  readonly extra: readonly HeaderLine[];
}

/** Who wants to know how a proxied request fares. */
export interface ProxyObserver {
  /** Each final response of a branch, a 2xx the last. */
  final(response: SipMessage, branch: Branch, flow: Flow | undefined): void;
  /** Nothing further will be told. */
  done(): void;
}

/** A redirect may lead to this many further targets in all, so that two servers cannot keep us busy for ever. */
const MOST_TARGETS = 32;

/**
 * A stateful proxy's work on one request (RFC 3261 16): a server transaction on one side, branches on the other.
 *
 * ```
 *   start --> hunting --2xx, 6xx: CANCEL the rest--> settling --all branches done--> finished
 *                |                                                                      ^
 *                +--- all branches done: best response (16.7 step 6) -------------------+
 * ```
 */
export class ProxyOperation implements InviteServerUser, BranchOwner {
  readonly #core: Core;
  readonly #request: SipMessage;
  readonly #flow: Flow;
  readonly #transaction: ServerTransaction;
  readonly #options: ProxyOptions;
  readonly #observer: ProxyObserver | undefined;
  readonly #waiting: string[];
  readonly #tried = new Set<string>();
  readonly #branches: Branch[] = [];
  readonly #failures: SipMessage[] = [];
  #state: 'hunting' | 'settling' | 'finished' = 'hunting';
  #answered = false;
  #concluded = false;

  constructor(
    core: Core,
    request: SipMessage,
    flow: Flow,
    transaction: ServerTransaction,
    options: ProxyOptions,
    observer?: ProxyObserver,
  ) {
    this.#core = core;
    this.#request = request;
    this.#flow = flow;
    this.#transaction = transaction;
    this.#options = options;
    this.#observer = observer;
    this.#waiting = [...options.targets];
    if (transaction.kind === 'invite-server') transaction.user = this;
  }

  /** Sends to the first target, or to all. */
  start(): void {
    this.#next();
  }

  /** Sends a request that is ready to leave but for its Via: one inside a dialog, which keeps its Route. */
  startPrepared(request: SipMessage): void {
    const hop = hopOfRequest(this.#core, request);
    if (hop === undefined) {
      this.#settle(this.#made(500));
      return;
    }
    addressStrictRouter(request);
    const branchId = this.#core.ids.branch();
    request.insertFirst('via', viaValue(hop.point, branchId));
    const branch = new Branch(this.#core, this, request.requestUri, request, hop);
    this.#branches.push(branch);
    branch.start(branchId, undefined, undefined);
  }

  /** The caller's CANCEL: answered here, and sent on to every branch (16.10). */
  onCancel(cancel: SipMessage, flow: Flow): void {
    answer(this.#core, cancel, flow, 200);
    this.#waiting.length = 0;
    this.#cancelRest();
    if (this.#state === 'hunting') this.#state = 'settling';
  }

  provisional(_branch: Branch, response: SipMessage): void {
    if (!this.#answered) this.#forward(upstream(response));
  }

  final(branch: Branch, response: SipMessage, flow: Flow | undefined): void {
    if (!this.#concluded) this.#observer?.final(response, branch, flow);
    if (response.status < 300) {
      // Every 2xx to INVITE goes up (16.7 step 5); of other requests the first one only.
      if (!this.#answered || this.#request.method === 'INVITE') this.#forward(upstream(response));
      this.#answered = true;
      this.#stopHunting();
      this.#conclude();
    } else if (this.#options.followRedirects && response.status < 400 && this.#state === 'hunting') {
      if (!this.#redirect(response)) this.#failures.push(upstream(response));
    } else {
      this.#failures.push(upstream(response));
      if (response.status >= 600) this.#stopHunting();
    }
    this.#next();
  }

  /** A 2xx decides; as with drachtio-server, the observer need not wait for targets that say nothing to their CANCEL. */
  #conclude(): void {
    if (this.#concluded) return;
    this.#concluded = true;
    this.#observer?.done();
  }

  #stopHunting(): void {
    if (this.#state === 'hunting') this.#state = 'settling';
    this.#waiting.length = 0;
    this.#cancelRest();
  }

  #cancelRest(): void {
    for (const branch of this.#branches) if (!branch.done) branch.cancel();
  }

  /** @returns false if the response names no target that was not tried already (16.7 step 4). */
  #redirect(response: SipMessage): boolean {
    const { contacts } = response;
    if (contacts === '*') return false;
    const fresh = contacts
      .toSorted((a, b) => preference(b) - preference(a))
      .map((contact) => contact.uri)
      .filter((uri) => !this.#tried.has(uri) && this.#tried.size + this.#waiting.length < MOST_TARGETS);
    this.#waiting.unshift(...fresh);
    return fresh.length > 0;
  }

  #next(): void {
    while (this.#waiting.length > 0 && (this.#options.simultaneous || this.#branches.every((branch) => branch.done))) {
      this.#open(this.#waiting.shift()!);
    }
    if (this.#waiting.length === 0 && this.#branches.every((branch) => branch.done)) this.#finish();
  }

  #open(target: string): void {
    this.#tried.add(target);
    const hop = hopOf(this.#core, parseUri(target));
    if (hop === undefined) {
      this.#failures.push(this.#made(503));
      return;
    }
    const branchId = this.#core.ids.branch();
    const request = forwardedRequest(this.#core, this.#request, {
      target,
      extra: this.#options.extra,
      remainInDialog: this.#options.remainInDialog,
      branch: branchId,
      hop,
      arrived: this.#core.local.pointFor(this.#flow),
    });
    const branch = new Branch(this.#core, this, target, request, hop);
    this.#branches.push(branch);
    branch.start(branchId, this.#options.provisionalMs, this.#options.finalMs);
  }

  #finish(): void {
    if (this.#state === 'finished') return;
    this.#state = 'finished';
    if (!this.#answered) {
      const best = bestResponse(this.#failures);
      // 16.7 step 6: a 503 would say of this proxy that it serves nobody, when it is only one target that does not.
      if (best === undefined || best.status === 503) this.#settle(this.#made(best === undefined ? 480 : 500));
      else this.#settle(best);
    }
    this.#conclude();
  }

  /** A response of this proxy's own. */
  #made(status: number): SipMessage {
    return buildResponse(this.#request, status, undefined, { toTag: this.#core.ids.tag() });
  }

  #settle(response: SipMessage): void {
    this.#answered = true;
    this.#forward(response);
  }

  #forward(response: SipMessage): void {
    this.#transaction.respond(response.status, response.serialise());
    const { method } = this.#request;
    if (response.status < 200 || response.status >= 300 || (method !== 'REGISTER' && method !== 'SUBSCRIBE')) return;
    this.#core.flows.learn(this.#request, response, this.#flow);
  }
}

/** The q of a Contact, 1 where it has none (16.6; equal ones stay in their order). */
function preference(contact: Address): number {
  const q = Number(contact.params.get('q') ?? 1);
  return Number.isFinite(q) ? q : 1;
}

/** 16.7 step 3: our Via comes off, the rest goes back the way the request came. */
function upstream(response: SipMessage): SipMessage {
  const copy = response.clone();
  copy.removeTop('via');
  return copy;
}
