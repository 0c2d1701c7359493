import { expect } from 'chai';
import { buildRequest, buildResponse } from '../../../../sim/engine/message/index.ts';
import { bestResponse } from '../../../../sim/engine/proxy/best-response.ts';

const request = buildRequest('INVITE', 'sip:a@b', [
  ['Via', 'SIP/2.0/UDP h;branch=z9hG4bKx'],
  ['From', '<sip:a@b>;tag=1'],
  ['To', '<sip:c@d>'],
  ['Call-ID', 'x'],
  ['CSeq', '1 INVITE'],
]);

describe('sim/engine: choosing the best response (RFC 3261 16.7 step 6)', () => {
  for (const [statuses, best] of [
    [[404], 404],
    [[500, 404], 404],
    [[404, 302], 302],
    [[486, 603, 302], 603],
    [[404, 407], 407],
    [[404, 484, 480], 484],
    [[503, 408], 408],
    [[503, 504], 504],
    [[503, 503], 503],
    [[480, 486], 480],
  ] as const) {
    it(`${statuses.join(', ')} → ${best}`, () => {
      const responses = statuses.map((status) => buildResponse(request, status));
      expect(bestResponse(responses)!.status).to.equal(best);
    });
  }

  it('gathers the challenges of all branches in a 401 or 407 (step 7)', () => {
    const responses = [401, 404, 407, 401].map((status) => buildResponse(request, status));
    responses[0]!.append('www-authenticate', 'Digest realm="one", nonce="1"');
    responses[2]!.append('proxy-authenticate', 'Digest realm="two", nonce="2"');
    responses[3]!.append('www-authenticate', 'Digest realm="three", nonce="3"');
    const best = bestResponse(responses)!;
    expect(best.status).to.equal(401);
    const lines = best.lines.filter((line) => line.name.endsWith('authenticate')).map((line) => line.value);
    expect(lines).to.have.members([
      'Digest realm="one", nonce="1"',
      'Digest realm="three", nonce="3"',
      'Digest realm="two", nonce="2"',
    ]);
  });

  it('has none where there are none', () => {
    expect(bestResponse([])).to.equal(undefined);
  });
});
