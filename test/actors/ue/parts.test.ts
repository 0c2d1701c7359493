import { expect } from 'chai';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { parseDeviations } from '../../../actors/messages/deviation.ts';
import { parseDigest } from '../../../actors/security/aka/digest.ts';
import { nextCallState } from '../../../actors/ue/calls.ts';
import { nextClientState } from '../../../actors/ue/client-state.ts';
import { UeError } from '../../../actors/ue/errors.ts';
import { deviateToken } from '../../../actors/ue/jwt-deviation.ts';
import { answerDirection, buildSdp, directionOf } from '../../../actors/ue/sdp.ts';
import { answerAkaChallenge, formatCredentials, initialCredentials } from '../../../actors/ue/sip/aka-credentials.ts';
import { Usim } from '../../../actors/ue/usim.ts';
import { subscribers } from '../mcptt-as/world.ts';

describe('AKA credentials (RFC 3310 3, TS 24.229 5.1.1.5)', () => {
  const usim = new Usim(subscribers[0]!);

  it('cannot use a challenge of another algorithm, without a vector, or none at all', () => {
    const nonce = Buffer.alloc(32).toString('base64');
    for (const challenge of [
      undefined,
      'Basic realm="x"',
      `Digest realm="r", nonce="${nonce}", algorithm=MD5`,
      'Digest realm="r", nonce="AAAA", algorithm=AKAv1-MD5',
      `Digest nonce="${nonce}", algorithm=AKAv1-MD5`,
    ]) {
      expect(answerAkaChallenge(usim, challenge)).to.deep.equal({ outcome: 'unusable' });
    }
  });

  it('answers a network that it does not know with an empty response', () => {
    const nonce = Buffer.alloc(32, 7).toString('base64');
    const answer = answerAkaChallenge(
      usim,
      `Digest realm="r", nonce="${nonce}", algorithm=akav1-md5, qop="auth,auth-int", opaque="o"`,
    );
    expect(answer.outcome).to.equal('mac-failure');
    expect(answer.credentials).to.include({ response: '', opaque: 'o', realm: 'r' }).and.not.have.property('auts');
  });

  it('writes what a Digest reader reads', () => {
    const parameters = parseDigest(formatCredentials(initialCredentials('user@realm', 'realm')));
    expect(Object.fromEntries(parameters ?? [])).to.deep.equal({
      username: 'user@realm',
      realm: 'realm',
      nonce: '',
      uri: 'sip:realm',
      response: '',
      algorithm: 'AKAv1-MD5',
    });
  });
});

describe('SDP without media (RFC 3264)', () => {
  it('says its direction, and answers one', () => {
    for (const [offered, answered] of [
      ['sendrecv', 'sendrecv'],
      ['sendonly', 'recvonly'],
      ['recvonly', 'sendonly'],
      ['inactive', 'inactive'],
    ] as const) {
      expect(directionOf(buildSdp(1, 1, '192.0.2.1', offered))).to.equal(offered);
      expect(answerDirection(offered)).to.equal(answered);
    }
    expect(directionOf('v=0\r\n')).to.equal('sendrecv');
    expect(buildSdp(5, 2, '2001:db8::1', 'inactive')).to.include('o=- 5 2 IN IP6 2001:db8::1\r\n');
  });
});

describe('tokens made wrong on purpose', () => {
  let token: string;
  before(async () => {
    token = await new SignJWT({ mcptt_id: 'sip:alice@mcptt.example', exp: 2_000_000_000 })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .sign(Buffer.alloc(32, 1));
  });
  const others = { kms: 'the.other.token', ofUser: (user: string) => `token.of.${user}` };
  const change = (...list: object[]): string => deviateToken(parseDeviations(list), token, others);

  it('leaves a token alone when nothing deviates', () => {
    expect(change()).to.equal(token);
  });

  it('puts another token in its place', () => {
    expect(change({ at: 'token', op: 'replace', path: '', value: 'other' })).to.equal('the.other.token');
    expect(change({ at: 'token', op: 'replace', path: '', value: 'user:bob' })).to.equal('token.of.bob');
    expect(change({ at: 'token', op: 'replace', path: '', value: 'a.b.c' })).to.equal('a.b.c');
    expect(change({ at: 'token', op: 'remove', path: 0 })).to.equal('');
  });

  it('changes claims and header under the old signature, numbers staying numbers', () => {
    const changed = change(
      { at: 'jwt', op: 'set', path: 'mcptt_id', value: 'sip:bob@mcptt.example' },
      { at: 'jwt', op: 'set', path: 'exp', value: 1 },
      { at: 'jwt', op: 'set', path: 'header.alg', value: 'none' },
    );
    expect(decodeJwt(changed)).to.deep.equal({ mcptt_id: 'sip:bob@mcptt.example', exp: 1 });
    expect(decodeProtectedHeader(changed)).to.include({ alg: 'none', typ: 'at+jwt' });
    expect(changed.split('.')[2]).to.equal(token.split('.')[2]);
    expect(change({ at: 'jwt', op: 'remove', path: 'signature' }).split('.')[2]).to.equal('');
  });
});

describe('state machines of the UE', () => {
  const refused = (run: () => unknown): void => {
    expect(run).to.throw(UeError).with.property('code', 'UE_CLIENT_STATE');
  };

  it('client', () => {
    expect(nextClientState('logged-out', 'logged-in')).to.equal('logged-in');
    expect(nextClientState('bound', 'unbound')).to.equal('logged-in');
    expect(nextClientState('bound', 'logged-in'), 'new tokens have to be shown').to.equal('logged-in');
    expect(nextClientState('bound', 'logged-off')).to.equal('logged-out');
    refused(() => nextClientState('logged-out', 'bound'));
  });

  it('call', () => {
    expect(nextCallState('inviting', 'answered')).to.equal('established');
    expect(nextCallState('established', 'hung-up')).to.equal('ended');
    refused(() => nextCallState('ended', 'answered'));
    refused(() => nextCallState('inviting', 'renegotiated'));
  });
});
