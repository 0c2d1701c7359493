import type { Calls } from '../dialog/calls.ts';
import type { SipMessage } from '../message/index.ts';
import { forwardInDialog, isForUsAsProxy } from '../proxy/in-dialog.ts';
import type { CompletedTransaction } from '../transaction/final-responses.ts';
import type { InviteServerUser } from '../transaction/invite-server.ts';
import { serverKey } from '../transaction/keys.ts';
import type { ServerTransaction } from '../transaction/transactions.ts';
import type { Flow } from '../transport/index.ts';
import { answer } from './answer.ts';
import type { Core } from './core.ts';
import type { Uas } from './uas.ts';

/** Methods that are passed up outside dialogs (contract, section 4). */
const PASSED_UP: ReadonlySet<string> = new Set(
  'INVITE REGISTER MESSAGE OPTIONS INFO NOTIFY SUBSCRIBE PUBLISH'.split(' '),
);
/** Methods that make no sense without their dialog or transaction. */
const NEEDS_DIALOG: ReadonlySet<string> = new Set(['BYE', 'UPDATE', 'PRACK']);
/** What a CANCEL may be for: its branch is that of any of these. */
const CANCELLED: readonly string[] = [...PASSED_UP, ...NEEDS_DIALOG, 'REFER'];
/** The sofia of drachtio-server takes no longer body (contract, section 4). */
const STRICT_BODY = 8_192;

/** Decides where a message from the network belongs: transaction, dialog, proxy or application. */
export class Dispatcher {
  readonly #core: Core;
  readonly #calls: Calls;
  readonly #uas: Uas;

  constructor(core: Core, calls: Calls, uas: Uas) {
    this.#core = core;
    this.#calls = calls;
    this.#uas = uas;
  }

  receive(message: SipMessage, flow: Flow): void {
    if (message.isRequest) this.#request(message, flow);
    else if (!this.#core.transactions.receiveResponse(message, flow)) {
      this.#core.log('debug', `${message.status} ${message.callId}: no transaction awaits it`);
    }
  }

  #request(request: SipMessage, flow: Flow): void {
    const { transactions, dialogs } = this.#core;
    const { method } = request;
    const known = transactions.findServer(serverKey(request));
    if (known !== undefined) {
      const newAck = method === 'ACK' && known.kind === 'invite-server' && known.state === 'accepted';
      if (!newAck) {
        if (method !== 'ACK') known.retransmission();
        else if (known.kind === 'invite-server') known.acknowledged();
        return;
      }
    }
    if (method === 'CANCEL') {
      this.#cancel(request, flow);
      return;
    }
    if (this.#refusedInStrictMode(request, flow)) return;
    const dialog = dialogs.match(request);
    if (dialog !== undefined) this.#calls.receive(dialog, request, flow);
    else if (request.to!.tag !== undefined && isForUsAsProxy(this.#core, request)) {
      forwardInDialog(this.#core, request, flow);
    } else this.#outsideDialog(request, flow);
  }

  /** 9.2: the transaction is found by the branch they share. Only INVITE is cancelled, but whatever is there makes a 200. */
  #cancel(cancel: SipMessage, flow: Flow): void {
    const found = this.#requestOf(cancel);
    const user = found?.kind === 'invite-server' ? found.user : this.#inviteFromElsewhere(cancel);
    if (user !== undefined) user.onCancel(cancel, flow);
    else answer(this.#core, cancel, flow, found === undefined ? 481 : 200);
  }

  #requestOf(cancel: SipMessage): ServerTransaction | CompletedTransaction | undefined {
    for (const method of CANCELLED) {
      const found = this.#core.transactions.findServer(serverKey(cancel, method));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * UAs behind a NAT write another sent-by into CANCEL once they have learnt their address, which 9.1 does not allow and
   * drachtio-server bears: Call-ID, From tag, CSeq and branch tell what they mean.
   */
  #inviteFromElsewhere(cancel: SipMessage): InviteServerUser | undefined {
    const dialog = this.#core.dialogs.findByCallId(cancel.callId!);
    const incoming = dialog === undefined ? undefined : this.#uas.pendingInvite(dialog);
    if (incoming === undefined) return undefined;
    const { via, from, cseq } = incoming.request;
    const same =
      via!.branch !== undefined &&
      via!.branch === cancel.via!.branch &&
      from!.tag === cancel.from!.tag &&
      cseq!.number === cancel.cseq!.number;
    return same ? incoming : undefined;
  }

  #outsideDialog(request: SipMessage, flow: Flow): void {
    const { method } = request;
    if (method === 'ACK') return;
    if (NEEDS_DIALOG.has(method) || (method === 'INVITE' && request.to!.tag !== undefined)) {
      answer(this.#core, request, flow, 481);
    } else if (method === 'REGISTER' && request.contacts === '*' && Number(request.get('expires') ?? 0) !== 0) {
      answer(this.#core, request, flow, 400);
    } else if (PASSED_UP.has(method)) this.#uas.receive(request, flow);
    else if (!this.#core.strict) this.#unusual(request, flow);
    // Strict: drachtio-server drops REFER outside dialogs and unknown methods without a word (section 4).
    else this.#core.log('info', `${method} ${request.callId}: dropped, as drachtio-server does`);
  }

  /** REFER outside a dialog goes up; a method that no application serves is not allowed (8.2.1). */
  #unusual(request: SipMessage, flow: Flow): void {
    if (request.method === 'REFER' || this.#uas.serves(request.method)) this.#uas.receive(request, flow);
    else {
      const allow = [...PASSED_UP, 'ACK', 'CANCEL', ...NEEDS_DIALOG].join(', ');
      answer(this.#core, request, flow, 405, { headers: [['Allow', allow]] });
    }
  }

  #refusedInStrictMode(request: SipMessage, flow: Flow): boolean {
    const { body, method } = request;
    if (!this.#core.strict || body.length === 0) return false;
    if (body.length <= STRICT_BODY && !body.includes(0)) return false;
    if (method !== 'ACK') answer(this.#core, request, flow, 400);
    this.#core.log('info', `${method} ${request.callId}: body refused, as drachtio-server does`);
    return true;
  }
}
