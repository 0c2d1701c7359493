import { expect } from 'chai';
import { parseUri } from '../../../../sim/engine/message/index.ts';

const uri = (text: string) => {
  const parsed = parseUri(text);
  if (parsed === undefined) throw new Error(`${text} did not parse`);
  return parsed;
};

describe('RFC 3261 19.1 SIP URIs', () => {
  it('takes the examples of 19.1.3 apart', () => {
    for (const text of [
      'sip:alice@atlanta.com',
      'sips:1212@gateway.com',
      'sip:alice@192.0.2.4',
      'sip:[2001:db8::10]:5070;transport=ws',
    ]) {
      const { scheme, user, host } = uri(text);
      expect(text.startsWith(`${scheme}:${user === undefined ? '' : `${user}@`}${host}`), text).to.equal(true);
    }
    expect(uri('sips:alice@atlanta.com?subject=project%20x&priority=urgent').headers).to.deep.equal(
      new Map([
        ['subject', 'project%20x'],
        ['priority', 'urgent'],
      ]),
    );
    expect(uri('sip:+1-212-555-1212:1234@gateway.com;user=phone')).to.include({
      user: '+1-212-555-1212',
      password: '1234',
    });
    expect(uri('sip:alice;day=tuesday@atlanta.com')).to.include({ user: 'alice;day=tuesday', host: 'atlanta.com' });
    const register = uri('sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com');
    expect(register).to.not.have.property('user');
    expect([...register.params, ...register.headers]).to.deep.equal([
      ['method', 'REGISTER'],
      ['to', 'alice%40atlanta.com'],
    ]);
    expect(uri('urn:service:sos.police').opaque).to.equal('service:sos.police');
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

  it('takes of an IPv6 reference what is one (RFC 5118 4.2, 4.3, 4.4, 4.9, 4.10)', () => {
    expect(uri('sip:[2001:db8::10:5070]'))
      .to.deep.include({ host: '[2001:db8::10:5070]' })
      .and.not.have.property('port');
    expect(uri('sip:[2001:db8::10]:5070')).to.include({ host: '[2001:db8::10]', port: 5070 });
    expect(uri('sip:[::ffff:192.0.2.1]').host).to.equal('[::ffff:192.0.2.1]');
    expect(uri('sip:user@[2001:db8:::192.0.2.1]').host).to.equal('[2001:db8:::192.0.2.1]');
    for (const text of [
      'sip:2001:db8::10',
      'sip:[2001:db8::10',
      'sip:[not.ipv6]',
      'sip:[1:2:3]',
      'sip:[::1]x',
      'sip:[::12:',
    ])
      expect(parseUri(text), text).to.equal(undefined);
  });

  it('leaves to other schemes what their characters mean', () => {
    for (const text of ['http://example.com/a;;b=c?d@e', 'mailto:a@b?subject=x;y', 'soap.beep://192.0.2.103:3002']) {
      expect(uri(text).opaque, text).to.equal(text.slice(text.indexOf(':') + 1));
    }
    expect(parseUri('tel:+1201;;ext=1')).to.equal(undefined);
  });
});
