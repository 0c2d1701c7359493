import { expect } from 'chai';
import { cekFingerprint } from '../../actors/security/fingerprint.ts';
import type { Step } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { attempt } from '../checks/attempt.ts';
import { cekElements } from '../checks/cek-element.ts';
import { derivedFrom, expectNoCek } from '../checks/cek-leak.ts';
import { answers } from '../checks/exchange.ts';
import { expectIMessage, kmsCertificate } from '../checks/i-message.ts';
import { type HeldKey, mcpttId, serverKeys } from '../checks/keys.ts';
import { body, header, startLine, uri } from '../checks/sip.ts';
import { tokensFor } from '../checks/tokens.ts';
import { elements, hasElement } from '../checks/xml.ts';

/**
 * Step 3b: the KMS authorizes the user by the KMS token and gives key material, CEK and Key ID (TS 33.180 annex D; pCR 7.x.2).
 *
 * ```
 * UE                                  KMS                                    MCPTT server
 *  ├── POST keyprov, Bearer KMS token ─▶│  token checked against the IdM's JWKS     │
 *  │                                    ├── POST push: CEK, Key ID (mutual TLS) ───▶│
 *  │                                    │◀────────────── 200 CekAck: Key ID ────────┤
 *  │◀── KmsResponse: KmsKeySet, Cek ────┤                                           │
 *  │  RFC 6507 and 6508 checks of the key material, I_MESSAGE opened                │
 * ```
 */
