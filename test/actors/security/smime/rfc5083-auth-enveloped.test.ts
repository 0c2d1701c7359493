import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { LARGEST_MESSAGE } from '../../../../actors/security/smime/asn1.ts';
import { open, seal } from '../../../../actors/security/smime/auth-enveloped.ts';
import { SmimeError } from '../../../../actors/security/smime/errors.ts';
import { readKeyId } from '../../../../actors/security/smime/profiles.ts';
import { flip, hex, refusal, tlv } from './helpers.ts';
import { cmsDecrypt, cmsEncrypt, needOpenssl } from './openssl.ts';

const key = { keyId: hex('F0000001'), cek: Uint8Array.from(randomBytes(32)) };
const other = { keyId: hex('F0000002'), cek: Uint8Array.from(randomBytes(32)) };
const entity = Uint8Array.from(Buffer.from('Content-Type: text/plain\r\n\r\nalice is here\r\n'));

const holding =
  (...keys: { keyId: Uint8Array; cek: Uint8Array }[]) =>
  (keyId: Uint8Array): Uint8Array | undefined =>
    keys.find((held) => Buffer.compare(held.keyId, keyId) === 0)?.cek;

type Update = (this: unknown, octets: Uint8Array) => Uint8Array;

const text = (octets: Uint8Array): string => Buffer.from(octets).toString();
/** Where `part` first occurs. */
const find = (whole: Uint8Array, part: Uint8Array): number => Buffer.from(whole).indexOf(part);

