/** CONF-1, S1-3: nothing sensitive may be seen on SIP-1 and SIP-2, in clear or under a transfer encoding. */
import { expect } from 'chai';
import { ACTOR_KINDS } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { summary } from '../../sim/trace/describe.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { provisionedUser } from './provisioned.ts';

const BASE64_RUN = /[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]+)*={0,2}/g;
const HEX_RUN = /(?:[0-9a-f]{2}){12,}/gi;

/** The octets as latin1 text, and again what each run of base64 or hexadecimal digits in them stands for, twice over. */
function readings(bytes: Uint8Array, depth = 2): string[] {
  const text = Buffer.from(bytes).toString('latin1');
  if (depth === 0) return [text];
  const decoded = [
    ...(text.match(BASE64_RUN) ?? []).map((run) => Buffer.from(run.replace(/\s/g, ''), 'base64')),
    ...(text.match(HEX_RUN) ?? []).map((run) => Buffer.from(run, 'hex')),
  ];
  return [text, percentDecoded(text), ...decoded.flatMap((octets) => readings(octets, depth - 1))];
}

const percentDecoded = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

export interface Secret {
  /** What it is, for the failure's text; the value itself is never printed. */
  readonly what: string;
  readonly text: string;
}

/** Before a user has logged in on SIP there is nothing else to hide: no MCPTT ID of anybody may show; nor in a refusal, which names a Key ID at most. */
export function anyMcpttId({ provisioned }: Pick<StepContext, 'provisioned'>): Secret[] {
  const ids = provisioned.users.map(({ mcpttId }) => withoutScheme(mcpttId));
  const onSip = provisioned.subscribers.flatMap(({ impi, impus }) => [impi, ...impus]);
  // Nor may another name of their domain, unless the SIP core has names there too.
  const domains = ids
    .flatMap((id) => /@[^@]+$/.exec(id) ?? [])
    .filter((domain) => !onSip.some((name) => name.endsWith(domain)));
  return [...new Set([...ids, ...domains])].map((text) => ({ what: 'MCPTT ID', text }));
}

/** MCPTT IDs of the users of these handles. */
export const mcpttIdsOf = (t: Pick<StepContext, 'provisioned'>, users: readonly string[]): Secret[] =>
  users.map((user) => ({ what: `MCPTT ID of ${user}`, text: withoutScheme(provisionedUser(t, user).mcpttId) }));

export const withoutScheme = (uri: string): string => uri.replace(/^sip:/i, '');

/** What of `secrets` can be read in the record, by its `what`; kinds of token or key that the recorder took out come first. */
export function readable(record: MessageRecord, secrets: readonly Secret[]): string[] {
  const views = readings(record.bytes).map((view) => view.toLowerCase());
  const found = secrets.filter(({ text }) => views.some((view) => view.includes(text.toLowerCase())));
  return [...new Set([...record.redacted, ...found.map((s) => s.what)])];
}

/** Asserts that no SIP record gives away any of `secrets`, a token or a key. */
export function expectSecret(records: readonly MessageRecord[], secrets: readonly Secret[]): void {
  for (const record of records.filter((r) => r.protocol === 'sip')) {
    expect(readable(record, secrets), `what ${summary(record)} on ${record.interface} gives away`).to.deep.equal([]);
  }
}

/** The same of all SIP messages so far; holds the sender of the first that gives something away. */
export function expectSecretFromSip(t: StepContext, secrets: readonly Secret[], clause = 'pCR 7.x, R-6.10-004'): void {
  for (const record of t.records({ where: (r) => r.protocol === 'sip' }, 'all')) {
    const sender = record.direction === 'sent' ? t.actor(record.actor).kind : record.peer;
    t.hold(ACTOR_KINDS.find((kind) => kind === sender) ?? 'sip-core', clause);
    expectSecret([t.about(record)], secrets);
  }
}
