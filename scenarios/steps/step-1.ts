import { expect } from 'chai';
import { readNonce } from '../../actors/security/aka/digest.ts';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { expectCipherKeysKept } from '../checks/cipher-keys.ts';
import { expectGenuine, responseTo } from '../checks/provisioned.ts';
import { anyMcpttId, expectSecretFromSip } from '../checks/secrecy.ts';
import { digest, granted, header, headers, isFinalTo, startLine, uri } from '../checks/sip.ts';

/**
 * Step 1: IMS registration over WSS (TS 33.203 6.1, TS 24.229 5.1.1, RFC 3310).
 *
 * ```
 * UE                                            SIP core
 *  ├── REGISTER, Authorization empty ──────────────▶│  vector from the AuC
 *  │◀─── 401, AKAv1-MD5, nonce = RAND || AUTN       │  CK and IK stay in the core
 *  ├── REGISTER, response from RES ────────────────▶│
 *  │◀─── 200, P-Associated-URI, Service-Route, Path │
 * ```
 */
export const step1 = (ue = 'ue'): Step => ({
  number: '1',
  title: 'UE authenticates to the SIP core and registers its IMPU',
  clause: 'TS 33.203 6.1',
  responsible: 'sip-core',
  guard: 10_000,
  run: async (t) => {
    const registering = await attempt(t, t.actor(ue).do('register'));
    const atUe = { interface: 'SIP-1', actor: ue, method: 'REGISTER' } as const;

    const first = await registering.seen('the first REGISTER', { ...atUe, direction: 'sent' });
    t.hold('ue', 'TS 24.229 5.1.1.2');
    const impu = uri(header(first, 'To'));
    const contact = uri(header(first, 'Contact'));
    expect(startLine(first), 'Request-URI names the home domain, no user').to.match(/^REGISTER sip:[^@]+ SIP\/2\.0$/);
    const domain = startLine(first).split(' ')[1]!.slice('sip:'.length);
    expect(uri(header(first, 'From')), 'From is the IMPU of To').to.equal(impu);
    const features = header(first, 'Contact');
    for (const feature of [/\+g\.3gpp\.mcptt\b/i, /\+g\.3gpp\.icsi-ref\s*=\s*"[^"]*icsi\.mcptt[",]/i])
      expect(features, 'media feature tags of the Contact (TS 24.379 7.2.1)').to.match(feature);
    const unprotected = header(first, 'Authorization');
    expect(digest(unprotected, 'username'), 'IMPI').to.match(/@/);
    expect(digest(unprotected, 'realm'), 'realm').to.equal(domain);
    expect(digest(unprotected, 'nonce'), 'nonce of the first REGISTER').to.equal('');
    expect(digest(unprotected, 'response'), 'response of the first REGISTER').to.equal('');

    t.hold('sip-core', 'TS 24.229 5.4.1.2.1, RFC 3310 3');
    const where = (r: MessageRecord): boolean => isFinalTo(r, 'REGISTER');
    const [final] = t.records({ interface: 'SIP-1', actor: ue, direction: 'received', where });
    if (final !== undefined)
      expect(startLine(t.about(final)), 'answer to a REGISTER without a response').to.match(/^SIP\/2\.0 401 /);
    const challenge = await registering.seen('the 401 with a challenge', {
      ...atUe,
      direction: 'received',
      status: 401,
    });
    const www = header(challenge, 'WWW-Authenticate');
    expect(digest(www, 'realm'), 'realm').to.equal(domain);
    expect(digest(www, 'algorithm'), 'algorithm').to.equal('AKAv1-MD5');
    const nonce = Buffer.from(digest(www, 'nonce') ?? '', 'base64');
    expect(nonce.length, 'octets of RAND || AUTN in the nonce').to.be.at.least(32);
    for (const record of t.records({ interface: 'SIP-1' })) {
      expect(t.about(record).redacted, 'cipher keys on SIP-1').not.to.include('cipher-key');
    }
    const challenges = expectFreshChallenges(t, ue);
    expect([digest(www, 'ck'), digest(www, 'ik')], 'CK and IK in the challenge').to.deep.equal([undefined, undefined]);

    const answer = t.about(t.records({ ...atUe, direction: 'sent' }).at(-1)!);
    const credentials = header(answer, 'Authorization');
    if (registering.failed) {
      t.hold('sip-core', 'TS 33.203 6.1.1');
      for (const record of challenges) {
        const vector = readNonce(digest(header(t.about(record), 'WWW-Authenticate'), 'nonce') ?? '');
        if (vector !== undefined) expectGenuine(t, digest(unprotected, 'username')!, vector);
      }
      t.about(answer);
    }
    t.hold('ue', 'TS 24.229 5.1.1.5.1, RFC 3310 3.3');
    expect(digest(credentials, 'response'), 'digest response').to.match(/^[0-9a-f]{32}$/);
    expect(digest(credentials, 'username'), 'IMPI').to.equal(digest(unprotected, 'username'));
    expect(digest(credentials, 'algorithm'), 'algorithm').to.equal('AKAv1-MD5');
    const nonces = t.records({ ...atUe, status: 401 }).map((r) => digest(header(r, 'WWW-Authenticate'), 'nonce'));
    expect(digest(credentials, 'nonce'), 'nonce answered').to.equal(nonces.at(-1));
    expect(digest(credentials, 'uri'), 'digest-uri (RFC 2617 3.2.2.5)').to.equal(`sip:${domain}`);
    if (digest(www, 'qop') !== undefined) {
      // RFC 3261 22.4 item 8: who is offered qop must use it.
      expect(digest(credentials, 'qop'), 'qop').to.equal('auth');
      expect(digest(credentials, 'nc'), 'nonce count').to.match(/^[0-9a-f]{8}$/i);
      expect(digest(credentials, 'cnonce'), 'cnonce').to.be.a('string').and.not.equal('');
    }
    // Whether it is right tells whom to hold for a refusal; an accepted one is the core's affair.
    const right = registering.failed ? responseTo(t, credentials) : undefined;
    if (right !== undefined) expect(digest(credentials, 'response'), 'response, against that of RES').to.equal(right);
    expect(uri(header(answer, 'To')), 'To is the IMPU').to.equal(impu);
    expect(uri(header(answer, 'Contact')), 'Contact').to.equal(contact);
    expect(header(answer, 'Call-ID'), 'Call-ID').to.equal(header(first, 'Call-ID'));
    expect(Number.parseInt(header(answer, 'CSeq'), 10), 'CSeq, which counts up (RFC 3261 10.2.4)').to.be.greaterThan(
      Number.parseInt(header(first, 'CSeq'), 10),
    );

    t.hold('sip-core', 'TS 24.229 5.4.1.2.2');
    registering.outcome();
    const ok = await t.expect('the 200 to REGISTER', { ...atUe, direction: 'received', status: 200 });
    const associated = headers(ok, 'P-Associated-URI').join(', ');
    expect(uri(associated), 'default IMPU, first in P-Associated-URI').to.equal(impu);
    expect(header(ok, 'Service-Route'), 'Service-Route').to.match(/<sip:[^>]*;lr/);
    expect(header(ok, 'Path'), 'Path').to.match(/<sip:/);
    expect(uri(header(ok, 'Contact')), 'Contact that is registered').to.equal(contact);
    expect(granted(ok), 'seconds granted').to.be.within(1, granted(answer));
    expectSecretFromSip(t, anyMcpttId(t));
    expectCipherKeysKept(t, ue);
    t.show('IMPU', uri(associated));
    t.show('Service-Route', uri(header(ok, 'Service-Route')));
    t.show('Registered for', `${granted(ok)} s`);
  },
});

/** Asserts that no RAND came twice among the challenges to this UE so far (TS 33.102 6.3.2). @returns the challenges */
export function expectFreshChallenges(t: StepContext, ue = 'ue'): MessageRecord[] {
  const challenges = t.records(
    { interface: 'SIP-1', actor: ue, direction: 'received', method: 'REGISTER', status: 401 },
    'all',
  );
  const rands = challenges.map((r) => randOf(header(r, 'WWW-Authenticate')));
  expect(new Set(rands).size, 'different RANDs, in as many challenges').to.equal(rands.length);
  return challenges;
}

/** RAND of a challenge, hex. */
const randOf = (challenge: string): string =>
  Buffer.from(digest(challenge, 'nonce') ?? '', 'base64').toString('hex', 0, 16);
