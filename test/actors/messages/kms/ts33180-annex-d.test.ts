/** TS 33.180 clauses D.2.2 and D.3: KmsRequest and KmsResponse, their order, namespaces and bounds. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import {
  buildCekAck,
  buildCekEvent,
  buildCekPush,
  type Cek,
  parseCekAck,
  parseCekEvent,
  parseCekPush,
} from '../../../../actors/messages/kms/cek.ts';
import { KmsMessageError } from '../../../../actors/messages/kms/errors.ts';
import { guardXml, REQUEST_BOUNDS } from '../../../../actors/messages/kms/guard.ts';
import type { KmsCertificate, KmsKeySet } from '../../../../actors/messages/kms/key-material.ts';
import { buildKmsRequest, type KmsRequest, parseKmsRequest } from '../../../../actors/messages/kms/request.ts';
import { buildKmsResponse, type KmsMessage, parseKmsResponse } from '../../../../actors/messages/kms/response.ts';

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0);
const ALICE = 'sip:alice@mcptt.example';
const SESSION = 'sip:x7@192.0.2.1;transport=ws;ob?a=1&b="2"';

const cek = (over: Partial<Cek> = {}): Cek => ({
  keyId: 'f0000001',
  userUri: ALICE,
  clientId: 'urn:uuid:11111111-1111-4111-8111-111111111111',
  sipSession: SESSION,
  notBefore: NOW,
  notAfter: NOW + 3_600_000,
  state: 'active',
  iMessage: Buffer.alloc(700, 7),
  ...over,
});

const request = (over: Partial<KmsRequest> = {}): KmsRequest => ({
  userUri: ALICE,
  kmsUri: 'kms.mcptt.example',
  time: NOW,
  clientId: 'urn:uuid:11111111-1111-4111-8111-111111111111',
  clientReqUrl: 'https://127.0.0.1:8443/keymanagement/identity/v1/keyprov',
  cekRequests: [{ sipSession: SESSION, keyId: 'f0000001', messages: 12 }],
  cekEnds: [],
  ...over,
});

const certificate: KmsCertificate = {
  role: 'Root',
  kmsUri: 'kms.mcptt.example',
  userKeyPeriod: 2_592_000,
  userKeyOffset: 0,
  pubEncKey: Buffer.concat([Buffer.of(4), Buffer.alloc(256, 1)]),
  pubAuthKey: Buffer.concat([Buffer.of(4), Buffer.alloc(64, 2)]),
};

const keySet: KmsKeySet = {
  kmsUri: 'kms.mcptt.example',
  userUri: ALICE,
  userId: Buffer.alloc(32, 3),
  keyPeriodNo: 1544,
  validFrom: NOW,
  validTo: NOW + 2_592_000_000,
  userDecryptKey: Buffer.concat([Buffer.of(4), Buffer.alloc(256, 5)]),
  userSigningKeySsk: Buffer.alloc(32, 6),
  userPubTokenPvt: Buffer.concat([Buffer.of(4), Buffer.alloc(64, 7)]),
};

const response = (message: KmsMessage): Uint8Array =>
  buildKmsResponse({
    userUri: ALICE,
    kmsUri: 'kms.mcptt.example',
    time: NOW,
    clientReqUrl: 'https://127.0.0.1:8443/keymanagement/identity/v1/keyprov',
    message,
  });

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('utf8');
const parse = (xml: string): KmsRequest => parseKmsRequest(Buffer.from(xml, 'utf8'));
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof KmsMessageError) return error.code;
    throw error;
  }
  return 'accepted';
};
const same = (seen: unknown, expected: unknown): void => {
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v)));
  expect(plain(hexed(seen))).to.deep.equal(plain(hexed(expected)));
};
/** Buffers and Uint8Arrays alike, as hexadecimal. */
const hexed = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(hexed);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, hexed(v)]));
  return value;
};

