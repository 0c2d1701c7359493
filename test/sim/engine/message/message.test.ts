import { expect } from 'chai';
import {
  buildRequest,
  buildResponse,
  parseMessage,
  type SipMessage,
  SipParseError,
  toBytes,
} from '../../../../sim/engine/message/index.ts';

const INVITE = [
  'INVITE sip:bob@biloxi.com SIP/2.0',
  'v: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds , SIP/2.0/TCP proxy.atlanta.com;branch=z9hG4bK2',
  'Via: SIP/2.0/UDP edge.atlanta.com:5070',
  'Max-Forwards: 70',
  'To: Bob <sip:bob@biloxi.com>',
  'From: "Alice, A." <sip:alice@atlanta.com>;tag=1928301774',
  'Call-ID: a84b4c76e66710@pc33.atlanta.com',
  'CSeq: 314159 INVITE',
  'Route: <sip:one.example;lr>, <sip:two.example;lr>',
  'Subject: x, y',
  'Contact: <sip:alice@pc33.atlanta.com>',
  'x-FOLDED: a',
  '\t b',
  'Content-Length: 4',
  '',
  'body',
];

const read = (lines: readonly string[], mode: 'datagram' | 'stream' | 'app' = 'datagram'): SipMessage => {
  const message = parseMessage(Buffer.from(lines.join('\r\n'), 'latin1'), mode);
  if (message instanceof SipParseError) throw message;
  return message;
};
const lines = (message: SipMessage): string[] => message.serialise().toString('latin1').split('\r\n');

