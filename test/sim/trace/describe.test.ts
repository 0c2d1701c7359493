import { expect } from 'chai';
import { bodyOf, headerOf, headersOf, summary } from '../../../sim/trace/describe.ts';

const octets = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('trace: one line that says what a message is', () => {
  const cases: ['sip' | 'http', string, string][] = [
    [
      'sip',
      'PUBLISH sip:psi@x SIP/2.0\r\nEvent: poc-settings\r\nc: application/pkcs7-mime; smime-type=x\r\n\r\n',
      'PUBLISH sip:psi@x [Event: poc-settings, application/pkcs7-mime]',
    ],
    ['sip', 'SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\n\r\n', '401 Unauthorized (REGISTER)'],
    ['http', 'GET /auth?code_challenge=x HTTP/1.1\r\n\r\n', 'GET /auth?…'],
    ['http', 'HTTP/1.1 200 OK\r\n\r\n', '200 OK'],
    ['http', 'HTTP/1.1 403 \r\n\r\n', '403 Forbidden'],
    ['http', 'id: 1\nevent: cek\ndata: PD94\n\n', 'event: cek'],
  ];
  for (const [protocol, text, line] of cases)
    it(line, () => expect(summary({ protocol, bytes: octets(text) })).to.equal(line));

  it('names NAS messages, security header and cause (TS 24.301 9.8.1, 9.9.3.9)', () => {
    const nas = (...bytes: number[]): string => summary({ protocol: 'nas', bytes: Uint8Array.from(bytes) });
    expect(nas(0x07, 0x52)).to.equal('Authentication request');
    expect(nas(0x07, 0x5c, 21)).to.equal('Authentication failure (synch failure)');
    expect(nas(0x37, 1, 2, 3, 4, 0, 0x07, 0x5d)).to.equal('Security mode command, integrity protected');
    expect(nas(0x07, 0xfe)).to.equal('NAS message 254');
  });

  it('reads folded and compact header fields, every line of one, and the body', () => {
    const message = octets(
      'INVITE sip:x SIP/2.0\r\nf: <sip:a>\r\nSubject: one\r\n two\r\nVia: 1\r\nvia: 2\r\n\r\nbody',
    );
    expect(headerOf(message, 'From')).to.equal('<sip:a>');
    expect(headerOf(message, 'Subject')).to.equal('one two');
    expect(headersOf(message, 'Via')).to.deep.equal(['1', '2']);
    expect(headerOf(message, 'To')).to.equal(undefined);
    expect(Buffer.from(bodyOf(message)).toString()).to.equal('body');
  });
});
