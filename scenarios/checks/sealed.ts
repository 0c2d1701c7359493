/** Which key a protected body names: anybody on the way can see that much of it (MIME-2). */
import { expect } from 'chai';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { body, optionalHeader } from './sip.ts';

/** The CMS octets of a protected body; undefined for any other message. */
export function cmsOf(record: MessageRecord): Buffer | undefined {
  if (record.protocol !== 'sip' || !/pkcs7-mime/i.test(optionalHeader(record, 'Content-Type') ?? '')) return undefined;
  return Buffer.from(body(record), 'base64');
}

export const namesKey = (record: MessageRecord, keyId: string): boolean =>
  cmsOf(record)?.includes(Buffer.from(keyId, 'hex')) ?? false;

/** Asserts that the body is protected and that its KEKIdentifier is this Key ID. */
export function expectUnder(t: StepContext, record: MessageRecord, keyId: string): void {
  expect(namesKey(t.about(record), keyId), `${summary(record)} is protected under Key ID ${keyId}`).to.equal(true);
}
