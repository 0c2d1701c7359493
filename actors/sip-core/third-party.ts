/**
 * Step 2: third-party REGISTER to the application servers that the initial filter criteria name
 * (TS 24.229 5.4.1.7 and 5.4.1.7A).
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Log } from '../../sim/control/actor.ts';
import { formatMediaType, type MimeEntity, mimeEntity, mimeHeader } from '../messages/mime.ts';
import { buildMultipart } from '../messages/multipart.ts';
import { identityKey } from '../messages/sip-headers.ts';
import type { ApplicationServer, Subscriber } from '../messages/subscriber.ts';
import { matchingServers } from './criteria.ts';
import type { Headers, OutgoingRequest, SipResponse } from './drachtio.ts';
import { KeyedQueue } from './queue.ts';
import { withoutAuthorization } from './register-request.ts';
import type { RegistrationChange } from './registrar.ts';
import type { Registration } from './registrations.ts';

/** How a third-party REGISTER ended; JSON. */
export type ThirdPartyOutcome = {
  readonly server: string;
  readonly expires: number;
  /** The server's final status; null when none came. */
  readonly status: number | null;
};

export interface ThirdPartyOptions {
  readonly homeDomain: string;
  readonly subscriberOf: (impi: string) => Subscriber | undefined;
  /** Next hop of a server name; undefined when nobody knows where it is. */
  readonly resolve: (serverName: string) => string | undefined;
  /** Where the core is on SIP-2; `address` is `host:port`. */
  readonly sip2: () => { readonly protocol: string; readonly address: string };
  readonly send: (request: OutgoingRequest) => Promise<SipResponse>;
  readonly log: Log;
  /** A server with SESSION_TERMINATED has failed: the user is to be de-registered. */
  readonly onTerminated: (registration: Registration) => void;
}

export class ThirdPartyRegistration {
  readonly #options: ThirdPartyOptions;
  readonly #queue = new KeyedQueue();
  readonly #outcomes = new Map<string, ThirdPartyOutcome[]>();

  constructor(options: ThirdPartyOptions) {
    this.#options = options;
  }

  /** Tells the application servers; changes of one subscriber arrive in their order. */
  tell(change: RegistrationChange): void {
    this.#queue
      .run(change.registration.impi, () => this.#tell(change))
      .catch((error: unknown) => this.#options.log.error({ reason: String(error) }, 'third-party REGISTER failed'));
  }

  /** The outcome at each server of the last change of a subscriber. */
  outcomes(impi: string): readonly ThirdPartyOutcome[] {
    return this.#outcomes.get(impi) ?? [];
  }

  /** Resolves when the servers have been told of this subscriber's changes so far. */
  settled(impi: string): Promise<void> {
    return this.#queue.settled(impi);
  }

  /** Resolves when every server has answered or failed. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async #tell(change: RegistrationChange): Promise<void> {
    const { homeDomain, subscriberOf } = this.#options;
    const { registration, type, expires } = change;
    const servers = matchingServers(subscriberOf(registration.impi)?.initialFilterCriteria ?? [], {
      method: 'REGISTER',
      requestUri: `sip:${homeDomain}`,
      headers: headersOf(change.request),
      sessionCase: 'ORIGINATING_SESSION',
      registrationType: type,
    });
    const outcomes: ThirdPartyOutcome[] = [];
    for (const server of servers) {
      const status = await this.#register(server, change);
      outcomes.push({ server: server.serverName, expires, status: status ?? null });
      // TS 24.229 5.4.1.7: no response, 408 and 5xx are failures; what else a server says is its own affair.
      const failed = status === undefined || status === 408 || status >= 500;
      if (failed && expires > 0 && server.defaultHandling === 'SESSION_TERMINATED') {
        this.#options.onTerminated(registration);
        break;
      }
    }
    this.#outcomes.set(registration.impi, outcomes);
  }

  async #register(server: ApplicationServer, change: RegistrationChange): Promise<number | undefined> {
    const { resolve, send, log } = this.#options;
    const nextHop = resolve(server.serverName);
    const detail = { server: server.serverName, impu: change.registration.impu, expires: change.expires };
    if (nextHop === undefined) {
      log.warn(detail, 'third-party REGISTER: nobody knows where the server is');
      return undefined;
    }
    try {
      const { status } = await send({ ...this.#request(server, change), nextHop });
      log.info({ ...detail, status }, 'third-party REGISTER');
      return status;
    } catch (error) {
      log.warn({ ...detail, reason: (error as Error).message }, 'third-party REGISTER failed');
      return undefined;
    }
  }

  #request(server: ApplicationServer, change: RegistrationChange): OutgoingRequest {
    const { homeDomain } = this.#options;
    const { protocol, address } = this.#options.sip2();
    const { registration, expires } = change;
    const headers: Headers = {
      // From and Contact: the S-CSCF. RFC 3261 table 1 leaves no transport parameter in From.
      From: `<sip:${address}>;tag=${randomBytes(8).toString('hex')}`,
      To: `<${registration.impu}>`,
      Contact: `<sip:${address};transport=${protocol}>`,
      'Call-ID': randomUUID(),
      Expires: String(expires),
      'P-Visited-Network-ID': homeDomain,
      'P-Charging-Vector': registration.chargingVector,
    };
    if (registration.accessNetworkInfo !== undefined) {
      headers['P-Access-Network-Info'] = registration.accessNetworkInfo;
    }
    const entity = bodyOf(server, change);
    if (entity === undefined) return { method: 'REGISTER', uri: server.serverName, headers };
    headers['Content-Type'] = mimeHeader(entity, 'Content-Type')!;
    const body = Buffer.from(entity.content).toString('utf8');
    return { method: 'REGISTER', uri: server.serverName, headers, body };
  }
}

const escapeXml = (text: string): string =>
  text.replace(/[<>&]/g, (c) => (c === '<' ? '&lt;' : c === '>' ? '&gt;' : '&amp;'));

/** The parts that the criterion asks for, in the order of TS 24.229 5.4.1.7; multipart only when there are several. */
function bodyOf(server: ApplicationServer, { request, response }: RegistrationChange): MimeEntity | undefined {
  const parts: MimeEntity[] = [];
  if (server.serviceInfo !== undefined) {
    const text = escapeXml(server.serviceInfo);
    const xml = `<?xml version="1.0" encoding="UTF-8"?><ims-3gpp version="1"><service-info>${text}</service-info></ims-3gpp>`;
    parts.push(mimeEntity(formatMediaType('application/3gpp-ims+xml', {}), Buffer.from(xml)));
  }
  if (server.includeRegisterRequest === true && request !== undefined) {
    parts.push(mimeEntity('message/sip', Buffer.from(withoutAuthorization(request))));
  }
  if (server.includeRegisterResponse === true && response !== undefined) {
    parts.push(mimeEntity('message/sip', Buffer.from(response)));
  }
  return parts.length > 1 ? buildMultipart(parts) : parts[0];
}

/** Header fields of a message text by lower-case name; enough for filter criteria. */
function headersOf(raw: string | undefined): Headers {
  const headers: Headers = {};
  const lines = raw?.slice(0, raw.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/) ?? [];
  for (const line of lines.slice(1)) {
    const [name = '', ...value] = line.split(':');
    const key = name.trim().toLowerCase();
    headers[key] = [...(key in headers ? [headers[key]!] : []), value.join(':').trim()].join(', ');
  }
  return headers;
}

/** Which server a URI names, for tables: its host, lower case. */
export const hostOf = (uri: string): string =>
  identityKey(uri)
    .replace(/^[^:]*:(?:[^@]*@)?/, '')
    .replace(/:\d+$/, '');
