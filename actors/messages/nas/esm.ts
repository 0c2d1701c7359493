/** The ESM messages inside attach request, accept and complete (TS 24.301 8.3): one default bearer, IPv4. */
import { concat, lv, NasError, OctetReader, tlv } from './octets.ts';
import { type ConnectivityOptions, decodePco, encodePco, encodePcoRequest, ipv4Octets } from './pco.ts';

const ESM = 0x2;
const PDN_CONNECTIVITY_REQUEST = 0xd0;
const ACTIVATE_DEFAULT_BEARER_REQUEST = 0xc1;
const ACTIVATE_DEFAULT_BEARER_ACCEPT = 0xc2;
const IEI_PCO = 0x27;
const PDN_TYPE_IPV4 = 1;
const INITIAL_REQUEST = 1;
const QCI_NON_GBR = 9;
const DEFAULT_BEARER = 5;
/** Procedure transaction identity: there is one procedure at a time. */
const PTI = 1;

/** What the UE gets with its bearer. */
export interface BearerGrant extends ConnectivityOptions {
  /** The UE's own dotted IPv4 address. */
  readonly pdnAddress: string;
  /** Access point name, labels joined by dots. */
  readonly apn: string;
}

const header = (bearer: number, pti: number, type: number): Uint8Array => Uint8Array.of((bearer << 4) | ESM, pti, type);

/** @param plmn 3 octets */
export function encodePdnConnectivityRequest(plmn: Uint8Array): Uint8Array {
  return concat(
    header(0, PTI, PDN_CONNECTIVITY_REQUEST),
    Uint8Array.of((PDN_TYPE_IPV4 << 4) | INITIAL_REQUEST),
    tlv(IEI_PCO, encodePcoRequest(plmn)),
  );
}

/** @param plmn 3 octets */
export function encodeActivateDefaultBearer(grant: BearerGrant, plmn: Uint8Array): Uint8Array {
  const labels = grant.apn.split('.').map((label) => lv(Buffer.from(label, 'ascii')));
  return concat(
    header(DEFAULT_BEARER, PTI, ACTIVATE_DEFAULT_BEARER_REQUEST),
    lv(Uint8Array.of(QCI_NON_GBR)),
    lv(concat(...labels)),
    lv(concat(Uint8Array.of(PDN_TYPE_IPV4), ipv4Octets(grant.pdnAddress))),
    tlv(IEI_PCO, encodePco(grant, plmn)),
  );
}

export function encodeActivateDefaultBearerAccept(): Uint8Array {
  return header(DEFAULT_BEARER, 0, ACTIVATE_DEFAULT_BEARER_ACCEPT);
}

export function decodeActivateDefaultBearer(octets: Uint8Array): BearerGrant {
  const reader = new OctetReader(octets);
  reader.take(2, 'ESM header');
  const type = reader.octet('ESM message type');
  if (type !== ACTIVATE_DEFAULT_BEARER_REQUEST) {
    throw new NasError(
      'NAS_MALFORMED',
      `ESM message 0x${type.toString(16)} where a default bearer should be activated.`,
    );
  }
  reader.lv('EPS QoS', 1);
  const labels = new OctetReader(reader.lv('access point name', 1, 100));
  const apn: string[] = [];
  while (labels.left > 0) apn.push(Buffer.from(labels.lv('access point name label')).toString('ascii'));
  const address = reader.lv('PDN address', 5, 13);
  if ((address[0]! & 7) !== PDN_TYPE_IPV4) throw new NasError('NAS_MALFORMED', 'The PDN address is not IPv4.');
  const pco = reader.optional().get(IEI_PCO);
  if (pco === undefined) throw new NasError('NAS_MALFORMED', 'The network gave no protocol configuration options.');
  return { pdnAddress: address.subarray(1, 5).join('.'), apn: apn.join('.'), ...decodePco(pco) };
}
