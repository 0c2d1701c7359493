import type { SipMessage } from '../message/index.ts';
import type { Path } from '../transaction/context.ts';
import {
  defaultPort,
  type Flow,
  isReliable,
  type Target,
  type TransportError,
  type TransportLayer,
  viaTarget,
} from '../transport/index.ts';

/** The way of a request: over a flow, or to a target. Tells of failure once a listener is set. */
export class RequestPath implements Path {
  readonly reliable: boolean;
  /** Called when octets could not be delivered. */
  onFailure: ((error: TransportError) => void) | undefined;
  /** The flow last sent over. */
  flow: Flow | undefined;
  readonly to: Flow | Target;
  readonly #transport: TransportLayer;

  constructor(transport: TransportLayer, to: Flow | Target) {
    this.#transport = transport;
    this.to = to;
    this.reliable = isReliable(to.protocol);
  }

  send(octets: Buffer): void {
    this.flow = this.#transport.send(octets, this.to, this.#failed);
  }

  readonly #failed = (error: TransportError): void => this.onFailure?.(error);
}

/**
 * The way of responses: where top Via and the request's flow say (RFC 3261 18.2.2, RFC 3581 4). Worked out once, since a
 * response may go out many times.
 */
export class ResponsePath implements Path {
  readonly reliable: boolean;
  readonly #transport: TransportLayer;
  readonly to: Flow | Target;
  readonly #fallback: Target | undefined;

  constructor(transport: TransportLayer, request: SipMessage, flow: Flow) {
    this.#transport = transport;
    this.reliable = isReliable(flow.protocol);
    if (this.reliable) {
      const via = request.via!;
      const port = via.port ?? defaultPort(flow.protocol);
      this.to = flow;
      this.#fallback = { protocol: flow.protocol, host: via.received ?? via.host, port };
      return;
    }
    const { host, port = defaultPort(flow.protocol) } = viaTarget(request)!;
    const back = port === flow.remotePort && host === flow.remoteAddress;
    const { protocol, localAddress, localPort } = flow;
    // RFC 3581 4: from where the request came to.
    this.to = back ? flow : { protocol, host, port, localAddress, localPort };
  }

  send(octets: Buffer): void {
    const fallback = this.#fallback;
    this.#transport.send(
      octets,
      this.to,
      fallback === undefined
        ? undefined
        : () => {
            // The connection is gone: 18.2.2 allows a new one. WebSocket clients listen nowhere.
            if (fallback.protocol === 'tcp' || fallback.protocol === 'tls') this.#transport.send(octets, fallback);
          },
    );
  }
}
