import type { AppConnection } from '../control/connection.ts';
import { requestSentLeader } from '../control/leaders.ts';
import { Dialog } from '../dialog/dialog.ts';
import { EngineError } from '../errors.ts';
import { type HeaderLine, parseUri, type SipMessage, type SipUri } from '../message/index.ts';
import { Table } from '../table.ts';
import type { ClientTransaction, ClientUser } from '../transaction/transactions.ts';
import type { BoundPoint, Flow, Target } from '../transport/index.ts';
import { parseRouteUri, targetOf } from './addresses.ts';
import type { Core } from './core.ts';
import { appendAppHeaders } from './headers.ts';
import { localMeta } from './incoming.ts';
import { type OutgoingHandler, OutgoingRequest } from './outgoing.ts';
import { RequestPath } from './paths.ts';
import { buildCancel, buildInsideDialog, buildOutsideDialog, lacksContentType } from './requests.ts';

/** Methods whose contact is looked for among the registered connections (contract, section 6). */
const USES_FLOWS: ReadonlySet<string> = new Set(['INVITE', 'OPTIONS', 'NOTIFY', 'MESSAGE']);
const KNOWN_METHODS: ReadonlySet<string> = new Set(
  'INVITE ACK CANCEL BYE OPTIONS REGISTER INFO PRACK UPDATE MESSAGE SUBSCRIBE NOTIFY REFER PUBLISH'.split(' '),
);

/** What responses to requests that make or use a dialog lead to. */
export interface UacDialogs {
  /**
   * @param first false for whatever follows a final response (repeated or forked 2xx to INVITE).
   * @returns false to keep the response from the application.
   */
  response(
    outgoing: OutgoingRequest,
    dialog: Dialog,
    message: SipMessage,
    flow: Flow | undefined,
    first: boolean,
  ): boolean;
}

/** The UAC core (RFC 3261 8.1): applications' requests go out, the responses go up. */
export class Uac implements OutgoingHandler {
  readonly #core: Core;
  readonly #dialogs: UacDialogs;
  readonly #outgoing = new Table<OutgoingRequest>();

  constructor(core: Core, dialogs: UacDialogs) {
    this.#core = core;
    this.#dialogs = dialogs;
  }

  /** Requests without final response. */
  get pending(): number {
    return this.#outgoing.size;
  }