export const step3b = (user = 'alice', ue = 'ue'): Step => ({
  number: '3b',
  title: 'KMS gives key material and CEK with Key ID, pushes CEK to the server',
  clause: 'pCR 7.x.2, TS 33.180 D.2',
  responsible: 'kms',
  guard: 15_000,
  run: async (t) => {
    const asking = await attempt(t, t.actor(ue).do('requestKey', { user }));
    const isKeyprov = (r: MessageRecord): boolean => startLine(r).includes('/keymanagement/identity/v1/keyprov');
    const http = { interface: 'HTTP-1', actor: ue } as const;
    const ofUser = mcpttId(t, user);

    // Init comes before keyprov, and is refused for the same faults.
    const isKmsRequest = (r: MessageRecord): boolean => /^POST \S*\/keymanagement\/identity\//.test(startLine(r));
    t.hold('ue', 'TS 33.180 D.2.4');
    for (const record of t.records({ ...http, direction: 'sent', where: isKmsRequest })) {
      expect(header(t.about(record), 'Authorization'), 'the KMS token rides as bearer, and no other').to.equal(
        `Bearer ${tokensFor(t, 'urn:3gpp:mcptt:kms', ue).at(-1)?.token}`,
      );
      expect(body(record), 'body').to.match(/<(?:\w+:)?KmsRequest\b/);
      expect(elements(body(record), 'UserUri'), 'UserUri').to.deep.equal([ofUser]);
    }
    t.hold('kms', 'pCR 7.x.2, TS 33.180 D.2');
    const request = await asking.seen('the KmsRequest', {
      ...http,
      direction: 'sent',
      method: 'POST',
      where: isKeyprov,
    });
    t.hold('kms', 'TS 33.180 D.2.2');
    const certificate = kmsCertificate(t, ue);
    t.hold('ue', 'TS 33.180 D.2.4');
    t.about(request);
    const asked = body(request);
    const registered = t
      .records({ interface: 'SIP-1', actor: ue, direction: 'sent', method: 'REGISTER' }, 'all')
      .at(-1);
    const session = registered === undefined ? elements(asked, 'SipSession')[0] : uri(header(registered, 'Contact'));
    expect(elements(asked, 'SipSession'), 'SIP session that the CEK is for').to.deep.equal([session]);

    t.hold('kms', 'TS 33.180 D.2.4, D.3.3');
    t.about(request);
    asking.outcome();
    const hasKeys = (r: MessageRecord): boolean => hasElement(body(r), 'KmsKeyProv');
    const response = await t.expect('the KmsResponse', { ...http, direction: 'received', status: 200, where: hasKeys });
    const answer = body(response);
    for (const name of ['KmsKeySet', 'UserDecryptKey', 'UserSigningKeySSK', 'UserPubTokenPVT', 'Cek']) {
      expect(hasElement(answer, name), `${name} in the KmsResponse`).to.equal(true);
    }
    expect([...new Set(elements(answer, 'UserUri'))], 'UserUri of response, key sets and Cek').to.deep.equal([ofUser]);
    expect([...new Set(elements(answer, 'KmsUri'))], 'KmsUri').to.deep.equal([certificate.kmsUri]);

    t.hold('kms', 'pCR 7.x.2');
    const ceks = cekElements(answer);
    expect(ceks.length, 'CEKs for one SIP session').to.equal(1);
    const cek = ceks[0]!;
    expect(cek.keyId, 'Key ID: four octets, purpose tag 0xF').to.match(/^f[0-9a-f]{7}$/);
    expect(cek.clientId, 'ClientId').to.equal(elements(asked, 'ClientId')[0]);
    expect(cek.sipSession, 'SipSession').to.equal(session);
    expect(cek.notAfter, 'NotAfter, against NotBefore').to.be.greaterThan(cek.notBefore);
    const time = Date.parse(elements(answer, 'Time')[0]!);
    expect(time, 'Time, against NotAfter').to.be.lessThan(cek.notAfter);
    expect(cek.notBefore, 'NotBefore, against Time').to.be.at.most(time + TURN);

    const isPush = (r: MessageRecord): boolean =>
      /^POST \S*\/cek\/v1\/push/.test(startLine(r)) && body(r).includes(cek.keyId);
    const push = await t.expect('the push to the MCPTT server', { interface: 'HTTP-1', where: isPush }, SOON);
    const strangers = t.records({ interface: 'HTTP-1', where: (r) => r.peer === 'stranger' });
    expect(strangers.map(startLine), 'exchanges under a certificate that is not the KMS’s').to.deep.equal([]);
    const forServer = cekElements(body(push)).find(({ keyId }) => keyId === cek.keyId)!;
    expect(forServer, 'Cek element in the push').not.to.equal(undefined);
    for (const name of ['userUri', 'clientId', 'sipSession', 'notAfter'] as const)
      expect(forServer[name], `${name} of the CEK that was pushed`).to.equal(cek[name]);
    t.hold('kms', 'pCR 7.x.2, RFC 6509 2.1');
    const common = { keyId: cek.keyId, certificate };
    const toServer = expectIMessage(forServer.iMessage, {
      ...common,
      receiver: t.provisioned.network.mcpttServerId,
      record: push,
    });
    const toUe = expectIMessage(cek.iMessage, { ...common, receiver: ofUser, record: t.about(response) });
    expect(toServer.rand, 'RAND of the pushed I_MESSAGE, against that of the other').not.to.equal(toUe.rand);
    expect(toServer.sakke, 'SAKKE payload of the pushed I_MESSAGE, against that of the other').not.to.equal(toUe.sakke);

    t.hold('mcptt-as', 'pCR 7.x.2 step 3b');
    const pushes = t.records({ interface: 'HTTP-1', where: isPush });
    const answered = t.records({ interface: 'HTTP-1', where: (r) => pushes.some((p) => answers(r, p)) }).at(-1);
    if (answered !== undefined) {
      expect(startLine(t.about(answered)), 'answer to the push').to.match(/^HTTP\/\S+ 200/);
      expect(elements(body(answered), 'KeyId'), 'Key IDs acknowledged').to.include(cek.keyId);
    }
    t.hold('kms', 'pCR 7.x.2 step 3b');
    t.about(response);
    expect(cek.state, 'the MCPTT server has acknowledged').to.equal('active');
    const isAck = (r: MessageRecord): boolean => hasElement(body(r), 'CekAck') && body(r).includes(cek.keyId);
    await t.expect('the acknowledgement of the push', { interface: 'HTTP-1', status: 200, where: isAck }, SOON);
    const atKms = { interface: 'HTTP-1', actor: 'kms', status: 200 } as const;
    if (t.records({ actor: 'kms' }).length > 0) {
      const acked = await t.expect('the acknowledgement at the KMS', { ...atKms, where: isAck }, SOON);
      const told = await t.expect('the KmsResponse at the KMS', { ...atKms, where: hasKeys }, SOON);
      expect(told.sequence, 'place of the KmsResponse, after the acknowledgement').to.be.greaterThan(acked.sequence);
    }

    const client = await t.actor(ue).read<HeldKey>('client', { user });
    expect(client.keyId, 'Key ID that the UE holds').to.equal(cek.keyId);
    t.hold('mcptt-as', 'pCR 7.x.2 step 3b');
    const held = (await serverKeys(t)).find((key) => key.keyId === cek.keyId);
    expect(held, `CEK ${cek.keyId}, which the MCPTT server has acknowledged, is held there`).not.to.equal(undefined);
    t.hold('kms', 'pCR 7.x.2');
    expect(held?.cekFingerprint, 'fingerprint of the server’s CEK').to.equal(client.cekFingerprint);
    expect(WEAK_FINGERPRINTS.has(client.cekFingerprint), 'the CEK is one octet, repeated').to.equal(false);
    const known = [cek.keyId, cek.userUri, cek.clientId, cek.sipSession, certificate.kmsUri];
    expect(derivedFrom(known).has(client.cekFingerprint), 'the CEK is a hash of what its element says').to.equal(false);
    expectNoCek(t, new Set([client.cekFingerprint]), [push, response]);
    t.hold('kms', 'pCR 7.x.2');
    t.show('Key ID', client.keyId);
    t.show('CEK', `256 bit, the same at both ends (fingerprint ${client.cekFingerprint})`);
    t.show('Key material', 'RSK, SSK and PVT checked by the UE (RFC 6507 5.1.2, RFC 6508 6.1.2)');
  },
});

/** Fingerprints of the keys that a broken source of random octets gives. */
const WEAK_FINGERPRINTS = new Set(
  Array.from({ length: 256 }, (_, octet) => cekFingerprint(new Uint8Array(32).fill(octet))),
);
const SOON = { withinMs: 5_000 };
/** By how much a CEK may begin after the answer that brings it, milliseconds: clocks are told in whole seconds by some. */
const TURN = 1_000;
