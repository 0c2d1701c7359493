/**
 * Protocol configuration options (TS 24.008 10.5.6.3): how the UE asks for, and gets, the address of the P-CSCF. A real
 * PCO has no place for a port or a WebSocket path; the container for operator specific use carries the SIP core's URL.
 */
import { concat, lv, NasError, OctetReader } from './octets.ts';

const CONFIGURATION_PROTOCOL_PPP = 0x80;
const P_CSCF_IPV4_ADDRESS = 0x000c;
const OPERATOR_SPECIFIC = 0xff00;

/** What the network tells. */
export interface ConnectivityOptions {
  /** Dotted IPv4 address. */
  readonly pCscfAddress: string;
  /** `wss:` URL of the SIP core, at most 252 octets. */
  readonly sipCoreUrl: string;
}

const container = (id: number, contents: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(id >> 8, id & 0xff), lv(contents));

const wrap = (...containers: Uint8Array[]): Uint8Array =>
  concat(Uint8Array.of(CONFIGURATION_PROTOCOL_PPP), ...containers);

/** Dotted IPv4 address to 4 octets. */
export function ipv4Octets(address: string): Uint8Array {
  const octets = address.split('.').map(Number);
  if (octets.length !== 4 || octets.some((octet) => !Number.isInteger(octet) || octet < 0 || octet > 255)) {
    throw new NasError('NAS_MALFORMED', `${address} is no IPv4 address.`);
  }
  return Uint8Array.from(octets);
}

/** What the UE puts into its PDN connectivity request: both containers, empty. */
export function encodePcoRequest(plmn: Uint8Array): Uint8Array {
  return wrap(container(P_CSCF_IPV4_ADDRESS, new Uint8Array()), container(OPERATOR_SPECIFIC, plmn));
}

/** @param plmn whose operator the specific container belongs to, 3 octets; TS 24.008 puts it first */
export function encodePco(options: ConnectivityOptions, plmn: Uint8Array): Uint8Array {
  return wrap(
    container(P_CSCF_IPV4_ADDRESS, ipv4Octets(options.pCscfAddress)),
    container(OPERATOR_SPECIFIC, concat(plmn, Buffer.from(options.sipCoreUrl, 'utf8'))),
  );
}

/** @throws NasError NAS_MALFORMED when the P-CSCF address or the SIP core's URL is missing */
export function decodePco(octets: Uint8Array): ConnectivityOptions {
  const reader = new OctetReader(octets);
  reader.octet('configuration protocol');
  const containers = new Map<number, Uint8Array>();
  while (reader.left > 0) {
    const [high, low] = reader.take(2, 'container identifier') as unknown as [number, number];
    containers.set((high << 8) | low, reader.lv('container'));
  }
  const address = containers.get(P_CSCF_IPV4_ADDRESS);
  const operator = containers.get(OPERATOR_SPECIFIC);
  if (address?.length !== 4) throw new NasError('NAS_MALFORMED', 'The network gave no P-CSCF IPv4 address.');
  if (operator === undefined || operator.length <= 3) {
    throw new NasError('NAS_MALFORMED', 'The network gave no SIP core URL in container 0xFF00.');
  }
  return { pCscfAddress: address.join('.'), sipCoreUrl: Buffer.from(operator.subarray(3)).toString('utf8') };
}