  /** Sends a request outside any dialog. @throws {EngineError} `ERR_REQUEST_REFUSED` with drachtio-server's reason. */
  sendOutsideDialog(app: AppConnection, messageId: string, text: SipMessage, routeUri: string): void {
    const { method } = text;
    const uri = parseUri(text.requestUri);
    if (uri === undefined || !KNOWN_METHODS.has(method)) throw refused(`invalid request-uri: ${text.startLine}`);
    // 13.2.2.4: it acknowledges a 2xx and goes along its dialog; no response would end a transaction of its own.
    if (method === 'ACK') throw refused('Server error: unable to find dialog for ACK');
    // drachtio-server writes Route itself, in requests as in responses (section 5): the frame's route URI names the next hop.
    if (this.#core.strict) text.remove('route');
    const to = this.#destination(text, uri, routeUri);
    const point = this.#pointFor(to);
    if (lacksContentType(text)) throw refused('missing content-type');
    if (this.#core.strict && this.#core.local.isOwn(uri)) throw refused('can not send request to myself');
    const branch = this.#core.ids.branch();
    const request = buildOutsideDialog(text, {
      point,
      contact: this.#core.local.contact(point),
      branch,
      newTag: () => this.#core.ids.tag(),
      newCallId: () => this.#core.ids.callId(),
      strict: this.#core.strict,
    });
    // Read later on, when a response has come or failed to: malformed ones are the application's to hear of.
    void request.from;
    void request.to;
    const dialog = method === 'INVITE' || method === 'SUBSCRIBE' ? this.#openDialog(app, request) : undefined;
    if (method === 'INVITE') this.#core.records.attempt('application', request);
    this.#start(app, messageId, request, branch, to, point, dialog);
  }

  /** Sends a request inside a dialog; ACK and PRACK have ways of their own. */
  sendInsideDialog(
    app: AppConnection,
    messageId: string,
    dialog: Dialog,
    text: SipMessage,
    routeUri: string,
    extra: readonly (readonly [string, string])[] = [],
  ): void {
    const { method } = text;
    if (lacksContentType(text)) throw refused('Server error: missing content-type');
    if (method === 'INVITE' && dialog.inviteSent) throw refused('Server error: an INVITE is pending in the dialog');
    const to = this.dialogDestination(dialog, routeUri);
    const point = this.#pointFor(to);
    const branch = this.#core.ids.branch();
    const request = buildInsideDialog(dialog, method, text, {
      point,
      contact: this.#core.local.contact(point),
      branch,
      sequence: ++dialog.localSequence,
      strict: this.#core.strict,
      extra,
    });
    if (method === 'INVITE') dialog.beginInvite(dialog.localSequence);
    else if (method === 'BYE') this.#core.records.stop('application', request, 'normal-release');
    this.#start(app, messageId, request, branch, to, point, dialog);
  }

  /**
   * Where a request of a dialog goes: its next hop's registered connection, else the flow of the dialog when the next
   * hop has no address to connect to (RFC 7118: `.invalid`) or is the flow's own end, else the next hop's address.
   */
  dialogDestination(dialog: Dialog, routeUri = ''): Flow | Target {
    const { nextHop } = dialog.routing();
    const uri = routeUri === '' ? nextHop : parseRouteUri(routeUri);
    if (uri === undefined) throw refused('Server error: the dialog has no usable remote target');
    const registered = this.#core.flows.find(uri);
    if (registered !== undefined) return registered;
    const target = targetOf(uri);
    const flow = dialog.flow === undefined ? undefined : this.#core.transport.flow(dialog.flow.id);
    if (flow !== undefined && flow.protocol !== 'udp' && routeUri === '') {
      const address = target === undefined ? undefined : this.#core.transport.resolve(target.host);
      const sameEnd = address === flow.remoteAddress && dialog.routeSet.length === 0;
      if (address === undefined || (sameEnd && target!.protocol === flow.protocol)) return flow;
    }
    if (target === undefined) throw refused('Server error: the dialog has no usable remote target');
    return target;
  }

  /** The point whose address goes into Via and Contact. */
  pointFor(to: Flow | Target): BoundPoint {
    return this.#pointFor(to);
  }

  /** `sip|<transaction id>|…|CANCEL`: waits for a provisional response if none has come (9.1). */
  sendCancel(app: AppConnection, messageId: string, transactionId: string, text: SipMessage): void {
    const outgoing = this.#outgoing.get(transactionId);
    if (outgoing === undefined || outgoing.request.method !== 'INVITE') {
      throw refused('Server error: unable to find transaction for CANCEL');
    }
    const point = this.#core.local.pointFor(outgoing.path.to) ?? this.#core.transport.listenPoints[0]!;
    const extra: HeaderLine[] = [];
    appendAppHeaders(extra, text, 'dialog-request', point, false);
    const cancel = buildCancel(outgoing.request, extra);
    const octets = cancel.serialise();
    const send = (): void => this.#cancel(outgoing, cancel);
    if (outgoing.status >= 100) send();
    else outgoing.cancel = send;
    const meta = localMeta(octets.length, point, this.#core.clock.now());
    app.send(requestSentLeader(messageId, meta, transactionId), octets);
  }

  /** Cancels the INVITE of a dialog that nobody waits for any more. */
  abandon(dialog: Dialog): void {
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.dialog === dialog && outgoing.request.method === 'INVITE') {
        this.#cancel(outgoing, buildCancel(outgoing.request));
      }
    }
  }

  /** The call is over by BYE: an INVITE of it that is still pending gets its 487 (15.1.2), or is given up after 64*T1. */
  boundPending(dialog: Dialog): void {
    for (const { dialog: of, transaction } of this.#outgoing.values()) {
      if (of === dialog && transaction?.kind === 'invite-client') transaction.cancelled();
    }
  }

  /** Once: a second CANCEL would be the same transaction (9.1). */
  #cancel(outgoing: OutgoingRequest, cancel: SipMessage): void {
    if (outgoing.cancelled) return;
    outgoing.cancelled = true;
    const { branch } = cancel.via!;
    this.#core.transactions.createClient('CANCEL', branch!, cancel.serialise(), outgoing.path, NOBODY).start();
    if (outgoing.transaction?.kind === 'invite-client') outgoing.transaction.cancelled();
  }

