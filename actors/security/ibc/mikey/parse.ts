import { IbcError } from '../errors.ts';
import { type CryptoSession, type Header, PAYLOAD, type Payload, Reader } from './payloads.ts';

/** A MIKEY message taken apart; nothing is verified yet. */
export interface ParsedMessage {
  readonly header: Header;
  /** In the order of the wire; found by `next payload`, so any order is understood. */
  readonly payloads: readonly Payload[];
  /** How many octets the signature covers: everything up to and including the two-octet SIGN header (RFC 3830 section 5.2). */
  readonly signedLength: number;
}

/** More than any I_MESSAGE needs; a longer one is refused before it is read. */
const LONGEST = 8192;

/**
 * Takes an I_MESSAGE apart (RFC 3830 section 6.1, RFC 6043 section 6, RFC 6509 section 4). `message-malformed` when it is cut
 * short, too long, does not end with SIGN or has octets behind it; `message-unsupported` for a payload or map not known here.
 */
export function parseMessage(octets: Uint8Array): ParsedMessage {
  if (octets.length > LONGEST) throw new IbcError('message-malformed', `a message of more than ${LONGEST} octets`);
  const reader = new Reader(octets);
  const { header, next } = parseHeader(reader);
  const payloads: Payload[] = [];
  let type = next;
  while (type !== PAYLOAD.last) {
    const start = reader.offset;
    const parsed = parsePayload(reader, type);
    payloads.push({ ...parsed.payload, offset: start, octets: reader.since(start) });
    type = parsed.next;
  }
  if (reader.left > 0) throw new IbcError('message-malformed', `${reader.left} octets follow the last payload`);
  const last = payloads.at(-1);
  if (last?.kind !== 'sign') {
    throw new IbcError(
      'message-malformed',
      'the last payload is not SIGN: an I_MESSAGE is always signed (RFC 6509 section 2.1.4)',
    );
  }
  return { header, payloads, signedLength: last.offset + 2 };
}

function parseHeader(reader: Reader): { header: Header; next: number } {
  const version = reader.uint8('HDR');
  if (version !== 1) throw new IbcError('message-unsupported', `MIKEY version ${version}, only 1 exists`);
  const dataType = reader.uint8('HDR');
  const next = reader.uint8('HDR');
  const vPrf = reader.uint8('HDR');
  const csbId = reader.take(4, 'CSB ID');
  const sessions = reader.uint8('#CS');
  const csIdMapType = reader.uint8('CS ID map type');
  const header = {
    version,
    dataType,
    v: vPrf >= 0x80,
    prf: vPrf & 0x7f,
    csbId,
    csIdMapType,
    cryptoSessions: parseCsIdMap(reader, csIdMapType, sessions),
  };
  return { header, next };
}

function parseCsIdMap(reader: Reader, mapType: number, count: number): CryptoSession[] {
  const session = SESSION_PARSERS[mapType];
  if (session === undefined) throw new IbcError('message-unsupported', `CS ID map type ${mapType} is not known`);
  return Array.from({ length: count }, (_, index) => session(reader, index));
}

const SESSION_PARSERS: Record<number, (reader: Reader, index: number) => CryptoSession> = {
  // SRTP-ID: policy number, SSRC, ROC (RFC 3830 section 6.1.1)
  0: (reader, index) => {
    const policies = [reader.uint8('SRTP-ID map')];
    reader.take(8, 'SRTP-ID map');
    return { csId: index + 1, policies, spi: new Uint8Array() };
  },
  // Empty map (RFC 4563 section 3): no sessions follow
  1: () => {
    throw new IbcError('message-malformed', 'an empty CS ID map cannot hold crypto sessions');
  },
  // GENERIC-ID: CS ID, protocol, S and #P, policies, session data, SPI (RFC 6043 section 6.1.1)
  2: (reader) => {
    const csId = reader.uint8('GENERIC-ID map');
    reader.uint8('GENERIC-ID map');
    const policyCount = reader.uint8('GENERIC-ID map') & 0x7f;
    const policies = [...reader.take(policyCount, 'GENERIC-ID policies')];
    reader.take(reader.uint16('GENERIC-ID session data'), 'GENERIC-ID session data');
    return { csId, policies, spi: reader.take(reader.uint8('GENERIC-ID SPI'), 'GENERIC-ID SPI') };
  },
};

