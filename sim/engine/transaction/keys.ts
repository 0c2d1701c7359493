import { MAGIC_COOKIE } from '../ids.ts';
import type { SipMessage } from '../message/index.ts';

/**
 * The key under which a request finds its server transaction (RFC 3261 17.2.3): an ACK finds that of its INVITE, and so
 * does a CANCEL when asked for with `method` INVITE (9.2).
 */
export function serverKey(request: SipMessage, method: string = request.method): string {
  const via = request.via!;
  const of = method === 'ACK' ? 'INVITE' : method;
  if (via.branch?.startsWith(MAGIC_COOKIE)) return `${of} ${via.branch} ${via.host}:${via.port ?? ''}`;
  // Elements of RFC 2543 make no unique branch. The To tag is left out: an ACK has the one of the response.
  return `${of} ${request.callId} ${request.cseq!.number} ${request.from!.tag ?? ''} ${request.requestUri} ${via.host}:${via.port ?? ''}`;
}

/** The key under which a response finds its client transaction (17.1.3). */
export function clientKey(branch: string, method: string): string {
  return `${method} ${branch}`;
}
