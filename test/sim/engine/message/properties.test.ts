import { expect } from 'chai';
import fc from 'fast-check';
import {
  HeaderLine,
  parseMessage,
  SipMessage,
  SipParseError,
  StreamFramer,
} from '../../../../sim/engine/message/index.ts';

const token = fc.stringMatching(/^[A-Za-z0-9.!%*_+`'~-]{1,20}$/);
const host = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const user = fc.stringMatching(/^(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-F]{2}){1,20}$/);
const uri = fc.oneof(
  fc.tuple(fc.constantFrom('sip', 'sips'), user, host).map(([scheme, name, at]) => `${scheme}:${name}@${at}`),
  host.map((at) => `sip:${at}:5070;transport=tcp;lr`),
  fc.constantFrom('tel:+1-201-555-0123;phone-context=x', 'urn:service:sos'),
);
/** Any octet but CR and LF. */
const text = fc
  .array(
    fc.integer({ min: 0, max: 255 }).filter((octet) => octet !== 10 && octet !== 13),
    { maxLength: 60 },
  )
  .map((octets) => String.fromCharCode(...octets));
const fold = fc.constantFrom('', ' ', '\t ', '\r\n ', ' \r\n\t');
const display = fc.oneof(
  fc.constant(''),
  token,
  text.map((inner) => `"${inner.replace(/[\\"]/g, '\\$&')}"`),
);

const message = fc
  .record({
    method: token.filter((name) => !name.startsWith('SIP/')),
    uri,
    status: fc.option(fc.integer({ min: 100, max: 699 })),
    reason: text,
    vias: fc.array(fc.tuple(fc.constantFrom('UDP', 'TCP', 'TLS', 'WS', 'WSS'), host, token), {
      minLength: 1,
      maxLength: 5,
    }),
    from: fc.tuple(display, uri, token),
    to: fc.tuple(display, uri),
    callId: token,
    sequence: fc.integer({ min: 0, max: 0x7fffffff }),
    others: fc.array(fc.tuple(token, text), { maxLength: 8 }),
    body: fc.uint8Array({ maxLength: 300 }),
    fold,
    names: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  })
  .map((m) => {
    const name = (long: string, compact: string, i: number): string => (m.names[i] ? compact : long);
    const start = m.status === null ? `${m.method} ${m.uri} SIP/2.0` : `SIP/2.0 ${m.status} ${m.reason}`;
    const head = [
      start,
      ...m.vias.map(
        ([transport, at, branch]) => `${name('Via', 'v', 0)}:${m.fold}SIP/2.0/${transport} ${at};branch=${branch}x`,
      ),
      `${name('From', 'F', 1)}: ${m.from[0]}${m.fold}<${m.from[1]}>;tag=${m.from[2]}`,
      `${name('To', 't', 2)} : ${m.to[0]} <${m.to[1]}>`,
      `${name('Call-ID', 'i', 3)}:${m.callId}`,
      `CSeq: ${m.sequence}${m.fold} ${m.method}`,
      ...m.others.map(([key, value]) => `X${key}: ${value}`),
      `${name('Content-Length', 'l', 4)}: ${m.body.length}`,
    ];
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), m.body]);
  });

