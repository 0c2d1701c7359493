/** What scenarios ask of an actor that is to refuse. */
import { expect } from 'chai';
import { ControlError, type JsonObject } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from './attempt.ts';
import { endedAtCore, expectRelayed } from './relayed.ts';
import { header, startLine } from './sip.ts';

export interface Refused {
  /** The driven actor's own error code. */
  readonly code: string | undefined;
  readonly detail: JsonObject;
  readonly message: string;
}

/** The refusal that `doing` ends with; fails when it is not refused, and passes on what is no refusal. */
export async function refused(what: string, doing: Promise<unknown>): Promise<Refused> {
  try {
    await doing;
  } catch (error) {
    if (!(error instanceof ControlError) || error.code !== 'CONTROL_FAILED') throw error;
    return { code: error.actorCode, detail: error.detail, message: error.message };
  }
  return expect.fail(`${what} was accepted; it must be refused`);
}

/**
 * Expects a SIP refusal of that status, and shows it.
 * @param warning what a Warning must say whose text the specifications or docs/interfaces.md give; others are free (RFC 3261 20.43)
 */
export async function refusedBySip(
  t: StepContext,
  what: string,
  doing: Promise<unknown>,
  status: number,
  warning?: RegExp,
): Promise<Refused> {
  const asking = await attempt(t, doing);
  await expectRelayed(t);
  const outcome = Promise.resolve().then(() => asking.outcome());
  const refusal = await refused(what, outcome);
  if (refusal.detail.status !== status && endedAtCore(t)) t.hold('sip-core', 'TS 24.229 5.4.3.2');
  expect(refusal.detail.status, `status of the answer to ${what} (${refusal.message})`).to.equal(status);
  if (warning !== undefined) expect(refusal.detail.warning, `Warning in the answer to ${what}`).to.match(warning);
  t.show(what, `${status} ${typeof refusal.detail.warning === 'string' ? refusal.detail.warning : ''}`.trim());
  return refusal;
}

/** Expects the KMS to refuse with that HTTP status, or with one of these, and shows it. */
export async function refusedByKms(
  t: StepContext,
  what: string,
  doing: Promise<unknown>,
  ...httpStatuses: readonly number[]
): Promise<Refused> {
  const refusal = await refused(what, doing);
  const { httpStatus } = refusal.detail;
  expect(httpStatus, `HTTP status of the answer to ${what} (${refusal.message})`).to.be.oneOf(httpStatuses);
  const answer = t.records({ interface: 'HTTP-1', direction: 'received', status: httpStatus as number }).at(-1);
  if (httpStatus === 401 && answer !== undefined)
    expect(header(t.about(answer), 'WWW-Authenticate'), 'challenge (RFC 9110 15.5.2, RFC 6750 3)').to.match(
      /\bBearer\b/i,
    );
  t.show(what, `${JSON.stringify(httpStatus)}, KmsError ${JSON.stringify(refusal.detail.errorCode)}`);
  return refusal;
}

/**
 * Expects the UE at the other end to refuse what the MCPTT server carries to it, and its sender to be told so with that status.
 * When the UE has refused, what the sender is told is the server's affair; otherwise it is the UE's.
 */
export async function refusedByUe(
  t: StepContext,
  what: string,
  ue: string,
  doing: Promise<unknown>,
  status: number,
): Promise<void> {
  const isRefusal = (r: MessageRecord): boolean => /^SIP\/2\.0 [3-6]/.test(startLine(r));
  const refusals = { interface: 'SIP-1', actor: ue, direction: 'sent', where: isRefusal } as const;
  const before = t.records(refusals).length;
  const carrying = await attempt(t, doing);
  // With an answer of its own, all records that the UE has made so far are here.
  await t.actor(ue).read('calls');
  t.hold(t.records(refusals).length > before ? 'mcptt-as' : 'ue', 'pCR 7.x');
  const outcome = Promise.resolve().then(() => carrying.outcome());
  await refusedBySip(t, what, outcome, status);
}
