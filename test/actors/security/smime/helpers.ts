import { expect } from 'chai';
import { SmimeError, type SmimeErrorCode } from '../../../../actors/security/smime/errors.ts';

/** The error with which opening was refused; fails when it was not, or with anything but a {@link SmimeError}. */
export async function refusal(opening: Promise<unknown>, code?: SmimeErrorCode): Promise<SmimeError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'what opening was refused with').instanceOf(SmimeError);
  if (code !== undefined) expect((error as SmimeError).code).equal(code);
  return error as SmimeError;
}

/** A copy with one bit of one octet changed. */
export function flip(octets: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(octets);
  copy[at]! ^= 1 << bit;
  return copy;
}

/** Definite-length BER of one element: tests build what the code under test should not build for them. */
export function tlv(tag: number, ...contents: Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const length = content.length < 0x80 ? [content.length] : [0x82, (content.length >> 8) & 0xff, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** The CMS message of one receiver of a four-octet Key ID, with another before it whose wrapped key opens nothing. */
export function withReceiver(cms: Uint8Array, keyId: string): Uint8Array {
  const whole = Buffer.from(cms);
  const set = whole.indexOf(hex('3144'));
  const own = whole.subarray(set + 2, set + 2 + 0x44);
  const other = Buffer.from(own);
  other.write(keyId, other.indexOf(hex('0404')) + 2, 'hex');
  const content = tlv(0x30, hex('020100'), tlv(0x31, other, own), whole.subarray(set + 2 + own.length));
  return tlv(0x30, hex('060b2a864886f70d0109100117'), tlv(0xa0, content));
}
