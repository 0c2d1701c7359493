/** How every https endpoint of the testbed listens: TLS 1.2 or later under its own certificate, with a bound on all that has to come in. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { IssuedIdentity } from '../security/ca.ts';

/** A request that does not come in within this time is given up, milliseconds; so is a TLS handshake. */
const REQUEST_TIMEOUT = 10_000;
/** How often Node looks for requests that are late, milliseconds: every 30 s unless told. */
const LOOKS_EVERY = 1_000;

/**
 * How long a connection may lie idle, milliseconds. Far longer than clients leave it so (10 s, see kms/https.ts): of two ends that
 * give it up at about the same time, one writes a request into a connection that the other has closed.
 */
const IDLE_TIMEOUT = 60_000;

/** How long the other end of a connection may take to let go of it, milliseconds. */
const LET_GO_TIMEOUT = 1_000;

/** Whose certificate a server shows: its own, or an impostor's that says the same and comes from a CA that nobody knows. */
const SHOWN_CERTIFICATES = ['own', 'stranger'] as const;
export type ShownCertificate = (typeof SHOWN_CERTIFICATES)[number];

/** A certificate was asked for by a name that is none of those a server can show. */
export class UnknownCertificate extends Error {
  readonly code = 'HTTPS_UNKNOWN_CERTIFICATE';
}

/** @throws UnknownCertificate when that is the name of none */
export function shownCertificate(of: unknown): ShownCertificate {
  const known = SHOWN_CERTIFICATES.find((name) => name === of);
  if (known === undefined) throw new UnknownCertificate(`"of" is one of ${SHOWN_CERTIFICATES.join(', ')}`);
  return known;
}

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
  /**
   * Shows that certificate from now on. Resolves when the connections from before are closed at both ends, event streams
   * too: nobody goes on with one, and whoever comes next sees the certificate.
   */
  readonly present: (of: ShownCertificate) => Promise<void>;
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
  const context = { ca: tls.ca, minVersion: 'TLSv1.2' } as const;
  const server = createServer(
    {
      ...context,
      cert: tls.certificate,
      key: tls.privateKey,
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
  const open = new Set<TLSSocket>();
  server.on('secureConnection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  let shown: ShownCertificate = 'own';
  const present = async (of: ShownCertificate): Promise<void> => {
    if (of === shown) return;
    const { certificate, privateKey } = of === 'own' ? tls : await impostor(tls);
    server.setSecureContext({ ...context, cert: certificate, key: privateKey });
    shown = of;
    await Promise.all([...open].map(ended));
  };
  server.listen(port, host);
  await once(server, 'listening');
  const at = server.address() as AddressInfo;
  const name = publicHost ?? at.address;
  return { server, url: `https://${name.includes(':') ? `[${name}]` : name}:${at.port}`, present };
}

/** Ends every connection, event streams too. */
export async function closeHttps(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** The one part of a server that makes certificates: loaded where a scenario asks for it, and not with every actor. */
async function impostor(of: { readonly certificate: string }): Promise<IssuedIdentity> {
  const { impostorOf } = await import('../security/ca.ts');
  return impostorOf(of);
}

/** Ends a connection, and waits until the other end has done so too, within a bound. */
async function ended(socket: TLSSocket): Promise<void> {
  const bound = setTimeout(() => socket.destroy(), LET_GO_TIMEOUT);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.end();
  await closed;
  clearTimeout(bound);
}