  /**
   * Sends a request of the stack's own in a dialog: BYE, whose response nobody awaits, or an INVITE with a `user` for its
   * responses. @returns the request, to be told of, and its transaction; undefined if there is no way to the peer.
   */
  sendByStack(
    dialog: Dialog,
    text: SipMessage,
    user: (request: SipMessage) => ClientUser = () => NOBODY,
  ): { readonly request: SipMessage; readonly point: BoundPoint; readonly transaction: ClientTransaction } | undefined {
    try {
      const to = this.dialogDestination(dialog);
      const point = this.#pointFor(to);
      const branch = this.#core.ids.branch();
      const request = buildInsideDialog(dialog, text.method, text, {
        point,
        contact: this.#core.local.contact(point),
        branch,
        sequence: ++dialog.localSequence,
        strict: this.#core.strict,
      });
      if (text.method === 'INVITE') dialog.beginInvite(dialog.localSequence);
      const path = new RequestPath(this.#core.transport, to);
      const octets = request.serialise();
      const transaction = this.#core.transactions.createClient(text.method, branch, octets, path, user(request));
      path.onFailure = () => transaction.transportError();
      transaction.start();
      return { request, point, transaction };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#core.log('info', `${text.method} ${dialog.callId}: ${error.message}`);
      return undefined;
    }
  }

  response(outgoing: OutgoingRequest, message: SipMessage, flow: Flow | undefined): boolean {
    const first = this.#outgoing.get(outgoing.id) !== undefined;
    if (message.status >= 200) this.#outgoing.delete(outgoing.id);
    if (outgoing.dialog === undefined) return true;
    const up = this.#dialogs.response(outgoing, outgoing.dialog, message, flow, first);
    return up && first;
  }

  #destination(text: SipMessage, uri: SipUri, routeUri: string): Flow | Target {
    const route = routeUri === '' ? text.getAll('route')[0] : routeUri;
    if (route === undefined) {
      const flow = USES_FLOWS.has(text.method) ? this.#core.flows.find(uri) : undefined;
      if (flow !== undefined) return flow;
    }
    const hop = route === undefined ? uri : parseRouteUri(route);
    const target = hop === undefined ? undefined : targetOf(hop);
    if (target === undefined) throw refused('requested protocol/transport not available');
    return target;
  }

  #pointFor(to: Flow | Target): BoundPoint {
    const point = this.#core.local.pointFor(to);
    if (point === undefined) throw refused('requested protocol/transport not available');
    return point;
  }

  #openDialog(app: AppConnection, request: SipMessage): Dialog {
    const from = request.from!;
    const dialog = new Dialog({
      role: 'uac',
      method: request.method === 'INVITE' ? 'INVITE' : 'SUBSCRIBE',
      callId: request.callId!,
      localTag: from.tag!,
      remoteTag: undefined,
      local: request.get('from')!,
      remote: request.get('to')!,
      remoteTarget: request.requestUri,
      localSequence: request.cseq!.number,
      remoteSequence: undefined,
      app,
      flow: undefined,
    });
    if (request.method === 'INVITE') dialog.beginInvite(dialog.localSequence);
    this.#core.dialogs.add(dialog);
    return dialog;
  }

  #start(
    app: AppConnection,
    messageId: string,
    request: SipMessage,
    branch: string,
    to: Flow | Target,
    point: BoundPoint,
    dialog: Dialog | undefined,
  ): void {
    const { transactions, transport, ids, clock } = this.#core;
    const path = new RequestPath(transport, to);
    const outgoing = new OutgoingRequest(this.#core, this, { id: ids.uuid(), app, request, path, dialog });
    const octets = request.serialise();
    this.#outgoing.set(outgoing.id, outgoing);
    if (dialog !== undefined) dialog.deliver = outgoing.deliver;
    outgoing.transaction = transactions.createClient(request.method, branch, octets, path, outgoing);
    path.onFailure = (error) => outgoing.transportFailed(error);
    outgoing.transaction.start();
    app.send(requestSentLeader(messageId, localMeta(octets.length, point, clock.now()), outgoing.id), octets);
    outgoing.acknowledged();
  }
}

/** The TU of a transaction whose outcome concerns no one. */
const NOBODY = {
  onResponse: () => undefined,
  buildAck: () => Buffer.alloc(0),
  onFailure: () => undefined,
};

/** A refusal that goes to the application as `NOK|<reason>`. */
export function refused(reason: string): EngineError {
  return new EngineError('ERR_REQUEST_REFUSED', reason);
}
