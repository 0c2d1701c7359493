import { expect } from 'chai';
import { StreamFramer } from '../../../../sim/engine/message/index.ts';

const limits = { headBytes: 200, headerCount: 10, bodyBytes: 100 };
const message = (body: string, name = 'Content-Length'): string =>
  `MESSAGE sip:a@b SIP/2.0\r\nX: y\r\n${name}: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** Feeds a stream in pieces of `size` octets; returns what came out, in order. */
function feed(stream: string, size: number): { out: string[]; framer: StreamFramer } {
  const out: string[] = [];
  const framer = new StreamFramer(
    limits,
    (frame, broken) => out.push((broken ? 'broken ' : '') + frame.toString()),
    () => out.push('ping'),
  );
  const octets = Buffer.from(stream);
  for (let at = 0; at < octets.length; at += size) framer.push(octets.subarray(at, at + size));
  return { out, framer };
}

describe('RFC 3261 18.3 framing on a stream', () => {
  it('cuts by octets, however the stream is cut into reads', () => {
    const one = message('höchst geheim\r\n\r\n');
    const two = message('', 'l \t');
    const three = message('xyz', 'CONTENT-LENGTH');
    const padded = message('xyz').replace(': 3', `: ${'0'.repeat(40)}3`);
    const folded = 'MESSAGE sip:a@b SIP/2.0\r\nL:\r\n 2\r\n\r\nab';
    for (let size = 1; size <= 64; size++) {
      const { out, framer } = feed(one + two + three + padded + folded + one, size);
      expect(out, `in pieces of ${size}`).to.deep.equal([one, two, three, padded, folded, one]);
      expect(framer.unfinished).to.equal(false);
    }
  });

  it('RFC 5626 4.4.1: tells pings from messages; RFC 3261 7.5: ignores other CRLFs before a start line', () => {
    const one = message('x');
    for (let size = 1; size <= 40; size++) {
      const { out } = feed(`\r\n${one}\r\n\r\n${one}\r\n${one}\r\n\r\n\r\n\r\n${one}`, size);
      expect(out, `in pieces of ${size}`).to.deep.equal([one, 'ping', one, one, 'ping', 'ping', one]);
    }
  });

  it('gives up where the next message cannot be found, and ignores the rest', () => {
    const cases = {
      'no Content-Length': 'MESSAGE sip:a@b SIP/2.0\r\nX: y\r\n\r\n',
      'a malformed one': 'MESSAGE sip:a@b SIP/2.0\r\nContent-Length: x\r\n\r\n',
      'a negative one': 'MESSAGE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n',
      'two that differ': 'MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 50\r\nX: y\r\nl: 1\r\n\r\n',
      'a body over the limit': 'MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 101\r\n\r\n',
    };
    for (const [what, head] of Object.entries(cases)) {
      for (const size of [1, 7, 1000]) {
        const { out, framer } = feed(head + message('x'), size);
        expect(out, what).to.deep.equal([`broken ${head}`]);
        expect(framer.broken).to.equal(true);
        expect(framer.unfinished).to.equal(false);
      }
    }
  });

  it('holds no more than the limits allow', () => {
    const { out } = feed('x'.repeat(100_000), 50);
    expect(out).to.have.length(1);
    expect(out[0]!.length).to.be.lessThan(limits.headBytes + 60);
  });
});
