/**
 * CK and IK of IMS AKA, which never leave the SIP core (TS 33.203 6.1.1). Whoever has provisioned the subscriber can make them
 * from K, OPc and RAND, so they are searched for by value, under whatever name and encoding they travel.
 */
import { readNonce } from '../../actors/security/aka/digest.ts';
import type { StepContext } from '../../sim/scenario/scenario.ts';
import { functionsOf, responseTo } from './provisioned.ts';
import { expectSecretFromSip, type Secret } from './secrecy.ts';
import { digest, optionalHeader } from './sip.ts';

/** CK and IK of every challenge that this UE has answered with the RES of a fixture's subscriber; of other subscribers none are known. */
function cipherKeys(t: StepContext, ue: string): Secret[] {
  const answers = t.records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' }, 'all');
  return answers.flatMap((record): Secret[] => {
    const credentials = optionalHeader(record, 'Authorization') ?? '';
    const challenge = readNonce(digest(credentials, 'nonce') ?? '');
    const functions = functionsOf(t, digest(credentials, 'username') ?? '');
    if (challenge === undefined || functions === undefined) return [];
    if (digest(credentials, 'response')?.toLowerCase() !== responseTo(t, credentials)) return [];
    const { ck, ik } = functions.f2345(challenge.rand);
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