describe('CMS AuthEnvelopedData (RFC 5083, RFC 5084) under a CEK', () => {
  it('opens with the CEK and says which Key ID it was', async () => {
    const opened = await open(seal(entity, key), holding(other, key));
    expect(text(opened.entity)).equal(text(entity));
    expect(opened.keyId).deep.equal(key.keyId);
    expect(readKeyId(seal(entity, key))).deep.equal(key.keyId);
  });

  it('takes a key that is found later', async () => {
    const opened = await open(seal(entity, key), async () => key.cek);
    expect(text(opened.entity)).equal(text(entity));
  });

  it('uses a fresh content key and nonce for each message', () => {
    const [one, two] = [seal(entity, key), seal(entity, key)];
    const at = find(one, hex('0428')) + 2; // the wrapped key: OCTET STRING of 40
    expect(Buffer.compare(one.subarray(at, at + 40), two.subarray(at, at + 40))).not.equal(0);
    const nonce = find(one, hex('040c')) + 2;
    expect(Buffer.compare(one.subarray(nonce, nonce + 12), two.subarray(nonce, nonce + 12))).not.equal(0);
  });

  it('never shows plaintext', () => {
    expect(find(seal(entity, key), Buffer.from('alice'))).equal(-1);
  });

  it('zeroes the content key once the message is open, and what was deciphered of one that does not open', async () => {
    const given: Uint8Array[] = [];
    const der = seal(entity, key);
    const prototype = Object.getPrototypeOf(createDecipheriv('aes-256-ecb', key.cek, null)) as Record<'update', Update>;
    const original = prototype.update;
    prototype.update = function (this: unknown, octets: Uint8Array): Uint8Array {
      given.push(original.call(this, octets));
      return given.at(-1)!;
    };
    try {
      expect(text((await open(der, holding(key))).entity)).equal(text(entity));
      await refusal(open(flip(der, der.length - 1), holding(key)), 'SMIME_UNDECIPHERABLE');
    } finally {
      prototype.update = original;
    }
    expect(given.map(({ length }) => length)).deep.equal([32, entity.length, 32, entity.length]);
    expect(given.every((octets) => octets.every((octet) => octet === 0))).equal(true);
  });

  it('carries empty and large entities', async () => {
    for (const size of [0, 1, 127, 128, 65_536, 500_000]) {
      const large = Uint8Array.from(randomBytes(size));
      const { entity: back } = await open(seal(large, key), holding(key));
      expect(Buffer.compare(back, large), `${size} octets`).equal(0);
    }
  });

  describe('refusals', () => {
    it('unknown Key ID: names it', async () => {
      const error = await refusal(open(seal(entity, key), holding(other)), 'SMIME_UNKNOWN_KEY');
      expect(error.keyId).equal('f0000001');
    });

    it('another key under the same Key ID', async () => {
      const error = await refusal(
        open(seal(entity, key), () => other.cek),
        'SMIME_UNDECIPHERABLE',
      );
      expect(error.keyId).equal('f0000001');
    });

    it('Key ID changed to that of another known key', async () => {
      const der = seal(entity, key);
      der.set(other.keyId, find(der, key.keyId));
      await refusal(open(der, holding(key, other)), 'SMIME_UNDECIPHERABLE');
    });

    it('any changed bit: refused, or in the framing of CMS and of no effect', async () => {
      const der = seal(entity, key);
      let refused = 0;
      for (let at = 0; at < der.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          // The key is found whatever the Key ID has become, so that nothing but the check values refuses.
          const opened: unknown = await open(flip(der, at, bit), () => key.cek).catch((error: unknown) => error);
          if (opened instanceof SmimeError) refused++;
          else expect(text((opened as { entity: Uint8Array }).entity), `bit ${bit} of octet ${at}`).equal(text(entity));
        }
      }
      // CMS authenticates neither tags nor the Key ID: what is left are some forms of a tag that the parser takes alike.
      expect(refused / (8 * der.length)).greaterThan(0.85);
    });

    it('any changed bit of wrapped key, nonce, ciphertext and tag: refused', async () => {
      const der = seal(entity, key);
      const wrapped = find(der, hex('0428')) + 2;
      const nonce = find(der, hex('040c')) + 2;
      const ciphertext = der.length - 18 - entity.length;
      const regions = [
        [wrapped, wrapped + 40],
        [nonce, nonce + 12],
        [ciphertext, ciphertext + entity.length],
        [der.length - 16, der.length],
      ] as const;
      for (const [from, to] of regions) {
        for (let at = from; at < to; at++) {
          for (let bit = 0; bit < 8; bit++) {
            await refusal(open(flip(der, at, bit), holding(key)), 'SMIME_UNDECIPHERABLE');
          }
        }
      }
    });

    it('any changed bit of the Key ID: unknown key', async () => {
      const der = seal(entity, key);
      const at = find(der, key.keyId);
      for (let bit = 0; bit < 32; bit++) {
        await refusal(open(flip(der, at + (bit >> 3), bit & 7), holding(key)), 'SMIME_UNKNOWN_KEY');
      }
    });

    it('a shortened tag', async () => {
      const der = seal(entity, key);
      const short = Buffer.concat([der.subarray(0, der.length - 18), hex('040c'), der.subarray(-16, -4)]);
      // Lengths of the four enclosing elements shrink with it.
      const content = short.subarray(find(short, hex('020100')));
      const message = tlv(0x30, hex('060b2a864886f70d0109100117'), tlv(0xa0, tlv(0x30, content)));
      await refusal(open(message, holding(key)), 'SMIME_UNSUPPORTED');
    });

    it('octets before, after and instead of the message', async () => {
      const der = seal(entity, key);
      for (const wrong of [
        Buffer.concat([der, hex('00')]),
        Buffer.concat([hex('0500'), der]),
        der.subarray(0, der.length - 1),
        new Uint8Array(),
        hex('3080'),
        hex('30840000000000'),
        Buffer.from('Content-Type: application/pkcs7-mime'),
        Buffer.from(Buffer.from(der).toString('base64')),
      ]) {
        await refusal(open(wrong, holding(key)), 'SMIME_MALFORMED');
      }
    });

    it('messages that would wear the parser out', async () => {
      await refusal(open(Buffer.alloc(LARGEST_MESSAGE + 1), holding(key)), 'SMIME_TOO_LARGE');
      await refusal(open(Buffer.alloc(100_000, hex('3080')), holding(key)), 'SMIME_MALFORMED');
      await refusal(open(tlv(0x30, Buffer.alloc(60_000, hex('0500'))), holding(key)), 'SMIME_MALFORMED');
    });

    it('a sender whose key is not of its size', () => {
      for (const wrong of [
        { ...key, cek: key.cek.subarray(0, 16) },
        { ...key, keyId: hex('F0') },
      ]) {
        expect(() => seal(entity, wrong))
          .throw(SmimeError)
          .property('code', 'SMIME_BAD_KEY');
      }
    });

    it('random octets and random changes raise nothing but SmimeError', async () => {
      const der = seal(entity, key);
      const attempt = async (octets: Uint8Array): Promise<void> => {
        const result: unknown = await open(octets, () => key.cek).catch((error: unknown) => error);
        if (!(result instanceof SmimeError)) {
          // Only the length's encoding may differ without harm, and never the content.
          expect(text((result as { entity: Uint8Array }).entity)).equal(text(entity));
        }
      };
      await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), attempt), { numRuns: 300 });
      const position = fc.nat(der.length - 1);
      await fc.assert(
        fc.asyncProperty(position, position, fc.uint8Array({ maxLength: 8 }), (from, to, middle) =>
          attempt(Buffer.concat([der.subarray(0, from), middle, der.subarray(to)])),
        ),
        { numRuns: 500 },
      );
    });
  });

  describe('authenticated attributes (RFC 5083 clause 2.2)', () => {
    const one = tlv(0x30, hex('060a2a864886f70d01090304'), tlv(0x31, tlv(0x04, Buffer.from('one'))));
    const two = tlv(0x30, hex('06032a0304'), tlv(0x31, tlv(0x04, Buffer.from('two'))));

    /** AuthEnvelopedData put together by hand, its tag over `aad`, its attributes as given. */
    function message(aad: Uint8Array, attributes: Uint8Array): Uint8Array {
      const contentKey = randomBytes(32);
      const wrapper = createCipheriv('id-aes256-wrap', key.cek, Buffer.alloc(8, 0xa6));
      const wrapped = Buffer.concat([wrapper.update(contentKey), wrapper.final()]);
      const nonce = randomBytes(12);
      const gcm = createCipheriv('aes-256-gcm', contentKey, nonce);
      gcm.setAAD(aad);
      const ciphertext = Buffer.concat([gcm.update(entity), gcm.final()]);
      const recipient = tlv(
        0xa2,
        hex('020104'),
        tlv(0x30, tlv(0x04, key.keyId)),
        tlv(0x30, hex('060960864801650304012d')),
        tlv(0x04, wrapped),
      );
      const algorithm = tlv(0x30, hex('060960864801650304012e'), tlv(0x30, tlv(0x04, nonce), hex('020110')));
      const content = tlv(0x30, hex('06092a864886f70d010701'), algorithm, tlv(0x80, ciphertext));
      const body = tlv(
        0x30,
        hex('020100'),
        tlv(0x31, recipient),
        content,
        tlv(0xa1, attributes),
        tlv(0x04, gcm.getAuthTag()),
      );
      return tlv(0x30, hex('060b2a864886f70d0109100117'), tlv(0xa0, body));
    }

    // DER orders a SET OF by its encodings (X.690 11.6): `two` is the shorter one and comes first.
    const aad = tlv(0x31, two, one);

    it('are part of what the tag covers, in DER whatever order they travel in', async () => {
      for (const attributes of [Buffer.concat([two, one]), Buffer.concat([one, two])]) {
        const opened = await open(message(aad, attributes), holding(key));
        expect(text(opened.entity)).equal(text(entity));
      }
    });

    it('changed, removed or added: refused', async () => {
      const changed = flip(two, two.length - 1);
      for (const attributes of [Buffer.concat([changed, one]), one]) {
        await refusal(open(message(aad, attributes), holding(key)), 'SMIME_UNDECIPHERABLE');
      }
      await refusal(open(message(new Uint8Array(), two), holding(key)), 'SMIME_UNDECIPHERABLE');
    });
  });

  describe('with OpenSSL as the other end', () => {
    before(function () {
      needOpenssl(this);
    });

    it('`openssl cms -decrypt` opens what is sealed here', async () => {
      const { code, output } = await cmsDecrypt(seal(entity, key), key);
      expect(code).equal(0);
      expect(text(output)).equal(text(entity));
    });

    it('`openssl cms -decrypt` refuses wrong key, wrong Key ID and a changed octet', async () => {
      const der = seal(entity, key);
      expect((await cmsDecrypt(der, { ...key, cek: other.cek })).code).not.equal(0);
      expect((await cmsDecrypt(der, { ...key, keyId: other.keyId })).code).not.equal(0);
      expect((await cmsDecrypt(flip(der, der.length - 1), key)).code).not.equal(0);
    });

    for (const [form, options] of Object.entries({ DER: [], 'BER, streamed': ['-stream'] })) {
      it(`what \`openssl cms -encrypt\` makes opens here (${form})`, async () => {
        for (const size of [1, 50, 20_000]) {
          const sent = size === 50 ? entity : Uint8Array.from(randomBytes(size));
          const { code, output } = await cmsEncrypt(sent, key, '-aes-256-gcm', ...options);
          expect(code).equal(0);
          if (options.length > 0) expect(output[1], 'indefinite length').equal(0x80);
          expect(readKeyId(output)).deep.equal(key.keyId);
          const opened = await open(output, holding(key));
          expect(Buffer.compare(opened.entity, sent), `${size} octets`).equal(0);
          await refusal(
            open(output, () => other.cek),
            'SMIME_UNDECIPHERABLE',
          );
          await refusal(open(output, holding(other)), 'SMIME_UNKNOWN_KEY');
          await refusal(open(flip(output, output.length - (options.length > 0 ? 7 : 1)), holding(key)));
        }
      });
    }

    it('a message for a certificate and for several keys opens with the one that is held', async () => {
      // OpenSSL takes one -secretkey, so the second recipient is added by hand to what it made.
      const { output } = await cmsEncrypt(entity, key, '-aes-256-gcm');
      const set = find(output, hex('3144'));
      const recipient = output.subarray(set + 2, set + 2 + 0x44);
      const stranger = Uint8Array.from(recipient);
      stranger.set(other.keyId, find(stranger, key.keyId));
      const content = Buffer.concat([
        hex('020100'),
        tlv(0x31, stranger, recipient),
        output.subarray(set + 2 + recipient.length),
      ]);
      const several = tlv(0x30, hex('060b2a864886f70d0109100117'), tlv(0xa0, tlv(0x30, content)));
      for (const findKey of [holding(key), holding(other, key)]) {
        const opened = await open(several, findKey);
        expect(opened.keyId).deep.equal(key.keyId);
        expect(text(opened.entity)).equal(text(entity));
      }
      await refusal(open(several, holding(other)), 'SMIME_UNDECIPHERABLE');
    });

    it('a Key ID of another length is unknown, and named no longer than a header can bear', async () => {
      for (const [octets, named] of [
        ['f0', 'f0'],
        ['f000000100', 'f000000100'],
        ['ab'.repeat(64), `${'ab'.repeat(16)}...`],
      ] as const) {
        const { output } = await cmsEncrypt(entity, { ...key, keyId: hex(octets) }, '-aes-256-gcm');
        expect((await refusal(open(output, holding(key)), 'SMIME_UNKNOWN_KEY')).keyId).equal(named);
      }
    });

    it('a receiver whose key is wrapped otherwise does not keep ours from opening it', async () => {
      const { output } = await cmsEncrypt(entity, key, '-aes-256-gcm');
      const set = find(output, hex('3144'));
      const recipient = output.subarray(set + 2, set + 2 + 0x44);
      const otherwise = Uint8Array.from(recipient);
      otherwise[find(otherwise, hex('60864801650304012d')) + 8] = 0x05; // id-aes128-wrap
      const body = (...recipients: Uint8Array[]) =>
        tlv(
          0x30,
          hex('060b2a864886f70d0109100117'),
          tlv(0xa0, tlv(0x30, hex('020100'), tlv(0x31, ...recipients), output.subarray(set + 2 + recipient.length))),
        );
      expect(text((await open(body(otherwise, recipient), holding(key))).entity)).equal(text(entity));
      await refusal(open(body(otherwise), holding(key)), 'SMIME_UNSUPPORTED');
    });

    it('EnvelopedData (no integrity) with the same key is refused: no downgrade (RFC 9709)', async () => {
      const { code, output } = await cmsEncrypt(entity, key, '-aes-256-cbc');
      expect(code).equal(0);
      await refusal(open(output, holding(key)), 'SMIME_WRONG_PROFILE');
    });

    it('AES-128-GCM is refused', async () => {
      const { output } = await cmsEncrypt(entity, key, '-aes-128-gcm');
      await refusal(open(output, holding(key)), 'SMIME_UNSUPPORTED');
    });
  });
});
