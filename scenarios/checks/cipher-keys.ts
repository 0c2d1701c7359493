/**
 * CK and IK of IMS AKA, which never leave the SIP core (TS 33.203 6.1.1). Whoever has provisioned the subscriber can make them
 * from K, OPc and RAND, so they are searched for by value, under whatever name and encoding they travel.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Subscriber } from '../../actors/messages/subscriber.ts';
import { digestHa1, digestResponse, readNonce } from '../../actors/security/aka/digest.ts';
import { milenage } from '../../actors/security/milenage.ts';
import { packagedFixtures } from '../../fixtures/load.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { expectSecretFromSip, type Secret } from './secrecy.ts';
import { digest, optionalHeader } from './sip.ts';

const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** CK and IK of every challenge that this UE has answered with the RES of a fixture's subscriber; of other subscribers none are known. */
function cipherKeys(t: StepContext, ue: string): Secret[] {
  const file = join(packagedFixtures(), 'subscribers.yaml');
  const subscribers = parse(readFileSync(file, 'utf8')) as readonly Subscriber[];
  const answers = t.records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' }, 'all');
  return answers.flatMap((record): Secret[] => {
    const credentials = optionalHeader(record, 'Authorization') ?? '';
    const given = (name: string): string => digest(credentials, name) ?? '';
    const challenge = readNonce(given('nonce'));
    const subscriber = subscribers.find(({ impi }) => impi === given('username'));
    if (challenge === undefined || subscriber === undefined) return [];
    const { res, ck, ik } = milenage(octets(subscriber.k), octets(subscriber.opc)).f2345(challenge.rand);
    const expected = digestResponse({
      ha1: digestHa1(subscriber.impi, given('realm'), res),
      method: 'REGISTER',
      uri: given('uri'),
      nonce: given('nonce'),
      ...(given('qop') === '' ? {} : { qop: { nc: given('nc'), cnonce: given('cnonce') } }),
    });
    if (given('response').toLowerCase() !== expected) return [];
    return [
      { what: 'CK', text: Buffer.from(ck).toString('latin1') },
      { what: 'IK', text: Buffer.from(ik).toString('latin1') },
    ];
  });
}

/** Asserts that no SIP message holds a cipher key of this UE's registration; holds the sender of one that does. */
export function expectCipherKeysKept(t: StepContext, ue: string): void {
  expectSecretFromSip(t, cipherKeys(t, ue), 'TS 33.203 6.1.1');
}
