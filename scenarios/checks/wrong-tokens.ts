/**
 * Access tokens that the IdM has signed and that are wrong all the same (RFC 9068 4, RFC 8725 3, TS 33.180 B.4): who checks the
 * signature and nothing else takes them.
 */
import { expect } from 'chai';
import type { JsonObject } from '../../sim/control/actor.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';

const PAST = '1000000000';
const FAR_AHEAD = '4102444800';

const set = (path: string, value: string): JsonObject => ({ at: 'jwt', op: 'set', path, value });
const without = (path: string): JsonObject => ({ at: 'jwt', op: 'remove', path });

/** What is wrong, and the deviation from a token that is right. */
const WRONG: readonly (readonly [what: string, deviation: JsonObject])[] = [
  ['of another issuer', set('iss', 'https://idm.elsewhere.example')],
  ['without an issuer', without('iss')],
  ['for another audience', set('aud', 'urn:3gpp:mcptt:elsewhere')],
  ['without an audience', without('aud')],
  ['that has expired', set('exp', PAST)],
  ['without an expiry', without('exp')],
  ['not valid yet', set('nbf', FAR_AHEAD)],
  ['without an MCPTT ID', without('mcptt_id')],
  ['without a client id', without('client_id')],
  ['of the type JWT', set('header.typ', 'JWT')],
  ['signed RS256', set('header.alg', 'RS256')],
  ['signed ES384', set('header.alg', 'ES384')],
  ['without the scope of the service', set('scope', 'openid')],
  ['without a scope', without('scope')],
];

/** A token with nothing wrong in it that was signed anew as the wrong ones are: if it is refused, they are for another reason. */
const HARMLESS = set('jti', 'signed-anew');

/**
 * Gives the user tokens with each of the deviations in turn, and at last right ones, which are to be taken.
 * @param refused asserts that the user's token is refused; `lacksScope` when it is for want of the scope
 * @param taken what comes of a token that is right
 */
export async function eachRefused(
  t: StepContext,
  user: string,
  refused: (what: string, lacksScope: boolean) => Promise<void>,
  taken: () => Promise<unknown>,
): Promise<void> {
  const given = (what: string, deviation: JsonObject): Promise<void> =>
    t.precondition(`${user} has tokens ${what}`, async () => {
      await t.actor('idm').do('deviate', { user, deviate: [deviation] });
      await t.actor('ue').do('refreshTokens', { user });
    });
  for (const [what, deviation] of WRONG) {
    await given(what, deviation);
    await refused(`a signed token ${what}`, deviation.path === 'scope');
  }
  await given('signed anew', HARMLESS);
  expect(await taken(), 'answer to a token that is right, signed anew').to.be.an('object');
  await t.actor('idm').do('deviate');
}
