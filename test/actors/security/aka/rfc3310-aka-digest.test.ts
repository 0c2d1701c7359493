import { createHash } from 'node:crypto';
import { expect } from 'chai';
import {
  digestHa1,
  digestResponse,
  makeNonce,
  parseDigest,
  readNonce,
} from '../../../../actors/security/aka/digest.ts';

describe('RFC 3310 and RFC 2617: Digest with AKA', () => {
  it('computes the response of the example in RFC 2617 3.5', () => {
    const ha1 = digestHa1('Mufasa', 'testrealm@host.com', Buffer.from('Circle Of Life'));
    const response = digestResponse({
      ha1,
      method: 'GET',
      uri: '/dir/index.html',
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      qop: { nc: '00000001', cnonce: '0a4f113b' },
    });
    expect(response).to.equal('6629fae49393a05397450978507c4ef1');
  });

  it('without qop uses the older form', () => {
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
    const response = digestResponse({ ha1: md5('a'), method: 'REGISTER', uri: 'sip:x', nonce: 'n' });
    expect(response).to.equal(md5(`${md5('a')}:n:${md5('REGISTER:sip:x')}`));
  });

  it('takes RES as raw octets, also where they are no text', () => {
    const res = Buffer.from('a54211d5e3ba50bf', 'hex');
    const expected = createHash('md5')
      .update(Buffer.concat([Buffer.from('u:r:'), res]))
      .digest('hex');
    expect(digestHa1('u', 'r', res)).to.equal(expected);
    expect(digestHa1('u', 'r', Buffer.from('a54211d5e3ba50bf'))).not.to.equal(expected);
  });

  it('the nonce is base64 of RAND and AUTN, with room for server data', () => {
    const [rand, autn] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    expect(readNonce(makeNonce(rand, autn))).to.deep.equal({ rand, autn });
    expect(readNonce(Buffer.alloc(40, 3).toString('base64'))?.autn).to.have.length(16);
    expect(readNonce('AAAA')).to.equal(undefined);
  });

  it('reads challenges and credentials', () => {
    const parsed = parseDigest('Digest realm="a, \\"b\\"", nonce="x=y==",algorithm=AKAv1-MD5 , qop="auth",stale=TRUE');
    expect(Object.fromEntries(parsed!)).to.deep.equal({
      realm: 'a, "b"',
      nonce: 'x=y==',
      algorithm: 'AKAv1-MD5',
      qop: 'auth',
      stale: 'TRUE',
    });
    expect(parseDigest('Digest username="u", nonce="", response=""')!.get('response')).to.equal('');
  });

  it('refuses other schemes, doubled parameters and malformed text', () => {
    for (const bad of ['Basic QQ==', 'Digest a="1", a="2"', 'Digest a="1', 'Digest =x', 'Digest a b=c']) {
      expect(parseDigest(bad), bad).to.equal(undefined);
    }
  });
});
