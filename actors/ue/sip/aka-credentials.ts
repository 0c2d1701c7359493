/**
 * The three answers that a UE gives to an AKAv1-MD5 challenge (RFC 3310, TS 24.229 5.1.1.5), and the header field of the
 * REGISTER that has not been challenged yet.
 */
import { randomBytes } from 'node:crypto';
import { digestHa1, digestResponse, parseDigest, readNonce } from '../../security/aka/digest.ts';
import type { Usim } from '../usim.ts';

/** Parameters of an Authorization header field, in order; undefined ones are left out. */
export type Credentials = Readonly<Record<string, string | undefined>>;

export type ChallengeOutcome = 'success' | 'mac-failure' | 'synch-failure' | 'unusable';

/** TS 24.229 5.1.1.2.1: an unprotected REGISTER names the user and leaves nonce and response empty. */
export function initialCredentials(impi: string, realm: string): Credentials {
  return { username: impi, realm, nonce: '', uri: `sip:${realm}`, response: '', algorithm: 'AKAv1-MD5' };
}

/**
 * Has the USIM answer a challenge.
 * @param challenge WWW-Authenticate value; read raw because sip.js drops parameters that it does not know
 * @returns what the USIM found, and the credentials to send (undefined when the challenge is no AKAv1-MD5 challenge)
 */
export function answerAkaChallenge(
  usim: Usim,
  challenge: string | undefined,
): { outcome: ChallengeOutcome; credentials?: Credentials } {
  const parameters = challenge === undefined ? undefined : parseDigest(challenge);
  const nonce = parameters?.get('nonce');
  const realm = parameters?.get('realm');
  const vector = nonce === undefined ? undefined : readNonce(nonce);
  const algorithm = parameters?.get('algorithm');
  if (nonce === undefined || realm === undefined || vector === undefined || algorithm?.toLowerCase() !== 'akav1-md5') {
    return { outcome: 'unusable' };
  }
  const uri = `sip:${realm}`;
  const common = { username: usim.impi, realm, nonce, uri, algorithm: 'AKAv1-MD5', opaque: parameters?.get('opaque') };
  const answer = usim.authenticate(vector.rand, vector.autn);
  if (answer.outcome === 'mac-failure') {
    // TS 24.229 5.1.1.5.3: an empty response and no auts says that the network could not authenticate itself.
    return { outcome: answer.outcome, credentials: { ...common, response: '' } };
  }
  // RFC 3310 3.4: with auts the password is empty.
  const password = answer.outcome === 'success' ? answer.res : new Uint8Array();
  const offersAuth = (parameters?.get('qop') ?? '').split(',').some((qop) => qop.trim() === 'auth');
  const qop = offersAuth ? { nc: '00000001', cnonce: randomBytes(8).toString('hex') } : undefined;
  const ha1 = digestHa1(usim.impi, realm, password);
  const response = digestResponse({ ha1, method: 'REGISTER', uri, nonce, ...(qop === undefined ? {} : { qop }) });
  return {
    outcome: answer.outcome,
    credentials: {
      ...common,
      response,
      ...(qop === undefined ? {} : { qop: 'auth', ...qop }),
      ...(answer.outcome === 'synch-failure' ? { auts: Buffer.from(answer.auts).toString('base64') } : {}),
    },
  };
}

/** RFC 2617 3.2.2: these three are tokens, everything else is quoted. */
const UNQUOTED = ['algorithm', 'qop', 'nc'];

/** Authorization value. */
export function formatCredentials(credentials: Credentials): string {
  const parameters = Object.entries(credentials).flatMap(([name, value]) =>
    value === undefined ? [] : [UNQUOTED.includes(name) ? `${name}=${value}` : `${name}="${value}"`],
  );
  return `Digest ${parameters.join(', ')}`;
}
