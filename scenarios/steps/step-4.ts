import { expect } from 'chai';
import type { Json } from '../../sim/control/actor.ts';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { cekElements } from '../checks/cek-element.ts';
import { expectCipherKeysKept } from '../checks/cipher-keys.ts';
import { expectProtected, INTEGRITY_OF_DIRECT, profileInUse } from '../checks/cms.ts';
import { bindings, type ClientReading, mcpttId } from '../checks/keys.ts';
import { expectSecretFromSip, mcpttIdsOf } from '../checks/secrecy.ts';
import { expectSameInClear } from '../checks/service-request.ts';
import { body, header, headers, optionalHeader, startLine, uri, uris } from '../checks/sip.ts';

/**
 * Step 4: service authorization by PUBLISH (TS 24.379 7.2.2, 7.3.3; pCR 7.x.2 step 4).
 *
 * ```
 * UE                          SIP core                            MCPTT server
 *  ├── PUBLISH poc-settings ─────▶├── PUBLISH, P-Asserted-Identity ──▶│  CEK by Key ID, body opened, token checked,
 *  │   S/MIME: token, client id   │   (cannot read the body)          │  MCPTT ID, client id, session URI, IMPU bound
 *  │◀─────────────────────────────┤◀── 200, SIP-ETag, Expires ────────┤
 *  │  S/MIME: user profile        │   (cannot read the body)          │
 * ```
 */
