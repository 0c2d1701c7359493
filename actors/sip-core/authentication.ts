/**
 * IMS AKA at the S-CSCF: challenges with AKAv1-MD5 and judges the answers (TS 24.229 5.4.1.2, TS 33.203 6.1, RFC 3310).
 * CK and IK of the vector stay here: the challenge that leaves has no ck and ik parameters, because P-CSCF and S-CSCF
 * are one and no IPsec is set up.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../sim/engine/clock.ts';
import { sameIdentity } from '../messages/sip-headers.ts';
import type { Auc } from '../security/aka/auc.ts';
import { digestHa1, digestResponse, makeNonce } from '../security/aka/digest.ts';
import type { RegisterRequest } from './register-request.ts';

const ALGORITHM = 'AKAv1-MD5';
/** A USIM that is out of step after its AUTS has been taken up is broken, or somebody is playing. */
const MOST_RESYNCHRONISATIONS = 2;

interface Challenge {
  readonly nonce: string;
  readonly rand: Uint8Array;
  readonly xres: Uint8Array;
  readonly callId: string;
  readonly impu: string;
  readonly resynchronisations: number;
  readonly expiresAt: number;
}

/** What the registrar is to do with a REGISTER. `why` is for the log and holds no secret. */
export type Judgement =
  | { readonly verdict: 'authenticated' }
  | { readonly verdict: 'challenge'; readonly wwwAuthenticate: string; readonly why: string }
  | { readonly verdict: 'forbidden'; readonly why: string };

export interface AuthenticatorOptions {
  readonly auc: Auc;
  readonly realm: string;
  readonly clock: Clock;
  /** How long a challenge may be answered, in ms. */
  readonly challengeMs: number;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** The one outstanding challenge of each IMPI. */
  readonly #challenges = new Map<string, Challenge>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Judges a REGISTER of a known IMPI. A challenge is good for one answer, right or wrong. */
  async judge(impi: string, register: RegisterRequest): Promise<Judgement> {
    const { credentials } = register;
    const nonce = credentials.get('nonce')!;
    const challenge = this.#challenges.get(impi);
    if (nonce === '') return this.#challenge(impi, register, 'no answer yet', 0);
    const outstanding =
      challenge !== undefined && challenge.nonce === nonce && challenge.expiresAt > this.#options.clock.now();
    // A replayed nonce, and a refresh that repeats its last credentials, are no answer to anything (RFC 2617 3.3).
    if (!outstanding) return this.#challenge(impi, register, 'nonce is not outstanding', 0, true);
    this.#challenges.delete(impi);

    const mismatch = mismatchOf(challenge, register, this.#options.realm);
    if (mismatch !== undefined) return { verdict: 'forbidden', why: mismatch };
    const auts = credentials.get('auts');
    if (auts !== undefined) return this.#resynchronise(impi, register, challenge, auts);
    // TS 24.229 5.1.1.5.3: an empty response without auts says that the USIM found the network's MAC wrong.
    if (credentials.get('response') === '') return { verdict: 'forbidden', why: 'the USIM refused the network' };
    return responseIsRight(register, this.#options.realm, challenge.xres)
      ? { verdict: 'authenticated' }
      : { verdict: 'forbidden', why: 'RES is wrong' };
  }

  async #resynchronise(
    impi: string,
    register: RegisterRequest,
    challenge: Challenge,
    auts: string,
  ): Promise<Judgement> {
    const forbidden = (why: string): Judgement => ({ verdict: 'forbidden', why });
    const octets = Buffer.from(auts, 'base64');
    if (octets.length !== 14 || octets.toString('base64') !== auts) return forbidden('auts is not 14 octets in base64');
    // RFC 3310 3.4: the response beside auts is computed with an empty password.
    if (!responseIsRight(register, this.#options.realm, new Uint8Array())) {
      return forbidden('the response beside auts is wrong');
    }
    if (challenge.resynchronisations >= MOST_RESYNCHRONISATIONS) return forbidden('too many resynchronisations');
    if (!(await this.#options.auc.resynchronise(impi, challenge.rand, octets))) return forbidden('MAC-S is wrong');
    return this.#challenge(impi, register, 'resynchronised', challenge.resynchronisations + 1);
  }

  async #challenge(
    impi: string,
    register: RegisterRequest,
    why: string,
    resynchronisations: number,
    stale = false,
  ): Promise<Judgement> {
    const { auc, realm, clock, challengeMs } = this.#options;
    const { rand, autn, xres } = await auc.vector(impi);
    const nonce = makeNonce(rand, autn);
    this.#challenges.set(impi, {
      nonce,
      rand,
      xres,
      callId: register.callId,
      impu: register.impu,
      resynchronisations,
      expiresAt: clock.now() + challengeMs,
    });
    const parameters = [
      `realm="${realm}"`,
      `nonce="${nonce}"`,
      `algorithm=${ALGORITHM}`,
      'qop="auth"',
      ...(stale ? ['stale=TRUE'] : []),
    ];
    return { verdict: 'challenge', wwwAuthenticate: `Digest ${parameters.join(', ')}`, why };
  }
}

function mismatchOf(challenge: Challenge, register: RegisterRequest, realm: string): string | undefined {
  const { credentials, callId, impu } = register;
  if (callId !== challenge.callId) return 'answer with another Call-ID than the challenge';
  if (!sameIdentity(impu, challenge.impu)) return 'answer for another IMPU than the challenge';
  if (credentials.get('realm') !== realm) return 'answer for another realm than the challenge';
  if (credentials.get('algorithm')?.toLowerCase() !== ALGORITHM.toLowerCase()) {
    return 'answer with another algorithm than the challenge';
  }
  if (
    credentials.get('qop') !== 'auth' ||
    !credentials.get('cnonce') ||
    !/^[\da-f]{8}$/i.test(credentials.get('nc') ?? '')
  ) {
    return 'answer without qop, nc or cnonce';
  }
  return undefined;
}

function responseIsRight({ credentials }: RegisterRequest, realm: string, password: Uint8Array): boolean {
  const expected = digestResponse({
    ha1: digestHa1(credentials.get('username')!, realm, password),
    method: 'REGISTER',
    uri: credentials.get('uri')!,
    nonce: credentials.get('nonce')!,
    qop: { nc: credentials.get('nc')!, cnonce: credentials.get('cnonce')! },
  });
  const given = Buffer.from(credentials.get('response')!.toLowerCase());
  return given.length === expected.length && timingSafeEqual(given, Buffer.from(expected));
}
