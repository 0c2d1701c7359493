/** What the testbed knows of users and subscribers because it has provisioned them: names, and keys by which a vector can be read again. */
import { expect } from 'chai';
import { digestHa1, digestResponse, readNonce } from '../../actors/security/aka/digest.ts';
import {
  deriveKasme,
  deriveKnasInt,
  eia2,
  type NasDirection,
  servingNetworkId,
} from '../../actors/security/aka/eps-keys.ts';
import { readSqn } from '../../actors/security/aka/sqn.ts';
import { openAuts } from '../../actors/security/aka/vector.ts';
import { type Milenage, milenage, xor } from '../../actors/security/milenage.ts';
import type { ProvisionedSubscriber, ProvisionedUser } from '../../sim/scenario/provisioned.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { Inconclusive } from '../../sim/scenario/verdict.ts';
import { digest } from './sip.ts';

const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');

type Known = Pick<StepContext, 'provisioned'>;

/** @throws Inconclusive for a handle that the fixtures do not have */
export function provisionedUser({ provisioned }: Known, user: string): ProvisionedUser {
  const found = provisioned.users.find(({ userName }) => userName === user);
  if (found === undefined) throw new Inconclusive(`the fixtures have no user ${user}`);
  return found;
}

/** A scenario presumes that this user may make private calls, or may not: `inconc` where the fixtures have it otherwise. */
export function presumePrivateCalls(t: Known, user: string, allowed: boolean): void {
  if (provisionedUser(t, user).profile.privateCall !== allowed)
    throw new Inconclusive(`this needs a user ${user} whose profile in users.yaml says privateCall: ${allowed}`);
}

/** An MCPTT ID beside those of the users, which nobody has. */
export function nobodysMcpttId({ provisioned }: Known): string {
  const ids = provisioned.users.map(({ mcpttId }) => mcpttId);
  const domain = ids[0]?.split('@')[1] ?? 'mcptt.invalid';
  return ['nobody', ...ids.map((_, i) => `nobody-${i}`)]
    .map((user) => `sip:${user}@${domain}`)
    .find((id) => !ids.includes(id))!;
}

/** The subscriber of this IMSI, IMPI or IMPU; undefined for one whom the fixtures do not have. */
export function subscriberOf({ provisioned }: Known, identity: string): ProvisionedSubscriber | undefined {
  return provisioned.subscribers.find(({ imsi, impi, impus }) => [imsi, impi, ...impus].includes(identity));
}

/** IMPI of the subscriber whose USIM the UE has. @throws Inconclusive where the fixtures do not have it */
export function impiOf(t: Known, imsi: string): string {
  const found = subscriberOf(t, imsi);
  if (found === undefined) throw new Inconclusive(`the fixtures have no subscriber with the IMSI ${imsi} of the UE`);
  return found.impi;
}

/** MILENAGE with the K and OPc of the subscriber of this IMSI or IMPI; undefined for one whom the fixtures do not have. */
export function functionsOf(t: Known, identity: string): Milenage | undefined {
  const found = subscriberOf(t, identity);
  return found && milenage(octets(found.k), octets(found.opc));
}

interface Vector {
  readonly rand: Uint8Array;
  readonly autn: Uint8Array;
}

/**
 * Why an authentication failed, when the subscriber is one of the fixtures': asserts that the network's MAC is the one that
 * his keys give (TS 33.102 6.3.3). For use after a failure only: another subscriber may bear the same identity elsewhere.
 */
export function expectGenuine(t: Known, identity: string, { rand, autn }: Vector): void {
  const functions = functionsOf(t, identity);
  if (functions === undefined) return;
  const [sqn, amf] = [xor(autn.subarray(0, 6), functions.f2345(rand).ak), autn.subarray(6, 8)];
  const mac = Buffer.from(functions.f1({ rand, sqn, amf })).toString('hex');
  expect(Buffer.from(autn.subarray(8)).toString('hex'), 'MAC in AUTN, against K and OPc of the subscriber').to.equal(
    mac,
  );
}

/** The same of a UE's RES at step 0. */
export function expectRes(t: Known, identity: string, rand: Uint8Array, res: Uint8Array): void {
  const expected = functionsOf(t, identity)?.f2345(rand).res;
  if (expected === undefined) return;
  expect(Buffer.from(res).equals(expected), 'RES is the one that K and OPc of the subscriber give').to.equal(true);
}

/**
 * The same of the MAC of a NAS message with 128-EIA2 (TS 33.401 6.1.2, A.7, B.2.3): right only under the K_ASME that the
 * subscriber's keys give for this vector in his home network.
 * @returns false for a subscriber whom the fixtures do not have
 */
export function expectNasMac(
  t: Known,
  imsi: string,
  { rand, autn }: Vector,
  pdu: Uint8Array,
  direction: NasDirection,
): boolean {
  const keys = functionsOf(t, imsi)?.f2345(rand);
  if (keys === undefined) return false;
  const kasme = deriveKasme(keys, servingNetworkId(imsi.slice(0, 3), imsi.slice(3, 5)), autn.subarray(0, 6));
  const numbered = pdu.subarray(5);
  const mac = eia2(deriveKnasInt(kasme), { count: numbered[0] ?? 0, bearer: 0, direction }, numbered);
  const [seen, right] = [pdu.subarray(1, 5), mac].map((each) => Buffer.from(each).toString('hex'));
  expect(seen, 'MAC of the NAS message, against K_ASME of the subscriber').to.equal(right);
  return true;
}

/** The digest response that RES gives (RFC 3310 3.3) for these credentials; undefined for a subscriber whom the fixtures do not have. */
export function responseTo(t: Known, credentials: string): string | undefined {
  const given = (name: string): string => digest(credentials, name) ?? '';
  const challenge = readNonce(given('nonce'));
  const functions = functionsOf(t, given('username'));
  if (challenge === undefined || functions === undefined) return undefined;
  return digestResponse({
    ha1: digestHa1(given('username'), given('realm'), functions.f2345(challenge.rand).res),
    method: 'REGISTER',
    uri: given('uri'),
    nonce: given('nonce'),
    ...(given('qop') === '' ? {} : { qop: { nc: given('nc'), cnonce: given('cnonce') } }),
  });
}

/** The same of a UE's AUTS for this RAND (TS 33.102 6.3.3, 6.3.5). */
export function expectAuts(t: Known, identity: string, rand: Uint8Array, auts: Uint8Array): void {
  const functions = functionsOf(t, identity);
  if (functions === undefined) return;
  expect(openAuts(functions, rand, auts) !== undefined, 'MAC-S in AUTS is the one that K and OPc give').to.equal(true);
}

/**
 * Asserts that the vector after an AUTS counts on from the USIM's SQN (TS 33.102 6.3.5). Of a subscriber with other keys
 * than the fixtures' there is nothing to be seen.
 */
export function expectResynchronised(
  t: Known,
  identity: string,
  failed: { readonly rand: Uint8Array; readonly auts: Uint8Array },
  next: Vector,
): void {
  const functions = functionsOf(t, identity);
  const sqnMs = functions && openAuts(functions, failed.rand, failed.auts);
  if (functions === undefined || sqnMs === undefined) return;
  const sqn = xor(next.autn.subarray(0, 6), functions.f2345(next.rand).ak);
  expect(readSqn(sqn).seq, 'SEQ of the challenge after AUTS, against that of SQN_MS').to.be.greaterThan(
    readSqn(sqnMs).seq,
  );
}