export const step4 = (user = 'alice', ue = 'ue'): Step => ({
  number: '4',
  title: 'Server opens the PUBLISH, checks the token, binds, returns the profile',
  clause: 'TS 24.379 7.3.3, pCR 7.x.2',
  responsible: 'mcptt-as',
  guard: 15_000,
  run: async (t) => {
    const publishing = await attempt(t, t.actor(ue).do('publish', { user }));
    const client = await t.actor(ue).read<ClientReading>('client', { user });
    const secrets = [
      ...mcpttIdsOf(t, [user]),
      { what: 'MCPTT client id', text: client.clientId.replace(/^urn:uuid:/, '') },
      { what: 'MCPTT signalling in clear', text: 'mcptt-access-token' },
      { what: 'user profile in clear', text: 'mcptt-user-profile' },
    ];
    expectSecretFromSip(t, secrets);
    const registered = t
      .records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' }, 'all')
      .at(-1)!;
    const impu = uri(header(registered, 'To'));
    const keyId = keyGivenFor(t, user, ue);

    t.hold('ue', 'TS 24.379 7.2.2');
    const sip1 = { interface: 'SIP-1', actor: ue, method: 'PUBLISH' } as const;
    const sent = await publishing.seen('the PUBLISH', { ...sip1, direction: 'sent' });
    expect(startLine(sent), 'Request-URI is the public service identity').to.include(
      `PUBLISH ${t.provisioned.network.participatingPsi}`,
    );
    expect(header(sent, 'Event'), 'Event').to.equal('poc-settings');
    expect(header(sent, 'P-Preferred-Service'), 'P-Preferred-Service').to.equal(ICSI);
    const features = headers(sent, 'Accept-Contact').join(', ');
    for (const feature of [
      /\+g\.3gpp\.mcptt\s*;\s*require;\s*explicit/i,
      /icsi-ref="[^"]*icsi\.mcptt"\s*;\s*require;\s*explicit/i,
    ])
      expect(features, 'Accept-Contact').to.match(feature);
    expect(header(sent, 'Expires'), 'Expires').to.equal('4294967295');
    const granting = t
      .records({ interface: 'SIP-1', actor: ue, direction: 'received', method: 'REGISTER', status: 200 }, 'all')
      .at(-1)!;
    expect(uris(sent, 'Route'), 'Route follows the Service-Route').to.include.members(uris(granting, 'Service-Route'));
    expect(uri(header(sent, 'From')), 'From is the IMPU').to.equal(impu);
    const form = await profileInUse(t);
    if (form === 'direct') t.show('Integrity of the bodies', INTEGRITY_OF_DIRECT);
    const request = expectProtected(sent, keyId, form);

    t.hold('sip-core', 'TS 24.229 5.4.3.2');
    const sip2 = { interface: 'SIP-2', method: 'PUBLISH' } as const;
    const atServer = await t.expect('the PUBLISH at the MCPTT server', sip2, SOON);
    expect(uris(atServer, 'P-Asserted-Identity'), 'the core asserts the IMPU').to.include(impu);
    expect(header(atServer, 'P-Asserted-Service'), 'P-Asserted-Service').to.equal(ICSI);
    expect(header(atServer, 'P-Charging-Vector'), 'P-Charging-Vector').to.match(/icid-value="?[^";]/i);
    for (const name of ['P-Preferred-Identity', 'P-Preferred-Service'])
      expect(optionalHeader(atServer, name), `${name}, which ends at the core`).to.equal(undefined);
    expect(startLine(atServer), 'Request-URI, passed on by the core').to.equal(startLine(sent));
    for (const name of ['Event', 'Expires', 'Content-Type', 'From', 'To', 'Call-ID'])
      expect(header(atServer, name), `${name}, passed on by the core`).to.equal(header(sent, name));
    expect(headers(atServer, 'Accept-Contact').join(','), 'Accept-Contact').to.match(/\+g\.3gpp\.mcptt\b/i);
    expectSameBody(atServer, sent);

    const isFinal = (r: MessageRecord): boolean => /^SIP\/2\.0 [2-6]/.test(startLine(r));
    const ofPublish = (r: MessageRecord): boolean => isFinal(r) && /PUBLISH$/.test(optionalHeader(r, 'CSeq') ?? '');
    t.hold('mcptt-as', 'TS 24.379 7.3.3');
    const answer = await t.expect('the MCPTT server’s answer', { interface: 'SIP-2', where: ofPublish }, SOON);
    const warning = optionalHeader(answer, 'Warning') ?? 'no Warning';
    // The body opened under the CEK, so the signature and the parts in it are what their sender made of them.
    if (/body (signature|signed)/.test(warning)) t.hold('ue', 'pCR Figure 7.x.2-2');
    if (/malformed body|poc-settings/.test(warning)) t.hold('ue', 'TS 24.379 7.2.2');
    if (/\b101 /.test(warning)) {
      t.hold('ue', 'TS 24.379 7.2.2');
      await expectSameInClear(t, user, client.clientId, ue);
      t.hold('mcptt-as', 'TS 24.379 7.3.3');
    }
    t.about(answer);
    expect(startLine(answer), `answer to the PUBLISH (${warning})`).to.match(/^SIP\/2\.0 200 /);
    expect(header(answer, 'SIP-ETag'), 'SIP-ETag').not.to.equal('');
    expect(Number(header(answer, 'Expires')), 'Expires').to.be.within(1, 4294967295);
    const response = expectProtected(answer, keyId, form);
    if (request.wrappedKey !== undefined)
      expect(response.wrappedKey, 'content key of the 200, against that of the PUBLISH').not.to.equal(
        request.wrappedKey,
      );
    // Under another content key the nonce may be the same (RFC 5084 1.5); under the CEK itself the IV may not.
    else expect(response.nonce, 'IV of the 200, against that of the PUBLISH').not.to.equal(request.nonce);

    t.hold('sip-core', 'TS 24.229 5.2.6.4');
    const where = (r: MessageRecord): boolean => ofPublish(r) && r.direction === 'received';
    const ok = await t.expect('the 200 to PUBLISH', { interface: 'SIP-1', actor: ue, where }, SOON);
    expect(startLine(ok), 'answer, passed on by the core').to.equal(startLine(answer));
    expect(header(ok, 'SIP-ETag'), 'SIP-ETag, passed on by the core').to.equal(header(answer, 'SIP-ETag'));
    expect(optionalHeader(ok, 'P-Charging-Vector'), 'P-Charging-Vector to a UE').to.equal(undefined);
    expectSameBody(ok, answer);

    t.hold('mcptt-as', 'TS 24.379 7.3.3, pCR 7.x.2');
    publishing.outcome();
    t.hold('ue', 'TS 24.379 7.2.2, pCR 7.x.2');
    expect(client.bound, 'the UE knows that it is bound').to.equal(true);
    expect(client.profile, 'the profile that the UE opened').to.be.an('object');
    t.hold('mcptt-as', 'TS 24.379 7.3.3, pCR 7.x.2');
    expect(client.profile?.mcpttId, 'MCPTT ID of the profile').to.equal(mcpttId(t, user));
    const binding = (await bindings(t)).find((b) => b.mcpttId === mcpttId(t, user));
    expect(binding, `binding of ${mcpttId(t, user)} at the MCPTT server`).to.be.an('object');
    const { clientId, sipSession } = binding!;
    expect({ clientId, sipSession, impu: binding!.impu }, 'what is bound').to.deep.equal({
      clientId: client.clientId,
      sipSession: uri(header(registered, 'Contact')),
      impu,
    });
    expectSecretFromSip(t, secrets);
    expectCipherKeysKept(t, ue);
    t.show('Bound', `${mcpttId(t, user)} · ${clientId}`);
    t.show('to', `${binding!.impu} · ${sipSession}`);
    const profile = Object.entries(client.profile!).map(([name, value]) => `${name}=${inText(value)}`);
    t.show('Profile opened by the UE', profile.join(' '));
    const count = t.records({ where: (r) => r.protocol === 'sip' }, 'all').length;
    t.show(
      'Read by the SIP core',
      `nothing: no MCPTT ID, client id, token or profile in ${count} SIP messages, base64 decoded too`,
    );
  },
});

const ICSI = 'urn:urn-7:3gpp-service.ims.icsi.mcptt';
const SOON = { withinMs: 5_000 };

/** The Key ID that the KMS gave on HTTP-1. */
function keyGivenFor(t: StepContext, user: string, ue: string): string {
  const given = t
    .records({ interface: 'HTTP-1', actor: ue, status: 200 }, 'all')
    .flatMap((r) => cekElements(body(r)))
    .filter((cek) => cek.userUri === mcpttId(t, user));
  expect(given, `CEKs that the KMS gave to ${user}`).not.to.deep.equal([]);
  return given.at(-1)!.keyId;
}

const inText = (value: Json): string =>
  typeof value === 'string' ? value : Array.isArray(value) ? value.map(inText).join(',') : JSON.stringify(value);

/** The SIP core may break lines anew, and nothing else. */
function expectSameBody(passedOn: MessageRecord, came: MessageRecord): void {
  const [now, before] = [passedOn, came].map((record) => body(record).replace(/\s/g, ''));
  expect(now === before, `the core passes the body of ${startLine(came)} on untouched`).to.equal(true);
}
