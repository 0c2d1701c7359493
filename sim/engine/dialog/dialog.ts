import type { AppConnection } from '../control/connection.ts';
import type { AfterTurn } from '../core/after-turn.ts';
import { type Address, parseUri, type SipMessage, type SipUri } from '../message/index.ts';
import type { Timer } from '../timers.ts';
import type { Flow } from '../transport/index.ts';
import type { SessionTimer } from './session-timer.ts';
import type { Unacknowledged } from './unacknowledged.ts';

type Deliver = (frame: () => void) => void;
const AT_ONCE: Deliver = (frame) => frame();

/** RFC 3261 13.2.1, RFC 3262 5, RFC 3311 5.1. */
const BEARS_OFFERS: ReadonlySet<string> = new Set(['INVITE', 'ACK', 'PRACK', 'UPDATE']);

interface Rack {
  readonly rseq: number;
  /** CSeq number of its INVITE. */
  readonly sequence: number;
}

/** One branch of our INVITE: an early dialog of its own (12.1.2), of all that share this one. */
interface Branch {
  readonly remote: string;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  readonly flow: Flow | undefined;
  readonly remoteSequence: number | undefined;
}

export type DialogRole = 'uac' | 'uas';
export type DialogState = 'early' | 'confirmed' | 'terminated';

/**
 * A dialog of RFC 3261 12, made by INVITE or SUBSCRIBE.
 *
 * ```
 *   request sent or received      2xx                    BYE, NOTIFY terminated,
 *   --------------------------> early ----> confirmed    failure of the INVITE
 *                                  |            |
 *                                  +------------+------> terminated
 * ```
 *
 * Its id is the contract's (section 7): `<Call-ID>;from-tag=<tag of the initiator>`. Forks of one INVITE share it: while it
 * is early it turns to the branch that was heard of last.
 */
export class Dialog {
  readonly id: string;
  readonly role: DialogRole;
  readonly method: 'INVITE' | 'SUBSCRIBE';
  readonly callId: string;
  readonly localTag: string;
  /** From or To of our side, tag included, as it stands in messages. */
  readonly local: string;
  /** The application that the dialog belongs to; closed when it has gone. */
  app: AppConnection;
  /** Undefined in a UAC's dialog until a response or NOTIFY brings it. */
  remoteTag: string | undefined;
  remote: string;
  remoteTarget: string;
  /** URIs with parameters as in Record-Route, in the order in which a Route lists them. */
  routeSet: readonly string[] = [];
  localSequence: number;
  remoteSequence: number | undefined;
  /** The flow of the message that made the dialog. */
  flow: Flow | undefined;
  /** Status of the last response to the request that made the dialog, or of the last final one to an INVITE inside it. */
  status = 0;
  /** Repeats the ACK for the last 2xx when the 2xx is repeated (13.2.2.4). */
  repeatAck: (() => void) | undefined;
  /** Our own INVITE awaits its final response (14.1: no second one then). */
  inviteSent = false;
  /** CSeq number of our last INVITE, which its ACK bears too. */
  inviteSequence = 0;
  /** An INVITE of the peer awaits ours. */
  inviteReceived = false;
  /** A 2xx of ours that awaits its ACK. */
  unacknowledged: Unacknowledged | undefined;
  /** Keeps the frames of the dialog's messages in order behind a response that is held back (contract, section 6). */
  deliver: Deliver = AT_ONCE;
  /** Ends a subscription that nobody refreshes, and a call whose application has gone. */
  lapse: Timer | undefined;
  /** Runs while both sides have agreed on a limit to the session (RFC 4028). */
  session: SessionTimer | undefined;
  /** The body with which our side last described the session, and its Content-Type: what a refresh repeats. */
  description: { readonly contentType: string; readonly body: Buffer } | undefined;
  /** The reliable provisional responses received that no PRACK has acknowledged, and the last one. */
  #reliable: { readonly rack: Rack; readonly tag: string | undefined }[] = [];
  #lastReliable: Rack | undefined;
  /** The last RSeq of each branch of our INVITE, by its To tag: each is an early dialog of its own (RFC 3262 4). */
  readonly #rseqs = new Map<string | undefined, number>();
  /** The branches of our INVITE that the dialog is not turned to, by their tag. */
  readonly #others = new Map<string, Branch>();
  #state: DialogState = 'early';