describe('TS 33.180 D.2.2: KmsRequest', () => {
  it('comes back as it was built, a SIP session character for character', () => {
    same(parseKmsRequest(buildKmsRequest(request())), request());
  });

  it('loses the white space of XML round a value, and no other character', () => {
    const xml = text(buildKmsRequest(request())).replace(/<ClientId>.*?</, '<ClientId> \t\u00a0\ufeff\r\n<');
    expect(parse(xml).clientId).to.equal('\u00a0\ufeff');
  });

  it('may have white space round a time, as round any other value (XML Schema 2, 3.2.7: whiteSpace is collapse)', () => {
    const xml = text(buildKmsRequest(request({ time: 0 })));
    for (const time of ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00', '1970-01-01T01:00:00.0+01:00']) {
      expect(parse(xml.replace(/<Time>.*?</, `<Time>\n\t ${time} \n<`)).time, time).to.equal(0);
    }
  });

  it('may not have more messages, or two times, than its schema can hold', () => {
    const xml = text(buildKmsRequest(request({ time: 0 })));
    for (const change of [
      xml.replace(/<Time>.*?</, '<Time>1970-01-01T00:00:00Z 1970-01-01T00:00:00Z<'),
      xml.replace(/<Messages>.*?</, '<Messages>4294967296<'),
    ]) {
      expect(change).to.not.equal(xml);
      expect(codeOf(() => parse(change))).to.equal('KMS_XML_INVALID');
    }
  });

  it('has its elements in the order of the schema', () => {
    const names = [...text(buildKmsRequest(request({ deviceId: 'imei' }))).matchAll(/<([A-Za-z]+)/g)].map((m) => m[1]);
    expect(names.slice(0, 8)).to.deep.equal([
      'KmsRequest',
      'UserUri',
      'KmsUri',
      'Time',
      'ClientId',
      'DeviceId',
      'ClientReqUrl',
      'CekRequest',
    ]);
  });

  for (const [what, change] of [
    ['elements in another order', (x: string) => x.replace(/(<KmsUri>.*?<\/KmsUri>)(<Time>.*?<\/Time>)/, '$2$1')],
    ['no UserUri', (x: string) => x.replace(/<UserUri>.*?<\/UserUri>/, '')],
    ['an empty UserUri', (x: string) => x.replace(/<UserUri>.*?<\/UserUri>/, '<UserUri/>')],
    ['a time that is none', (x: string) => x.replace(/<Time>.*?<\/Time>/, '<Time>yesterday</Time>')],
    ['another version', (x: string) => x.replace('Version="1.1.0"', 'Version="9"')],
    ['an element that nobody defines', (x: string) => x.replace('<UserUri>', '<Surprise/><UserUri>')],
    ['a Key ID of three octets', (x: string) => x.replace('f0000001', 'f00001')],
    ['a Key ID with another purpose tag', (x: string) => x.replace('f0000001', '20000001')],
    ['a CekRequest without a SIP session', (x: string) => x.replace(/<SipSession>.*?<\/SipSession>/, '')],
    ['another namespace', (x: string) => x.replace('mcsecKMSInterface:1.0', 'mcsecKMSInterface:9.0')],
    ['a SIP session of white space', (x: string) => x.replace(/<SipSession>.*?</, '<SipSession> \n <')],
    ['a ClientId of white space', (x: string) => x.replace(/<ClientId>.*?</, '<ClientId>\t &#10;<')],
  ] as const) {
    it(`is refused with ${what}`, () => {
      expect(codeOf(() => parse(change(text(buildKmsRequest(request())))))).to.equal('KMS_XML_INVALID');
    });
  }

  it('is refused when signed, because this KMS gives out no InK', () => {
    const inner = text(buildKmsRequest(request())).replace(/<\?xml.*?\?>/, '');
    const signed = `<SignedKmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0">${inner}</SignedKmsRequest>`;
    expect(codeOf(() => parse(signed))).to.equal('KMS_XML_INVALID');
  });

  it('never quotes a value of the body in its errors', () => {
    const secret = 'AA'.repeat(100);
    const xml = text(buildKmsRequest(request())).replace(/<Time>.*?<\/Time>/, `<Time>${secret}</Time>`);
    try {
      parse(xml);
      expect.fail('accepted');
    } catch (error) {
      expect((error as Error).message).to.not.contain(secret);
    }
    for (const value of [` ${secret}`, `'${secret}`, `{${secret}}`, `does ${secret}`, `${secret}'${secret}`]) {
      try {
        parse(xml.replace(secret, value.replaceAll("'", '&apos;')));
        expect.fail('accepted');
      } catch (error) {
        expect((error as Error).message).to.not.contain(secret.slice(0, 24));
      }
    }
  });

  it('says what is wrong in words that can be read', () => {
    const xml = text(buildKmsRequest(request())).replace('1.1.0', '2.0');
    expect(() => parse(xml)).to.throw(/The value '2\.0' does not match the fixed value constraint '1\.1\.0'/);
  });
});

