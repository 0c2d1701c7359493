import { isIP, isIPv6 } from 'node:net';
import { withoutThirdColon } from '../message/index.ts';
import type { BoundPoint, Flow, Protocol, Target } from './flow.ts';

/** An address as the layer compares it: no brackets, no zone, IPv4-mapped IPv6 as IPv4, IPv6 in its shortest form. */
export function plainAddress(host: string): string {
  let address = host.startsWith('[') ? host.slice(1, -1) : host;
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  if (zone >= 0) address = address.slice(0, zone);
  address = withoutThirdColon(address);
  if (!isIPv6(address)) return address;
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = MAPPED.exec(shortest);
  if (mapped === null) return shortest;
  return mapped
    .slice(1)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
}

/** An IPv4-mapped address in its shortest form: the IPv4 address is the last two groups. */
const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The numeric address of a host: itself if numeric, else what the table says (names in lower case). `localhost` needs no
 * table (RFC 6761 6.3).
 */
export function resolveHost(host: string, table: Readonly<Record<string, string>>): string | undefined {
  const plain = plainAddress(host);
  if (isIP(plain) !== 0) return plain;
  const name = plain.toLowerCase();
  const address = Object.hasOwn(table, name) ? table[name] : name === 'localhost' ? '127.0.0.1' : undefined;
  return address === undefined || isIP(address) === 0 ? undefined : plainAddress(address);
}

/** How connections are found again: by transport and the peer's address. */
export function peerKey(protocol: Protocol, address: string, port: number): string {
  return `${protocol}/${address}/${port}`;
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::';

/**
 * The listen point to speak from: of the same transport and address family; among several the one that the flow came in
 * on, else one on the same side of loopback.
 */
export function choosePoint<P extends BoundPoint>(
  points: readonly P[],
  to: Flow | Target,
  remote: string,
): P | undefined {
  const family = isIP(remote);
  const fitting = points.filter((point) => point.protocol === to.protocol && isIP(point.host) === family);
  if ('localAddress' in to) {
    const own = fitting.find(
      (point) => point.port === to.localPort && [to.localAddress, '0.0.0.0', '::'].includes(point.host),
    );
    if (own) return own;
  }
  const side = isLoopback(remote);
  return fitting.find((point) => isAny(point.host) || isLoopback(point.host) === side) ?? fitting[0];
}
