import { expect } from 'chai';
import { formatUri, isHost, parseUri, uriEquals } from '../../../../sim/engine/message/index.ts';

const uri = (text: string) => {
  const parsed = parseUri(text);
  if (parsed === undefined) throw new Error(`${text} did not parse`);
  return parsed;
};

describe('RFC 3261 19.1 SIP URIs', () => {
  it('takes the examples of 19.1.3 apart and puts them together again', () => {
    for (const text of [
      'sip:alice@atlanta.com',
      'sip:alice:secretword@atlanta.com;transport=tcp',
      'sips:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:+1-212-555-1212:1234@gateway.com;user=phone',
      'sips:1212@gateway.com',
      'sip:alice@192.0.2.4',
      'sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com',
      'sip:alice;day=tuesday@atlanta.com',
      'sip:[2001:db8::10]:5070;transport=ws',
      'tel:+1-201-555-0123;phone-context=example.com',
      'urn:service:sos.police',
    ]) {
      expect(formatUri(uri(text)), text).to.equal(text);
    }
    expect(uri('sip:alice:secretword@atlanta.com;transport=tcp')).to.deep.include({
      scheme: 'sip',
      user: 'alice',
      password: 'secretword',
      host: 'atlanta.com',
      params: new Map([['transport', 'tcp']]),
    });
    expect(uri('sip:[2001:DB8::10]:5070')).to.include({ host: '[2001:db8::10]', port: 5070 });
    expect(uri('tel:+1-201-555-0123;phone-context=example.com').opaque).to.equal('+1-201-555-0123');
  });

  it('refuses what the grammar does not know', () => {
    for (const text of [
      '',
      'sip:',
      'alice@atlanta.com',
      'sip:@atlanta.com',
      'sip:alice@',
      'sip:alice@atlanta.com:',
      'sip:alice@atlanta.com:65536',
      'sip:alice@atlanta.com;',
      'sip:alice@atlanta.com; lr',
      'sip:al ice@atlanta.com',
      'sip:al%zzice@atlanta.com',
      'sip:alice@atlanta.com?subject',
      'sip:[2001:db8::10',
      'sip:[]',
      'sip:alice@atlanta.com>',
      'tel:',
      '1tel:5',
    ]) {
      expect(parseUri(text), text).to.equal(undefined);
    }
  });

  it('19.1.4: these are equivalent', () => {
    for (const [a, b] of [
      ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
      ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
      ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
      [
        'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
        'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
      ],
      [
        'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
        'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
      ],
      ['tel:+1-201-555-0123', 'tel:+12015550123'],
    ] as const) {
      expect(uriEquals(uri(a), uri(b)), `${a} and ${b}`).to.equal(true);
      expect(uriEquals(uri(b), uri(a)), `${b} and ${a}`).to.equal(true);
    }
  });

  it('19.1.4: these are not', () => {
    for (const [a, b] of [
      ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
      ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
      ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
      ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
      ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
      ['sip:carol@chicago.com;security=off', 'sip:carol@chicago.com;security=on'],
      ['sip:carol@chicago.com;user=phone', 'sip:carol@chicago.com'],
      ['sip:carol@chicago.com', 'sips:carol@chicago.com'],
      ['tel:+12015550123', 'tel:+12015550124'],
    ] as const) {
      expect(uriEquals(uri(a), uri(b)), `${a} and ${b}`).to.equal(false);
    }
  });

  it('knows a host when it sees one', () => {
    expect(['atlanta.com', '192.0.2.1', '[::1]'].every(isHost)).to.equal(true);
    expect(['', 'a b', '::1', '<x>'].some(isHost)).to.equal(false);
  });
});
