/**
 * Step 2: the third-party REGISTER by which the SIP core tells of a registration (TS 24.229 5.4.1.7). The UE's own
 * REGISTER rides in its body as `message/sip`; its Contact names the SIP session.
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
}

/** What a third-party REGISTER says. @throws MimeError when its body is malformed */
export function readThirdPartyRegister(request: SipRequest): ThirdPartyRegister {
  const contact = request.header('Contact');
  const expires = request.header('Expires') ?? (contact && parameterOf(contact, 'expires')) ?? '0';
  const body = request.entity();
  const inner = (body === undefined ? [] : leavesOf(body)).find((part) => mediaTypeOf(part).type === 'message/sip');
  return {
    impu: uriOf(request.header('To') ?? ''),
    expires: Math.max(0, Math.trunc(Number(expires)) || 0),
    sipSession: inner === undefined ? undefined : contactOf(inner),
  };
}

/** URI of the first Contact of an embedded SIP message, character for character; undefined for `*` and for none. */
function contactOf(message: MimeEntity): string | undefined {
  const text = Buffer.from(message.content).toString('utf8');
  const head = text.split('\r\n\r\n', 1)[0]!.replace(/\r\n[ \t]+/g, ' ');
  // RFC 3261 7.3.3: `m` is the compact form.
  const line = head.split('\r\n').find((candidate) => /^(contact|m)\s*:/i.test(candidate));
  const value = line === undefined ? undefined : splitValues(line.slice(line.indexOf(':') + 1))[0];
  return value === undefined || value.startsWith('*') ? undefined : uriOf(value);
}
