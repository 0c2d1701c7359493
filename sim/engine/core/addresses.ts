import { parseUri, type SipUri } from '../message/index.ts';
import {
  type BoundPoint,
  defaultPort,
  type Flow,
  type Protocol,
  type Target,
  type TransportLayer,
} from '../transport/index.ts';

const PROTOCOLS: ReadonlySet<string> = new Set<Protocol>(['udp', 'tcp', 'tls', 'ws', 'wss']);

/** An IPv6 address in brackets, as URIs and Via want it. */
export function uriHost(address: string): string {
  return address.includes(':') && !address.startsWith('[') ? `[${address}]` : address;
}

/**
 * Where a request for a URI goes: RFC 3263 4 without its DNS queries (hosts are numeric or in the host table).
 * @returns undefined for a URI that leads nowhere by itself (tel:, urn:).
 */
export function targetOf(uri: SipUri): Target | undefined {
  if (uri.scheme !== 'sip' && uri.scheme !== 'sips') return undefined;
  const named = uri.params.get('transport')?.toLowerCase();
  if (named !== undefined && !PROTOCOLS.has(named)) return undefined;
  let protocol = (named ?? 'udp') as Protocol;
  if (uri.scheme === 'sips') protocol = protocol === 'ws' || protocol === 'wss' ? 'wss' : 'tls';
  return { protocol, host: uri.params.get('maddr') ?? uri.host, port: uri.port ?? defaultPort(protocol) };
}

const ANY = new Set(['0.0.0.0', '::']);

/** The addresses by which the engine knows itself. */
export class LocalAddresses {
  readonly #transport: TransportLayer;

  constructor(transport: TransportLayer) {
    this.#transport = transport;
  }

  /** Whether a URI's host and port are one of ours, whatever the transport. */
  isOwn(uri: SipUri): boolean {
    if (uri.scheme !== 'sip' && uri.scheme !== 'sips') return false;
    const address = this.#transport.resolve(uri.host);
    if (address === undefined) return false;
    const target = targetOf(uri);
    const port = uri.port ?? target?.port ?? 5060;
    return this.#transport.listenPoints.some(
      (point) => point.port === port && (point.host === address || ANY.has(point.host)),
    );
  }

  /**
   * The listen point whose address belongs in Via and Contact of what is sent there; undefined if there is none of that
   * protocol. A host that cannot be resolved gets one all the same: its request fails later, with a 503 (8.1.3.1).
   */
  pointFor(to: Flow | Target): BoundPoint | undefined {
    const point = this.#transport.localPoint(to);
    if (point !== undefined || !('host' in to) || this.#transport.resolve(to.host) !== undefined) return point;
    return this.#transport.listenPoints.find((candidate) => candidate.protocol === to.protocol);
  }

  /** Contact, and From where an application gives none: `<sip:host:port;transport=proto>`. */
  contact(point: BoundPoint): string {
    return `<${this.uri(point)}>`;
  }

  /** `sip:host:port[;transport=proto]` of a listen point. */
  uri(point: BoundPoint): string {
    const transport = point.protocol === 'udp' ? '' : `;transport=${point.protocol}`;
    return `sip:${uriHost(point.host)}:${point.port}${transport}`;
  }

  /** `proto/host:port` of every listen point, as `authenticate` answers it. */
  hostports(): string {
    return this.#transport.listenPoints.map((p) => `${p.protocol}/${uriHost(p.host)}:${p.port}`).join(',');
  }
}

/** The URI of a route given by an application: with or without angle brackets. */
export function parseRouteUri(text: string): SipUri | undefined {
  const open = text.indexOf('<');
  return parseUri(open === -1 ? text.trim() : text.slice(open + 1, text.indexOf('>', open)));
}
