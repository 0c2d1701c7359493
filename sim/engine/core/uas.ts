import type { AppConnection } from '../control/connection.ts';
import { networkLeader, newRequestLeader, nokLeader, noLeader, responseSentLeader } from '../control/leaders.ts';
import type { Routes } from '../control/routes.ts';
import { type Dialog, uasDialog } from '../dialog/dialog.ts';
import { buildResponse, type SipMessage } from '../message/index.ts';
import { Table } from '../table.ts';
import { serverKey } from '../transaction/keys.ts';
import type { Flow } from '../transport/index.ts';
import { answer } from './answer.ts';
import type { Core } from './core.ts';
import { type IncomingHandler, IncomingRequest, metaOf } from './incoming.ts';
import { ResponsePath } from './paths.ts';
import { buildAppResponse } from './responses.ts';

/** drachtio-server forgets a request that its application left alone for so long (contract, section 3). */
const APP_PATIENCE_MS = 64_000;

const UNKNOWN_TRANSACTION = 'Response not sent due to unknown transaction';

/** What the UAS core needs of those that mind dialogs. */
export interface UasDialogs {
  /** A 2xx to INVITE went out: repeat it until the ACK comes. */
  successSent(incoming: IncomingRequest, dialog: Dialog, response: SipMessage): void;
  /**
   * A provisional response that wants PRACK: `sent` is called, or `dropped` if a final response goes before it.
   * @returns why it cannot go, or undefined when it has been seen to.
   */
  sendReliably(
    incoming: IncomingRequest,
    dialog: Dialog,
    build: (rseq: number) => SipMessage,
    sent: (response: SipMessage) => void,
    dropped: () => void,
  ): string | undefined;
  /** A 2xx to INVITE. @returns whether it has to wait for a PRACK, and `send` or `dropped` will be called (RFC 3262 3). */
  holdSuccess(incoming: IncomingRequest, dialog: Dialog, send: () => void, dropped: () => void): boolean;
  /** A final response of whatever kind went out. */
  finalSent(incoming: IncomingRequest, dialog: Dialog | undefined, response: SipMessage): void;
  /** CANCEL came after our 2xx. */
  cancelledTooLate(dialog: Dialog): void;
}

/** The UAS core (RFC 3261 8.2): requests from the network go up to applications, their responses go down. */
export class Uas implements IncomingHandler {
  /** Connects to the application that wants requests of a method brought to it (section 2b), if any does. */
  bring: ((method: string) => AppConnection | undefined) | undefined;
  readonly #core: Core;
  readonly #routes: Routes<AppConnection>;
  readonly #dialogs: UasDialogs;
  readonly #incoming = new Table<IncomingRequest>();

  constructor(core: Core, routes: Routes<AppConnection>, dialogs: UasDialogs) {
    this.#core = core;
    this.#routes = routes;
    this.#dialogs = dialogs;
  }

  /** Requests that applications have not answered. */
  get pending(): number {
    return this.#incoming.size;
  }

  /** The request that an application means by a transaction id. */
  find(transactionId: string): IncomingRequest | undefined {
    return this.#incoming.get(transactionId);
  }

