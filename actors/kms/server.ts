/** The KMS's listener: TLS 1.2 or later under its own certificate, asking for a client certificate and not insisting on one. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsIdentity } from '../../sim/control/actor.ts';

/** A request that does not come in within this time is given up, milliseconds; so is a TLS handshake. */
const REQUEST_TIMEOUT = 10_000;

/**
 * @param requestTimeout see {@link REQUEST_TIMEOUT}
 * @returns the server and its address, `https://host:port`
 */
export async function listenHttps(
  listener: RequestListener,
  tls: TlsIdentity,
  at: { host: string; port: number; publicHost?: string | undefined; requestTimeout?: number | undefined },
): Promise<{ server: Server; url: string }> {
  const requestTimeout = at.requestTimeout ?? REQUEST_TIMEOUT;
  const server = createServer(
    {
      cert: tls.certificate,
      key: tls.privateKey,
      ca: tls.ca,
      minVersion: 'TLSv1.2',
      // Clients come with a token and without a certificate; whether one that is shown is good is asked per request.
      requestCert: true,
      rejectUnauthorized: false,
      requestTimeout,
      headersTimeout: requestTimeout,
      handshakeTimeout: requestTimeout,
      // How often Node looks for requests that are late: every 30 s unless told.
      connectionsCheckingInterval: Math.min(1_000, requestTimeout),
      requireHostHeader: false, // the application refuses what has none, with a KmsError
      maxHeaderSize: 16 * 1024,
    },
    listener,
  );
  server.listen(at.port, at.host);
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  const host = at.publicHost ?? address;
  return { server, url: `https://${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/** Ends every connection, event streams too. */
export async function closeHttps(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