describe('Properties of the parser', () => {
  it('parse(serialise(m)) is m, header by header, and serialise(parse(octets)) is octets', () => {
    fc.assert(
      fc.property(message, (octets) => {
        const first = parseMessage(octets, 'datagram');
        if (first instanceof SipParseError) throw first;
        expect(first.serialise().equals(octets)).to.equal(true);
        first.append('X-Added', '1');
        first.remove('x-added');
        expect(first.serialise().equals(octets)).to.equal(true);
        const second = parseMessage(first.serialise(), 'stream');
        if (second instanceof SipParseError) throw second;
        expect(second.startLine).to.equal(first.startLine);
        expect(second.lines.map(({ name, value }) => [name, value])).to.deep.equal(
          first.lines.map(({ name, value }) => [name, value]),
        );
        expect(second.body.equals(first.body)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it('a stream of messages comes out as the same messages, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.integer({ min: 1, max: 700 }), (messages, size) => {
        const out: Buffer[] = [];
        const framer = new StreamFramer(
          { headBytes: 10_000, headerCount: 100, bodyBytes: 1000 },
          (frame, broken) => out.push(broken ? Buffer.from('broken') : Buffer.from(frame)),
          () => out.push(Buffer.from('ping')),
        );
        const stream = Buffer.concat(messages);
        for (let at = 0; at < stream.length; at += size) framer.push(stream.subarray(at, at + size));
        expect(out).to.deep.equal(messages);
      }),
      { numRuns: 100 },
    );
  });

  /** Octets that are nearly a message: one with pieces cut out, doubled or overwritten. */
  const damaged = fc
    .tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(40), fc.uint8Array({ maxLength: 12 })), { maxLength: 6 }))
    .map(([octets, cuts]) => {
      let result = octets;
      for (const [at, length, instead] of cuts) {
        const from = at % (result.length + 1);
        result = Buffer.concat([result.subarray(0, from), instead, result.subarray(from + length)]);
      }
      return result;
    });

  it('any octets are a message or a refusal, never an exception; what parsed stays what it was', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          damaged,
          fc.uint8Array({ maxLength: 2000 }).map((octets) => Buffer.from(octets)),
        ),
        fc.constantFrom('datagram', 'stream', 'app'),
        (octets, mode) => {
          const result = parseMessage(octets, mode);
          if (result instanceof SipParseError) {
            if (result.refusal !== 'drop') expect(result.partial).to.be.instanceOf(SipMessage);
            return;
          }
          const again = parseMessage(result.serialise(), mode === 'stream' ? 'stream' : mode);
          expect(again).to.be.instanceOf(SipMessage);
          if (again instanceof SipMessage) expect(again.serialise().equals(result.serialise())).to.equal(true);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('any octets on a stream leave the framer with less than one largest message', () => {
    const limits = { headBytes: 500, headerCount: 100, bodyBytes: 500 };
    fc.assert(
      fc.property(
        fc.array(fc.oneof(damaged, fc.constant(Buffer.from('\r\n')))),
        fc.integer({ min: 1, max: 99 }),
        (parts, size) => {
          const stream = Buffer.concat(parts);
          let handed = 0;
          const framer = new StreamFramer(
            limits,
            (frame) => {
              handed += 1;
              expect(frame.length).to.be.at.most(limits.headBytes + 4 + limits.bodyBytes);
            },
            () => undefined,
          );
          for (let at = 0; at < stream.length && !framer.broken; at += size)
            framer.push(stream.subarray(at, at + size));
          if (framer.broken) expect(handed).to.be.greaterThan(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('takes time in proportion to the octets, whatever they are', () => {
    // Quadratic scanning of these would take minutes, and mocha's time-out would tell.
    const evil = [
      'a:"'.repeat(100_000),
      ' '.repeat(300_000),
      '\r\n\t'.repeat(100_000),
      'v:,'.repeat(100_000),
      'l:1\r\n'.repeat(60_000),
    ];
    for (const tail of evil) {
      for (const head of ['INVITE sip:a@b SIP/2.0\r\n', 'INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;x="', '']) {
        const octets = Buffer.from(`${head}${tail}\r\n\r\n`);
        const limits = { headBytes: 1_000_000, headerCount: 1_000_000, bodyBytes: 1000 };
        expect(parseMessage(octets, 'datagram', limits)).to.be.instanceOf(SipParseError);
      }
    }
  });

  it('so do the readers of header values', () => {
    const blanks = ' '.repeat(400_000);
    for (const value of [
      `a${blanks}b\r\n c`,
      `${';'.repeat(400_000)}`,
      `"${'\\"'.repeat(200_000)}`,
      '<'.repeat(400_000),
    ]) {
      const line = new HeaderLine('route', `Route: ${value}`, 6);
      expect(line.value.length).to.be.at.most(value.length);
      expect(() => line.address).to.throw(SipParseError);
      expect(line.withTop(undefined)).to.equal(undefined);
    }
  });
});
