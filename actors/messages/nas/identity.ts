/** EPS mobile identity (TS 24.301 9.9.3.12): IMSI and GUTI. */
import { concat, NasError, OctetReader } from './octets.ts';

export type EpsMobileIdentity =
  | { readonly kind: 'imsi'; readonly imsi: string }
  /** `guti`: PLMN (3 octets), MME group (2), MME code (1), M-TMSI (4). */
  | { readonly kind: 'guti'; readonly guti: Uint8Array };

const TYPE_IMSI = 1;
const TYPE_GUTI = 6;
const FILLER = 0xf;

/** @returns the value part of the element, without its length */
export function encodeIdentity(identity: EpsMobileIdentity): Uint8Array {
  if (identity.kind === 'guti') return concat(Uint8Array.of(0xf0 | TYPE_GUTI), identity.guti);
  const digits = identity.imsi.split('').map(Number);
  const odd = digits.length % 2;
  const octets = [(digits[0]! << 4) | (odd << 3) | TYPE_IMSI];
  for (let i = 1; i < digits.length; i += 2) octets.push(((digits[i + 1] ?? FILLER) << 4) | digits[i]!);
  return Uint8Array.from(octets);
}

/** @param octets the value part of the element */
export function decodeIdentity(octets: Uint8Array): EpsMobileIdentity {
  const reader = new OctetReader(octets);
  const first = reader.octet('EPS mobile identity');
  if ((first & 7) === TYPE_GUTI) return { kind: 'guti', guti: reader.take(10, 'GUTI') };
  if ((first & 7) !== TYPE_IMSI) {
    throw new NasError('NAS_MALFORMED', `EPS mobile identity of type ${first & 7}; an IMSI or a GUTI is needed.`);
  }
  const digits = [first >> 4];
  for (const octet of reader.take(reader.left, 'IMSI')) digits.push(octet & 0xf, octet >> 4);
  if ((first & 8) === 0 && digits.pop() !== FILLER) throw new NasError('NAS_MALFORMED', 'IMSI lacks its filler.');
  if (digits.some((digit) => digit > 9)) throw new NasError('NAS_MALFORMED', 'IMSI holds something that is no digit.');
  return { kind: 'imsi', imsi: digits.join('') };
}