describe('RFC 3261 7 SIP messages', () => {
  it('finds headers in any spelling, joined or not', () => {
    const message = read(INVITE);
    expect(message.getAll('Via')).to.deep.equal([
      'SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds',
      'SIP/2.0/TCP proxy.atlanta.com;branch=z9hG4bK2',
      'SIP/2.0/UDP edge.atlanta.com:5070',
    ]);
    expect(message.getAll('subject')).to.deep.equal(['x, y']);
    expect(message.get('X-folded')).to.equal('a b');
    expect(message.from).to.include({ display: 'Alice, A.', uri: 'sip:alice@atlanta.com', tag: '1928301774' });
    expect(message.callId).to.equal('a84b4c76e66710@pc33.atlanta.com');
    expect(message.routes.map(({ uri }) => uri)).to.deep.equal(['sip:one.example;lr', 'sip:two.example;lr']);
    expect(message.get('expires')).to.equal(undefined);
    expect(message.expires).to.equal(undefined);
  });

  it('changes only what an operation names', () => {
    const message = read(INVITE);
    message.insertFirst('via', 'SIP/2.0/UDP me;branch=z9hG4bKme');
    message.setValue('max-forwards', '69');
    expect(message.removeTop('route')).to.equal('<sip:one.example;lr>');
    message.append('Record-Route', '<sip:me;lr>');
    const expected = [...INVITE];
    expected.splice(1, 0, 'Via: SIP/2.0/UDP me;branch=z9hG4bKme');
    expected[4] = 'Max-Forwards: 69';
    expected[9] = 'Route: <sip:two.example;lr>';
    expected.splice(15, 0, 'Record-Route: <sip:me;lr>');
    expect(lines(message)).to.deep.equal(expected);
    message.removeTop('via');
    message.replaceTop('via', 'SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;received=192.0.2.1');
    expect(lines(message)[1]).to.equal(
      'v: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;received=192.0.2.1, SIP/2.0/TCP proxy.atlanta.com;branch=z9hG4bK2',
    );
    message.removeTop('via');
    expect(lines(message)[1]).to.equal('v: SIP/2.0/TCP proxy.atlanta.com;branch=z9hG4bK2');
    message.removeTop('via');
    message.removeTop('route');
    expect(message.via?.host).to.equal('edge.atlanta.com');
    expect(message.has('route')).to.equal(false);
  });

  it('leaves what is joined to a changed value as it is written, folds and all', () => {
    const message = read([...INVITE.slice(0, 1), 'V:a;x=","\t,\r\n  b ;y\r\n\t,c', ...INVITE.slice(2)], 'app');
    message.replaceTop('via', 'd');
    expect(message.lines[0]!.raw).to.equal('V: d,\r\n  b ;y\r\n\t,c');
    message.removeTop('via');
    expect(message.lines[0]!.raw).to.equal('V: b ;y\r\n\t,c');
    expect(message.getAll('via').slice(0, 2)).to.deep.equal(['b ;y', 'c']);
  });

  it('leaves a copy alone', () => {
    const message = read(INVITE);
    const copy = message.clone();
    message.requestUri = 'sip:bob@192.0.2.4';
    message.remove('via');
    message.body = Buffer.from([0, 255]);
    expect(lines(copy)).to.deep.equal(INVITE);
    expect(lines(message)[0]).to.equal('INVITE sip:bob@192.0.2.4 SIP/2.0');
    expect(message.contentLength).to.equal(2);
    expect(message.serialise().subarray(-2)).to.deep.equal(Buffer.from([0, 255]));
  });

  it('makes one value of several lines', () => {
    const message = read(INVITE);
    message.setValue('Via', 'SIP/2.0/UDP only');
    expect(message.getAll('via')).to.deep.equal(['SIP/2.0/UDP only']);
    expect(lines(message)[1]).to.equal('v: SIP/2.0/UDP only');
  });

  it('keeps octets that end in A0, which JavaScript takes for white space', () => {
    const message = read(['MESSAGE sip:a@b SIP/2.0', `Subject: ${toBytes('voilà')}`, '', ''], 'app');
    expect(Buffer.from(message.get('subject')!, 'latin1').toString()).to.equal('voilà');
  });

  it('builds a response with what 8.2.6.2 copies, in order', () => {
    const response = buildResponse(read(INVITE), 180, undefined, { toTag: 'b', recordRoute: true });
    expect(lines(response)).to.deep.equal([
      'SIP/2.0 180 Ringing',
      INVITE[1],
      INVITE[2],
      'To: Bob <sip:bob@biloxi.com>;tag=b',
      INVITE[5],
      INVITE[6],
      INVITE[7],
      'Content-Length: 0',
      '',
      '',
    ]);
    expect(response).to.include({ status: 180, reason: 'Ringing', method: 'INVITE', isRequest: false });
    expect(buildResponse(response, 200, 'OK', { toTag: 'c' }).to?.tag).to.equal('b');
  });

  it('builds a request', () => {
    const request = buildRequest(
      'MESSAGE',
      'tel:+1201',
      [
        ['call-id', 'x'],
        ['X-Two-Words', 'y'],
      ],
      Buffer.from('é'),
    );
    expect(lines(request)).to.deep.equal([
      'MESSAGE tel:+1201 SIP/2.0',
      'Call-ID: x',
      'X-Two-Words: y',
      'Content-Length: 2',
      '',
      Buffer.from('é').toString('latin1'),
    ]);
  });

  it('takes `Contact: *`', () => {
    const register = INVITE.map((line) => line.replace(/INVITE/, 'REGISTER').replace(/^Contact.*/, 'm: *'));
    expect(read(register).contacts).to.equal('*');
    expect(read(register).contact).to.equal(undefined);
  });

  it('7.1: writes the version in capitals, in whatever letters it came', () => {
    const small = read([
      'OPTIONS sip:bob@biloxi.com sip/2.0',
      ...INVITE.slice(1, 6),
      'Call-ID: x',
      'CSeq: 1 OPTIONS',
      '',
      '',
    ]);
    expect(lines(small)[0]).to.equal('OPTIONS sip:bob@biloxi.com SIP/2.0');
  });

  it('7.1: reads a response whose version is in small letters', () => {
    const response = read(['sip/2.0 486 Busy', ...INVITE.slice(1, 8), '', '']);
    expect(response).to.include({ status: 486, reason: 'Busy' });
    expect(lines(response)[0]).to.equal('SIP/2.0 486 Busy');
  });

  it('8.2.6.2: is not misled by what only looks like a To tag', () => {
    for (const to of ['"x;tag=1" <sip:bob@biloxi.com>', '<sip:bob@biloxi.com;tag=1>']) {
      const request = read(INVITE.map((line) => (line.startsWith('To:') ? `To: ${to}` : line)));
      expect(buildResponse(request, 404, undefined, { toTag: 'own' }).to?.tag, to).to.equal('own');
    }
  });

  it('refuses a start line with a lone LF, behind which a header line would hide', () => {
    const hidden = ['SIP/2.0 200 OK\nVia: SIP/2.0/UDP x;branch=z9hG4bK1', ...INVITE.slice(1, 8), '', ''].join('\r\n');
    expect(parseMessage(Buffer.from(hidden), 'datagram')).to.include({ code: 'start-line', refusal: 'drop' });
  });

  it('18.3: takes the body by Content-Length from a datagram, whole from an application', () => {
    expect(read([...INVITE.slice(0, -1), 'body and more']).body.toString()).to.equal('body');
    const app = read([...INVITE.slice(0, -1), 'body and more'], 'app');
    expect([app.body.toString(), app.get('l')]).to.deep.equal(['body and more', '13']);
    expect(read(INVITE.filter((line) => !line.startsWith('Content-L'))).body.toString()).to.equal('body');
  });

  const refusals: [string, (line: string) => string | undefined, string, number | 'drop'][] = [
    ['a lone LF in a header', (line) => line.replace('x, y', 'x\ny'), 'header-line', 400],
    ['a header without a colon', (line) => line.replace('Subject: x, y', 'Subject'), 'header-line', 400],
    ['no Via', (line) => (/^v/i.test(line) ? undefined : line), 'header-missing', 'drop'],
    ['no From', (line) => (/^From/.test(line) ? undefined : line), 'header-missing', 400],
    ['two To headers', (line) => line.replace(/^Subject.*/, 'To: <sip:x@y>'), 'header-repeated', 400],
    ['two addresses in To', (line) => line.replace(/^To: .*/, '$&, <sip:x@y>'), 'header-value', 400],
    [
      'a From with a comma outside brackets',
      (line) => line.replace(/^From: .*/, 'From: sip:a,b@c'),
      'header-value',
      400,
    ],
    [
      'a Content-Length of 11 digits',
      (line) => line.replace(/(Content-Length: ).*/, '$199999999999'),
      'content-length',
      400,
    ],
    ['a Max-Forwards of 256', (line) => line.replace('Max-Forwards: 70', 'Max-Forwards: 256'), 'header-value', 400],
    ['an unclosed quote in From', (line) => line.replace('"Alice, A."', '"Alice'), 'header-value', 400],
    ['a CSeq above 2^31', (line) => line.replace('314159', '2147483648'), 'header-value', 400],
    ['an HTTP request', (line) => line.replace('SIP/2.0', 'HTTP/1.1'), 'start-line', 400],
    ['an ACK with a fault', (line) => line.replace('INVITE sip', 'ACK sip'), 'method-mismatch', 'drop'],
  ];
  for (const [what, change, code, refusal] of refusals) {
    it(`refuses ${what}: ${code}, ${refusal}`, () => {
      const changed = INVITE.map(change).filter((line) => line !== undefined);
      expect(() => read(changed))
        .to.throw(SipParseError)
        .that.include({ code, refusal });
    });
  }

  it('refuses what is over a limit, and keeps enough to answer', () => {
    const octets = Buffer.from(INVITE.join('\r\n'));
    const limits = { headBytes: 10_000, headerCount: 100, bodyBytes: 10_000 };
    const tries: [object, string, number][] = [
      [{ headBytes: 300 }, 'headers-too-large', 400],
      [{ headerCount: 9 }, 'too-many-headers', 400],
      [{ bodyBytes: 3 }, 'body-too-large', 413],
    ];
    for (const [less, code, refusal] of tries) {
      const error = parseMessage(octets, 'datagram', { ...limits, ...less });
      expect(error).to.be.instanceOf(SipParseError).that.include({ code, refusal });
      const partial = error instanceof SipParseError ? error.partial! : error;
      expect(buildResponse(partial, refusal).via?.branch).to.equal('z9hG4bK776asdhds');
    }
  });
});