  /** A request outside any dialog: the next application that serves its method gets it. */
  receive(request: SipMessage, flow: Flow): void {
    const { method } = request;
    if (method === 'INVITE') this.#core.records.attempt('network', request);
    const app = this.bring?.(method) ?? this.#routes.pick(method.toLowerCase());
    if (app === undefined) {
      answer(this.#core, request, flow, 503);
      return;
    }
    const incoming = this.#open(request, flow, app, undefined, this.#core.ids.uuid());
    const octets = request.serialise();
    const meta = metaOf(octets.length, flow, this.#core.clock.now());
    const host = this.#core.local.pointFor(flow)?.host ?? flow.localAddress;
    app.send(newRequestLeader(meta, incoming.id, host, flow.localPort), octets);
  }

  /** A request inside a dialog goes to the dialog's application. */
  receiveInDialog(request: SipMessage, flow: Flow, dialog: Dialog): IncomingRequest {
    const invite = request.method === 'UPDATE' ? this.pendingInvite(dialog) : undefined;
    const incoming = this.#open(request, flow, dialog.app, dialog, invite?.id ?? this.#core.ids.uuid());
    if (invite !== undefined) invite.update = incoming;
    this.tellInDialog(request, flow, dialog, incoming.id);
    return incoming;
  }

  /** The frame of a message inside a dialog: sections 4 and 8 of the contract. */
  tellInDialog(request: SipMessage, flow: Flow, dialog: Dialog, transactionId: string): void {
    const octets = request.serialise();
    const meta = metaOf(octets.length, flow, this.#core.clock.now());
    const leader = networkLeader(meta, transactionId, dialog.id, request.method !== 'ACK');
    dialog.deliver(() => dialog.app.send(leader, octets));
  }

  /** `sip|<transaction id>|…|SIP/2.0 …`: an application answers. */
  respond(app: AppConnection, messageId: string, transactionId: string, text: SipMessage): void {
    if (transactionId === '') {
      app.send(noLeader(messageId, 'transaction id missing'));
      return;
    }
    let incoming = this.#incoming.get(transactionId);
    if (incoming?.update !== undefined && text.method === 'UPDATE') incoming = incoming.update;
    if (incoming === undefined) {
      app.send(nokLeader(messageId, UNKNOWN_TRANSACTION));
      return;
    }
    if (incoming.app.closed) incoming.app = app;
    const refused = (reason: string): void => app.send(nokLeader(messageId, reason));
    const sent = (response: SipMessage): void => {
      const octets = response.serialise();
      const meta = metaOf(octets.length, incoming.flow, this.#core.clock.now());
      const invite = incoming.request.method === 'INVITE';
      app.send(responseSentLeader(messageId, meta, transactionId, incoming.dialog?.id ?? '', invite), octets);
    };
    this.#send(incoming, text, sent, refused);
  }

  /** Whether any application serves a method. */
  serves(method: string): boolean {
    return this.#routes.has(method.toLowerCase());
  }

  /** Answers a request on the stack's own account. */
  refuse(incoming: IncomingRequest, status: number): SipMessage {
    this.#finish(incoming);
    const response = buildResponse(incoming.request, status, undefined, { toTag: incoming.toTag });
    incoming.transaction.respond(status, response.serialise());
    return response;
  }

  /** What an application left unanswered is forgotten after the usual patience, in silence (contract, section 3). */
  appGone(app: AppConnection): void {
    const unreached = app.outbound && !app.authenticated;
    for (const incoming of this.#incoming.values()) {
      if (incoming.app !== app) continue;
      if (unreached) {
        // Section 2b: no connection to the application.
        this.refuse(incoming, 480);
        continue;
      }
      this.#core.wheel.clear(incoming.patience);
      incoming.patience = this.#core.wheel.set(incoming, 'patience', APP_PATIENCE_MS);
    }
  }

  /** Takes a request out of the UAS core's hands: a proxy answers it from now on. */
  release(incoming: IncomingRequest): void {
    this.#incoming.delete(incoming.id);
    this.#core.wheel.clear(incoming.patience);
    // One that the application began by a 1xx of its own: the call is another's now.
    if (incoming.dialog?.state === 'early') this.#core.dialogs.remove(incoming.dialog);
  }

  /** Ends a pending INVITE by ourselves (BYE in an early dialog, PRACK missing). */
  endInvite(incoming: IncomingRequest, status: number): void {
    const response = this.refuse(incoming, status);
    this.#dialogs.finalSent(incoming, incoming.dialog, response);
  }

  cancelled(incoming: IncomingRequest, cancel: SipMessage, flow: Flow): void {
    const accepted = incoming.transaction.state === 'accepted';
    if (accepted && incoming.dialog !== undefined) {
      answer(this.#core, cancel, flow, 481, { toTag: incoming.toTag });
      this.#dialogs.cancelledTooLate(incoming.dialog);
      return;
    }
    // 9.2: the To tag of the answer to the INVITE.
    answer(this.#core, cancel, flow, 200, { toTag: incoming.toTag });
    if (incoming.transaction.state !== 'proceeding') return;
    const octets = cancel.serialise();
    const meta = metaOf(octets.length, flow, this.#core.clock.now());
    incoming.app.send(networkLeader(meta, incoming.id, incoming.dialog?.id ?? ''), octets);
    this.endInvite(incoming, 487);
  }

  abandoned(incoming: IncomingRequest): void {
    this.#finish(incoming);
    incoming.transaction.terminate();
    if (incoming.dialog?.state === 'early') this.#core.dialogs.remove(incoming.dialog);
    this.#core.log('warn', `${incoming.request.method} ${incoming.request.callId}: the application never answered`);
  }

  ackMissing(incoming: IncomingRequest): void {
    this.#core.log('info', `INVITE ${incoming.request.callId}: no ACK for the final response`);
  }

  /** The INVITE of the network that opened this dialog and is not answered finally. */
  pendingInvite(dialog: Dialog): IncomingRequest | undefined {
    if (dialog.role !== 'uas' || dialog.state !== 'early') return undefined;
    for (const incoming of this.#incoming.values()) {
      if (incoming.dialog === dialog && incoming.request.method === 'INVITE') return incoming;
    }
    return undefined;
  }

  #open(request: SipMessage, flow: Flow, app: AppConnection, dialog: Dialog | undefined, id: string): IncomingRequest {
    const { transactions, transport, wheel, ids } = this.#core;
    const key = serverKey(request);
    const path = new ResponsePath(transport, request, flow);
    const invite = request.method === 'INVITE';
    const transaction = invite
      ? transactions.createInviteServer(key, path)
      : transactions.createNonInviteServer(key, path);
    // A SUBSCRIBE may name a dialog that ended with an application: what it makes anew has the tag that the peer knows.
    const toTag = dialog?.localTag ?? request.to!.tag ?? ids.tag();
    const incoming = new IncomingRequest({ id, request, flow, transaction, app, toTag, dialog, handler: this });
    if (transaction.kind === 'invite-server') {
      transaction.user = incoming;
      transaction.respond(100, buildResponse(request, 100).serialise());
    }
    incoming.patience = wheel.set(incoming, 'patience', APP_PATIENCE_MS);
    if (this.#incoming.get(id) === undefined) this.#incoming.set(id, incoming);
    return incoming;
  }

  #finish(incoming: IncomingRequest): void {
    this.#core.wheel.clear(incoming.patience);
    const held = this.#incoming.get(incoming.id);
    if (held === incoming) this.#incoming.delete(incoming.id);
    else if (held?.update === incoming) held.update = undefined;
  }

  /** Tells what was sent, or why nothing was; at once, or when what it has to wait for is decided. */
  #send(
    incoming: IncomingRequest,
    text: SipMessage,
    sent: (response: SipMessage) => void,
    refused: (reason: string) => void,
  ): void {
    if (incoming.accepted) {
      refused(UNKNOWN_TRANSACTION);
      return;
    }
    const { request, flow } = incoming;
    const { status } = text;
    const { method } = request;
    const makesDialog =
      (method === 'INVITE' && status > 100 && status < 300) ||
      (method === 'SUBSCRIBE' && status >= 200 && status < 300);
    const inDialog = request.to!.tag !== undefined;
    const point = this.#core.local.pointFor(flow);
    if (!inDialog) this.#useTagOf(incoming, text);
    if (incoming.dialog === undefined && (method === 'INVITE' || method === 'SUBSCRIBE') && status > 100) {
      incoming.dialog = this.#makeDialog(incoming, makesDialog);
    }
    const contact = makesDialog && point !== undefined ? this.#core.local.contact(point) : undefined;
    const build = (rseq?: number): SipMessage => {
      const response = buildAppResponse(request, text, {
        toTag: incoming.toTag,
        recordRoute: makesDialog && !inDialog,
        contact,
        rseq,
        point,
        inDialog,
        strict: this.#core.strict,
      });
      if (status < 300) incoming.dialog?.describe(response);
      return response;
    };
    this.#core.wheel.clear(incoming.patience);
    const { dialog } = incoming;
    const dropped = (): void => refused(UNKNOWN_TRANSACTION);
    if (method === 'INVITE' && status > 100 && status < 200 && /\b100rel\b/i.test(text.get('require') ?? '')) {
      const refusal = this.#dialogs.sendReliably(incoming, dialog!, build, sent, dropped);
      if (refusal !== undefined) refused(refusal);
      return;
    }
    const send = (): void => {
      const response = build();
      if (!incoming.transaction.respond(status, response.serialise())) {
        dropped();
        return;
      }
      if (status >= 200) this.#final(incoming, response);
      sent(response);
    };
    const success = method === 'INVITE' && status >= 200 && status < 300;
    if (success && this.#dialogs.holdSuccess(incoming, dialog!, send, dropped)) incoming.accepted = true;
    else send();
  }

  #final(incoming: IncomingRequest, response: SipMessage): void {
    this.#finish(incoming);
    const { request, dialog, flow } = incoming;
    const { status } = response;
    const { method } = request;
    if (status < 300 && (method === 'REGISTER' || method === 'SUBSCRIBE')) this.#learn(request, response, flow);
    if (status < 300 && method === 'INVITE' && dialog !== undefined)
      this.#dialogs.successSent(incoming, dialog, response);
    this.#dialogs.finalSent(incoming, dialog, response);
  }

  #learn(request: SipMessage, response: SipMessage, flow: Flow): void {
    try {
      this.#core.flows.learn(request, response, flow);
    } catch {
      // The application's own Contact header is malformed: it went out as it is, and nothing is learnt from it.
      this.#core.log('warn', `${request.method} ${request.callId}: malformed Contact in the application's response`);
    }
  }

  /** An application may choose the To tag (section 5). */
  #useTagOf(incoming: IncomingRequest, text: SipMessage): void {
    if (incoming.dialog !== undefined) return;
    const tag = /;\s*tag\s*=\s*([^;\s>]+)/i.exec(text.get('to') ?? '')?.[1];
    if (tag !== undefined) incoming.toTag = tag;
  }

  #makeDialog(incoming: IncomingRequest, lasting: boolean): Dialog {
    const dialog = uasDialog(incoming.request, incoming.toTag, incoming.app, incoming.flow);
    dialog.inviteReceived = incoming.request.method === 'INVITE';
    if (lasting) this.#core.dialogs.add(dialog);
    return dialog;
  }
}
