import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { expect } from 'chai';
import { type KemacContext, openKemac, sealKemac } from '../../../../actors/security/ibc/mikey/kemac.ts';
import { PAYLOAD, type Payload } from '../../../../actors/security/ibc/mikey/payloads.ts';
import { concat, fromHex, toHex } from '../../../../actors/security/ibc/octets.ts';

const context: KemacContext = {
  ssv: fromHex('123456789abcdef0123456789abcdef0'),
  csbId: fromHex('f1234567'),
  rand: fromHex('000102030405060708090a0b0c0d0e0f'),
  timestamp: fromHex('ec898da800000000'),
};
const content = {
  senderUri: 'sip:kms@mcptt.example',
  key: fromHex('aa'.repeat(32)),
  keyId: fromHex('f1234567'),
};

type Kemac = Extract<Payload, { kind: 'kemac' }>;

/** The payload as the parser gives it. */
function asPayload(octets: Uint8Array): Kemac {
  const length = (octets[2]! << 8) | octets[3]!;
  return {
    kind: 'kemac',
    octets,
    offset: 0,
    encryption: octets[1]!,
    encrypted: octets.slice(4, 4 + length),
    macAlgorithm: octets[4 + length]!,
    mac: octets.slice(5 + length),
  };
}

const sealed = () => concat(Uint8Array.of(PAYLOAD.sign), sealKemac(context, content, PAYLOAD.sign).octets);

/** Keys as sections 4.1.4 and 4.2.3 describe them, step by step. */
const hmac = (key: Uint8Array, data: Uint8Array) => createHmac('sha256', key).update(data).digest();
const derive = (constant: string) => {
  const label = concat(fromHex(constant), fromHex('ff'), context.csbId, context.rand);
  return hmac(context.ssv, concat(hmac(context.ssv, label), label));
};
const encryptionKey = derive('150533e1').subarray(0, 16);
const authenticationKey = derive('2d22ac75');
const salt = derive('29b88916').subarray(0, 14);
const iv = concat(
  concat(fromHex('0000'), context.csbId, context.timestamp).map((octet, index) => octet ^ salt[index]!),
  fromHex('0000'),
);

/** A payload with a right MAC around any content. */
function sealPlain(plain: Uint8Array): Kemac {
  const encrypted = createCipheriv('aes-128-ctr', encryptionKey, iv).update(plain);
  const covered = concat(
    fromHex('0401'),
    Uint8Array.of(plain.length >> 8, plain.length & 0xff),
    encrypted,
    fromHex('02'),
  );
  return asPayload(concat(covered, hmac(authenticationKey, covered)));
}

describe('KEMAC payload, RFC 3830 section 6.2', () => {
  it('round trip', () => {
    const opened = openKemac(context, asPayload(sealed()));
    expect(opened.senderUri).to.equal(content.senderUri);
    expect(toHex(opened.key)).to.equal(toHex(content.key));
    expect(toHex(opened.keyId)).to.equal('f1234567');
  });

  it('is what sections 4.1.4, 4.2.3, 6.2 and 6.13 describe, computed again step by step', () => {
    const payload = asPayload(sealed());
    const plain = createDecipheriv('aes-128-ctr', encryptionKey, iv).update(payload.encrypted);
    const uri = Buffer.from(content.senderUri);
    expect(toHex(plain)).to.equal(
      `1401${uri.length.toString(16).padStart(4, '0')}${uri.toString('hex')}` + // ID: next 20, URI
        `00210020${'aa'.repeat(32)}04f1234567`, // Key Data: last, TEK with SPI, 32 octets, SPI of 4
    );
    expect(toHex(payload.mac)).to.equal(toHex(hmac(authenticationKey, payload.octets.subarray(0, -32))));
  });

  it('any flipped bit breaks the MAC', () => {
    const octets = sealed();
    for (const at of [0, 10, 60, octets.length - 1]) {
      const changed = octets.slice();
      changed[at]! ^= 1;
      expect(() => openKemac(context, asPayload(changed)), `octet ${at}`)
        .to.throw()
        .with.property('code', 'kemac-invalid');
    }
  });

  it('holds IDi and one TEK with an SPI, and nothing else', () => {
    const id = concat(fromHex('14010003'), Buffer.from('a:b'));
    const key = fromHex(`00210020${'aa'.repeat(32)}04f1234567`);
    expect(openKemac(context, sealPlain(concat(id, key))).senderUri).to.equal('a:b');
    const changed = (octets: Uint8Array, at: number, value: number) =>
      octets.map((octet, i) => (i === at ? value : octet));
    for (const [what, plain, code] of [
      ['no content', new Uint8Array(), 'message-malformed'],
      ['no key', changed(id, 0, 0), 'kemac-invalid'],
      ['an ID that is no URI', concat(changed(id, 1, 0), key), 'kemac-invalid'],
      ['a TGK', concat(id, changed(key, 1, 0x01)), 'kemac-invalid'],
      ['a key without an SPI', concat(id, changed(key, 1, 0x20)), 'kemac-invalid'],
      ['two keys', concat(id, changed(key, 0, 20), key), 'kemac-invalid'],
      ['octets behind the key', concat(id, key, Uint8Array.of(0)), 'kemac-invalid'],
      ['an SPI cut short', concat(id, key.subarray(0, key.length - 1)), 'message-malformed'],
    ] as const) {
      expect(() => openKemac(context, sealPlain(plain)), what)
        .to.throw()
        .with.property('code', code);
    }
  });

  it('another SSV, CSB ID or RAND breaks the MAC; another T the content', () => {
    for (const field of ['ssv', 'csbId', 'rand'] as const) {
      const other = { ...context, [field]: context[field].map((octet) => octet ^ 1) };
      expect(() => openKemac(other, asPayload(sealed())), field)
        .to.throw()
        .with.property('code', 'kemac-invalid');
    }
  });

  it('other algorithms are not supported', () => {
    expect(() => openKemac(context, { ...asPayload(sealed()), encryption: 0 }))
      .to.throw()
      .with.property('code', 'message-unsupported');
    expect(() => openKemac(context, { ...asPayload(sealed()), macAlgorithm: 0 }))
      .to.throw()
      .with.property('code', 'message-unsupported');
  });
});
