/** What step 0 reads of NAS PDUs (TS 24.301 8.2, 9.3.1): fixed places only, each after the one before. */
import { expect } from 'chai';
import type { MessageRecord } from '../../sim/trace/record.ts';

/** The message inside the security header, if it has one: MAC and sequence number taken off. */
export function plain(record: MessageRecord): Buffer {
  const pdu = Buffer.from(record.bytes);
  return securityHeader(record) === 0 ? pdu : pdu.subarray(6);
}

export const securityHeader = (record: MessageRecord): number => (record.bytes[0] ?? 0) >> 4;

/** Message authentication code of a protected PDU, hex. */
export const mac = (record: MessageRecord): string => Buffer.from(record.bytes.subarray(1, 5)).toString('hex');

/** A field that has its length in one octet before it. */
function field(pdu: Buffer, at: number): Buffer {
  const value = pdu.subarray(at + 1, at + 1 + (pdu[at] ?? 0));
  expect(value.length, 'octets of a NAS field against its length').to.equal(pdu[at]);
  return value;
}

/** UE network capability of an Attach request, hex: what the network has to replay. */
export function capability(attachRequest: MessageRecord): string {
  const pdu = plain(attachRequest);
  return field(pdu, 4 + field(pdu, 3).length).toString('hex');
}

/** RAND and AUTN of an Authentication request. */
export function challenge(request: MessageRecord): { rand: Buffer; autn: Buffer } {
  const pdu = plain(request);
  return { rand: pdu.subarray(3, 19), autn: field(pdu, 19) };
}

/** RES of an Authentication response. */
export const res = (response: MessageRecord): Buffer => field(plain(response), 2);

/** Selected algorithms and replayed capability of a Security mode command. */
export function securityMode(command: MessageRecord): { eia: number; replayed: string } {
  const pdu = plain(command);
  return { eia: pdu[2]! & 7, replayed: field(pdu, 4).toString('hex') };
}

/** AUTS of an Authentication failure with the cause synch failure. */
export const auts = (failure: MessageRecord): Buffer => field(plain(failure), 4);
