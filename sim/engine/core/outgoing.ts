import type { AppConnection } from '../control/connection.ts';
import { networkLeader } from '../control/leaders.ts';
import type { Dialog } from '../dialog/dialog.ts';
import { buildResponse, type SipMessage } from '../message/index.ts';
import type { ClientFailure } from '../transaction/context.ts';
import type { ClientTransaction, ClientUser, ReceivedResponse } from '../transaction/transactions.ts';
import type { Flow, TransportError } from '../transport/index.ts';
import type { Core } from './core.ts';
import { receivedMeta } from './incoming.ts';
import type { RequestPath } from './paths.ts';
import { buildFailureAck } from './requests.ts';

/** What follows from the responses to a request that an application sent. */
export interface OutgoingHandler {
  /** @returns false to keep the response from the application. */
  response(outgoing: OutgoingRequest, message: SipMessage, flow: Flow | undefined): boolean;
}

/** A request that an application sent, from its frame to its final response. */
export class OutgoingRequest implements ClientUser {
  /** Token 8 of the frames of its responses. */
  readonly id: string;
  readonly app: AppConnection;
  readonly request: SipMessage;
  readonly path: RequestPath;
  readonly dialog: Dialog | undefined;
  transaction: ClientTransaction | undefined;
  /** The highest status received. */
  status = 0;
  /** An application's CANCEL that waits for a provisional response (9.1). */
  cancel: (() => void) | undefined;
  /** CANCEL went out. */
  cancelled = false;
  readonly #core: Core;
  readonly #handler: OutgoingHandler;
  /** Frames that wait until the application has surely read the acknowledgement of its request. */
  #held: (() => void)[] | undefined = [];

  constructor(
    core: Core,
    handler: OutgoingHandler,
    init: {
      readonly id: string;
      readonly app: AppConnection;
      readonly request: SipMessage;
      readonly path: RequestPath;
      readonly dialog: Dialog | undefined;
    },
  ) {
    this.#core = core;
    this.#handler = handler;
    this.id = init.id;
    this.app = init.app;
    this.request = init.request;
    this.path = init.path;
    this.dialog = init.dialog;
  }

  /** The acknowledgement has been queued: responses may follow a turn later. */
  acknowledged(): void {
    this.#core.afterTurn.run(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const frame of held) frame();
      this.dialog?.stopHolding(this.deliver);
    });
  }

  /** Sends a frame that must not overtake those held: now, or after them. */
  readonly deliver = (frame: () => void): void => {
    if (this.#held === undefined) frame();
    else this.#held.push(frame);
  };

  onResponse({ message, flow }: ReceivedResponse, status: number): void {
    this.#take(message, status, flow);
  }

  buildAck({ message }: ReceivedResponse): Buffer {
    return buildFailureAck(this.request, message).serialise();
  }

  /** Timer B or F, or the transport: applications see a 408 or a 503 made here (8.1.3.1). */
  onFailure(failure: ClientFailure): void {
    const status = failure === 'timeout' ? 408 : 503;
    this.#take(buildResponse(this.request, status, undefined, { toTag: this.#core.ids.tag() }), status, undefined);
  }

  transportFailed(error: TransportError): void {
    this.#core.log('info', `${this.request.method} ${this.request.callId}: ${error.message}`);
    this.transaction?.transportError();
  }

  #take(message: SipMessage, status: number, flow: Flow | undefined): void {
    this.status = Math.max(this.status, status);
    if (this.cancel !== undefined && status < 200) this.cancel();
    if (status >= 100) this.cancel = undefined;
    const up = this.#handler.response(this, message, flow);
    // 100 is between neighbours (section 6).
    if (!up || status === 100) return;
    this.deliver(() => this.#tell(message, flow));
  }

  #tell(message: SipMessage, flow: Flow | undefined): void {
    const octets = message.serialise();
    const now = this.#core.clock.now();
    const meta =
      flow === undefined
        ? { octets: octets.length, protocol: 'udp', address: '127.0.0.1', port: 0, time: now }
        : receivedMeta(message, flow, now);
    this.app.send(networkLeader(meta, this.id, this.dialog?.id ?? ''), octets);
  }
}
