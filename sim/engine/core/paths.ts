import type { SipMessage } from '../message/index.ts';
import type { Path } from '../transaction/context.ts';
import {
  type Flow,
  isReliable,
  responseRoute,
  type Target,
  type TransportError,
  type TransportLayer,
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

/** The way of responses, worked out once, since a response may go out many times. */
export class ResponsePath implements Path {
  readonly reliable: boolean;
  readonly to: Flow | Target;
  readonly #transport: TransportLayer;
  readonly #otherwise: Target | undefined;

  constructor(transport: TransportLayer, request: SipMessage, flow: Flow) {
    const { first, otherwise } = responseRoute(request, flow);
    this.#transport = transport;
    this.reliable = isReliable(flow.protocol);
    this.to = first;
    this.#otherwise = otherwise;
  }

  send(octets: Buffer): void {
    const otherwise = this.#otherwise;
    const again = otherwise && ((): void => void this.#transport.send(octets, otherwise));
    this.#transport.send(octets, this.to, again);
  }
}
