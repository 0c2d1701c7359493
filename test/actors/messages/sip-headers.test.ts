import { expect } from 'chai';
import {
  ACCEPT_CONTACT,
  formatWarning,
  identityKey,
  parameterOf,
  sameIdentity,
  splitValues,
  undecipherableText,
  uriOf,
  warningText,
} from '../../../actors/messages/sip-headers.ts';

describe('SIP header values (RFC 3261, TS 24.379 7.2.2)', () => {
  it('percent-encodes the ICSI in Accept-Contact', () => {
    expect(ACCEPT_CONTACT[1]).to.equal(
      '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mcptt";require;explicit',
    );
  });

  it('reads back the warning it wrote', () => {
    const text = undecipherableText('f0000001', 'of another user');
    expect(text).to.equal('Undecipherable, Key ID f0000001: of another user');
    expect(formatWarning('as.example:5060', text)).to.equal(`399 as.example:5060 "${text}"`);
    expect(warningText(formatWarning('h', 'a "quoted" \\ text'))).to.equal('a "quoted" \\ text');
    expect(warningText(undefined)).to.equal(undefined);
  });

  it('takes the URI out of name-addr and addr-spec', () => {
    expect(uriOf('"A, <b>" <sip:a@b;p=q>;tag=1')).to.equal('sip:a@b;p=q');
    expect(uriOf('sip:a@b;tag=1')).to.equal('sip:a@b');
    expect(uriOf('<tel:+15550101>')).to.equal('tel:+15550101');
  });

  it('splits values at commas outside quotes and brackets', () => {
    expect(splitValues('<sip:a,b@c>, "d, e" <sip:f@g>;h="i,j",tel:+1')).to.deep.equal([
      '<sip:a,b@c>',
      '"d, e" <sip:f@g>;h="i,j"',
      'tel:+1',
    ]);
  });

  it('reads header parameters and not those of the URI', () => {
    expect(parameterOf('<sip:a@b;expires=1>;Expires="60"', 'expires')).to.equal('60');
    expect(parameterOf('<sip:a@b;expires=1>', 'expires')).to.equal(undefined);
    expect(parameterOf('sip:a@b;expires=5', 'expires')).to.equal('5');
    expect(parameterOf('<sip:a@b>;+sip.instance="<urn:uuid:1>;x";q ;expires=7', 'expires')).to.equal('7');
    expect(parameterOf('<sip:a@b>;+sip.instance="<urn:uuid:1>;x"', '+sip.instance')).to.equal('<urn:uuid:1>;x');
  });

  it('compares identities by scheme and host without case, user with case', () => {
    expect(sameIdentity('SIP:alice@MCPTT.example;x=y', 'sip:alice@mcptt.example')).to.equal(true);
    expect(sameIdentity('sip:Alice@mcptt.example', 'sip:alice@mcptt.example')).to.equal(false);
    expect(identityKey('tel:+15550101')).to.equal('tel:+15550101');
  });
});
