import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import { ResponsePath } from '../../../../sim/engine/core/paths.ts';
import { buildRequest } from '../../../../sim/engine/message/index.ts';
import type { Flow, Target, TransportError, TransportLayer } from '../../../../sim/engine/transport/index.ts';
import { Bench } from '../support/bench.ts';

describe('sim/engine: the way of a response (RFC 3261 18.2.2, RFC 3581 4)', () => {
  const flowOf = (protocol: Flow['protocol']): Flow => ({
    id: 'flow',
    protocol,
    localAddress: '127.0.0.1',
    localPort: 5060,
    remoteAddress: '192.0.2.1',
    remotePort: 40_000,
  });
  const sentTo = (via: string, protocol: Flow['protocol'], fails = false): string[] => {
    const sent: string[] = [];
    const transport = {
      send: (_: Buffer, to: Flow | Target, failed?: (error: TransportError) => void) => {
        sent.push('id' in to ? 'the flow' : `${to.protocol} ${to.host}:${to.port}`);
        if (fails) failed?.(new Error('gone') as TransportError);
      },
    } as unknown as TransportLayer;
    const request = buildRequest('OPTIONS', 'sip:x', [['Via', via]]);
    new ResponsePath(transport, request, flowOf(protocol)).send(Buffer.from('x'));
    return sent;
  };

  for (const [what, via, where] of [
    ['rport', 'SIP/2.0/UDP 192.0.2.1;rport=40000;received=192.0.2.1;branch=z9hG4bK1', 'the flow'],
    [
      'no rport: the port of sent-by',
      'SIP/2.0/UDP 192.0.2.1:5090;received=192.0.2.1;branch=z9hG4bK1',
      'udp 192.0.2.1:5090',
    ],
    ['no rport, no port', 'SIP/2.0/UDP host;received=192.0.2.1;branch=z9hG4bK1', 'udp 192.0.2.1:5060'],
    ['rport, but sent-by has another port', 'SIP/2.0/UDP host:1;rport=40000;received=192.0.2.1', 'the flow'],
    ['maddr, rport', 'SIP/2.0/UDP host:5090;maddr=198.51.100.1;rport=40000', 'udp 198.51.100.1:5090'],
    ['maddr', 'SIP/2.0/UDP host:5090;maddr=198.51.100.1;received=192.0.2.1', 'udp 198.51.100.1:5090'],
  ] as const) {
    it(`UDP, ${what}: ${where}`, () => {
      expect(sentTo(via, 'udp')).to.deep.equal([where]);
    });
  }

  it('UDP, sent-by with another port than the source, several sockets here: from the one that was asked', async () => {
    const udp = { protocol: 'udp', host: '127.0.0.1', port: 0 } as const;
    const bench = await Bench.start({ listen: [udp, udp, udp] });
    const [from, hears] = [createSocket('udp4'), createSocket('udp4').bind(0, '127.0.0.1')];
    try {
      await once(hears, 'listening');
      for (const { port } of bench.addresses.listen) {
        const heard = once(hears, 'message') as Promise<[Buffer, { port: number }]>;
        const via = `SIP/2.0/UDP 127.0.0.1:${hears.address().port};branch=z9hG4bK${port}`;
        const request = buildRequest('OPTIONS', 'sip:x', [
          ['Via', via],
          ['From', '<sip:a@b>;tag=1'],
          ['To', '<sip:x>'],
          ['Call-ID', String(port)],
          ['CSeq', '1 OPTIONS'],
        ]);
        from.send(request.serialise(), port, '127.0.0.1');
        const [octets, source] = await heard;
        expect(octets.toString()).to.match(/^SIP\/2.0 503 /);
        expect(source.port).to.equal(port);
      }
    } finally {
      from.close();
      hears.close();
      await bench.stop();
    }
  });

  it('a connection that is gone: a new one to received and the port of sent-by; none to a WebSocket', () => {
    const via = 'SIP/2.0/TCP host:5090;received=192.0.2.1;branch=z9hG4bK1';
    expect(sentTo(via, 'tcp')).to.deep.equal(['the flow']);
    expect(sentTo(via, 'tcp', true)).to.deep.equal(['the flow', 'tcp 192.0.2.1:5090']);
    expect(sentTo(via, 'wss', true)).to.deep.equal(['the flow']);
  });
});
