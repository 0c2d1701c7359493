import { createDecipheriv, createHmac } from 'node:crypto';
import { IbcError } from '../errors.ts';
import { concat, zero } from '../octets.ts';
import { Reader, uint16 } from './payloads.ts';

/** General Extension type 7: 3GPP key parameters (TS 33.180 E.6). */
export const KEY_PARAMETERS_EXTENSION = 7;

/** What MC services say about the key that an I_MESSAGE transports (TS 33.180 E.6.4). */
export interface KeyParameters {
  /** The purpose tag's number: 0 GMK, 1 PCK, 2 CSK. */
  readonly keyType: number;
  readonly status: number;
  /** Seconds since 1970; 0 is "at once". */
  readonly activation: number;
  /** Seconds since 1970; 0 or 2^32 - 1 is "never". */
  readonly expiry: number;
  readonly text: string;
  /** MC group identities, for a GMK. */
  readonly groupIds: readonly string[];
}

/** message type 1, date 5, payload ID 4, sequence 1, algorithm 1, IV 16, DPPK-ID 4: the associated data of AES-128-GCM. */
const PROTECTED_HEADER = 32;
const IV_OFFSET = 12;
const DPPK_ID_OFFSET = 28;
const TAG_OCTETS = 16;
const GROUP_ID_IEI = 0x7b;

/**
 * Opens the key parameters with the key that the I_MESSAGE transports. They are an MCData Protected Payload: AES-128-GCM under
 * {@link dataPayloadKey}, the octets before its length as associated data. The form of TS 33.179, parameters in clear, is read
 * too. `message-malformed` when neither fits or the tag is wrong.
 */
export function openKeyParameters(key: Uint8Array, data: Uint8Array): KeyParameters {
  if (data.length < PROTECTED_HEADER + 3 + TAG_OCTETS) return parseKeyParameters(data);
  const reader = new Reader(data);
  const header = reader.take(PROTECTED_HEADER, 'key parameters');
  reader.uint8('key parameters'); // both vendors seen send 00 before the length
  const content = reader.take(reader.uint16('key parameters'), 'key parameters');
  const dpck = dataPayloadKey(key, header.subarray(DPPK_ID_OFFSET));
  try {
    const gcm = createDecipheriv('aes-128-gcm', dpck, header.subarray(IV_OFFSET, DPPK_ID_OFFSET));
    gcm.setAAD(header);
    gcm.setAuthTag(content.subarray(content.length - TAG_OCTETS));
    const plain = gcm.update(content.subarray(0, content.length - TAG_OCTETS));
    gcm.final();
    return parseKeyParameters(new Uint8Array(plain));
  } catch (error) {
    if (error instanceof IbcError) throw error;
    throw new IbcError('message-malformed', 'the key parameters do not open with the transported key');
  } finally {
    zero(dpck);
  }
}

/** DPCK = the last 16 octets of KDF(DPPK, FC 0x53 || P0 = DPPK-ID || L0) (TS 33.180 F.1.4). */
export function dataPayloadKey(dppk: Uint8Array, dppkId: Uint8Array): Uint8Array {
  return new Uint8Array(kdf(dppk, 0x53, dppkId)).slice(16);
}

/** KDF of TS 33.220 annex B.2: HMAC-SHA-256 over FC || P0 || L0. */
export function kdf(key: Uint8Array, fc: number, p0: Uint8Array): Uint8Array {
  return createHmac('sha256', key)
    .update(concat(Uint8Array.of(fc), p0, uint16(p0.length)))
    .digest();
}

function parseKeyParameters(octets: Uint8Array): KeyParameters {
  const reader = new Reader(octets);
  const number = (length: number) => reader.take(length, 'key parameters').reduce((sum, octet) => sum * 256 + octet, 0);
  const text = () => Buffer.from(reader.take(reader.uint16('key parameters'), 'key parameters')).toString('utf8');
  const fixed = { keyType: number(1), status: number(4), activation: number(5), expiry: number(5), text: text() };
  const groupIds: string[] = [];
  if (reader.left > 0) {
    reader.uint16('group identities');
    for (let count = number(1); count > 0; count--) {
      if (number(1) !== GROUP_ID_IEI) throw new IbcError('message-malformed', 'a group identity must be of type 7B');
      groupIds.push(text());
    }
  }
  return { ...fixed, groupIds };
}
