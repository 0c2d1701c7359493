import { isIP } from 'node:net';
import { parseAddress, parseUri, type SipUri } from '../message/index.ts';
import {
  type BoundPoint,
  defaultPort,
  type Flow,
  type Protocol,
  type Target,
  type TransportLayer,
} from '../transport/index.ts';
import { addressTowards, type InterfaceAddress, machineAddresses } from './interfaces.ts';

/** Remote addresses kept in mind; beyond them the answer is worked out anew. */
const MOST_REMOTES = 10_000;
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

const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** The addresses by which the engine knows itself. */
export class LocalAddresses {
  readonly #transport: TransportLayer;
  readonly #machine: () => readonly InterfaceAddress[];
  #known: readonly InterfaceAddress[] | undefined;
  /** Addresses of this machine as seen from a remote address; only sockets that listen on all need it. */
  readonly #towards = new Map<string, string>();

  /** @param machine the addresses of this machine, asked for once, when a socket listens on all of them. */
  constructor(transport: TransportLayer, machine: () => readonly InterfaceAddress[] = machineAddresses) {
    this.#transport = transport;
    this.#machine = machine;
  }

  /** Whether a URI's host and port are one of ours, whatever the transport. */
  isOwn(uri: SipUri): boolean {
    if (uri.scheme !== 'sip' && uri.scheme !== 'sips') return false;
    const address = this.#transport.resolve(uri.host);
    if (address === undefined) return false;
    const port = uri.port ?? targetOf(uri)?.port ?? 5060;
    return this.#transport.listenPoints.some(
      (point) =>
        point.port === port &&
        (point.host === address || (ANY.has(point.host) && this.#addresses().some((own) => own.address === address))),
    );
  }

  /**
   * The listen point whose address belongs in Via and Contact of what is sent there; undefined if there is none of that
   * protocol. A socket that listens on all addresses is named by the one that the other end sees. A host that cannot be
   * resolved gets a point all the same: its request fails later, with a 503 (8.1.3.1).
   */
  pointFor(to: Flow | Target): BoundPoint | undefined {
    const point = this.#transport.localPoint(to);
    const remote = 'host' in to ? this.#transport.resolve(to.host) : to.remoteAddress;
    if (remote === undefined) return this.#transport.listenPoints.find(({ protocol }) => protocol === to.protocol);
    if (point === undefined || !ANY.has(point.host)) return point;
    const host = 'localAddress' in to && !ANY.has(to.localAddress) ? to.localAddress : this.#seenFrom(remote);
    return { protocol: point.protocol, host: host ?? point.host, port: point.port };
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
    return this.#transport.listenPoints
      .flatMap(({ protocol, host, port }) => {
        const family = isIP(host);
        const hosts = ANY.has(host)
          ? this.#addresses()
              .filter(({ address }) => isIP(address) === family)
              .map(({ address }) => address)
          : [host];
        return hosts.map((address) => `${protocol}/${uriHost(address)}:${port}`);
      })
      .join(',');
  }

  #addresses(): readonly InterfaceAddress[] {
    this.#known ??= this.#machine();
    return this.#known;
  }

  #seenFrom(remote: string): string | undefined {
    const known = this.#towards.get(remote);
    if (known !== undefined) return known;
    const address = addressTowards(remote, this.#addresses());
    if (address !== undefined && this.#towards.size < MOST_REMOTES) this.#towards.set(remote, address);
    return address;
  }
}

/** The URI of a route, with or without angle brackets; '' if there is none to be found. */
export function routeUri(text: string): string {
  return text.includes('<') ? (parseAddress(text)?.uri ?? '') : text.trim();
}

/** The same, read; undefined if it is malformed. */
export function parseRouteUri(text: string): SipUri | undefined {
  return parseUri(routeUri(text));
}
