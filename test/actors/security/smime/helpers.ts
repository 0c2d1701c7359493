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
