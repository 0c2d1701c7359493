import { IbcError } from '../errors.ts';
import { concat } from '../octets.ts';

/** Payload types: the `next payload` values of RFC 3830 section 6.1, RFC 6043 section 6.1 and RFC 6509 section 4.2. */
export const PAYLOAD = {
  last: 0,
  kemac: 1,
  sign: 4,
  timestamp: 5,
  id: 6,
  cert: 7,
  securityPolicy: 10,
  rand: 11,
  idr: 14,
  keyData: 20,
  generalExtension: 21,
  sakke: 26,
} as const;

/** Roles of an IDR payload (RFC 6043 section 6.6, RFC 6509 section 4.4; 8 and 9: TS 33.180 E.7, identity hiding). */
export const IDR_ROLE = {
  initiator: 1,
  responder: 2,
  initiatorKms: 6,
  responderKms: 7,
  initiatorUid: 8,
  responderUid: 9,
} as const;

/** ID type 1, URI (RFC 3830 section 6.7); vendors also send a UID under it, and so do we. */
export const ID_TYPE_URI = 1;
/** Data type of an I_MESSAGE: SAKKE init (RFC 6509 section 4.1). */
export const DATA_TYPE_SAKKE = 26;
/** PRF-HMAC-SHA-256 (RFC 6043 section 6.1). */
export const PRF_HMAC_SHA_256 = 1;
/** SAKKE payload: parameter set 1 and the identifier scheme of TS 33.180, a hashed UID (RFC 6509 section 4.2). */
export const SAKKE_PARAMS_1 = 1;
export const ID_SCHEME_3GPP_UID = 2;
/** S type of SIGN: ECCSI (RFC 6509 section 4.3). */
export const SIGN_ECCSI = 2;

/** One crypto session of the CS ID map (types 0 and 2), as far as a receiver of keys needs it. */
export interface CryptoSession {
  readonly csId: number;
  readonly policies: readonly number[];
  /** The SPI of a GENERIC-ID map: key identifiers in MC services. */
  readonly spi: Uint8Array;
}

export interface Header {
  readonly version: number;
  readonly dataType: number;
  /** V: the sender wants a verification message. */
  readonly v: boolean;
  readonly prf: number;
  /** 4 octets. */
  readonly csbId: Uint8Array;
  /** 0 SRTP-ID, 1 empty, 2 GENERIC-ID. */
  readonly csIdMapType: number;
  readonly cryptoSessions: readonly CryptoSession[];
}

/** A payload after the header; `octets` are all of it, its `next payload` octet included. */
export type Payload = { readonly octets: Uint8Array; readonly offset: number } & (
  | { readonly kind: 'timestamp'; readonly tsType: number; readonly value: Uint8Array }
  | { readonly kind: 'rand'; readonly rand: Uint8Array }
  | { readonly kind: 'idr'; readonly role: number; readonly idType: number; readonly data: Uint8Array }
  | { readonly kind: 'cert'; readonly certType: number; readonly data: Uint8Array }
  | {
      readonly kind: 'security-policy';
      readonly policyNo: number;
      readonly protocol: number;
      readonly parameters: Uint8Array;
    }
  | { readonly kind: 'sakke'; readonly params: number; readonly idScheme: number; readonly sed: Uint8Array }
  | { readonly kind: 'general-extension'; readonly extensionType: number; readonly data: Uint8Array }
  | {
      readonly kind: 'kemac';
      readonly encryption: number;
      readonly encrypted: Uint8Array;
      readonly macAlgorithm: number;
      readonly mac: Uint8Array;
    }
  | { readonly kind: 'sign'; readonly signType: number; readonly signature: Uint8Array }
);

/** Octets in, fields out, never past the end: `message-malformed` names what is cut short. */
export class Reader {
  readonly #octets: Uint8Array;
  offset = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get left(): number {
    return this.#octets.length - this.offset;
  }

  take(length: number, what: string): Uint8Array {
    if (this.left < length) {
      throw new IbcError('message-malformed', `${what} is cut short: ${length} octets announced, ${this.left} left`);
    }
    this.offset += length;
    return this.#octets.slice(this.offset - length, this.offset);
  }

  uint8(what: string): number {
    return this.take(1, what)[0]!;
  }

  uint16(what: string): number {
    const [high, low] = this.take(2, what);
    return (high! << 8) | low!;
  }

  since(start: number): Uint8Array {
    return this.#octets.slice(start, this.offset);
  }
}

/** A payload without its `next payload` octet: {@link chain} puts that in. */
export interface Body {
  readonly type: number;
  readonly octets: Uint8Array;
}

export const timestampBody = (ntp: Uint8Array): Body => ({
  type: PAYLOAD.timestamp,
  octets: concat(Uint8Array.of(0), ntp),
});

export const randBody = (rand: Uint8Array): Body => ({
  type: PAYLOAD.rand,
  octets: concat(Uint8Array.of(rand.length), rand),
});

export const idrBody = (role: number, data: Uint8Array): Body => ({
  type: PAYLOAD.idr,
  octets: concat(Uint8Array.of(role, ID_TYPE_URI), uint16(data.length), data),
});

export const idBody = (data: Uint8Array): Body => ({
  type: PAYLOAD.id,
  octets: concat(Uint8Array.of(ID_TYPE_URI), uint16(data.length), data),
});

export const sakkeBody = (sed: Uint8Array): Body => ({
  type: PAYLOAD.sakke,
  octets: concat(Uint8Array.of(SAKKE_PARAMS_1, ID_SCHEME_3GPP_UID), uint16(sed.length), sed),
});

/**
 * Strings payloads together: each gets the type of its successor in front, the last one `after`.
 * Returns the type of the first as well, for the header before it.
 */
export function chain(bodies: readonly Body[], after: number): { first: number; octets: Uint8Array } {
  const parts = bodies.map(({ octets }, index) => concat(Uint8Array.of(bodies[index + 1]?.type ?? after), octets));
  return { first: bodies[0]?.type ?? after, octets: concat(...parts) };
}

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
