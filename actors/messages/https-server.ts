/** How every https endpoint of the testbed listens: TLS 1.2 or later under its own certificate, with a bound on all that has to come in. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A request that does not come in within this time is given up, milliseconds; so is a TLS handshake. */
const REQUEST_TIMEOUT = 10_000;
/** How often Node looks for requests that are late, milliseconds: every 30 s unless told. */
const LOOKS_EVERY = 1_000;

/**
 * How long a connection may lie idle, milliseconds. Far longer than clients leave it so (10 s, see kms/https.ts): of two ends that
 * give it up at about the same time, one writes a request into a connection that the other has closed.
 */
const IDLE_TIMEOUT = 60_000;

export interface HttpsServerOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Name under which others reach it; the address itself unless given. */
  readonly publicHost?: string | undefined;
  /** `required`: no connection without a certificate of the CA. `asked`: the application looks at what was shown, if it was. */
  readonly clientCertificate: 'required' | 'asked';
  /** Milliseconds, see {@link REQUEST_TIMEOUT}. */
  readonly requestTimeout?: number | undefined;
  /** False where the application itself refuses a request without Host (RFC 9112 section 3.2). */
  readonly requireHostHeader?: boolean;
}

export interface HttpsListening {
  readonly server: Server;
  /** `https://host:port` */
  readonly url: string;
}

/**
 * @param tls PEM: own certificate and key, and the CA of clients
 * @throws the system's error when it cannot listen there
 */
export async function listenHttps(
  listener: RequestListener,
  tls: { readonly certificate: string; readonly privateKey: string; readonly ca: string },
  options: HttpsServerOptions,
): Promise<HttpsListening> {
  const { host, port, publicHost, clientCertificate, requestTimeout = REQUEST_TIMEOUT } = options;
  const server = createServer(
    {
      cert: tls.certificate,
      key: tls.privateKey,
      ca: tls.ca,
      minVersion: 'TLSv1.2',
      requestCert: true,
      rejectUnauthorized: clientCertificate === 'required',
      keepAliveTimeout: IDLE_TIMEOUT,
      requestTimeout,
      headersTimeout: requestTimeout,
      handshakeTimeout: requestTimeout,
      connectionsCheckingInterval: Math.min(LOOKS_EVERY, requestTimeout),
      requireHostHeader: options.requireHostHeader ?? true,
      maxHeaderSize: 16 * 1024,
    },
    listener,
  );
  server.listen(port, host);
  await once(server, 'listening');
  const at = server.address() as AddressInfo;
  const name = publicHost ?? at.address;
  return { server, url: `https://${name.includes(':') ? `[${name}]` : name}:${at.port}` };
}

/** Ends every connection, event streams too. */
export async function closeHttps(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
