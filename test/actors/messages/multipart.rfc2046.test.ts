import { expect } from 'chai';
import fc from 'fast-check';
import {
  type MimeEntity,
  MimeError,
  mediaTypeOf,
  mimeEntity,
  parseMime,
  serialiseMime,
} from '../../../actors/messages/mime.ts';
import { buildMultipart, leavesOf, MULTIPART_LIMITS, parseMultipart } from '../../../actors/messages/multipart.ts';

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof MimeError ? error.code : `not a MimeError: ${String(error)}`;
  }
  return undefined;
};
const mixed = (content: string, boundary = 'b'): MimeEntity =>
  mimeEntity(`multipart/mixed; boundary=${boundary}`, content);
const texts = (parts: readonly MimeEntity[]): string[] =>
  parts.map((part) => Buffer.from(part.content).toString('latin1'));

describe('multipart (RFC 2046 5.1)', () => {
  it('drops preamble and epilogue and keeps the octets of each part', () => {
    const entity = mixed('preamble\r\n--b\r\n\r\none\r\n\r\ntwo\r\n--b  \r\nA: b\r\n\r\n\r\n--b--\r\nepilogue');
    expect(texts(parseMultipart(entity))).to.deep.equal(['one\r\n\r\ntwo', '']);
  });

  it('takes a part that ends with its header, or has not even one (5.1.1, body-part)', () => {
    const parts = parseMultipart(mixed('--b\r\nContent-Type: a/b\r\n\r\n--b\r\n\r\n--b--'));
    expect(parts.map(({ headers, content }) => [headers, content.length])).to.deep.equal([
      [[['Content-Type', 'a/b']], 0],
      [[], 0],
    ]);
    const lines = ['one\r\n', 'one\r\n\r\n', '\r\n', '\r\none', 'A: b\r\n'];
    for (const header of ['', 'Content-Type: a/b\r\n']) {
      for (const line of lines) {
        const content = `--b\r\n${header}\r\n${line}\r\n--b--`;
        expect(texts(parseMultipart(mixed(content))), 'a body that ends with a line end').to.deep.equal([line]);
      }
    }
    expect(codeOf(() => parseMultipart(mixed('--b\r\nContent-Type: a/b\r\n--b--')))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMultipart(mixed('--b\r\n--b--')))).to.equal('MIME_MALFORMED');
  });

  it('sees a delimiter only at the start of a line and only as the whole line (5.1.1)', () => {
    const entity = mixed('--b\r\n\r\nx --b\r\n--bb\r\n-- b\r\n--b--');
    expect(texts(parseMultipart(entity))).to.deep.equal(['x --b\r\n--bb\r\n-- b']);
  });

  it('refuses a cut multipart, one without parts, and one without boundary', () => {
    expect(codeOf(() => parseMultipart(mixed('--b\r\n\r\none\r\n')))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMultipart(mixed('--b--')))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMultipart(mixed('nothing')))).to.equal('MIME_MALFORMED');
    expect(codeOf(() => parseMultipart(mimeEntity('multipart/mixed', '')))).to.equal('MIME_BOUNDARY');
    expect(codeOf(() => parseMultipart(mimeEntity(`multipart/mixed; boundary=${'a'.repeat(71)}`, '')))).to.equal(
      'MIME_BOUNDARY',
    );
    expect(codeOf(() => buildMultipart([]))).to.equal('MIME_MALFORMED');
  });

  it('bounds parts and depth', () => {
    const many = `${'--b\r\n\r\nx\r\n'.repeat(40)}--b--`;
    expect(codeOf(() => parseMultipart(mixed(many)))).to.equal('MIME_TOO_MANY_PARTS');
    let nested = mimeEntity('text/plain', 'core');
    for (let depth = 0; depth < MULTIPART_LIMITS.depth; depth++) nested = buildMultipart([nested]);
    expect(texts(leavesOf(nested))).to.deep.equal(['core']);
    expect(codeOf(() => leavesOf(buildMultipart([nested])))).to.equal('MIME_TOO_DEEP');
  });

  it('refuses a given boundary that occurs in a part, and never draws one that does', () => {
    const part = mimeEntity('text/plain', 'a\r\n--given\r\nb');
    expect(codeOf(() => buildMultipart([part], 'mixed', 'given'))).to.equal('MIME_BOUNDARY');
    expect(texts(parseMultipart(buildMultipart([part])))).to.deep.equal(['a\r\n--given\r\nb']);
  });

  it('parse undoes build for any parts, through the serialised form too', () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      fc
        .array(fc.constantFrom('\r\n', '--', '-', 'b', '\r', '\n', ' '), { maxLength: 30 })
        .map((p) => Buffer.from(p.join(''))),
    );
    fc.assert(
      fc.property(fc.array(content, { minLength: 1, maxLength: 6 }), fc.boolean(), (contents, base64) => {
        const headers: [string, string][] = [['Content-Transfer-Encoding', base64 ? 'base64' : 'binary']];
        const built = buildMultipart(contents.map((c) => mimeEntity('application/octet-stream', c, headers)));
        const back = parseMultipart(parseMime(serialiseMime(built)));
        expect(texts(back)).to.deep.equal(contents.map((c) => Buffer.from(c).toString('latin1')));
        expect(back.map((part) => mediaTypeOf(part).type)).to.deep.equal(
          contents.map(() => 'application/octet-stream'),
        );
      }),
    );
  });

  it('any octets either parse or are refused with a MimeError', () => {
    const shard = fc.constantFrom(
      '--b',
      '--b--',
      '\r\n',
      'A: b',
      'Content-Type: multipart/mixed; boundary=b',
      ' ',
      'x',
    );
    fc.assert(
      fc.property(fc.array(shard, { maxLength: 40 }), (shards) => {
        const code = codeOf(() => leavesOf(mixed(shards.join(''))));
        expect(code === undefined || code.startsWith('MIME_')).to.equal(true);
      }),
    );
  });
});
