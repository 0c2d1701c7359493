/**
 * Step 2: the third-party REGISTER by which the SIP core tells of a registration (TS 24.229 5.4.1.7). The UE's own
 * REGISTER rides in its body as `message/sip`; its Contact names the SIP session. The 200 to it may ride beside it.
 */
import { type MimeEntity, mediaTypeOf } from '../messages/mime.ts';
import { leavesOf } from '../messages/multipart.ts';
import { parameterOf, splitValues, uriOf } from '../messages/sip-headers.ts';
import type { SipRequest } from './sip-server.ts';

export interface ThirdPartyRegister {
  /** IMPU of the To. */
  readonly impu: string;
  /** Seconds; 0 = the registration has ended. */
  readonly expires: number;
  /** Contact URI of the UE's own REGISTER; undefined when the criteria did not include it. */
  readonly sipSession: string | undefined;
  /** P-Associated-URI (RFC 7315 4.1): the implicit registration set, as far as the core's 200 is included or says it here. */
  readonly associated: readonly string[];
}

/** What a third-party REGISTER says. @throws MimeError when its body is malformed */
export function readThirdPartyRegister(request: SipRequest): ThirdPartyRegister {
  const own = request.header('Contact');
  const expires = request.header('Expires') ?? (own && parameterOf(own, 'expires')) ?? '0';
  const body = request.entity();
  const included = (body === undefined ? [] : leavesOf(body))
    .filter((part) => mediaTypeOf(part).type === 'message/sip')
    .map(readMessage);
  const response = included.find(({ startLine }) => startLine.startsWith('SIP/2.0'));
  const register = included.find((message) => message !== response) ?? response;
  const contact = register?.values('contact', 'm')[0];
  return {
    impu: uriOf(request.header('To') ?? ''),
    expires: Math.max(0, Math.trunc(Number(expires)) || 0),
    // Character for character; `*` names none.
    sipSession: contact === undefined || contact.startsWith('*') ? undefined : uriOf(contact),
    associated: [...request.values('P-Associated-URI'), ...(response?.values('p-associated-uri') ?? [])].map(uriOf),
  };
}

interface IncludedMessage {
  readonly startLine: string;
  /** Values of a header field by its names in lower case: its own and its compact form (RFC 3261 7.3.3). */
  values(...names: readonly string[]): string[];
}

function readMessage({ content }: MimeEntity): IncludedMessage {
  const text = Buffer.from(content).toString('utf8');
  const [startLine = '', ...lines] = text
    .split('\r\n\r\n', 1)[0]!
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    return { name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1) };
  });
  return {
    startLine,
    values: (...names) => fields.filter(({ name }) => names.includes(name)).flatMap(({ value }) => splitValues(value)),
  };
}
