/**
 * INT-1, CONF-1: a CEK itself never stands in a message, in SIP nor beside its I_MESSAGE on HTTP-1. No scenario knows a CEK; but whatever 32 octets a message holds, in
 * clear or under a transfer encoding, have a fingerprint, and the ends tell those of their keys.
 */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { cekFingerprint } from '../../actors/security/fingerprint.ts';
import { ACTOR_KINDS } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { kmsKeys, serverKeys } from './keys.ts';

const CEK_OCTETS = 32;
/** Runs of digits that may stand for 32 octets or more; lines of a base64 body may be folded. */
const BASE64_RUN = /[A-Za-z0-9+/_-]{43,}(?:\r?\n[A-Za-z0-9+/_-]+)*/g;
const HEX_RUN = /(?:[0-9a-f]{2}){32,}/gi;

/** Fingerprints of the CEKs that KMS and MCPTT server have now. */
export async function fingerprints(t: StepContext): Promise<Set<string>> {
  const all = [...(await kmsKeys(t)), ...(await serverKeys(t))].map((key) => key.cekFingerprint);
  return new Set(all.filter((fingerprint) => fingerprint !== undefined));
}

/**
 * Asserts that none of these CEKs can be read in any of the messages; holds the sender of one in which it can.
 * @param records all SIP messages so far unless given
 */
export function expectNoCek(
  t: StepContext,
  known: ReadonlySet<string>,
  records: readonly MessageRecord[] = t.records({ where: (r) => r.protocol === 'sip' }, 'all'),
): void {
  expect(known.size, 'fingerprints of CEKs').to.be.greaterThan(0);
  const seen = new Set<string>();
  for (const record of records) {
    const sender = record.direction === 'sent' ? t.actor(record.actor).kind : record.peer;
    t.hold(ACTOR_KINDS.find((kind) => kind === sender) ?? 'sip-core', 'pCR 7.x.2');
    t.about(record);
    expect(holdsKey(record, known, seen), `a CEK can be read in ${summary(record)} on ${record.interface}`).to.equal(
      false,
    );
  }
}

/** Fingerprints of the keys that anybody could make who knows these texts: SHA-256 of one of them, or of two in a row. */
export function derivedFrom(texts: readonly string[]): Set<string> {
  const made = texts.flatMap((text) => [text, ...texts.map((other) => text + other)]).map((text) => Buffer.from(text));
  const octets = texts.filter((text) => /^[0-9a-f]{8}$/.test(text)).map((text) => Buffer.from(text, 'hex'));
  return new Set([...made, ...octets].map((one) => cekFingerprint(createHash('sha256').update(one).digest())));
}

/** @param seen runs that were looked at already: the same body passes several hops */
function holdsKey(record: MessageRecord, known: ReadonlySet<string>, seen: Set<string>): boolean {
  const text = Buffer.from(record.bytes).toString('latin1');
  const runs = [
    ...(text.match(BASE64_RUN) ?? []).map((run) => [run, Buffer.from(run.replace(/\s/g, ''), 'base64')] as const),
    ...(text.match(HEX_RUN) ?? []).map((run) => [run, Buffer.from(run, 'hex')] as const),
  ];
  return runs.some(([run, octets]) => {
    if (seen.has(run)) return false;
    seen.add(run);
    for (let at = 0; at + CEK_OCTETS <= octets.length; at++) {
      if (known.has(cekFingerprint(octets.subarray(at, at + CEK_OCTETS)))) return true;
    }
    return false;
  });
}