  constructor(init: {
    readonly role: DialogRole;
    readonly method: 'INVITE' | 'SUBSCRIBE';
    readonly callId: string;
    readonly localTag: string;
    readonly remoteTag: string | undefined;
    readonly local: string;
    readonly remote: string;
    readonly remoteTarget: string;
    readonly localSequence: number;
    readonly remoteSequence: number | undefined;
    readonly app: AppConnection;
    readonly flow: Flow | undefined;
  }) {
    this.role = init.role;
    this.method = init.method;
    this.callId = init.callId;
    this.localTag = init.localTag;
    this.remoteTag = init.remoteTag;
    this.local = init.local;
    this.remote = init.remote;
    this.remoteTarget = init.remoteTarget;
    this.localSequence = init.localSequence;
    this.remoteSequence = init.remoteSequence;
    this.app = init.app;
    this.flow = init.flow;
    this.id = dialogId(init.callId, init.role === 'uac' ? init.localTag : (init.remoteTag ?? ''));
  }

  get state(): DialogState {
    return this.#state;
  }

  /** False for a UAC's while no response has named the other side (12.1.2): nothing can be sent in it. */
  get established(): boolean {
    return this.role === 'uas' || this.remoteTag !== undefined || this.#state !== 'early';
  }

  /**
   * Holds the dialog's frames back for a turn: an application that learns by a promise of the 2xx that it sent or got must
   * be able to listen before what comes at its heels (ACK, NOTIFY, BYE) arrives.
   * @param behind delivers the frame that tells of the 2xx, if that is held back itself: the turn begins with it.
   */
  holdForATurn(afterTurn: AfterTurn, behind: Deliver = AT_ONCE): void {
    const held: (() => void)[] = [];
    const deliver: Deliver = (frame) => void held.push(frame);
    this.deliver = deliver;
    const release = (): void => {
      for (const frame of held) frame();
      this.stopHolding(deliver);
    };
    behind(() => afterTurn.run(release));
  }

  /** The frames that `deliver` held back have left. */
  stopHolding(deliver: Deliver): void {
    if (this.deliver === deliver) this.deliver = AT_ONCE;
  }

  /** An INVITE of ours is about to leave with this CSeq number. */
  beginInvite(sequence: number): void {
    this.inviteSent = true;
    this.inviteSequence = sequence;
    this.repeatAck = undefined;
    this.#reliable = [];
    this.#lastReliable = undefined;
    this.#rseqs.clear();
  }

  /** A reliable provisional response has come. @returns false if it is repeated or out of order: discarded (RFC 3262 4). */
  takeReliable(response: SipMessage, rseq: number): boolean {
    const tag = response.to?.tag;
    const last = this.#rseqs.get(tag);
    if (last !== undefined && rseq !== last + 1) return false;
    this.#rseqs.set(tag, rseq);
    const rack = { rseq, sequence: this.inviteSequence };
    this.#lastReliable = rack;
    this.#reliable.push({ rack, tag });
    return true;
  }

  /**
   * A PRACK is about to leave: the dialog turns to the branch of the response that it acknowledges.
   * @param rseq as the application has it; without one the last response is meant.
   * @returns undefined if none was received.
   */
  acknowledgeReliable(rseq: number | undefined): Rack | undefined {
    const at = this.#reliable.findIndex(({ rack }) => rack.rseq === rseq);
    const [found] = at < 0 ? [] : this.#reliable.splice(at, 1);
    if (found?.tag !== undefined) this.turnTo(found.tag);
    return found?.rack ?? this.#lastReliable;
  }

