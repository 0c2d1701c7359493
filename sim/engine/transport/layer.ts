import type { Clock } from '../clock.ts';
import type { SipMessage, SipParseError } from '../message/index.ts';
import { TransportError } from './errors.ts';
import type { Flow, Protocol, Target } from './flow.ts';
import type { TransportLimits } from './limits.ts';

/** A socket to listen on. Port 0 lets the system choose. `tls` is needed for tls and wss: PEM texts. */
export interface ListenPoint {
  readonly protocol: Protocol;
  /** A numeric address, IPv6 without brackets; '::' and '0.0.0.0' listen on all. */
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
}

/** Where a listener really listens. */
export interface BoundPoint {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
}

export interface TransportOptions {
  readonly clock: Clock;
  /** Called for each well-formed message; top Via of requests has received and rport filled in (RFC 3261 18.2.1, RFC 3581). */
  readonly onMessage: (message: SipMessage, flow: Flow) => void;
  /** A connection ended, for whatever reason. Not called for UDP. */
  readonly onFlowClosed?: (flow: Flow) => void;
  /** A message was refused; the layer has answered it or closed the connection already. */
  readonly onRefused?: (error: SipParseError, flow: Flow) => void;
  readonly limits?: Partial<TransportLimits>;
  /** Host names (lower case) to numeric addresses; the RFC 3263 minimum. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Trusted authorities for outgoing TLS and WSS, PEM. Without it the system's. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
}

/** All listeners and connections of one engine. */
export class TransportLayer {
  constructor(_options: TransportOptions) {}

  /** Opens a listener; rejects with TransportError `listen-failed`. */
  async listen(_point: ListenPoint): Promise<BoundPoint> {
    throw new TransportError('listen-failed', 'not yet');
  }

  /** The open listeners, in the order in which they were opened. */
  get listenPoints(): readonly BoundPoint[] {
    return [];
  }

  /** The listen point whose address belongs in Via and Contact of what is sent to `to`; undefined if none fits. */
  localPoint(_to: Flow | Target): BoundPoint | undefined {
    return undefined;
  }

  /** The numeric address of a host: itself if numeric, else from the host table; undefined if unknown. */
  resolve(_host: string): string | undefined {
    return undefined;
  }

  /** The open connection flow with this id, or a UDP flow; undefined once closed. */
  flow(_id: string): Flow | undefined {
    return undefined;
  }

  /**
   * Sends octets over a flow, or to a target: over UDP, an open connection to it, or a new one. `failed` is called at
   * most once, never before `send` returns. The result is the flow used (its local address is known once it is
   * connected); undefined when there is none to use, after which `failed` is called.
   */
  send(_bytes: Buffer, _to: Flow | Target, _failed?: (error: TransportError) => void): Flow | undefined {
    return undefined;
  }

  /**
   * Sends a response where its top Via and the request's flow say (RFC 3261 18.2.2, RFC 3581 4): back over the
   * connection, else over a new one to received and sent-by port; over UDP to maddr, or received and rport.
   */
  sendResponse(_response: SipMessage, _flow: Flow, _failed?: (error: TransportError) => void): Flow | undefined {
    return undefined;
  }

  /** Ends a connection (RFC 5626 flow token revoked, ...); no effect on UDP or a closed one. */
  closeFlow(_flow: Flow): void {}

  /** Closes everything; afterwards `send` fails with `closed`. */
  async close(): Promise<void> {}
}
