import { IbcError } from '../errors.ts';
import { NTP_UNIX_SECONDS } from '../uid.ts';

const ERA_SECONDS = 2 ** 32;

/** Milliseconds since 1970 (UTC) as the 8 octets of an NTP-UTC timestamp (RFC 3830 section 6.6): seconds, fraction. */
export function toNtp(at: number): Uint8Array {
  const seconds = Math.floor(at / 1000);
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  view.setUint32(0, (seconds + NTP_UNIX_SECONDS) % ERA_SECONDS);
  // The last fraction of a second must not round to 2^32, which comes out as 0.
  view.setUint32(4, Math.min(Math.round(((at - seconds * 1000) / 1000) * ERA_SECONDS), ERA_SECONDS - 1));
  return octets;
}

/**
 * The other way round, to the millisecond. Seconds without their top bit count from 2036-02-07, where the field starts again
 * (RFC 4330 section 3). `message-malformed` unless there are 8 octets.
 */
export function fromNtp(octets: Uint8Array): number {
  if (octets.length !== 8) throw new IbcError('message-malformed', 'an NTP timestamp has 8 octets');
  const view = new DataView(octets.buffer, octets.byteOffset, 8);
  const seconds = view.getUint32(0);
  const era = seconds < ERA_SECONDS / 2 ? ERA_SECONDS : 0;
  return (seconds + era - NTP_UNIX_SECONDS) * 1000 + Math.round((view.getUint32(4) / ERA_SECONDS) * 1000);
}