  confirm(): void {
    if (this.#state === 'early') this.#state = 'confirmed';
    this.#others.clear();
  }

  terminate(): void {
    this.#state = 'terminated';
    this.session?.stop();
  }

  /** UAC: what a response to the request that made the dialog says of the other side (12.1.2). */
  learnFromResponse(response: SipMessage, flow: Flow): void {
    const { to, status } = response;
    // 12.1.2: a 2xx makes a dialog without a tag too, as elements of RFC 2543 send it.
    if (to === undefined || (to.tag === undefined && status < 200)) return;
    if (to.tag !== this.remoteTag && !(to.tag !== undefined && this.turnTo(to.tag))) this.#leaveBranch();
    this.remoteTag = to.tag;
    this.remote = response.get('to')!;
    this.flow = flow;
    const routes = response.getAll('record-route');
    if (this.#state === 'early') this.routeSet = routes.reverse();
    this.refreshTarget(response);
  }

  /**
   * UAC: turns an early dialog to the branch with this tag.
   * @returns false if nothing was heard of that branch, or another one has answered finally.
   */
  turnTo(tag: string): boolean {
    if (tag === this.remoteTag) return true;
    const branch = this.#others.get(tag);
    if (branch === undefined) return false;
    this.#leaveBranch();
    this.#others.delete(tag);
    this.remoteTag = tag;
    this.remote = branch.remote;
    this.remoteTarget = branch.remoteTarget;
    this.routeSet = branch.routeSet;
    this.flow = branch.flow;
    this.remoteSequence = branch.remoteSequence;
    return true;
  }

  #leaveBranch(): void {
    const { remoteTag, remote, remoteTarget, routeSet, flow, remoteSequence } = this;
    if (remoteTag !== undefined) this.#others.set(remoteTag, { remote, remoteTarget, routeSet, flow, remoteSequence });
    this.remoteSequence = undefined;
  }

  /** Target refresh (12.2.1.2, 12.2.2): a Contact replaces the remote target. */
  refreshTarget(message: SipMessage): void {
    const { contact } = message;
    if (contact !== undefined) this.remoteTarget = contact.uri;
  }

  /** Keeps the offer or answer of our side that a message bears, if it does; SDP may be one part of a body of several. */
  describe(message: SipMessage): void {
    if (!BEARS_OFFERS.has(message.method)) return;
    const contentType = message.get('content-type') ?? '';
    const { body } = message;
    if (body.length > 0 && /^\s*(application\/sdp|multipart\/)/i.test(contentType)) {
      // A copy: the octets may be a small part of what was read at once, which a long call must not keep.
      this.description = { contentType, body: Buffer.from(body) };
    }
  }

  /**
   * The Request-URI and the Route values of a request in this dialog (12.2.1.1), and the URI of its next hop. A strict
   * router at the top of the route set gets the request addressed to itself.
   */
  routing(): { readonly requestUri: string; readonly routes: readonly string[]; readonly nextHop: SipUri | undefined } {
    const [first, ...rest] = this.routeSet;
    if (first === undefined) {
      return { requestUri: this.remoteTarget, routes: [], nextHop: parseUri(this.remoteTarget) };
    }
    const uri = routeUri(first);
    const nextHop = parseUri(uri);
    if (nextHop === undefined || nextHop.params.has('lr')) {
      return { requestUri: this.remoteTarget, routes: this.routeSet, nextHop };
    }
    return { requestUri: uri, routes: [...rest, `<${this.remoteTarget}>`], nextHop };
  }
}

/** Section 7 of the contract. */
export function dialogId(callId: string, initiatorTag: string): string {
  return `${callId};from-tag=${initiatorTag}`;
}

function routeUri(route: string): string {
  const open = route.indexOf('<');
  return open === -1 ? route : route.slice(open + 1, route.indexOf('>', open));
}

/** The dialog that a request makes at its UAS (12.1.1). */
export function uasDialog(request: SipMessage, localTag: string, app: AppConnection, flow: Flow): Dialog {
  const from: Address = request.from!;
  const to = request.get('to')!;
  const dialog = new Dialog({
    role: 'uas',
    method: request.method === 'INVITE' ? 'INVITE' : 'SUBSCRIBE',
    callId: request.callId!,
    localTag,
    remoteTag: from.tag,
    local: request.to!.tag === undefined ? `${to};tag=${localTag}` : to,
    remote: request.get('from')!,
    remoteTarget: request.contact?.uri ?? from.uri,
    localSequence: 0,
    remoteSequence: request.cseq!.number,
    app,
    flow,
  });
  dialog.routeSet = request.getAll('record-route');
  return dialog;
}