describe('KMS XML: what never reaches a parser', () => {
  const wrap = (inner: string): string => `<KmsRequest xmlns="urn:3gpp:ns:mcsecKMSInterface:1.0">${inner}</KmsRequest>`;
  const cases: [string, string, string][] = [
    ['a document type', `<!DOCTYPE KmsRequest [<!ENTITY a "b">]>${wrap('')}`, 'KMS_XML_FORBIDDEN'],
    [
      'an external entity',
      `<!DOCTYPE r SYSTEM "file:///etc/passwd">${wrap('<UserUri>&x;</UserUri>')}`,
      'KMS_XML_FORBIDDEN',
    ],
    ['an entity without a declaration', wrap('<UserUri>&xxe;</UserUri>'), 'KMS_XML_FORBIDDEN'],
    ['an entity in an attribute', wrap('<UserUri a="&xxe;">x</UserUri>'), 'KMS_XML_FORBIDDEN'],
    ['a bare ampersand', wrap('<UserUri>a & b</UserUri>'), 'KMS_XML_FORBIDDEN'],
    ['an element declaration', `<!ELEMENT a ANY>${wrap('')}`, 'KMS_XML_FORBIDDEN'],
    ['another encoding', `<?xml version="1.0" encoding="UTF-7"?>${wrap('')}`, 'KMS_XML_FORBIDDEN'],
    ['more depth than the bound', wrap('<a>'.repeat(17) + '</a>'.repeat(17)), 'KMS_XML_TOO_LARGE'],
    ['more elements than the bound', wrap('<a/>'.repeat(1_000)), 'KMS_XML_TOO_LARGE'],
    ['more octets than the bound', wrap('x'.repeat(65 * 1024)), 'KMS_XML_TOO_LARGE'],
    ['a tag that does not end', '<KmsRequest xmlns="urn:3gpp', 'KMS_XML_MALFORMED'],
    ['a comment that does not end', `${wrap('')}<!-- `, 'KMS_XML_MALFORMED'],
    ['unclosed elements', '<KmsRequest><UserUri>', 'KMS_XML_MALFORMED'],
    ['an XML declaration that is not the first thing', `\n<?xml version="1.0"?>${wrap('')}`, 'KMS_XML_MALFORMED'],
    ['a processing instruction with a reserved name', `${wrap('')}<?XML x?>`, 'KMS_XML_MALFORMED'],
    ['a processing instruction without a name', `${wrap('<? x?>')}`, 'KMS_XML_MALFORMED'],
    ['two roots', `${wrap('')}${wrap('')}`, 'KMS_XML_MALFORMED'],
    ['nothing', '', 'KMS_XML_MALFORMED'],
    ['a character that XML does not have', wrap('<UserUri>a\u0001</UserUri>'), 'KMS_XML_MALFORMED'],
    ['a second byte order mark', `\ufeff\ufeff${wrap('')}`, 'KMS_XML_MALFORMED'],
  ];
  for (const [what, xml, code] of cases) {
    it(`refuses ${what}`, () => expect(codeOf(() => parse(xml))).to.equal(code));
  }

  it('refuses octets that are not UTF-8', () => {
    expect(codeOf(() => parseKmsRequest(Buffer.from([0x3c, 0x61, 0xff, 0x3e])))).to.equal('KMS_XML_MALFORMED');
  });

  it('refuses UTF-16 without a byte order mark: as UTF-8 it would pass the scan, and the parser would guess it right', () => {
    const hidden = `<!DOCTYPE KmsRequest [<!ENTITY a "b">]>${wrap('')}`;
    for (const octets of [Buffer.from(hidden, 'utf16le'), Buffer.from(hidden, 'utf16le').swap16()]) {
      expect(codeOf(() => parseKmsRequest(octets))).to.equal('KMS_XML_MALFORMED');
    }
  });

  it('reads past processing instructions and comments, wherever they stand', () => {
    const plain = Buffer.from(buildKmsRequest(request())).toString();
    const strewn = plain
      .replace('?>', '?><?xml-stylesheet href="a.css"?><!-- a -->')
      .replace('<KmsUri>', '<?a <b> &c; ?><KmsUri><?d?><!-- e -->');
    expect(parseKmsRequest(Buffer.from(`${strewn}<?f?>`))).to.deep.equal(parseKmsRequest(Buffer.from(plain)));
  });

  it('lets the five entities and character references of XML 1.0 4.6 pass', () => {
    expect(guardXml(Buffer.from('<a b="&lt;&#x41;">&amp;&gt;&quot;&apos;&#65;</a>'), REQUEST_BOUNDS)).to.contain(
      '&#65;',
    );
  });

  it('takes a time linear in the size, whatever the input looks like', () => {
    for (const unit of ['<"', '<a "', '<!--', '<![CDATA[', '&', '<?']) {
      const nasty = Buffer.from(unit.repeat(Math.floor(REQUEST_BOUNDS.octets / unit.length)));
      expect(codeOf(() => guardXml(nasty, REQUEST_BOUNDS))).to.not.equal('accepted');
    }
  });
});

