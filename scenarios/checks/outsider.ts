/** Requests on HTTP-1 by somebody who is no actor of the figure: what each end must refuse. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { TlsIdentity } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';

/**
 * Asks, whatever certificate the other end has.
 * @param body posted; without one the request is a GET
 * @param identity the client certificate; without one none is shown
 * @returns the status, or the code of the error that the handshake ended with
 */
export async function answerToOutsider(
  url: string,
  body?: string | Uint8Array,
  identity?: TlsIdentity,
): Promise<string> {
  const asked = request(url, {
    method: body === undefined ? 'GET' : 'POST',
    rejectUnauthorized: false,
    agent: false,
    signal: AbortSignal.timeout(5_000),
    headers: { 'content-type': 'application/xml' },
    ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey }),
  });
  asked.end(body);
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return String(response.statusCode);
  } catch (error) {
    return String((error as { code?: string }).code);
  } finally {
    asked.destroy();
  }
}

/** Who has no certificate, and who has one of the testbed's CA that names no actor, where the testbed has such a one. */
export function outsiders(t: StepContext): (readonly [what: string, identity: TlsIdentity | undefined])[] {
  const { outsider } = t;
  return [
    ['without a certificate', undefined],
    ...(outsider === undefined ? [] : [['under a certificate of nobody’s', outsider] as const]),
  ];
}

/** A refusal by status, or by a TLS alert. */
export const REFUSED = /^40[13]$|^ERR_SSL_.*ALERT|^(?:ECONNRESET|EPIPE)$/;
