import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { EngineError } from '../errors.ts';

/**
 * Applications that listen for the engine (contract, section 2b): for each new request of a method the engine connects to the
 * application, which authenticates as ever and then gets that one request.
 */
export interface RequestHandler {
  /** A method in any case, or `*`. */
  readonly method: string;
  /** `tcp://host:port` or `tls://host:port`. */
  readonly uri: string;
  /** PEM: the authority that a tls application must be certified by; without it, as with drachtio-server, anyone is believed. */
  readonly ca?: string | Buffer;
}

interface Destination {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly ca: string | Buffer | undefined;
}

/** The applications to connect to, by method. */
export class RequestHandlers {
  readonly #byMethod = new Map<string, Destination>();

  /** @throws {EngineError} `ERR_ENGINE_CONFIG` for a URI that is neither tcp:// nor tls://. */
  constructor(handlers: readonly RequestHandler[]) {
    for (const { method, uri, ca } of handlers) {
      const url = URL.parse(uri);
      const port = Number(url?.port);
      if (url === null || !['tcp:', 'tls:'].includes(url.protocol) || !(port > 0)) {
        throw new EngineError(
          'ERR_ENGINE_CONFIG',
          `request handler "${uri}": write tcp://host:port or tls://host:port`,
        );
      }
      const host = url.hostname.replace(/^\[|\]$/g, '');
      this.#byMethod.set(method.toUpperCase(), { secure: url.protocol === 'tls:', host, port, ca });
    }
  }

  /** A connection on its way to the application for a method; undefined if none is configured. */
  connect(method: string): Socket | undefined {
    const to = this.#byMethod.get(method) ?? this.#byMethod.get('*');
    if (to === undefined) return undefined;
    const { host, port, ca } = to;
    if (!to.secure) return connect({ host, port });
    return connectTls({ host, port, rejectUnauthorized: ca !== undefined, ...(ca === undefined ? {} : { ca }) });
  }
}