type Fields<P> = P extends unknown ? Omit<P, 'octets' | 'offset'> : never;

function parsePayload(reader: Reader, type: number): { payload: Fields<Payload>; next: number } {
  // SIGN has no next payload field: it is always the last (RFC 3830 section 6.5)
  if (type === PAYLOAD.sign) {
    const typeLength = reader.uint16('SIGN');
    const signature = reader.take(typeLength & 0x0fff, 'SIGN');
    return { payload: { kind: 'sign', signType: typeLength >> 12, signature }, next: PAYLOAD.last };
  }
  const parse = PAYLOAD_PARSERS[type];
  if (parse === undefined) throw new IbcError('message-unsupported', `MIKEY payload type ${type} is not known here`);
  const next = reader.uint8('next payload');
  return { payload: parse(reader), next };
}

const PAYLOAD_PARSERS: Record<number, (reader: Reader) => Fields<Payload>> = {
  [PAYLOAD.timestamp]: (reader) => {
    const tsType = reader.uint8('T');
    // NTP-UTC and NTP have 8 octets, COUNTER has 4 (RFC 3830 section 6.6)
    return { kind: 'timestamp', tsType, value: reader.take(tsType === 2 ? 4 : 8, 'T') };
  },
  [PAYLOAD.rand]: (reader) => ({ kind: 'rand', rand: reader.take(reader.uint8('RAND'), 'RAND') }),
  [PAYLOAD.idr]: (reader) => ({
    kind: 'idr',
    role: reader.uint8('IDR'),
    idType: reader.uint8('IDR'),
    data: reader.take(reader.uint16('IDR'), 'IDR'),
  }),
  [PAYLOAD.cert]: (reader) => ({
    kind: 'cert',
    certType: reader.uint8('CERT'),
    data: reader.take(reader.uint16('CERT'), 'CERT'),
  }),
  [PAYLOAD.securityPolicy]: (reader) => ({
    kind: 'security-policy',
    policyNo: reader.uint8('SP'),
    protocol: reader.uint8('SP'),
    parameters: reader.take(reader.uint16('SP'), 'SP'),
  }),
  [PAYLOAD.sakke]: (reader) => ({
    kind: 'sakke',
    params: reader.uint8('SAKKE'),
    idScheme: reader.uint8('SAKKE'),
    sed: reader.take(reader.uint16('SAKKE'), 'SAKKE'),
  }),
  [PAYLOAD.generalExtension]: (reader) => ({
    kind: 'general-extension',
    extensionType: reader.uint8('General Extension'),
    data: reader.take(reader.uint16('General Extension'), 'General Extension'),
  }),
  [PAYLOAD.kemac]: (reader) => {
    const encryption = reader.uint8('KEMAC');
    const encrypted = reader.take(reader.uint16('KEMAC'), 'KEMAC');
    const macAlgorithm = reader.uint8('KEMAC');
    const macLength = MAC_LENGTHS[macAlgorithm];
    if (macLength === undefined)
      throw new IbcError('message-unsupported', `KEMAC MAC algorithm ${macAlgorithm} is not known`);
    return { kind: 'kemac', encryption, encrypted, macAlgorithm, mac: reader.take(macLength, 'KEMAC') };
  },
};

/** NULL, HMAC-SHA-1-160 (RFC 3830 section 6.2), HMAC-SHA-256-256 (RFC 6043 section 6.2). */
const MAC_LENGTHS: Record<number, number> = { 0: 0, 1: 20, 2: 32 };
