import { expect } from 'chai';
import { buildMcpttInfo, MCPTT_INFO_TYPE, parseMcpttInfo } from '../../../actors/messages/mcptt-info.ts';
import { mediaTypeOf } from '../../../actors/messages/mime.ts';
import { buildPocSettings, parsePocSettings } from '../../../actors/messages/poc-settings.ts';
import { buildUserProfile, parseUserProfile, type UserProfile } from '../../../actors/messages/user-profile.ts';
import { XmlError } from '../../../actors/messages/xml.ts';

const textOf = (entity: { content: Uint8Array }): string => Buffer.from(entity.content).toString('utf8');

const profile: UserProfile = {
  mcpttId: 'sip:alice@mcptt.example',
  participantType: 'responder & <more>',
  priority: 5,
  groups: ['sip:group-a@mcptt.example', 'sip:group-b@mcptt.example'],
  privateCall: true,
  emergencyCall: false,
  maxSimultaneousCalls: 3,
};

describe('mcptt-info (TS 24.379 F.1)', () => {
  it('writes elements in the order of the schema, type Normal, in the namespace', () => {
    const entity = buildMcpttInfo({
      'mcptt-client-id': 'urn:uuid:1',
      'mcptt-access-token': 'a.b.c',
      'session-type': 'private',
    });
    expect(mediaTypeOf(entity).type).to.equal(MCPTT_INFO_TYPE);
    expect(textOf(entity)).to.equal(
      '<?xml version="1.0" encoding="UTF-8"?><mcpttinfo xmlns="urn:3gpp:ns:mcpttInfo:1.0"><mcptt-Params>' +
        '<mcptt-access-token type="Normal"><mcpttString>a.b.c</mcpttString></mcptt-access-token>' +
        '<session-type>private</session-type>' +
        '<mcptt-client-id type="Normal"><mcpttString>urn:uuid:1</mcpttString></mcptt-client-id>' +
        '</mcptt-Params></mcpttinfo>',
    );
  });

  it('reads what it wrote and passes over unknown elements', () => {
    const info = {
      'mcptt-request-uri': 'sip:bob@mcptt.example',
      'emergency-ind': 'true',
      'mcptt-calling-user-id': 'sip:a@b',
    };
    expect(parseMcpttInfo(buildMcpttInfo(info).content)).to.deep.equal(info);
    const extended = textOf(buildMcpttInfo(info)).replace(
      '</mcptt-Params>',
      '<anyExt><x xmlns="y"/></anyExt></mcptt-Params>',
    );
    expect(parseMcpttInfo(Buffer.from(extended))).to.deep.equal(info);
  });

  it('refuses an encrypted element, a repeated one, a wrong namespace and a missing child', () => {
    const wrap = (inner: string, ns = 'urn:3gpp:ns:mcpttInfo:1.0'): Uint8Array =>
      Buffer.from(`<mcpttinfo xmlns="${ns}"><mcptt-Params>${inner}</mcptt-Params></mcpttinfo>`);
    for (const document of [
      wrap('<mcptt-client-id type="Encrypted"/>'),
      wrap('<session-type>a</session-type><session-type>b</session-type>'),
      wrap('', 'urn:other'),
      wrap('<mcptt-client-id type="Normal">x</mcptt-client-id>'),
    ]) {
      expect(() => parseMcpttInfo(document))
        .to.throw(XmlError)
        .with.property('code', 'XML_UNEXPECTED');
    }
  });
});

describe('poc-settings (RFC 4354, TS 24.379 7.4.1.2)', () => {
  it('reads what it wrote, with the extension in its own namespace', () => {
    const settings = { entity: 'urn:uuid:2', 'answer-mode': 'automatic', 'user-profile-index': '1' };
    const entity = buildPocSettings(settings);
    expect(textOf(entity)).to.include('<selected-user-profile-index xmlns="urn:3gpp:mcsSettings:1.0">');
    expect(parsePocSettings(entity.content)).to.deep.equal(settings);
  });

  it('refuses a document without an identified entity', () => {
    const none = Buffer.from('<poc-settings xmlns="urn:oma:params:xml:ns:poc:poc-settings"><entity/></poc-settings>');
    expect(() => parsePocSettings(none))
      .to.throw(XmlError)
      .with.property('code', 'XML_UNEXPECTED');
  });
});

describe('user profile (TS 24.484 8.3)', () => {
  it('reads what it wrote', () => {
    expect(parseUserProfile(buildUserProfile(profile).content)).to.deep.equal(profile);
  });

  it('refuses another document and a missing part', () => {
    const text = textOf(buildUserProfile(profile));
    for (const broken of [
      text.replaceAll('mcptt-user-profile', 'mcdata-user-profile'),
      text.replaceAll('MCPTTUserID', 'Other'),
    ]) {
      expect(() => parseUserProfile(Buffer.from(broken)))
        .to.throw(XmlError)
        .with.property('code', 'XML_UNEXPECTED');
    }
  });
});
