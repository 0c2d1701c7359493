/** The https endpoint that the KMS pushes to: TLS 1.2 or later, no connection without a certificate of the test CA. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsIdentity } from '../../sim/control/actor.ts';

/** A request that does not come in within this time is given up, milliseconds. */
const REQUEST_TIMEOUT_MS = 10_000;

export class HttpsServer {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** @param at.publicHost name under which others reach it, the address itself unless given */
  static async listen(
    listener: RequestListener,
    tls: TlsIdentity,
    at: { host: string; port: number; publicHost?: string | undefined },
  ): Promise<HttpsServer> {
    const server = createServer(
      {
        cert: tls.certificate,
        key: tls.privateKey,
        ca: tls.ca,
        minVersion: 'TLSv1.2',
        requestCert: true,
        rejectUnauthorized: true,
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: REQUEST_TIMEOUT_MS,
        maxHeaderSize: 16 * 1024,
      },
      listener,
    );
    server.listen(at.port, at.host);
    await once(server, 'listening');
    const { address, port } = server.address() as AddressInfo;
    const host = at.publicHost ?? address;
    return new HttpsServer(server, `https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
