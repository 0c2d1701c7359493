import type { AppConnection } from '../control/connection.ts';
import type { WireMeta } from '../control/leaders.ts';
import type { Dialog } from '../dialog/dialog.ts';
import type { SipMessage } from '../message/index.ts';
import type { Timer, TimerOwner } from '../timers.ts';
import type { InviteServerUser } from '../transaction/invite-server.ts';
import type { ServerTransaction } from '../transaction/transactions.ts';
import type { Flow } from '../transport/index.ts';

/** What becomes of a request that was handed up; the UAS core or a proxy. */
export interface IncomingHandler {
  cancelled(incoming: IncomingRequest, cancel: SipMessage, flow: Flow): void;
  /** The application did nothing with it for {@link APP_PATIENCE}. */
  abandoned(incoming: IncomingRequest): void;
  /** No ACK came for a non-2xx final response. */
  ackMissing(incoming: IncomingRequest): void;
}

/** A request from the network that an application was told of and has not answered finally. */
export class IncomingRequest implements InviteServerUser, TimerOwner<'patience'> {
  /** Token 8 of its frame. */
  readonly id: string;
  readonly request: SipMessage;
  readonly flow: Flow;
  readonly transaction: ServerTransaction;
  /** The application that was told; another one that answers in place of one that has gone. */
  app: AppConnection;
  /** Our tag in its To header, should it have none. */
  toTag: string;
  dialog: Dialog | undefined;
  handler: IncomingHandler;
  /** The application's 2xx waits for a PRACK (RFC 3262 3): what it says after that is too late. */
  accepted = false;
  /** Runs until the application first says something. */
  patience: Timer | undefined;
  /** UPDATE that arrived while this INVITE was pending: the contract gives it the INVITE's transaction id (section 8). */
  update: IncomingRequest | undefined;

  constructor(init: {
    readonly id: string;
    readonly request: SipMessage;
    readonly flow: Flow;
    readonly transaction: ServerTransaction;
    readonly app: AppConnection;
    readonly toTag: string;
    readonly dialog: Dialog | undefined;
    readonly handler: IncomingHandler;
  }) {
    this.id = init.id;
    this.request = init.request;
    this.flow = init.flow;
    this.transaction = init.transaction;
    this.app = init.app;
    this.toTag = init.toTag;
    this.dialog = init.dialog;
    this.handler = init.handler;
  }

  onCancel(cancel: SipMessage, flow: Flow): void {
    this.handler.cancelled(this, cancel, flow);
  }

  onAckTimeout(): void {
    this.handler.ackMissing(this);
  }

  onTimer(): void {
    this.handler.abandoned(this);
  }
}

/** What a leader tells of a message that came over a flow: its octets are counted as they came (contract, section 4). */
export function receivedMeta(message: SipMessage, flow: Flow, time: number): WireMeta {
  return metaOf(message.octetsRead ?? message.serialise().length, flow, time);
}

/** What a leader tells of a message on a flow. */
export function metaOf(octets: number, flow: Flow, time: number): WireMeta {
  return { octets, protocol: flow.protocol, address: flow.remoteAddress, port: flow.remotePort, time };
}

/** The same for a message sent, of which drachtio tells the local end. */
export function localMeta(
  octets: number,
  point: { protocol: string; host: string; port: number },
  time: number,
): WireMeta {
  return { octets, protocol: point.protocol, address: point.host, port: point.port, time };
}
