/** What scenarios ask of an actor that is to refuse. */
import { expect } from 'chai';
import { ControlError, type JsonObject } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';

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
  const refusal = await refused(what, doing);
  expect(refusal.detail.status, `status of the answer to ${what} (${refusal.message})`).to.equal(status);
  if (warning !== undefined) expect(refusal.detail.warning, `Warning in the answer to ${what}`).to.match(warning);
  t.show(what, `${status} ${typeof refusal.detail.warning === 'string' ? refusal.detail.warning : ''}`.trim());
  return refusal;
}

/** Expects the KMS to refuse with that HTTP status, and shows it. */
export async function refusedByKms(
  t: StepContext,
  what: string,
  doing: Promise<unknown>,
  httpStatus: number,
): Promise<Refused> {
  const refusal = await refused(what, doing);
  expect(refusal.detail.httpStatus, `HTTP status of the answer to ${what} (${refusal.message})`).to.equal(httpStatus);
  t.show(what, `${httpStatus}, KmsError ${JSON.stringify(refusal.detail.errorCode)}`);
  return refusal;
}
