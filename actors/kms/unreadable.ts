/** What is no HTTP request, or does not come in in time, is refused with a KmsError like everything else. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../sim/engine/clock.ts';
import { KMS_MEDIA_TYPE } from '../messages/kms/namespaces.ts';
import { buildKmsResponse } from '../messages/kms/response.ts';
import type { Audit } from './audit.ts';
import { KmsRefusal } from './refusal.ts';

/** UserUri of an answer to somebody who is not known. */
export const NOBODY = 'urn:mcptt-testbed:nobody';

export interface UnreadableParts {
  readonly kmsUri: string;
  readonly clock: Clock;
  readonly audit: Audit;
}

/** A KmsResponse with nothing but an error, for a request of which nothing is known. */
export function bareRefusal({ kmsUri, clock }: Pick<UnreadableParts, 'kmsUri' | 'clock'>, refusal: KmsRefusal): Buffer {
  const error = { code: refusal.errorCode, message: refusal.message };
  const clientReqUrl = `https://${kmsUri}/`;
  return Buffer.from(buildKmsResponse({ userUri: NOBODY, kmsUri, time: clock.now(), clientReqUrl, error }));
}

/** Answers in the place of Node's own bare status lines, and ends the connection as those do. */
export function answerUnreadable(server: Server, parts: UnreadableParts): void {
  // Node tells of a TLS handshake that failed or is late as a client error too: there is nothing yet to answer in.
  server.prependListener('tlsClientError', (_error: Error, socket: Duplex) => socket.destroy());
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // An answer that has begun must not have another one written into it.
    const { _httpMessage: begun } = socket as { _httpMessage?: ServerResponse };
    if (!socket.writable || error.code === 'ECONNRESET' || begun?.headersSent === true) {
      socket.destroy();
      return;
    }
    refuse(socket, refusalOf(error));
  });
  // Node hands this method over with the bare connection.
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    refuse(socket, new KmsRefusal('KMS_WRONG_METHOD', 'CONNECT is not for this server: it takes POST'), 'Allow: POST');
  });

  function refuse(socket: Duplex, refusal: KmsRefusal, ...headers: readonly string[]): void {
    const { code, status, message: reason } = refusal;
    parts.audit.write('refused', { code, status, resource: 'unknown', userUri: null, reason });
    const body = bareRefusal(parts, refusal);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      'Cache-Control: no-store',
      `Content-Type: ${KMS_MEDIA_TYPE}`,
      `Content-Length: ${body.length}`,
      ...headers,
    ];
    socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]), () => socket.destroy());
  }
}

function refusalOf({ code }: NodeJS.ErrnoException): KmsRefusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new KmsRefusal('KMS_TOO_SLOW', 'the request did not come in in time');
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new KmsRefusal('KMS_HEAD_TOO_LARGE', 'the head of the request is too large');
  }
  return new KmsRefusal('KMS_BAD_HTTP', 'this is no HTTP request');
}
