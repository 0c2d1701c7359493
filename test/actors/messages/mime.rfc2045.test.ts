import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatMediaType,
  MimeError,
  mediaTypeOf,
  mimeEntity,
  mimeHeader,
  parseMediaType,
  parseMime,
  serialiseMime,
} from '../../../actors/messages/mime.ts';

const octets = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof MimeError ? error.code : `not a MimeError: ${String(error)}`;
  }
  return undefined;
};

describe('MIME entities (RFC 2045)', () => {
  it('reads header fields, unfolded, and the content behind the empty line', () => {
    const entity = parseMime(octets('Content-Type: text/plain;\r\n charset=utf-8\r\nX-A: b\r\n\r\nline\r\n\r\nmore'));
    expect(mediaTypeOf(entity)).to.deep.equal({ type: 'text/plain', parameters: { charset: 'utf-8' } });
    expect(mimeHeader(entity, 'x-a')).to.equal('b');
    expect(Buffer.from(entity.content).toString()).to.equal('line\r\n\r\nmore');
  });

  it('takes an entity without header fields as text/plain (5.2)', () => {
    const entity = parseMime(octets('\r\nhello'));
    expect(entity.headers).to.deep.equal([]);
    expect(mediaTypeOf(entity).type).to.equal('text/plain');
  });

  it('writes base64 in lines of at most 76 characters and reads it back (6.8)', () => {
    const content = Buffer.alloc(300, 0xa5);
    const wire = serialiseMime(
      mimeEntity('application/pkcs7-mime', content, [['Content-Transfer-Encoding', 'base64']]),
    );
    const lines = Buffer.from(wire).toString('latin1').split('\r\n\r\n')[1]!.split('\r\n');
    expect(Math.max(...lines.map((line) => line.length))).to.equal(76);
    expect(Buffer.from(parseMime(wire).content).equals(content)).to.equal(true);
  });

  it('refuses what is no base64, an unknown encoding, and 8-bit octets declared 7bit', () => {
    expect(codeOf(() => parseMime(octets('Content-Transfer-Encoding: base64\r\n\r\nab*=')))).to.equal('MIME_ENCODING');
    expect(codeOf(() => parseMime(octets('Content-Transfer-Encoding: base64\r\n\r\nabc')))).to.equal('MIME_ENCODING');
    expect(codeOf(() => parseMime(octets('Content-Transfer-Encoding: uuencode\r\n\r\nabc')))).to.equal('MIME_ENCODING');
    const eightBit = mimeEntity('text/plain', Buffer.from([200]), [['Content-Transfer-Encoding', '7bit']]);
    expect(codeOf(() => serialiseMime(eightBit))).to.equal('MIME_ENCODING');
  });

  it('refuses header lines that are none, a header without end, and more than the bounds allow', () => {
    expect(codeOf(() => parseMime(octets('no colon here\r\n\r\n')))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMime(octets('Content-Type: text/plain\r\n')))).to.equal('MIME_MALFORMED');
    const limits = { octets: 200, headers: 2, headerLine: 40 };
    expect(codeOf(() => parseMime(new Uint8Array(201), limits))).to.equal('MIME_TOO_LARGE');
    expect(codeOf(() => parseMime(octets('a: 1\r\nb: 2\r\nc: 3\r\n\r\n'), limits))).to.equal('MIME_TOO_LARGE');
    expect(codeOf(() => parseMime(octets(`a: ${'x'.repeat(60)}\r\n\r\n`), limits))).to.equal('MIME_TOO_LARGE');
  });

  it('never lets a header value break the framing', () => {
    expect(codeOf(() => serialiseMime(mimeEntity('text/plain\r\nX: y', '')))).to.equal('MIME_MALFORMED');
  });

  it('reads media type parameters in every form of 5.1', () => {
    const value = 'Multipart/Mixed ; Boundary="a;b\\"c" ; charset=utf-8';
    expect(parseMediaType(value)).to.deep.equal({
      type: 'multipart/mixed',
      parameters: { boundary: 'a;b"c', charset: 'utf-8' },
    });
    expect(codeOf(() => parseMediaType('text'))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMediaType('text/plain; a="b'))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMediaType('text/plain; a=1; A=2'))).to.equal('MIME_MALFORMED');
  });

  it('media type: parse undoes format, for any parameter value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), (value) => {
        expect(parseMediaType(formatMediaType('a/b', { p: value })).parameters.p).to.equal(value);
      }),
    );
  });

  it('parse undoes serialise, for any content and encoding', () => {
    const encoding = fc.constantFrom('binary', '8bit', 'base64');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), encoding, (content, cte) => {
        const entity = mimeEntity('application/octet-stream', content, [['Content-Transfer-Encoding', cte]]);
        const back = parseMime(serialiseMime(entity));
        expect(back.headers).to.deep.equal(entity.headers);
        expect(Buffer.from(back.content).equals(content)).to.equal(true);
      }),
    );
  });

  it('any octets either parse or are refused with a MimeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const code = codeOf(() => mediaTypeOf(parseMime(bytes)));
        expect(code === undefined || code.startsWith('MIME_')).to.equal(true);
      }),
    );
  });
});
