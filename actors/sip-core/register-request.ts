/** A REGISTER as the registrar reads it, every field checked (RFC 3261 10.3, TS 24.229 5.4.1). */

import { identityKey, parameterOf, splitValues, uriOf } from '../messages/sip-headers.ts';
import { parseDigest } from '../security/aka/digest.ts';
import type { SipRequest } from './drachtio.ts';

/** The connection, or the UDP address, that a request came over: `tcp/127.0.0.1:40001`. */
export type FlowName = string;

export const flowOf = (request: SipRequest): FlowName =>
  `${request.protocol}/${request.source_address}:${request.source_port}`;

export interface RegisterContact {
  /** Whole Contact value, or `*`. */
  readonly value: string;
  /** Contact URI, or `*`. */
  readonly uri: string;
}

export interface RegisterRequest {
  /** URI in To: the IMPU to be registered. */
  readonly impu: string;
  /** What is to be bound; undefined when the UE only asks what is (RFC 3261 10.2.3). */
  readonly contact: RegisterContact | undefined;
  /** Seconds asked for; undefined when the UE names none. */
  readonly expires: number | undefined;
  readonly callId: string;
  readonly cseq: number;
  /** Parameters of the Authorization header field; of one that is missing, empty nonce and response. */
  readonly credentials: ReadonlyMap<string, string>;
  readonly flow: FlowName;
  /** `host:port` that it arrived at. */
  readonly receivedOn: string;
  readonly accessNetworkInfo: string | undefined;
  /** The whole message. */
  readonly raw: string;
}

/** What is wrong with a REGISTER; `reason` becomes the reason phrase of the 400. */
export class BadRegister extends Error {
  readonly code = 'SIP_CORE_BAD_REGISTER';
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.name = 'BadRegister';
    this.reason = reason;
  }
}

const URI = /^(?:sips?:[^@\s<>]+@[^@\s<>]+|tel:[+\d][\d\-.()]*(?:;\S*)?)$/i;

function seconds(value: string): number {
  if (!/^\d{1,10}$/.test(value.trim())) throw new BadRegister('Bad Expires');
  return Number(value);
}

/** @throws BadRegister */
export function readRegister(request: SipRequest): RegisterRequest {
  const impu = uriOf(request.get('to') ?? '');
  if (!URI.test(impu)) throw new BadRegister('Bad To');

  const cseq = /^\s*(\d{1,10})\s+REGISTER\s*$/.exec(request.get('cseq') ?? '')?.[1];
  if (cseq === undefined || Number(cseq) >= 2 ** 31) throw new BadRegister('Bad CSeq');

  const header = request.get('expires');
  const headerExpires = header === undefined ? undefined : seconds(header);

  const contact = contactOf(request, headerExpires);
  const contactExpires = contact && parameterOf(contact.value, 'expires');
  const credentials = credentialsOf(request);
  return {
    impu,
    contact,
    expires: contactExpires === undefined ? headerExpires : seconds(contactExpires),
    callId: request.get('call-id') ?? '',
    cseq: Number(cseq),
    credentials,
    flow: flowOf(request),
    receivedOn: request.receivedOn ?? '',
    accessNetworkInfo: request.get('p-access-network-info'),
    raw: request.raw,
  };
}

function contactOf(request: SipRequest, headerExpires: number | undefined): RegisterContact | undefined {
  const contacts = splitValues(request.get('contact') ?? '');
  const [value] = contacts;
  if (contacts.length > 1) throw new BadRegister('One Contact at most can be registered');
  if (value === undefined) return undefined;
  if (value === '*') {
    // RFC 3261 10.2.2: the wildcard removes everything, so it may do nothing else.
    if (headerExpires !== 0) throw new BadRegister('Contact * needs Expires: 0');
    return { value, uri: value };
  }
  const uri = uriOf(value);
  if (!/^sips?:\S+$/i.test(uri)) throw new BadRegister('Bad Contact');
  return { value, uri };
}

/** TS 24.229 5.4.1.2.1: a UE may leave the header field out of the REGISTER that has not been challenged. */
const NO_CREDENTIALS: ReadonlyMap<string, string> = new Map([
  ['nonce', ''],
  ['response', ''],
]);

function credentialsOf(request: SipRequest): ReadonlyMap<string, string> {
  // RFC 3261 20.7: one header field for each realm that a UE has credentials for, never joined by commas.
  const values = headLines(request.raw).flatMap((line) => /^authorization\s*:\s*([\s\S]*)/i.exec(line)?.[1] ?? []);
  if (values.length === 0) return NO_CREDENTIALS;
  const all = values.map(parseDigest);
  const credentials =
    all.find((each) => identityKey(`sip:${each?.get('realm')}`) === identityKey(request.uri)) ?? all[0];
  for (const name of ['username', 'realm', 'uri', 'nonce', 'response']) {
    if (credentials?.has(name) !== true) throw new BadRegister(`Authorization lacks ${name}`);
  }
  // RFC 2617 3.2.2.5: digest-uri names the resource of the request line.
  if (identityKey(credentials!.get('uri')!) !== identityKey(request.uri)) {
    throw new BadRegister('Authorization uri is not the Request-URI');
  }
  return credentials!;
}

/** Start line and header fields of a message, folded ones in one piece. */
const headLines = (raw: string): string[] => raw.slice(0, raw.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/);

/** The REGISTER without its Authorization header fields, as it may be shown to an application server (TS 24.229 5.4.1.7). */
export function withoutAuthorization(raw: string): string {
  const end = raw.indexOf('\r\n\r\n');
  return `${headLines(raw)
    .filter((line) => !/^authorization\s*:/i.test(line))
    .join('\r\n')}${raw.slice(end)}`;
}
