/** Reading and writing the octets of NAS PDUs, every read within bounds (formats V, LV, LV-E and TLV of TS 24.007 11.2.1.1). */

export type NasErrorCode = 'NAS_MALFORMED' | 'NAS_INTEGRITY' | 'NAS_TIMEOUT' | 'NAS_CONNECTION_LOST';

export class NasError extends Error {
  readonly code: NasErrorCode;

  constructor(code: NasErrorCode, message: string) {
    super(message);
    this.name = 'NasError';
    this.code = code;
  }
}

export class OctetReader {
  readonly #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get left(): number {
    return this.#octets.length - this.#at;
  }

  /** V: the next `length` octets; `what` names them in the error when they are not there. */
  take(length: number, what: string): Uint8Array {
    if (length > this.left) {
      throw new NasError('NAS_MALFORMED', `NAS PDU ends within ${what}: ${length} octets wanted, ${this.left} left.`);
    }
    this.#at += length;
    return this.#octets.subarray(this.#at - length, this.#at);
  }

  octet(what: string): number {
    return this.take(1, what)[0]!;
  }

  /** LV: one octet of length, then as many octets; refused outside `min` to `max`. */
  lv(what: string, min = 0, max = 255): Uint8Array {
    const length = this.octet(what);
    if (length < min || length > max) {
      throw new NasError('NAS_MALFORMED', `${what} is ${length} octets long; ${min} to ${max} are allowed.`);
    }
    return this.take(length, what);
  }

  /** LV-E: two octets of length, then as many octets. */
  lve(what: string): Uint8Array {
    const length = this.take(2, what);
    return this.take((length[0]! << 8) | length[1]!, what);
  }

  /**
   * The optional TLV elements that follow the mandatory part, by IEI. Type 1 elements (IEI with its top bit set) are one
   * octet long; unknown ones are kept, so that the caller passes over what it does not look for (TS 24.301 7.6).
   */
  optional(): ReadonlyMap<number, Uint8Array> {
    const elements = new Map<number, Uint8Array>();
    while (this.left > 0) {
      const iei = this.octet('information element');
      if (iei >= 0x80) elements.set(iei & 0xf0, Uint8Array.of(iei & 0x0f));
      else elements.set(iei, this.lv(`information element 0x${iei.toString(16)}`));
    }
    return elements;
  }
}

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

export const lv = (value: Uint8Array): Uint8Array => concat(Uint8Array.of(value.length), value);

export const lve = (value: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(value.length >> 8, value.length & 0xff), value);

export const tlv = (iei: number, value: Uint8Array): Uint8Array => concat(Uint8Array.of(iei), lv(value));
