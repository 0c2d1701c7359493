/**
 * Security protected NAS messages (TS 24.301 9.1, 4.4.3): security header, MAC, sequence number, then the plain message.
 * Integrity by 128-EIA2; ciphering by EEA0, which changes nothing.
 */
import { timingSafeEqual } from 'node:crypto';
import { deriveKnasInt, eia2, type NasDirection } from '../../security/aka/eps-keys.ts';
import { concat, NasError, OctetReader } from './octets.ts';

/** TS 24.301 9.3.1. */
const SECURITY_HEADER = {
  plain: 0,
  'integrity-ciphered': 2,
  'integrity-new-context': 3,
  'integrity-ciphered-new-context': 4,
} as const;

export type SecurityHeader = Exclude<keyof typeof SECURITY_HEADER, 'plain'>;

const EMM = 0x7;

/** Whether the PDU claims protection; what it claims is proved by {@link NasSecurity.open} only. */
export function isProtected(pdu: Uint8Array): boolean {
  return pdu.length > 0 && pdu[0]! >> 4 !== SECURITY_HEADER.plain;
}

/** One EPS security context: K_NASint and a NAS COUNT for each direction, both from 0 (TS 24.301 4.4.3.1). */
export class NasSecurity {
  readonly #key: Uint8Array;
  readonly #sends: NasDirection;
  #sent = 0;
  #received = 0;

  /** @param sends the direction of what this end sends: the UE `uplink`, the network `downlink` */
  constructor(kasme: Uint8Array, sends: NasDirection) {
    this.#key = deriveKnasInt(kasme);
    this.#sends = sends;
  }

  /** @returns the protected PDU around a plain NAS message */
  protect(plain: Uint8Array, header: SecurityHeader): Uint8Array {
    const count = this.#sent++;
    const numbered = concat(Uint8Array.of(count & 0xff), plain);
    const mac = eia2(this.#key, { count, bearer: 0, direction: this.#sends }, numbered);
    return concat(Uint8Array.of((SECURITY_HEADER[header] << 4) | EMM), mac, numbered);
  }

  /**
   * Checks the MAC. A replayed PDU is taken for one of the next 256 and so fails the check (TS 24.301 4.4.3.2).
   *
   * @returns the plain NAS message
   * @throws NasError NAS_INTEGRITY when MAC or count are wrong, NAS_MALFORMED when the PDU is too short
   */
  open(pdu: Uint8Array): Uint8Array {
    const reader = new OctetReader(pdu);
    reader.octet('security header');
    const mac = reader.take(4, 'message authentication code');
    const numbered = reader.take(reader.left, 'protected message');
    if (numbered.length === 0) throw new NasError('NAS_MALFORMED', 'NAS PDU ends before its sequence number.');
    const sequence = numbered[0]!;
    const overflow = (this.#received & ~0xff) + (sequence < (this.#received & 0xff) ? 0x100 : 0);
    const count = overflow + sequence;
    const direction: NasDirection = this.#sends === 'uplink' ? 'downlink' : 'uplink';
    if (!timingSafeEqual(eia2(this.#key, { count, bearer: 0, direction }, numbered), mac)) {
      throw new NasError('NAS_INTEGRITY', 'The MAC of the NAS message is wrong: the two ends hold different K_ASME.');
    }
    this.#received = count + 1;
    return numbered.subarray(1);
  }
}