describe('TS 33.180 D.3: KmsResponse', () => {
  const messages: KmsMessage[] = [
    { type: 'init', certificate },
    {
      type: 'key-prov',
      keySets: [keySet, { ...keySet, keyPeriodNo: 1545 }],
      ceks: [cek({ supersedes: { keyId: 'f0000000', notAfter: NOW + 5_000 } }), cek({ state: 'pending-ack' })],
    },
    { type: 'key-prov', keySets: [keySet], ceks: [] },
    { type: 'cert-cache', cacheNum: 1, certificates: [certificate] },
    { type: 'cert-cache', cacheNum: 1, certificates: [] },
    { type: 'cek-ack', keyIds: ['f0000001', 'f0000002'] },
  ];
  for (const message of messages) {
    it(`${message.type} comes back as it was built, valid against the schema`, () => {
      same(parseKmsResponse(response(message)).message, message);
    });
  }

  it('carries a KmsError', () => {
    const built = buildKmsResponse({
      userUri: ALICE,
      kmsUri: 'kms.mcptt.example',
      time: NOW,
      clientReqUrl: 'https://127.0.0.1/x',
      error: { code: 2001, message: 'no <token>' },
    });
    expect(parseKmsResponse(built).error).to.deep.equal({ code: 2001, message: 'no <token>' });
  });

  it('KmsKeySet: xsi:type is written, and its absence and a base64 UserID are accepted', () => {
    const xml = text(response({ type: 'key-prov', keySets: [keySet], ceks: [] }));
    expect(xml.match(/xsi:type="KeyContentType"/g)).to.have.length(3);
    const other = xml
      .replaceAll(' xsi:type="KeyContentType"', '')
      .replace(/<UserID>.*?</, `<UserID>${Buffer.alloc(32, 3).toString('base64')}<`);
    const parsed = parseKmsResponse(Buffer.from(other)).message;
    same(parsed, { type: 'key-prov', keySets: [keySet], ceks: [] });
  });

  for (const [what, change, code] of [
    ['a short RSK', (x: string) => x.replace(/(<UserDecryptKey[^>]*>)..../, '$1'), 'KMS_XML_UNEXPECTED'],
    ['a key that is no hexadecimal', (x: string) => x.replace(/(<UserDecryptKey[^>]*>)../, '$1zz'), 'KMS_XML_INVALID'],
    ['a wrapped key', (x: string) => x.replaceAll('KeyContentType', 'EncKeyContentType'), 'KMS_XML_INVALID'],
    [
      'a revoked key set',
      (x: string) => x.replace('<UserDecryptKey', '<Revoked>true</Revoked><UserDecryptKey'),
      'KMS_XML_UNEXPECTED',
    ],
  ] as const) {
    it(`KmsKeySet is refused with ${what}`, () => {
      const xml = text(response({ type: 'key-prov', keySets: [keySet], ceks: [] }));
      expect(codeOf(() => parseKmsResponse(Buffer.from(change(xml))))).to.equal(code);
    });
  }

  it('a revoked key set is refused however xsd:boolean writes it, and one that is not is taken', () => {
    const xml = text(response({ type: 'key-prov', keySets: [keySet], ceks: [] }));
    for (const [value, code] of [
      ['1', 'KMS_XML_UNEXPECTED'],
      [' true ', 'KMS_XML_UNEXPECTED'],
      ['false', 'accepted'],
      ['0', 'accepted'],
    ] as const) {
      const changed = xml.replace('<UserDecryptKey', `<Revoked>${value}</Revoked><UserDecryptKey`);
      expect(
        codeOf(() => parseKmsResponse(Buffer.from(changed))),
        value,
      ).to.equal(code);
    }
  });

  for (const [what, change] of [
    ['that is revoked', (x: string) => x.replace('<UserIdFormat', '<Revoked>true</Revoked><UserIdFormat')],
    [
      'that is revoked, written as a number',
      (x: string) => x.replace('<UserIdFormat', '<Revoked>1</Revoked><UserIdFormat'),
    ],
    ['of another UID format', (x: string) => x.replace('<UserIdFormat>2<', '<UserIdFormat>1<')],
    ['of another parameter set', (x: string) => x.replace('<ParameterSet>1<', '<ParameterSet>2<')],
  ] as const) {
    it(`KmsCertificate is refused ${what}`, () => {
      const xml = text(response({ type: 'init', certificate }));
      expect(codeOf(() => parseKmsResponse(Buffer.from(xml)))).to.equal('accepted');
      expect(codeOf(() => parseKmsResponse(Buffer.from(change(xml))))).to.equal('KMS_XML_UNEXPECTED');
    });
  }

  it('reads what another vendor writes (Streamwide sw_mikey_sakke, KmsKeySet without xsi:type, no zone in Time)', () => {
    for (const name of ['key-prov', 'init']) {
      const file = new URL(`../../../../fixtures/kms-messages/sw-${name}-response.xml`, import.meta.url);
      const parsed = parseKmsResponse(readFileSync(file));
      expect(parsed.message?.type).to.equal(name);
      expect(parsed.userUri).to.equal('alice@org.com');
      expect(new Date(parsed.time).toISOString()).to.match(/^2021-05-1[07]T1[13]:/);
    }
  });

  it('validates with xmllint against the same schema', function () {
    const schema = fileURLToPath(new URL('../../../../actors/messages/kms/mcsec-kms.xsd', import.meta.url));
    const tool = spawnSync('xmllint', ['--version']);
    if (tool.error !== undefined) {
      if (process.env.CI === 'true') throw new Error('xmllint is missing: install libxml2-utils');
      console.log('      skipped: xmllint is not installed (Debian: libxml2-utils)');
      this.skip();
    }
    for (const body of [...messages.map(response), buildKmsRequest(request())]) {
      const run = spawnSync('xmllint', ['--noout', '--schema', schema, '-'], { input: body });
      expect(run.stderr.toString()).to.contain('- validates');
    }
  });
});

