/** What the SIP core may not change on the way between UE and MCPTT server (RFC 3261 16.6, 16.7; TS 24.229 5.4.3.2). */
import { expect } from 'chai';
import { splitValues } from '../../actors/messages/sip-headers.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { body, headers, optionalHeader, startLine, uris } from './sip.ts';

/** Answers that a proxy passes on as they are: 3xx, 408 and 5xx may end in others (RFC 3261 16.7 step 6, TS 24.229 5.4.3.2). */
const PASSED_ON = /^SIP\/2\.0 (?:2|4(?!08)|6)/;

/** Which transaction it is of: Call-ID and CSeq, which a core may keep on SIP-2. */
const transaction = (record: MessageRecord): string =>
  `${optionalHeader(record, 'Call-ID')} ${optionalHeader(record, 'CSeq')}`;

const byTransaction = (records: readonly MessageRecord[]): ReadonlyMap<string, MessageRecord> =>
  new Map(records.map((record) => [transaction(record), record]));

const senderOf = (t: StepContext, r: MessageRecord): string =>
  r.direction === 'sent' ? t.actor(r.actor).kind : r.peer;

const REQUEST = / SIP\/2\.0$/;
const isRequest = (r: MessageRecord): boolean => REQUEST.test(startLine(r));

/**
 * Asserts of this step's messages that requests of UEs came to the MCPTT server under an identity of theirs, and its answers
 * back with their status, warning and body; holds the SIP core otherwise, and nobody else. Of a core that gives transactions
 * another name on SIP-2 nothing is to be seen.
 */
export async function expectRelayed(t: StepContext): Promise<void> {
  // With an answer of their own, all records that they have made so far are here.
  for (const name of ['sip-core', 'mcptt-as']) await t.actor(name).read('health');
  const sip1 = t.records({ interface: 'SIP-1' });
  const sip2 = t.records({ interface: 'SIP-2' });
  const passed = byTransaction(sip2.filter((r) => isRequest(r) && senderOf(t, r) === 'sip-core'));
  const given = byTransaction(sip2.filter((r) => PASSED_ON.test(startLine(r)) && senderOf(t, r) === 'mcptt-as'));

  for (const sent of sip1.filter((r) => r.direction === 'sent' && isRequest(r))) {
    const request = passed.get(transaction(sent));
    if (request === undefined) continue;
    const own = associated(t, sent.actor);
    const asserted = uris(request, 'P-Asserted-Identity');
    if (own.length === 0 || asserted.every((identity) => own.includes(identity))) continue;
    t.hold('sip-core', 'TS 24.229 5.4.3.2');
    const what = `identities of ${sent.actor}, of which the core asserts in ${summary(t.about(request))}`;
    expect(own, what).to.include.members(asserted);
  }
  for (const came of sip1.filter((r) => r.direction === 'received' && /^SIP\/2\.0 [2-6]/.test(startLine(r)))) {
    const answer = given.get(transaction(came));
    if (answer === undefined) continue;
    const missing = told(answer).find((each) => !told(came).includes(each));
    if (missing === undefined) continue;
    t.hold('sip-core', 'RFC 3261 16.7');
    expect(told(t.about(came)), `what the core passes on of ${startLine(answer)}`).to.include(missing);
  }
}

/** Whether the last request of a UE in this step went no further than the SIP core: fewer of its method left it than came. */
export function endedAtCore(t: StepContext): boolean {
  const last = t.records({ interface: 'SIP-1', direction: 'sent', where: isRequest }).at(-1);
  const method = last && startLine(last).split(' ', 1)[0];
  const of = (r: MessageRecord): boolean => isRequest(r) && startLine(r).startsWith(`${method} `);
  const came = t.records({ interface: 'SIP-1', direction: 'sent', where: of });
  const left = t.records({ interface: 'SIP-2', where: (r) => of(r) && senderOf(t, r) === 'sip-core' });
  return new Set(left.map(transaction)).size < came.length;
}

/** Status, warnings and body of an answer. The core may add warnings of its own, and lines may be broken anew. */
const told = (answer: MessageRecord): string[] => [
  startLine(answer).split(' ')[1]!,
  ...headers(answer, 'Warning').flatMap(splitValues),
  body(answer).replace(/\s/g, ''),
];

/** The identities that the network has given the UE at its last registration. */
function associated(t: StepContext, ue: string): string[] {
  const granting = t
    .records({ interface: 'SIP-1', actor: ue, direction: 'received', method: 'REGISTER', status: 200 }, 'all')
    .findLast((r) => headers(r, 'P-Associated-URI').length > 0);
  return granting === undefined ? [] : uris(granting, 'P-Associated-URI');
}
