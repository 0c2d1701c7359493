/** The KMS's listener: TLS 1.2 or later under its own certificate, asking for a client certificate and not insisting on one. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsIdentity } from '../../sim/control/actor.ts';

/** A request that does not come in within this time is given up, milliseconds. */
const REQUEST_TIMEOUT = 10_000;

/**
 * @returns the server and its address, `https://host:port`
 */
export async function listenHttps(
  listener: RequestListener,
  tls: TlsIdentity,
  at: { host: string; port: number; publicHost?: string | undefined },
): Promise<{ server: Server; url: string }> {
  const server = createServer(
    {
      cert: tls.certificate,
      key: tls.privateKey,
      ca: tls.ca,
      minVersion: 'TLSv1.2',
      // Clients come with a token and without a certificate; whether one that is shown is good is asked per request.
      requestCert: true,
      rejectUnauthorized: false,
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: REQUEST_TIMEOUT,
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