describe('CekPush, CekAck and the event stream', () => {
  const news = [
    { cek: cek() },
    { end: { keyId: 'f0000001', reason: 'revoked' as const } },
    { end: { sipSession: SESSION, userUri: ALICE, reason: 'deregistered' as const } },
    { cek: cek({ keyId: 'f0000009' }) },
  ];

  it('a push keeps the order of keys and ends', () => same(parseCekPush(buildCekPush(news)), news));
  it('an acknowledgement comes back as it was built, an empty one too', () => {
    expect(parseCekAck(buildCekAck(['f0000001', 'f0000009']))).to.deep.equal(['f0000001', 'f0000009']);
    expect(parseCekAck(buildCekAck([]))).to.deep.equal([]);
  });
  it('an event comes back as it was built, on one line', () => {
    for (const item of news) {
      expect(buildCekEvent(item)).to.match(/^[A-Za-z0-9+/=]+$/);
      same(parseCekEvent(buildCekEvent(item)), item);
    }
  });
  it('a push without content, or with something else in it, is refused', () => {
    expect(codeOf(() => parseCekPush(buildCekPush([])))).to.equal('KMS_XML_INVALID');
    expect(codeOf(() => parseCekPush(buildCekAck(['f0000001'])))).to.equal('KMS_XML_UNEXPECTED');
    const xml = text(buildCekPush(news)).replace('<Reason>revoked<', '<Reason>tired<');
    expect(codeOf(() => parseCekPush(Buffer.from(xml)))).to.equal('KMS_XML_INVALID');
  });
});
