import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import { digest, header, headers, optionalHeader, startLine, uri } from '../checks/sip.ts';

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
    await t.actor(ue).do('register');
    const sent = t.records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' });
    const first = t.about(sent[0]!);
    const unprotected = header(first, 'Authorization');
    expect(digest(unprotected, 'nonce'), 'nonce of the first REGISTER').to.equal('');
    expect(digest(unprotected, 'response'), 'response of the first REGISTER').to.equal('');
    expect(startLine(first), 'Request-URI names the home domain, no user').to.match(/^REGISTER sip:[^@]+ SIP\/2\.0$/);

    const challenge = await t.expect('the 401 with a challenge', {
      interface: 'SIP-1',
      actor: ue,
      direction: 'received',
      method: 'REGISTER',
      status: 401,
    });
    const www = header(challenge, 'WWW-Authenticate');
    expect(digest(www, 'algorithm'), 'algorithm').to.equal('AKAv1-MD5');
    expect(
      Buffer.from(digest(www, 'nonce') ?? '', 'base64').length,
      'octets of RAND || AUTN in the nonce',
    ).to.be.at.least(32);

    const answer = t.about(sent.at(-1)!);
    expect(digest(header(answer, 'Authorization'), 'response'), 'digest response').to.match(/^[0-9a-f]{32}$/);
    expect(uri(header(answer, 'To', 't')), 'To is the IMPU').to.equal(uri(header(first, 'To', 't')));

    const ok = await t.expect('the 200 to REGISTER', {
      interface: 'SIP-1',
      actor: ue,
      direction: 'received',
      method: 'REGISTER',
      status: 200,
    });
    const associated = headers(ok, 'P-Associated-URI').join(', ');
    expect(uri(associated), 'default IMPU, first in P-Associated-URI').to.equal(uri(header(first, 'To', 't')));
    expect(header(ok, 'Service-Route'), 'Service-Route').to.match(/<sip:[^>]*;lr/);
    expect(header(ok, 'Path'), 'Path').to.match(/<sip:/);
    for (const record of t.records({ interface: 'SIP-1' })) {
      expect(record.redacted, `cipher keys on SIP-1 in ${startLine(t.about(record))}`).not.to.include('cipher-key');
    }
    t.show('IMPU', uri(associated));
    t.show('Service-Route', uri(header(ok, 'Service-Route')));
    t.show(
      'Registered for',
      `${optionalHeader(ok, 'Expires') ?? /expires=(\d+)/.exec(header(ok, 'Contact', 'm'))?.[1]} s`,
    );
  },
});
