/**
 * Private calls (TS 24.379 11.1.1) over sip.js's session dialogs, with SDP and mcptt-info inside the protected body. No
 * media flows; a re-INVITE changes the direction in the SDP.
 *
 *     inviting ──answered──> established ──renegotiated──┐
 *        │ refused               │  ▲────────────────────┘
 *        v                       v hung-up (BYE of either end, or the service ended)
 *      ended <───────────────────┘
 */
import { randomUUID } from 'node:crypto';
import type { IncomingInviteRequest, IncomingResponseMessage, Session } from 'sip.js/lib/core/index.js';
import type { JsonObject, Log } from '../../sim/control/actor.ts';
import { type Deviation, deviateFields } from '../messages/deviation.ts';
import { buildMcpttInfo, type McpttInfo } from '../messages/mcptt-info.ts';
import { type MimeEntity, mediaTypeOf, mimeEntity } from '../messages/mime.ts';
import { buildMultipart } from '../messages/multipart.ts';
import { CONTACT_FEATURES } from '../messages/sip-headers.ts';
import { UeError } from './errors.ts';
import type { McpttClient } from './mcptt-client.ts';
import { type ForUser, ORIGINATING_HEADERS, openForUser, type ReceivingContext, rejectionOf } from './messaging.ts';
import { refusal } from './publish.ts';
import { answerDirection, buildSdp, type Direction, directionOf } from './sdp.ts';
import { type SealingContext, sealFor, sendSealed } from './sealing.ts';
import { received, receivedSip, type SipUserAgent, sipJsBody } from './sip/user-agent.ts';

export type CallState = 'inviting' | 'established' | 'ended';
export type CallEvent = 'answered' | 'refused' | 'renegotiated' | 'hung-up';

const NEXT: Readonly<Record<CallState, Partial<Record<CallEvent, CallState>>>> = {
  inviting: { answered: 'established', refused: 'ended', 'hung-up': 'ended' },
  established: { renegotiated: 'established', 'hung-up': 'ended' },
  ended: {},
};

/** The only place where a call changes its state. @throws UeError `UE_CLIENT_STATE` */
export function nextCallState(state: CallState, event: CallEvent): CallState {
  const next = NEXT[state][event];
  if (next === undefined) throw new UeError('UE_CLIENT_STATE', `a call that is ${state} cannot be ${event}`);
  return next;
}

export interface CallContext extends SealingContext {
  readonly receiving: ReceivingContext;
  readonly psi: string;
  readonly userAgent: SipUserAgent;
  readonly contact: string;
  readonly serviceRoute: readonly string[];
}

interface Call {
  readonly id: string;
  readonly client: McpttClient;
  /** MCPTT ID of the other end. */
  readonly peer: string;
  readonly outgoing: boolean;
  readonly sdpSession: number;
  sdpVersion: number;
  state: CallState;
  session: Session | undefined;
  localDirection: Direction;
  remoteDirection: Direction | undefined;
  renegotiations: number;
}

/** Documentation address (RFC 5737): nothing may ever be sent there. */
const NO_MEDIA_ADDRESS = '192.0.2.1';
/** Without an answer for longer than timer B (RFC 3261 17.1.1.2) nobody will come. */
const ANSWER_BOUND_MS = 40_000;

export class Calls {
  readonly #context: () => CallContext;
  readonly #log: Log;
  readonly #calls = new Map<string, Call>();

  constructor(context: () => CallContext, log: Log) {
    this.#context = context;
    this.#log = log;
  }

