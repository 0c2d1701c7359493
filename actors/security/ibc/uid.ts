import { createHash } from 'node:crypto';
import { IbcError } from './errors.ts';
import { concat, fromHex } from './octets.ts';

/** How a KMS cuts time into key periods (TS 33.180 D.3.2.2: UserKeyPeriod, UserKeyOffset), both in seconds. */
export interface KeyPeriods {
  readonly kmsUri: string;
  readonly userKeyPeriod: number;
  readonly userKeyOffset: number;
}

/** Seconds from 1900-01-01 (NTP) to 1970-01-01 (Unix). */
export const NTP_UNIX_SECONDS = 2_208_988_800;

/**
 * The MIKEY-SAKKE UID of TS 33.180 F.2.1, 32 octets: the ECCSI identifier and the SAKKE identifier of a user in one key
 * period. SHA-256 over FC || P0 || L0 || ... || P5 || L5, where a length is two octets and follows its value, and a number is
 * its shortest big-endian form, zero being one octet 00. `bad-key-period` when a number is not an integer of at least 0.
 */
export function computeUid(userUri: string, periods: KeyPeriods, keyPeriodNo: number): Uint8Array {
  const parameters = [
    Buffer.from('MIKEY-SAKKE-UID', 'ascii'),
    Buffer.from(userUri, 'utf8'),
    Buffer.from(periods.kmsUri, 'utf8'),
    shortest(periods.userKeyPeriod),
    shortest(periods.userKeyOffset),
    shortest(keyPeriodNo),
  ];
  const input = concat(Uint8Array.of(0x00), ...parameters.flatMap((parameter) => [parameter, lengthOf(parameter)]));
  return new Uint8Array(createHash('sha256').update(input).digest());
}

/** The key period in which a time lies, floor((NTP seconds - offset) / period); `at` in milliseconds since 1970 (UTC). */
export function keyPeriodNoAt(periods: KeyPeriods, at: number): number {
  return Math.floor((Math.floor(at / 1000) + NTP_UNIX_SECONDS - periods.userKeyOffset) / periods.userKeyPeriod);
}

/** First millisecond of a key period and first one after it, since 1970 (UTC): ValidFrom and ValidTo of a KmsKeySet. */
export function keyPeriodBounds(periods: KeyPeriods, keyPeriodNo: number): { validFrom: number; validTo: number } {
  const start = (no: number) => (no * periods.userKeyPeriod + periods.userKeyOffset - NTP_UNIX_SECONDS) * 1000;
  return { validFrom: start(keyPeriodNo), validTo: start(keyPeriodNo + 1) };
}

/** The periods accepted for a message of that time: its own first, then its neighbours, for clocks that differ. */
export function acceptedKeyPeriods(periods: KeyPeriods, at: number): number[] {
  const no = keyPeriodNoAt(periods, at);
  return [no, no - 1, no + 1].filter((candidate) => candidate >= 0);
}

/** The UIDs of a user in the periods of {@link acceptedKeyPeriods}, in that order. */
export function acceptedUids(userUri: string, periods: KeyPeriods, at: number): Uint8Array[] {
  return acceptedKeyPeriods(periods, at).map((no) => computeUid(userUri, periods, no));
}

function shortest(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new IbcError('bad-key-period', 'key period, offset and number are integers of at least 0, in seconds');
  }
  const hex = value.toString(16);
  return fromHex(hex.padStart(2 * Math.ceil(hex.length / 2), '0'));
}

function lengthOf(parameter: Uint8Array): Uint8Array {
  if (parameter.length > 0xffff) throw new IbcError('bad-identity', 'an identity has at most 65535 octets');
  return Uint8Array.of(parameter.length >> 8, parameter.length & 0xff);
}
