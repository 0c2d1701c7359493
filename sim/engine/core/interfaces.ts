import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** One address of this machine. */
export interface InterfaceAddress {
  readonly address: string;
  /** `address/prefix`. */
  readonly cidr: string;
  readonly internal: boolean;
}

/** The addresses of this machine, as the system lists them. */
export function machineAddresses(): InterfaceAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ cidr }) => cidr !== null)
    .map(({ address, cidr, internal }) => ({ address, cidr: cidr!, internal }));
}

/**
 * The address under which `remote` reaches this machine, for sockets that listen on all: that of the network the two share,
 * a loopback address for loopback, else the first that leads outside. Same family as `remote`.
 */
export function addressTowards(remote: string, addresses: readonly InterfaceAddress[]): string | undefined {
  const family = isIP(remote);
  const type = family === 6 ? 'ipv6' : 'ipv4';
  const candidates = addresses.filter(({ address }) => isIP(address) === family);
  const neighbour = candidates.find(({ address, cidr }) => {
    const network = new BlockList();
    network.addSubnet(address, Number(cidr.slice(cidr.indexOf('/') + 1)), type);
    return network.check(remote, type);
  });
  return (neighbour ?? candidates.find(({ internal }) => !internal) ?? candidates[0])?.address;
}
