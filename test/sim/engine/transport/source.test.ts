import { expect } from 'chai';
import { DEFAULT_LIMITS, parseMessage, SipParseError } from '../../../../sim/engine/message/index.ts';
import type { Flow } from '../../../../sim/engine/transport/index.ts';
import { responseRoute, stampSource } from '../../../../sim/engine/transport/source.ts';
import { options } from './support.ts';

/** What becomes of a top Via value when its request comes from `address`, port 9988. */
function stamped(via: string, address = '192.0.2.1'): { via: string; target: { host: string; port: number } } {
  const octets = options('x')
    .toString()
    .replace(/Via: [^\r]*/, `Via: ${via}`);
  const message = parseMessage(Buffer.from(octets), 'datagram', { ...DEFAULT_LIMITS, headBytes: 1_000_000 });
  if (message instanceof SipParseError) throw message;
  const flow: Flow = {
    id: 'f',
    protocol: 'udp',
    localAddress: '192.0.2.254',
    localPort: 5060,
    remoteAddress: address,
    remotePort: 9988,
  };
  stampSource(message, flow);
  const { first } = responseRoute(message, flow);
  const target =
    'id' in first ? { host: first.remoteAddress, port: first.remotePort } : { host: first.host, port: first.port };
  return { via: message.get('via')!, target };
}

describe('RFC 3261 18.2.1, RFC 3581 4: received and rport', () => {
  it('leaves a Via alone that tells the truth and asks for nothing', () => {
    expect(stamped('SIP/2.0/UDP 192.0.2.1:4540;branch=b').via).to.equal('SIP/2.0/UDP 192.0.2.1:4540;branch=b');
    expect(stamped('SIP/2.0/UDP [2001:DB8:0::1];branch=b', '2001:db8::1').via).to.equal(
      'SIP/2.0/UDP [2001:DB8:0::1];branch=b',
    );
  });

  it('leaves parameters alone whose names only begin like them', () => {
    expect(stamped('SIP/2.0/UDP a.example;rport-x=1;received.y;rport;branch=b').via).to.equal(
      'SIP/2.0/UDP a.example;rport-x=1;received.y;branch=b;rport=9988;received=192.0.2.1',
    );
  });

  it('adds received where sent-by is a name or another address', () => {
    expect(stamped('SIP/2.0/UDP bobspc.biloxi.com:5061;branch=b')).to.deep.equal({
      via: 'SIP/2.0/UDP bobspc.biloxi.com:5061;branch=b;received=192.0.2.1',
      target: { host: '192.0.2.1', port: 5061 },
    });
  });

  it('fills rport in, and then received always', () => {
    for (const asked of ['rport;branch=b', 'branch=b;rport', 'branch=b ; RPort = ', 'rport=1;branch=b']) {
      const { via, target } = stamped(`SIP/2.0/UDP 192.0.2.1:4540;${asked}`);
      expect(via, asked).to.equal('SIP/2.0/UDP 192.0.2.1:4540;branch=b;rport=9988;received=192.0.2.1');
      expect(target).to.deep.equal({ host: '192.0.2.1', port: 9988 });
    }
  });

  it('does not believe a received that the client wrote itself', () => {
    expect(stamped('SIP/2.0/UDP 192.0.2.1;received=10.0.0.1;branch=b').via).to.equal('SIP/2.0/UDP 192.0.2.1;branch=b');
    expect(stamped('SIP/2.0/UDP x;x=";received=a";received=10.0.0.1').via).to.equal(
      'SIP/2.0/UDP x;x=";received=a";received=192.0.2.1',
    );
  });

  it('takes time in proportion to the octets', () => {
    // A search that tried each blank anew would take minutes.
    const blanks = ' '.repeat(60_000);
    const odd = `;odd${blanks};rport${blanks};q`;
    expect(stamped(`SIP/2.0/UDP a${blanks};branch=b${odd}`).via).to.equal(
      `SIP/2.0/UDP a${blanks};branch=b;odd${blanks};q;rport=9988;received=192.0.2.1`,
    );
  });

  it('knows an IPv4 address mapped into IPv6 (RFC 5118 4.9)', () => {
    for (const sentBy of ['[::ffff:192.0.2.1]', '[::FFFF:c000:201]', '[0:0:0:0:0:ffff:192.0.2.1]']) {
      expect(stamped(`SIP/2.0/UDP ${sentBy}:5062;branch=b`).via).to.equal(`SIP/2.0/UDP ${sentBy}:5062;branch=b`);
    }
  });

  it('touches the top value only', () => {
    expect(stamped('SIP/2.0/UDP a;branch=b, SIP/2.0/UDP c;rport').via).to.equal(
      'SIP/2.0/UDP a;branch=b;received=192.0.2.1, SIP/2.0/UDP c;rport',
    );
  });

  it('18.2.2: maddr goes before received', () => {
    expect(stamped('SIP/2.0/UDP x:5070;maddr=192.0.2.77;branch=b').target).to.deep.equal({
      host: '192.0.2.77',
      port: 5070,
    });
  });
});
