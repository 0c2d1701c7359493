/** What a PUBLISH for service authorization says inside (TS 24.379 7.2.2), where its body can be seen in clear. */
import { expect } from 'chai';
import type { JsonObject } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from './attempt.ts';
import { body } from './sip.ts';
import { tokensFor } from './tokens.ts';

/** Asserts that the body in clear holds the user's access token for the MCPTT server, the MCPTT client id and settings. */
export function expectServiceRequest(t: StepContext, record: MessageRecord, clientId: string, ue = 'ue'): void {
  const text = body(t.about(record));
  const { token } = tokensFor(t, 'urn:3gpp:mcptt:server', ue).at(-1)!;
  expect(text.includes(token), 'the PUBLISH holds the access token that the IdM gave for the MCPTT server').to.equal(
    true,
  );
  expect(text, 'the MCPTT client id in the PUBLISH').to.include(clientId);
  expect(text, 'the parts of the PUBLISH').to.include('application/poc-settings+xml');
}

const IN_CLEAR: JsonObject[] = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];

/**
 * For a server that has opened a PUBLISH and does not take what it says: has the UE say the same once more in clear, and asserts
 * of that what {@link expectServiceRequest} does. A UE that cannot do so has nothing asserted of it.
 */
export async function expectSameInClear(t: StepContext, user: string, clientId: string, ue = 'ue'): Promise<void> {
  const before = t.records().length;
  await attempt(t, t.actor(ue).do('publish', { user, deviate: IN_CLEAR }));
  const sent = t
    .records()
    .slice(before)
    .find((r) => r.actor === ue && r.direction === 'sent' && /^PUBLISH /.test(Buffer.from(r.bytes).toString('latin1')));
  if (sent !== undefined && body(sent).includes('mcptt-info')) expectServiceRequest(t, sent, clientId, ue);
}
