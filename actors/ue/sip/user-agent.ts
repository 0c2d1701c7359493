/**
 * sip.js's core (transactions, dialogs) as the UE uses it: requests as lists of header fields, with every deviation
 * that a scenario names, and answers with their header fields and body. Authentication is not left to sip.js: AKA needs
 * three different answers to a challenge (see ../registration.ts).
 */
import { randomBytes } from 'node:crypto';
import {
  type Body,
  type IncomingInviteRequest,
  type IncomingMessageRequest,
  IncomingRequestMessage,
  IncomingResponseMessage,
  LoggerFactory,
  type OutgoingRequestMessage,
  Parser,
  UserAgentCore,
} from 'sip.js/lib/core/index.js';
import { Grammar, type URI } from 'sip.js/lib/grammar/index.js';
import type { Log } from '../../../sim/control/actor.ts';
import { type Deviation, deviateHeaders, deviationValue } from '../../messages/deviation.ts';
import type { MimeEntity, MimeHeader } from '../../messages/mime.ts';
import { entityFromSip, entityToSip } from '../../messages/sip-body.ts';
import { splitValues, warningText } from '../../messages/sip-headers.ts';
import { UeError } from '../errors.ts';
import type { WssTransport } from './wss-transport.ts';

/** A SIP message as the UE reads it. */
export interface ReceivedSip {
  /** First value of a header field. */
  header(name: string): string | undefined;
  /** All values of a header field, comma lists taken apart. */
  values(name: string): string[];
  /** The body; undefined when there is none. @throws MimeError */
  entity(): MimeEntity | undefined;
}

export interface SipResponse extends ReceivedSip {
  readonly status: number;
  readonly reason: string;
  /** Text of the Warning header field, undefined when there is none. */
  readonly warning: string | undefined;
}

export interface SipRequest {
  readonly method: string;
  readonly requestUri: string;
  /** URI of the To; the Request-URI unless given. */
  readonly to?: string;
  readonly headers?: readonly MimeHeader[];
  readonly body?: MimeEntity | undefined;
  readonly route?: readonly string[];
  /** For requests that share a Call-ID, as REGISTERs do (RFC 3261 10.2). */
  readonly callId?: string;
  readonly cseq?: number;
  readonly deviations?: readonly Deviation[];
}

export interface UserAgentOptions {
  /** IMPU, a `sip:` URI. */
  readonly impu: string;
  /** Contact URI; names the SIP session. */
  readonly contact: string;
  readonly log: Log;
  readonly transport: () => WssTransport | undefined;
  readonly onMessage: (request: IncomingMessageRequest) => void;
  readonly onInvite: (request: IncomingInviteRequest) => void;
}

export class SipUserAgent {
  readonly core: UserAgentCore;
  readonly #options: UserAgentOptions;
  readonly #logger: LoggerFactory;
  /** What waits for an answer; it would wait for ever once the transactions are gone. */
  readonly #waiting = new Set<(error: UeError) => void>();

