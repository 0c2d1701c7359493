import { expect } from 'chai';
import type { Step } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { body, startLine } from '../checks/sip.ts';
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
    await t.actor(ue).do('requestKey', { user });
    const isKeyprov = (r: MessageRecord): boolean => startLine(r).includes('/keymanagement/identity/v1/keyprov');
    const request = await t.expect('the KmsRequest', {
      interface: 'HTTP-1',
      actor: ue,
      direction: 'sent',
      method: 'POST',
      where: isKeyprov,
    });
    expect(request.redacted, 'the KMS token rides as bearer').to.include('token');
    expect(body(request), 'body').to.match(/<(?:\w+:)?KmsRequest\b/);

    const isResponse = (r: MessageRecord): boolean => hasElement(body(r), 'KmsKeyProv');
    const response = await t.expect('the KmsResponse', {
      interface: 'HTTP-1',
      actor: ue,
      direction: 'received',
      status: 200,
      where: isResponse,
    });
    const answer = body(response);
    for (const name of ['KmsKeySet', 'UserDecryptKey', 'UserSigningKeySSK', 'UserPubTokenPVT', 'Cek']) {
      expect(hasElement(answer, name), `${name} in the KmsResponse`).to.equal(true);
    }
    const cek = answer.slice(answer.search(/<(?:\w+:)?Cek[\s>]/));
    const [keyId] = elements(cek, 'KeyId');
    expect(keyId, 'Key ID: four octets').to.match(/^[0-9a-f]{8}$/i);
    expect(elements(cek, 'State')[0], 'the MCPTT server has acknowledged').to.equal('active');

    const push = await t.expect('the push to the MCPTT server', {
      interface: 'HTTP-1',
      method: 'POST',
      where: (r) => /\/cek\/v1\/push/.test(startLine(r)) && body(r).includes(keyId!),
    });
    expect(hasElement(body(push), 'IMessage'), 'the CEK is pushed sealed').to.equal(true);
    await t.expect('the acknowledgement of the push', {
      interface: 'HTTP-1',
      status: 200,
      where: (r) => hasElement(body(r), 'CekAck') && body(r).includes(keyId!),
    });

    const client = await t.actor(ue).read<{ keyId: string; cekFingerprint: string }>('client', { user });
    expect(client.keyId, 'Key ID that the UE holds').to.equal(keyId!.toLowerCase());
    const held = await t.actor('mcptt-as').read<{ keyId: string; cekFingerprint: string }[]>('ceks');
    expect(held.find((k) => k.keyId === client.keyId)?.cekFingerprint, 'fingerprint of the server’s CEK').to.equal(
      client.cekFingerprint,
    );
    t.show('Key ID', client.keyId);
    t.show('CEK', `256 bit, the same at both ends (fingerprint ${client.cekFingerprint})`);
    t.show('Key material', 'RSK, SSK and PVT checked by the UE (RFC 6507 5.1.2, RFC 6508 6.1.2)');
  },
});
