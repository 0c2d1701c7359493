import { expect } from 'chai';
import type { SipRequest } from '../../../actors/mcptt-as/sip-server.ts';
import { readThirdPartyRegister } from '../../../actors/mcptt-as/third-party-register.ts';
import { MimeError, mimeEntity } from '../../../actors/messages/mime.ts';
import { buildMultipart } from '../../../actors/messages/multipart.ts';
import { splitValues } from '../../../actors/messages/sip-headers.ts';

const SESSION = 'sip:1f@ue.invalid;transport=ws';
const REGISTER = mimeEntity(
  'message/sip',
  `REGISTER sip:home SIP/2.0\r\nTo: <sip:ue-1@home>\r\nm: "a, b" <${SESSION}>\r\n ;+sip.instance="<urn:uuid:1>"\r\n\r\n`,
);
const OK = mimeEntity(
  'message/sip',
  `SIP/2.0 200 OK\r\nContact: <sip:other@x>;expires=9\r\nP-Associated-URI: <sip:ue-1@home>,\r\n\t<tel:+1555>\r\n\r\n`,
);

const request = (headers: Record<string, string>, body?: ReturnType<typeof mimeEntity>): SipRequest =>
  ({
    header: (name: string) => headers[name],
    values: (name: string) => splitValues(headers[name] ?? ''),
    entity: () => body,
  }) as SipRequest;

describe('TS 24.229 5.4.1.7: what the MCPTT server reads from a third-party REGISTER', () => {
  const told = { To: '<sip:ue-1@home>', Expires: '60' };

  it('the SIP session, character for character, from the REGISTER and not from the 200 beside it', () => {
    for (const body of [REGISTER, buildMultipart([REGISTER, OK]), buildMultipart([OK, REGISTER])]) {
      expect(readThirdPartyRegister(request(told, body))).to.include({
        impu: 'sip:ue-1@home',
        expires: 60,
        sipSession: SESSION,
      });
    }
  });

  it('the implicit registration set from the 200, and from a header field of its own', () => {
    const both = readThirdPartyRegister(request(told, buildMultipart([REGISTER, OK])));
    expect(both.associated).to.deep.equal(['sip:ue-1@home', 'tel:+1555']);
    const header = readThirdPartyRegister(request({ ...told, 'P-Associated-URI': '<tel:+1556>' }, REGISTER));
    expect(header.associated).to.deep.equal(['tel:+1556']);
  });

  it('no SIP session from a wildcard, from no body, from another body', () => {
    const wildcard = mimeEntity('message/sip', 'REGISTER sip:home SIP/2.0\r\nContact: *\r\n\r\n');
    for (const body of [wildcard, undefined, mimeEntity('application/3gpp-ims+xml', '<x/>')]) {
      expect(readThirdPartyRegister(request(told, body)).sipSession).to.equal(undefined);
    }
  });

  it('a malformed multipart is an error, an expiry that is no number is an end', () => {
    const broken = mimeEntity('multipart/mixed', 'no boundary');
    expect(() => readThirdPartyRegister(request(told, broken))).to.throw(MimeError);
    expect(readThirdPartyRegister(request({ ...told, Expires: 'x' }, REGISTER)).expires).to.equal(0);
    expect(readThirdPartyRegister(request({ To: told.To, Contact: '<sip:s>;expires=7' }, REGISTER)).expires).to.equal(
      7,
    );
  });
});