  list(): JsonObject[] {
    return [...this.#calls.values()].map((call) => ({
      callId: call.id,
      user: call.client.user,
      peer: call.peer,
      outgoing: call.outgoing,
      state: call.state,
      localDirection: call.localDirection,
      ...(call.remoteDirection === undefined ? {} : { remoteDirection: call.remoteDirection }),
      renegotiations: call.renegotiations,
    }));
  }

  /** Calls a user and waits for the answer. @returns the call's id @throws UeError `UE_REQUEST_REFUSED`, `UE_NO_KEY` */
  async call(client: McpttClient, to: string, deviations: readonly Deviation[]): Promise<string> {
    const call = this.#newCall(client, to, true);
    const context = this.#context();
    const invite = (body: MimeEntity): Promise<void> => {
      const message = context.userAgent.makeRequest({
        method: 'INVITE',
        requestUri: context.psi,
        headers: [['Contact', `<${context.contact}>;${CONTACT_FEATURES}`], ...ORIGINATING_HEADERS],
        body,
        route: context.serviceRoute,
        deviations,
      });
      return this.#answered(call, (delegate) => context.userAgent.core.invite(message, delegate));
    };
    this.#calls.set(call.id, call);
    try {
      await sendSealed(client, this.#innerOf(call, deviations), 'private-call', deviations, context, invite);
      return call.id;
    } catch (error) {
      this.#move(call, call.state === 'inviting' ? 'refused' : 'hung-up');
      this.#calls.delete(call.id);
      throw error;
    }
  }

  /** Puts the call on hold, or takes it off again. @throws UeError `UE_UNKNOWN_CALL`, `UE_REQUEST_REFUSED` */
  async reinvite(callId: string, deviations: readonly Deviation[]): Promise<JsonObject> {
    const call = this.#established(callId);
    call.localDirection = call.localDirection === 'sendrecv' ? 'sendonly' : 'sendrecv';
    call.sdpVersion += 1;
    const context = this.#context();
    await sendSealed(call.client, this.#innerOf(call, deviations), 'private-call', deviations, context, (body) => {
      const options = sipJsBody(body);
      const extraHeaders = [...options.extraHeaders, `Contact: <${context.contact}>`];
      return this.#answered(call, (delegate) => call.session!.invite(delegate, { ...options, extraHeaders }));
    });
    return { localDirection: call.localDirection, remoteDirection: call.remoteDirection ?? 'sendrecv' };
  }

  /** Ends a call with BYE and waits for its answer. @throws UeError `UE_UNKNOWN_CALL` */
  async hangUp(callId: string): Promise<void> {
    const call = this.#established(callId);
    this.#move(call, 'hung-up');
    const session = call.session!;
    await new Promise<void>((resolve) => {
      // Whatever the answer is, the call has ended (RFC 3261 15.1.1).
      session.bye({ onAccept: () => resolve(), onReject: () => resolve(), onRedirect: () => resolve() });
    });
    session.dispose();
    this.#calls.delete(callId);
  }

  /** Takes a call that comes in, and answers it. */
  async receive(request: IncomingInviteRequest): Promise<void> {
    try {
      request.trying();
      const { client, info, content } = await this.#open(receivedSip(request.message).entity());
      const call = this.#newCall(client, info['mcptt-calling-user-id'] ?? '', false);
      this.#takeSdp(call, content);
      call.localDirection = answerDirection(call.remoteDirection ?? 'sendrecv');
      const { session } = request.accept({ statusCode: 200, ...sipJsBody(await this.#seal(call)) });
      this.#move(call, 'answered');
      this.#calls.set(call.id, call);
      this.#follow(call, session);
    } catch (error) {
      if (!(error instanceof UeError))
        this.#log.warn({ error: (error as Error).message }, 'an INVITE could not be answered');
      request.reject(rejectionOf(error));
    }
  }

  /** Forgets all calls: the SIP session that they ran over is gone. */
  drop(): void {
    for (const call of this.#calls.values()) {
      if (call.state !== 'ended') this.#move(call, 'hung-up');
      call.session?.dispose();
    }
    this.#calls.clear();
  }

  #newCall(client: McpttClient, peer: string, outgoing: boolean): Call {
    return {
      id: randomUUID(),
      client,
      peer,
      outgoing,
      sdpSession: Math.floor(Math.random() * 2 ** 31),
      sdpVersion: 1,
      state: 'inviting',
      session: undefined,
      localDirection: 'sendrecv',
      remoteDirection: undefined,
      renegotiations: 0,
    };
  }

  /** Sends an INVITE or re-INVITE, acknowledges the answer, and takes it. */
  #answered(call: Call, send: (delegate: Parameters<SipUserAgent['core']['invite']>[1]) => unknown): Promise<void> {
    return this.#context().userAgent.untilDisposed((resolve, reject) => {
      const bound = setTimeout(
        () => reject(new UeError('UE_TIMEOUT', `the INVITE was not answered within ${ANSWER_BOUND_MS} ms`)),
        ANSWER_BOUND_MS,
      );
      bound.unref();
      const refused = ({ message }: { message: IncomingResponseMessage }): void => {
        clearTimeout(bound);
        reject(refusal('INVITE', received(message)));
      };
      send({
        onAccept: (response) => {
          const { message, session } = response;
          clearTimeout(bound);
          response.ack();
          const take = async (): Promise<void> => {
            const { content } = await this.#open(receivedSip(message).entity());
            this.#takeSdp(call, content);
            this.#move(call, call.state === 'inviting' ? 'answered' : 'renegotiated');
            this.#follow(call, session);
          };
          take().then(resolve, (error: unknown) => {
            session.bye();
            reject(error as Error);
          });
        },
        onReject: refused,
        onRedirect: refused,
      });
    });
  }

  /** Hears what the other end does with the dialog. */
  #follow(call: Call, session: Session): void {
    if (call.session === session) return;
    call.session = session;
    session.delegate = {
      onBye: (request) => {
        request.accept();
        this.#move(call, 'hung-up');
        this.#calls.delete(call.id);
      },
      onInvite: (request) => void this.#renegotiate(call, request),
    };
  }

  async #renegotiate(call: Call, request: IncomingInviteRequest): Promise<void> {
    try {
      const { content } = await this.#open(receivedSip(request.message).entity());
      this.#takeSdp(call, content);
      call.localDirection = answerDirection(call.remoteDirection ?? 'sendrecv');
      call.sdpVersion += 1;
      request.accept({ statusCode: 200, ...sipJsBody(await this.#seal(call)) });
      this.#move(call, 'renegotiated');
    } catch (error) {
      request.reject(rejectionOf(error));
    }
  }

  #takeSdp(call: Call, content: readonly MimeEntity[]): void {
    const sdp = content.find((part) => mediaTypeOf(part).type === 'application/sdp');
    if (sdp === undefined) throw new UeError('UE_BODY_REFUSED', 'the body holds no SDP', { why: 'malformed' });
    call.remoteDirection = directionOf(Buffer.from(sdp.content).toString('utf8'));
    if (call.state === 'established') call.renegotiations += 1;
  }

  #open(body: MimeEntity | undefined): Promise<ForUser> {
    return openForUser(body, 'private-call', this.#context().receiving);
  }

  #seal(call: Call): Promise<MimeEntity> {
    return sealFor(call.client, this.#innerOf(call, []), 'private-call', [], this.#context());
  }

  #innerOf(call: Call, deviations: readonly Deviation[]): MimeEntity {
    const info: McpttInfo = {
      'session-type': 'private',
      'mcptt-request-uri': call.peer,
      'mcptt-calling-user-id': call.client.mcpttId,
      'mcptt-client-id': call.client.clientId,
    };
    const sdp = buildSdp(call.sdpSession, call.sdpVersion, NO_MEDIA_ADDRESS, call.localDirection);
    return buildMultipart([
      buildMcpttInfo(deviateFields(deviations, 'mcptt-info', info)),
      mimeEntity('application/sdp', sdp),
    ]);
  }

  #established(callId: string): Call {
    const call = this.#calls.get(callId);
    if (call?.session === undefined) throw new UeError('UE_UNKNOWN_CALL', `there is no call ${callId} on this UE`);
    return call;
  }

  #move(call: Call, event: CallEvent): void {
    call.state = nextCallState(call.state, event);
  }
}
