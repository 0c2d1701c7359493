import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { SmimeError } from '../../../../actors/security/smime/errors.ts';
import {
  open,
  PROFILES,
  type Profile,
  protect,
  readKeyId,
  seal,
  unprotect,
} from '../../../../actors/security/smime/profiles.ts';
import { sign } from '../../../../actors/security/smime/signed-data.ts';
import { createTestSender, type TestSender } from './eccsi-sender.ts';
import { flip, hex, refusal, tlv } from './helpers.ts';
import { cms, cmsEncrypt, needOpenssl } from './openssl.ts';

const key = { keyId: hex('F00000A1'), cek: Uint8Array.from(randomBytes(32)) };
const findKey = (): Uint8Array => key.cek;
const entity = Uint8Array.from(Buffer.from('Content-Type: text/plain\r\n\r\nalice is here\r\n'));
const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const text = (octets: Uint8Array): string => Buffer.from(octets).toString();

describe('protection profiles', () => {
  let alice: TestSender;
  let aliceLater: TestSender;
  let bob: TestSender;
  before(() => {
    alice = createTestSender('sip:alice@mcptt.example', 1);
    aliceLater = createTestSender('sip:alice@mcptt.example', 2);
    bob = createTestSender('sip:bob@mcptt.example', 1);
  });

  for (const profile of PROFILES) {
    it(`${profile}: what is protected opens, with its Key ID readable before`, async () => {
      const der = await protect(entity, { profile, key, signer: alice, now });
      expect(readKeyId(der)).deep.equal(key.keyId);
      const opened = await unprotect(der, { profile, findKey, verifier: alice });
      expect(text(opened.entity)).equal(text(entity));
      expect(opened.keyId).deep.equal(key.keyId);
      expect(opened.signer).deep.equal(profile === 'kek' ? undefined : alice.uid);
      if (profile !== 'kek') expect(opened.signedAt?.toISOString()).equal('2026-01-02T03:04:05.000Z');
    });

    it(`${profile}: an unknown Key ID is named`, async () => {
      const der = await protect(entity, { profile, key, signer: alice, now });
      const error = await refusal(
        unprotect(der, { profile, findKey: () => undefined, verifier: alice }),
        'SMIME_UNKNOWN_KEY',
      );
      expect(error.keyId).equal('f00000a1');
    });

    it(`${profile}: random octets raise nothing but SmimeError`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (octets) => {
          await refusal(unprotect(octets, { profile, findKey, verifier: alice }));
        }),
        { numRuns: 100 },
      );
    });
  }

  it('a body of another profile is refused', async () => {
    const make = (profile: Profile): Promise<Uint8Array> => protect(entity, { profile, key, signer: alice, now });
    const take = (profile: Profile, der: Uint8Array): Promise<unknown> =>
      unprotect(der, { profile, findKey, verifier: alice });
    await refusal(take('kek', await make('direct')), 'SMIME_WRONG_PROFILE');
    await refusal(take('kek+sign', await make('direct')), 'SMIME_WRONG_PROFILE');
    await refusal(take('direct', await make('kek')), 'SMIME_WRONG_PROFILE');
    await refusal(take('kek+sign', await make('kek')), 'SMIME_SIGNATURE_MISSING');
  });

  it('whatever a body is refused for, the Key ID that it names is told', async function () {
    needOpenssl(this);
    const refused = async (der: Uint8Array, profile: Profile): Promise<string> => {
      const error = await refusal(unprotect(der, { profile, findKey, verifier: alice }));
      return `${error.code} ${String(error.keyId)}`;
    };
    for (const [cipher, code] of [
      ['-aes-128-gcm', 'SMIME_UNSUPPORTED'],
      ['-aes-256-cbc', 'SMIME_WRONG_PROFILE'],
    ] as const) {
      const { output } = await cmsEncrypt(entity, key, cipher);
      expect(readKeyId(output)).deep.equal(key.keyId);
      expect(await refused(output, 'kek')).equal(`${code} f00000a1`);
      expect(await refused(output, 'direct')).equal('SMIME_WRONG_PROFILE f00000a1');
    }
    const direct = await protect(entity, { profile: 'direct', key, now });
    expect(await refused(direct, 'kek+sign')).equal('SMIME_WRONG_PROFILE f00000a1');
    const aes192 = flip(direct, Buffer.from(direct).indexOf(hex('60864801650304012a')) + 8, 6); // 2.16.840.1.101.3.4.1.106
    expect(await refused(aes192, 'direct')).equal('SMIME_UNSUPPORTED f00000a1');
    const unnamed = await cms(
      ['-EncryptedData_encrypt', '-outform', 'DER', '-aes256', '-secretkey', Buffer.from(key.cek).toString('hex')],
      entity,
    );
    expect(await refused(unnamed.output, 'direct')).equal('SMIME_UNSUPPORTED undefined');
    expect(readKeyId(hex('3000'))).equal(undefined);
  });

  it('kek+sign cannot be used without a signer or a verifier', async () => {
    await refusal(protect(entity, { profile: 'kek+sign', key, now }), 'SMIME_BAD_KEY');
    const der = await protect(entity, { profile: 'kek+sign', key, signer: alice, now });
    await refusal(unprotect(der, { profile: 'kek+sign', findKey }), 'SMIME_BAD_KEY');
  });

  describe('kek+sign: ECCSI signature in CMS SignedData (RFC 5652 clause 5)', () => {
    const receive = (der: Uint8Array): ReturnType<typeof unprotect> =>
      unprotect(der, {
        profile: 'kek+sign',
        findKey,
        verifier: alice,
        expectSigner: () => ({ accepted: [alice.uid], otherPeriods: [aliceLater.uid] }),
      });
    const send = (signed: Uint8Array): Uint8Array => seal(signed, key);

    it('signed by the expected identity: accepted', async () => {
      expect(text((await receive(send(await sign(entity, alice, now)))).entity)).equal(text(entity));
    });

    it('who is expected may depend on what was opened', async () => {
      const der = await protect(entity, { profile: 'kek+sign', key, signer: bob, now });
      const opened = await unprotect(der, {
        profile: 'kek+sign',
        findKey,
        verifier: alice,
        expectSigner: (seen) => {
          expect(text(seen.entity)).contain('alice');
          return { accepted: [bob.uid] };
        },
      });
      expect(opened.signer).deep.equal(bob.uid);
    });

    it('not signed', async () => {
      for (const inner of [
        entity,
        Buffer.from('no MIME at all'),
        Buffer.from('Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n'),
      ]) {
        const error = await refusal(receive(send(inner)), 'SMIME_SIGNATURE_MISSING');
        expect(error.keyId).equal('f00000a1');
      }
    });

    it('SignedData without a signer', async () => {
      const content = tlv(0x30, hex('06092a864886f70d010701'), tlv(0xa0, tlv(0x04, entity)));
      const unsigned = tlv(
        0x30,
        hex('06092a864886f70d010702'),
        tlv(0xa0, tlv(0x30, hex('020101'), hex('3100'), content, hex('3100'))),
      );
      const head = Buffer.from('Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n');
      await refusal(receive(send(Buffer.concat([head, unsigned]))), 'SMIME_SIGNATURE_MISSING');
    });

    it('content in pieces, as a streaming sender writes it (BER, X.690 clause 8.7.3): accepted, whole', async () => {
      const signed = Buffer.from(await sign(entity, alice, now));
      const head = signed.subarray(0, signed.indexOf('\r\n\r\n') + 4);
      const signerInfos = signed.subarray(signed.indexOf(entity) + entity.length);
      const digests = hex('310d300b0609608648016503040201');
      const holding = (eContent: Uint8Array): Uint8Array => {
        const content = tlv(0x30, hex('06092a864886f70d010701'), tlv(0xa0, eContent));
        const message = tlv(0x30, hex('020103'), digests, content, signerInfos);
        return Buffer.concat([head, tlv(0x30, hex('06092a864886f70d010702'), tlv(0xa0, message))]);
      };
      const [first, last] = [tlv(0x04, entity.subarray(0, 7)), tlv(0x04, entity.subarray(7))];
      for (const eContent of [
        tlv(0x04, entity),
        tlv(0x24, first, last),
        Buffer.concat([hex('2480'), first, hex('0400'), last, hex('0000')]),
      ]) {
        expect(text((await receive(send(holding(eContent)))).entity)).equal(text(entity));
      }
      await refusal(receive(send(holding(tlv(0x24, first)))), 'SMIME_SIGNATURE_FORGED');
      await refusal(receive(send(holding(tlv(0x30, first, last)))), 'SMIME_MALFORMED');
      await refusal(receive(send(holding(tlv(0x24, first, tlv(0x0c, entity.subarray(7)))))), 'SMIME_MALFORMED');
    });

    it('signed by another user', async () => {
      await refusal(receive(send(await sign(entity, bob, now))), 'SMIME_OTHER_SIGNER');
    });

    it('signed with key material of another key period', async () => {
      await refusal(receive(send(await sign(entity, aliceLater, now))), 'SMIME_OTHER_KEY_PERIOD');
    });

    it('signed by one user in the name of another', async () => {
      const forger = { uid: alice.uid, sign: (message: Uint8Array) => bob.sign(message) };
      await refusal(receive(send(await sign(entity, forger, now))), 'SMIME_SIGNATURE_FORGED');
    });

    it('content, attributes, digest or signature changed in any octet', async () => {
      const signed = await sign(entity, alice, now);
      const start = Buffer.from(signed).indexOf('\r\n\r\n') + 4;
      const at = (part: string): number => Buffer.from(signed).indexOf(part, start, 'latin1');
      const regions = {
        content: [at('alice'), at('alice') + 5],
        uid: [Buffer.from(signed).indexOf(alice.uid), Buffer.from(signed).indexOf(alice.uid) + 32],
        'signing time': [at('260102030405Z'), at('260102030405Z') + 12],
        signature: [signed.length - 129, signed.length],
      } as const;
      for (const [region, [from, to]] of Object.entries(regions)) {
        expect(from, region).greaterThan(start);
        for (let octet = from; octet < to; octet++) {
          const error = await refusal(receive(send(flip(signed, octet))));
          expect(error.code, `${region}, octet ${octet}`).equal('SMIME_SIGNATURE_FORGED');
        }
      }
    }).timeout(60_000);

    it('signed as content of another type (RFC 5652 clause 5.3)', async () => {
      // The attributes are changed and signed again by their own signer: nothing but the content type is wrong then.
      const signed = Buffer.from(await sign(entity, alice, now));
      const idData = hex('06092a864886f70d010701');
      signed[signed.lastIndexOf(idData) + 10]! += 1;
      const attributes = signed.subarray(signed.indexOf(hex('a069')), signed.indexOf(hex('a069')) + 2 + 0x69);
      const again = await alice.sign(Buffer.concat([hex('31'), attributes.subarray(1)]));
      await refusal(receive(send(Buffer.concat([signed.subarray(0, -129), again]))), 'SMIME_SIGNATURE_FORGED');
    });

    it('any other changed octet of the SignedData is refused or of no effect', async () => {
      const signed = await sign(entity, alice, now);
      for (let octet = Buffer.from(signed).indexOf('\r\n\r\n') + 4; octet < signed.length; octet++) {
        const result: unknown = await receive(send(flip(signed, octet, 1))).catch((error: unknown) => error);
        if (result instanceof SmimeError) continue;
        if (result instanceof Error) throw result;
        expect(text((result as { entity: Uint8Array }).entity), `octet ${octet}`).equal(text(entity));
      }
    }).timeout(60_000);
  });

  describe('with OpenSSL as the other end', () => {
    before(function () {
      needOpenssl(this);
    });
    const secret = (): string[] => ['-secretkey', Buffer.from(key.cek).toString('hex')];

    it('direct: `openssl cms -EncryptedData_decrypt` opens what is made here', async () => {
      const der = await protect(entity, { profile: 'direct', key, now });
      const { code, output } = await cms(['-EncryptedData_decrypt', '-binary', '-inform', 'DER', ...secret()], der);
      expect(code).equal(0);
      expect(text(output)).equal(text(entity));
    });

    it('direct: what OpenSSL makes names no Key ID and is refused for that', async () => {
      const args = ['-EncryptedData_encrypt', '-binary', '-outform', 'DER', '-aes-256-cbc', ...secret()];
      const { code, output } = await cms(args, entity);
      expect(code).equal(0);
      await refusal(unprotect(output, { profile: 'direct', findKey }), 'SMIME_UNSUPPORTED');
    });

    it('kek+sign: OpenSSL decrypts it and reads signer, attributes and algorithm of the SignedData', async () => {
      const der = await protect(entity, { profile: 'kek+sign', key, signer: alice, now });
      const keyId = ['-secretkeyid', Buffer.from(key.keyId).toString('hex')];
      const decrypted = await cms(['-decrypt', '-binary', '-inform', 'DER', ...secret(), ...keyId], der);
      expect(decrypted.code).equal(0);
      const start = Buffer.from(decrypted.output).indexOf('\r\n\r\n') + 4;
      const printed = await cms(['-cmsout', '-print', '-inform', 'DER'], decrypted.output.subarray(start));
      expect(printed.code).equal(0);
      for (const seen of [
        'subjectKeyIdentifier',
        'algorithm: sha256',
        '2.25.287933604749104126743054113619525989279',
        'object: messageDigest',
        'UTCTIME:Jan  2 03:04:05 2026 GMT',
      ]) {
        expect(text(printed.output)).contain(seen);
      }
    });
  });

  describe('direct: no integrity of its own', () => {
    it('a changed octet of an unsigned body opens to something else: this is why the profile is off by default', async () => {
      const der = await protect(Buffer.alloc(64, 'a'), { profile: 'direct', key, now });
      // The last octet of the IV: it changes the first block's last octet and nothing else.
      const iv = Buffer.from(der).indexOf(hex('0410')) + 2;
      const opened = await unprotect(flip(der, iv + 15), { profile: 'direct', findKey });
      expect(text(opened.entity)).equal(`${'a'.repeat(15)}\`${'a'.repeat(48)}`);
    });

    it('a signature notices it', async () => {
      const der = await protect(entity, { profile: 'direct', key, signer: alice, now });
      const content = Buffer.from(der).indexOf(hex('0410')) + 2 + 16 + 4;
      for (let block = 6; block < 12; block++) {
        await refusal(unprotect(flip(der, content + 16 * block), { profile: 'direct', findKey, verifier: alice }));
      }
      const unsigned = await protect(entity, { profile: 'direct', key, now });
      await refusal(unprotect(unsigned, { profile: 'direct', findKey, verifier: alice }), 'SMIME_SIGNATURE_MISSING');
    });
  });

  it('opening as `kek` shows what `kek+sign` sealed: a MIME entity that says what it is', async () => {
    const der = await protect(entity, { profile: 'kek+sign', key, signer: alice, now });
    expect(text((await open(der, findKey)).entity)).match(
      /^Content-Type: application\/pkcs7-mime; smime-type=signed-data; name=smime\.p7m\r\n/,
    );
  });
});
