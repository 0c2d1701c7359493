/** Step 4 with OpenSSL as the client's and the server's counterpart: what it seals the server opens, and the other way round. */
import { expect } from 'chai';
import { bodyOf, headersOf } from '../../../sim/trace/describe.ts';
import { withReceiver } from '../security/smime/helpers.ts';
import { cmsDecrypt, cmsEncrypt, needOpenssl } from '../security/smime/openssl.ts';
import { refusal, startWorld, type World } from './world.ts';

describe('RFC 5083, RFC 8551: a client whose CMS is OpenSSL’s (step 4, profile kek)', () => {
  let world: World;
  let key: { keyId: Uint8Array; cek: Uint8Array };
  let inner: string;

  before(async function () {
    needOpenssl(this);
    world = await startWorld({ profile: 'kek' });
    const [ue] = world.ues;
    await world.bind(ue, 'alice');
    const client = ue.clientOf('alice');
    const { keyId, key: cek } = client.sealingKey(ue.sipSession);
    key = { keyId: Buffer.from(keyId, 'hex'), cek };
    inner = entity({ token: await world.token('alice'), clientId: client.clientId });
  });
  after(() => world?.close());

  /** Another client's idea of the inner entity: settings first, prefixes, comments, a transfer encoding, text around the parts. */
  const entity = ({ token, clientId }: { token: string; clientId: string }): string => {
    const settings = `<?xml version='1.0'?><s:poc-settings xmlns:s="urn:oma:params:xml:ns:poc:poc-settings"><s:entity id="urn:uuid:1"><s:am-settings><s:answer-mode>automatic</s:answer-mode></s:am-settings></s:entity></s:poc-settings>`;
    const info = `\ufeff<?xml version="1.0" encoding="utf-8"?>\n<!-- TS 24.379 F.1 -->\n<m:mcpttinfo xmlns:m="urn:3gpp:ns:mcpttInfo:1.0">\n <m:mcptt-Params>
  <m:mcptt-access-token type="Normal"><m:mcpttString><![CDATA[${token}]]></m:mcpttString></m:mcptt-access-token>
  <m:mcptt-client-id type="Normal"><m:mcpttString>${clientId}</m:mcpttString></m:mcptt-client-id>
  <m:anyExt><x:more xmlns:x="urn:other"/></m:anyExt>\n </m:mcptt-Params>\n</m:mcpttinfo>\n`;
    return [
      'MIME-Version: 1.0',
      'content-type: Multipart/Mixed;\r\n boundary="=_a b?"',
      '',
      'This is a multipart.',
      '--=_a b?',
      'Content-Type: application/poc-settings+xml; charset="utf-8"',
      '',
      settings,
      '--=_a b?  ',
      'CONTENT-TYPE: application/vnd.3gpp.mcptt-info+xml',
      'Content-Transfer-Encoding: Base64',
      '',
      Buffer.from(info).toString('base64').replace(/.{60}/g, '$&\r\n'),
      '--=_a b?--',
      'and its end',
    ].join('\r\n');
  };

  const sealed = async (...options: string[]): Promise<Buffer> => {
    const { code, output } = await cmsEncrypt(Buffer.from(inner), key, '-aes-256-gcm', ...options);
    expect(code).to.equal(0);
    return Buffer.from(output);
  };

  const publish = (body: string, fields: Readonly<Record<string, string>> = {}): Promise<unknown> =>
    world.ues[0].publish('alice', [
      { at: 'sip', op: 'set', path: 'body', value: body },
      ...Object.entries(fields).map(([path, value]) => ({ at: 'sip', op: 'set', path, value }) as const),
    ]);

  const lines = (der: Buffer, length: number, end = '\r\n'): string =>
    der.toString('base64').replace(new RegExp(`.{${length}}`, 'g'), `$&${end}`);

  it('the server opens it, DER or BER, whatever the lines of base64', async () => {
    for (const options of [[], ['-stream']]) {
      const der = await sealed(...options);
      for (const body of [lines(der, 64), lines(der, 76), lines(der, 20, '\n'), `${der.toString('base64')}\r\n`]) {
        await publish(body);
      }
    }
  });

  it('the server opens it however the header fields write their values', async () => {
    const body = lines(await sealed(), 64);
    for (const type of [
      'application/pkcs7-mime; smime-type="authEnveloped-data"',
      'Application/PKCS7-MIME ;SMIME-TYPE=authenveloped-data ; name=smime.p7m',
      'application/pkcs7-mime',
    ]) {
      await publish(body, { 'Content-Type': type, 'Content-Transfer-Encoding': 'BASE64' });
    }
  });

  it('OpenSSL opens the profile in the 200, and with no other key or Key ID', async () => {
    await publish(lines(await sealed(), 64));
    const ok = world.records.findLast(
      ({ actor, bytes }) =>
        actor === 'ue-1' && headersOf(bytes, 'CSeq').some((value) => value.endsWith('PUBLISH')) && isOk(bytes),
    )!;
    const der = Buffer.from(Buffer.from(bodyOf(ok.bytes)).toString('latin1'), 'base64');
    const { code, output } = await cmsDecrypt(der, key);
    expect(code).to.equal(0);
    const profile = Buffer.from(output).toString('utf8');
    expect(profile).to.match(/^Content-Type: application\/vnd\.3gpp\.mcptt-user-profile\+xml/);
    expect(profile).to.include('sip:alice@mcptt.example');
    const other = Uint8Array.from(key.cek, (octet) => octet ^ 1);
    for (const wrong of [
      { ...key, cek: other },
      { ...key, keyId: Uint8Array.of(0xf0, 0, 0, 1) },
    ]) {
      expect((await cmsDecrypt(der, wrong)).code).not.to.equal(0);
    }
  });

  it('EnvelopedData, AES-128-GCM, a changed tag, another Key ID and a document type are refused', async () => {
    const keyId = Buffer.from(key.keyId).toString('hex');
    const refusedAs = async (der: Uint8Array): Promise<string> => {
      const { status, warning } = await refusal(publish(Buffer.from(der).toString('base64')));
      return `${String(status)} ${String(warning)}`;
    };
    const good = await sealed();
    const cbc = await cmsEncrypt(Buffer.from(inner), key, '-aes-256-cbc');
    expect(await refusedAs(cbc.output)).to.equal(`493 Undecipherable, Key ID ${keyId}: cannot be opened`);
    const small = await cmsEncrypt(Buffer.from(inner), key, '-aes-128-gcm');
    expect(await refusedAs(small.output)).to.equal(`493 Undecipherable, Key ID ${keyId}: cannot be opened`);
    good[good.length - 1]! ^= 1;
    expect(await refusedAs(good)).to.equal(`493 Undecipherable, Key ID ${keyId}: cannot be opened`);
    const unknown = await cmsEncrypt(
      Buffer.from(inner),
      { ...key, keyId: Uint8Array.of(0xf0, 0, 0, 1) },
      '-aes-256-gcm',
    );
    expect(await refusedAs(unknown.output)).to.equal('493 Undecipherable, Key ID f0000001: unknown');
    expect(await refusedAs(withReceiver(unknown.output, 'f0000002'))).to.equal(
      '493 Undecipherable, Key ID f0000002: unknown',
    );
    const hostile = inner
      .replace(/^(CONTENT-TYPE: .*\r\n)Content-Transfer-Encoding.*\r\n/m, '$1')
      .replace(
        /\r\n\r\n[A-Za-z0-9+/=\r\n]+\r\n--=_a b\?--/,
        '\r\n\r\n<!DOCTYPE m [<!ENTITY e "x">]><m>&e;</m>\r\n--=_a b?--',
      );
    const dtd = await cmsEncrypt(Buffer.from(hostile), key, '-aes-256-gcm');
    expect(hostile).to.include('DOCTYPE');
    expect(await refusedAs(dtd.output)).to.match(/^400 /);
  });
});

const isOk = (bytes: Uint8Array): boolean => Buffer.from(bytes).toString('latin1').startsWith('SIP/2.0 200');
