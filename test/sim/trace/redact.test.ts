import { expect } from 'chai';
import { redact } from '../../../sim/trace/redact.ts';

const run = (text: string, reveal = false): { text: string; kinds: string[] } => {
  const { bytes, redacted } = redact(Buffer.from(text, 'latin1'), reveal);
  return { text: Buffer.from(bytes).toString('latin1'), kinds: redacted };
};

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJtY3B0dF9pZCI6InNpcDphbGljZUBtY3B0dC5leGFtcGxlIn0.c2lnbmF0dXJl';

describe('trace: secrets leave no record', () => {
  const cases: [string, string, string, string][] = [
    ['a bearer token that is a JWT', `POST / HTTP/1.1\r\nauthorization: Bearer ${JWT}\r\n\r\n`, JWT, 'token'],
    ['an opaque bearer token', 'GET / HTTP/1.1\r\nAuthorization: Bearer abc.def-123\r\n\r\n', 'abc.def-123', 'bearer'],
    [
      'a password in a form',
      'POST / HTTP/1.1\r\n\r\nlogin=alice&password=alice-wonderland',
      'alice-wonderland',
      'password',
    ],
    [
      'an authorization code in a redirect',
      'GET /cb?state=x&code=Zm9vYmFy HTTP/1.1\r\n\r\n',
      'Zm9vYmFy',
      'oauth-secret',
    ],
    ['a refresh token in JSON', '{"refresh_token":"s3cr3t-refresh"}', 's3cr3t-refresh', 'oauth-secret'],
    ['a session cookie', 'GET / HTTP/1.1\r\nCookie: _session=deadbeef\r\n\r\n', 'deadbeef', 'cookie'],
    ['a RSK', '<UserDecryptKey xsi:type="KeyContentType">04abcdef</UserDecryptKey>', '04abcdef', 'private-key'],
    ['a SSK', '<k:UserSigningKeySSK>77aa</k:UserSigningKeySSK>', '77aa', 'private-key'],
    [
      'CK and IK in a challenge',
      `WWW-Authenticate: Digest ck="${'a1'.repeat(16)}", ik=${'b2'.repeat(16)}`,
      'a1a1a1',
      'cipher-key',
    ],
    [
      'a token inside base64',
      `Content-Transfer-Encoding: base64\r\n\r\n${Buffer.from(`<t>${JWT}</t>`).toString('base64')}`,
      Buffer.from(JWT.slice(0, 30)).toString('base64').slice(4, 30),
      'token',
    ],
  ];
  for (const [what, text, secret, kind] of cases) {
    it(`takes out ${what} and says that it was there`, () => {
      const out = run(text);
      expect(text).to.include(secret === cases[9]![2] ? '' : secret);
      expect(out.text).not.to.include(secret);
      expect(out.kinds).to.include(kind);
    });
    it(`leaves ${what} under --reveal, and still says so`, () => {
      expect(run(text, true)).to.deep.equal({ text, kinds: run(text).kinds });
    });
  }

  it('shows equal tokens as equal', () => {
    const shown = run(`a ${JWT} b ${JWT}`).text.match(/\[token [0-9a-f]{8}\]/g);
    expect(shown).to.have.length(2);
    expect(new Set(shown)).to.have.length(1);
  });

  it('leaves octets that hold no secret as they are, whatever their values', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(redact(bytes).bytes).to.equal(bytes);
  });
});
