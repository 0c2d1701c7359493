import type { AppConnection } from '../control/connection.ts';
import { requestSentLeader } from '../control/leaders.ts';
import type { Core } from '../core/core.ts';
import { localMeta } from '../core/incoming.ts';
import { RequestPath } from '../core/paths.ts';
import { buildInsideDialog } from '../core/requests.ts';
import { refused, type Uac } from '../core/uac.ts';
import { EngineError } from '../errors.ts';
import { buildRequest, type SipMessage } from '../message/index.ts';
import type { Flow } from '../transport/index.ts';
import { Dialog } from './dialog.ts';

/** What a UAC core owes for responses to INVITE: ACK for a 2xx (13.2.2.4), PRACK for a reliable 1xx (RFC 3262 4). */
export class Acks {
  readonly #core: Core;
  readonly #uac: Uac;

  constructor(core: Core, uac: Uac) {
    this.#core = core;
    this.#uac = uac;
  }

  /** An application acknowledges a 2xx. */
  send(app: AppConnection, messageId: string, dialog: Dialog, text: SipMessage, routeUri: string): void {
    const { request, send, point } = this.#build(dialog, text, routeUri);
    send();
    dialog.repeatAck = send;
    dialog.describe(request);
    const octets = request.serialise();
    const meta = localMeta(octets.length, point, this.#core.clock.now());
    app.send(requestSentLeader(messageId, meta, this.#core.ids.uuid()), octets);
  }

  /** Acknowledges a 2xx that no application knows of; one whose Contact leads nowhere has to do without. */
  acknowledge(dialog: Dialog): void {
    try {
      const { send } = this.#build(dialog, buildRequest('ACK', dialog.remoteTarget), '');
      send();
      dialog.repeatAck = send;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#core.log('info', `ACK ${dialog.callId}: ${error.message}`);
    }
  }

  #build(dialog: Dialog, text: SipMessage, routeUri: string) {
    const to = this.#uac.dialogDestination(dialog, routeUri);
    const point = this.#uac.pointFor(to);
    const request = buildInsideDialog(dialog, 'ACK', text, {
      point,
      contact: this.#core.local.contact(point),
      branch: this.#core.ids.branch(),
      sequence: dialog.inviteSequence,
      strict: this.#core.strict,
    });
    const path = new RequestPath(this.#core.transport, to);
    return { request, point, send: () => path.send(request.serialise()) };
  }

  /** An application acknowledges a reliable provisional response: RAck is ours to know, its own says which one is meant. */
  sendPrack(app: AppConnection, messageId: string, dialog: Dialog, text: SipMessage, routeUri: string): void {
    const meant = /^\s*(\d+)/.exec(text.get('rack') ?? '')?.[1];
    const reliable = dialog.acknowledgeReliable(meant === undefined ? undefined : Number(meant));
    if (reliable === undefined) throw refused('Server error: unable to find IIP when sending PRACK');
    const rack = `${reliable.rseq} ${reliable.sequence} INVITE`;
    this.#uac.sendInsideDialog(app, messageId, dialog, text, routeUri, [['rack', rack]]);
  }

  /** A 2xx after the first: repeated (ACK again), or of another branch of a fork (ACK, then BYE: 13.2.2.4). */
  lateSuccess(dialog: Dialog, message: SipMessage, flow: Flow | undefined): void {
    if (message.to?.tag === dialog.remoteTag || flow === undefined) {
      dialog.repeatAck?.();
      return;
    }
    const { callId, localTag, local, remote, remoteTarget, inviteSequence, app } = dialog;
    const fork = new Dialog({
      role: 'uac',
      method: 'INVITE',
      callId,
      localTag,
      remoteTag: undefined,
      local,
      remote,
      remoteTarget,
      localSequence: inviteSequence,
      remoteSequence: undefined,
      app,
      flow,
    });
    fork.inviteSequence = inviteSequence;
    fork.learnFromResponse(message, flow);
    this.acknowledge(fork);
    this.#uac.sendByStack(fork, buildRequest('BYE', remoteTarget));
  }
}