  constructor(options: UserAgentOptions) {
    this.#options = options;
    this.#logger = new LoggerFactory();
    this.#logger.builtinEnabled = false;
    // sip.js quotes whole messages in its texts, and a message in clear may hold a token: only its category is kept.
    this.#logger.connector = (level, category) => {
      if (level === 'error' || level === 'warn') options.log.debug({ category, level }, 'sip.js reports a problem');
    };
    const contact = parseSipUri(options.contact);
    this.core = new UserAgentCore(
      {
        aor: parseSipUri(options.impu),
        contact: { pubGruu: undefined, tempGruu: undefined, uri: contact, toString: () => `<${options.contact}>` },
        displayName: '',
        loggerFactory: this.#logger,
        hackViaTcp: false,
        routeSet: [],
        sipjsId: randomBytes(6).toString('hex'),
        supportedOptionTags: ['path'],
        supportedOptionTagsResponse: ['path'],
        userAgentHeaderFieldValue: 'mcptt-testbed-ue',
        viaForceRport: false,
        viaHost: contact.host,
        authenticationFactory: () => undefined,
        transportAccessor: () => {
          const transport = options.transport();
          if (transport === undefined)
            throw new UeError('UE_NO_CONNECTION', 'no connection to the SIP core; register first');
          return transport;
        },
      },
      { onMessage: options.onMessage, onInvite: options.onInvite },
    );
  }

  /** Takes one message from the connection; what is no SIP message is dropped (RFC 3261 16.3 leaves no answer to it). */
  receive(text: string): void {
    let message: ReturnType<typeof Parser.parseMessage>;
    try {
      message = Parser.parseMessage(text, this.#logger.getLogger('parser'));
    } catch {
      message = undefined;
    }
    try {
      if (message instanceof IncomingRequestMessage) this.core.receiveIncomingRequestFromTransport(message);
      else if (message instanceof IncomingResponseMessage) this.core.receiveIncomingResponseFromTransport(message);
      else this.#options.log.warn({ octets: text.length }, 'the UE dropped something that is no SIP message');
    } catch (error) {
      this.#options.log.warn({ error: (error as Error).message }, 'sip.js could not handle a message');
    }
  }

  /**
   * Sends a request outside a dialog and waits for its final answer, whatever its status.
   * The wait is bounded by timer F (32 s): then the answer is a 408 of the UE's own.
   * @throws UeError `UE_NO_CONNECTION`, `UE_STOPPED`
   */
  request(request: SipRequest): Promise<SipResponse> {
    const message = this.makeRequest(request);
    return this.untilDisposed((resolve) => {
      const done = ({ message: response }: { message: IncomingResponseMessage }): void => resolve(received(response));
      this.core.request(message, { onAccept: done, onReject: done, onRedirect: done });
    });
  }

  /** A promise that also ends with this user agent. @throws UeError `UE_STOPPED` */
  async untilDisposed<T>(start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    let stop: (error: UeError) => void = () => undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        stop = reject;
        this.#waiting.add(stop);
        start(resolve, reject);
      });
    } finally {
      this.#waiting.delete(stop);
    }
  }

  /** The default message with the scenario's deviations at `sip` applied. */
  makeRequest(request: SipRequest): OutgoingRequestMessage {
    const deviations = request.deviations ?? [];
    const sip = request.body === undefined ? undefined : entityToSip(request.body);
    const own: MimeHeader[] = [...(request.headers ?? []), ...(sip?.headers ?? [])];
    const requestUri = deviationValue(deviations, 'sip', 'request-uri') ?? request.requestUri;
    const bodyText = deviationValue(deviations, 'sip', 'body') ?? sip?.body;
    const contentType = deviationValue(deviations, 'sip', 'Content-Type') ?? sip?.contentType;
    const message = this.core.makeOutgoingRequestMessage(
      request.method,
      parseSipUri(requestUri),
      parseSipUri(this.#options.impu),
      parseSipUri(request.to ?? request.requestUri),
      {
        routeSet: [...(request.route ?? [])],
        optionTags: ['path'],
        ...(request.callId === undefined ? {} : { callId: request.callId }),
        ...(request.cseq === undefined ? {} : { cseq: request.cseq }),
      },
      [],
      bodyText === undefined || bodyText === '' || contentType === undefined || contentType === ''
        ? undefined
        : { contentDisposition: 'render', contentType, content: bodyText },
    );
    for (const [name, value] of deviateHeaders(deviations, own)) {
      if (name.toLowerCase() === 'content-type') continue;
      if (isCoreHeader(message, name)) message.setHeader(name, value);
      else message.extraHeaders.push(`${name}: ${value}`);
    }
    for (const { at, op, path } of deviations) {
      if (at === 'sip' && op === 'remove' && isCoreHeader(message, path)) delete message.headers[canonical(path)];
    }
    return message;
  }

  /** Ends transactions and dialogs and their timers, and whatever waits for them. */
  dispose(): void {
    this.core.dispose();
    for (const stop of this.#waiting) stop(new UeError('UE_STOPPED', 'the SIP session ended before an answer came'));
  }
}

/** Body for sip.js's dialog functions, with the header fields that go beside it. */
export function sipJsBody(entity: MimeEntity): { body: Body; extraHeaders: string[] } {
  const sip = entityToSip(entity);
  return {
    body: { contentDisposition: 'render', contentType: sip.contentType, content: sip.body },
    extraHeaders: sip.headers.map(([name, value]) => `${name}: ${value}`),
  };
}

/** A received message in the UE's own terms. */
export function receivedSip(message: IncomingRequestMessage | IncomingResponseMessage): ReceivedSip {
  const header = (name: string): string | undefined => message.getHeader(name);
  return {
    header,
    values: (name) => message.getHeaders(name).flatMap(splitValues),
    entity: () => entityFromSip(header, message.body),
  };
}

/** A received response in the UE's own terms. */
export function received(message: IncomingResponseMessage): SipResponse {
  const parts = receivedSip(message);
  return {
    ...parts,
    status: message.statusCode ?? 0,
    reason: message.reasonPhrase ?? '',
    warning: warningText(parts.header('Warning')),
  };
}

/** @throws UeError `UE_ARGUMENT`: sip.js knows `sip:` and `sips:` only */
export function parseSipUri(uri: string): URI {
  const parsed = Grammar.URIParse(uri);
  if (parsed === undefined)
    throw new UeError('UE_ARGUMENT', `"${uri}" is no sip: URI, which is all that this UE's stack sends to`);
  return parsed;
}

/** The spelling under which sip.js keeps a header field: `Call-ID`, `CSeq`, `Max-Forwards`. */
function canonical(name: string): string {
  const special: Record<string, string> = { 'call-id': 'Call-ID', cseq: 'CSeq', via: 'Via' };
  const lower = name.toLowerCase();
  return (
    special[lower] ?? lower.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
  );
}

const isCoreHeader = (message: OutgoingRequestMessage, name: string): boolean => canonical(name) in message.headers;
