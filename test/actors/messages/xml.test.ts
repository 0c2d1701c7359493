import { expect } from 'chai';
import fc from 'fast-check';
import { parseXml, serialiseXml, type XmlElement, XmlError, xmlElement } from '../../../actors/messages/xml.ts';

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof XmlError ? error.code : `not an XmlError: ${String(error)}`;
  }
  return undefined;
};

describe('XML of MC bodies', () => {
  it('resolves default and prefixed namespaces, attributes, references and CDATA', () => {
    const root = parseXml(
      '<?xml version="1.0" encoding="UTF-8"?><a xmlns="n" xmlns:p="m"><p:b c="&lt;&#x41;"/>t&amp;u<![CDATA[<&amp;>]]></a>',
    );
    expect(root.namespace).to.equal('n');
    expect(root.text).to.equal('t&u<&amp;>');
    expect(root.children[0]).to.deep.include({ name: 'b', namespace: 'm', attributes: { c: '<A' } });
  });

  it('refuses DTDs, foreign entities and other encodings', () => {
    expect(codeOf(() => parseXml('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml('<!doctype a><a/>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml('<a>&x;</a>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml('<a>&#0;</a>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml('<a>&copy;</a>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml('<?xml version="1.0" encoding="ISO-8859-1"?><a/>'))).to.equal('XML_FORBIDDEN');
    expect(codeOf(() => parseXml(Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e])))).to.equal(
      'XML_MALFORMED',
    );
  });

  it('refuses what is not well-formed', () => {
    for (const text of ['', 'x', '<a>', '<a></b>', '<a/><b/>', '<p:a/>', '<a b=1/>', '<a/>tail', '<a><a']) {
      expect(
        codeOf(() => parseXml(text)),
        text,
      ).to.equal('XML_MALFORMED');
    }
  });

  it('bounds size, depth and number of elements', () => {
    const limits = { octets: 1000, depth: 3, elements: 5 };
    expect(codeOf(() => parseXml(`<a>${' '.repeat(1000)}</a>`, limits))).to.equal('XML_TOO_LARGE');
    expect(codeOf(() => parseXml('<a><a><a><a/></a></a></a>', limits))).to.equal('XML_TOO_LARGE');
    expect(codeOf(() => parseXml(`<a>${'<b/>'.repeat(6)}</a>`, limits))).to.equal('XML_TOO_LARGE');
  });

  it('parse undoes serialise for any text, attribute and namespace', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((s) => !/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u.test(s));
    const tree = fc.letrec<{ tree: XmlElement }>((tie) => ({
      tree: fc
        .record({
          name: fc.constantFrom('a', 'b-c', 'd.e'),
          namespace: fc.constantFrom('', 'urn:one', 'urn:two'),
          attribute: text,
          content: fc.oneof({ maxDepth: 3 }, text, fc.array(tie('tree'), { maxLength: 3 })),
        })
        .map((r) => xmlElement(r.namespace, r.name, r.content, { k: r.attribute })),
    })).tree;
    fc.assert(
      fc.property(tree, (element) => {
        expect(parseXml(serialiseXml(element))).to.deep.equal(element);
      }),
    );
  });

  it('any text either parses or is refused with an XmlError', () => {
    const shard = fc.constantFrom(
      '<a>',
      '</a>',
      '<',
      '>',
      '&',
      'x',
      '"',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?p',
      '?>',
      'a="b"',
      '<a b:c="d"/>',
    );
    fc.assert(
      fc.property(fc.array(shard, { maxLength: 20 }), (shards) => {
        const code = codeOf(() => parseXml(shards.join('')));
        expect(code === undefined || code.startsWith('XML_')).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });
});
