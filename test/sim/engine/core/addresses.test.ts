import { expect } from 'chai';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { LocalAddresses, parseRouteUri, targetOf } from '../../../../sim/engine/core/addresses.ts';
import { addressTowards } from '../../../../sim/engine/core/interfaces.ts';
import { parseUri } from '../../../../sim/engine/message/index.ts';
import { TransportLayer } from '../../../../sim/engine/transport/index.ts';

const machine = [
  { address: '127.0.0.1', cidr: '127.0.0.1/8', internal: true },
  { address: '10.1.0.5', cidr: '10.1.0.5/16', internal: false },
  { address: '172.18.0.3', cidr: '172.18.0.3/24', internal: false },
  { address: 'fd00::5', cidr: 'fd00::5/64', internal: false },
];

describe('sim/engine: where a URI leads (RFC 3263 without DNS)', () => {
  for (const [uri, expected] of [
    ['sip:a@10.0.0.1', 'udp 10.0.0.1 5060'],
    ['sip:a@10.0.0.1:5070', 'udp 10.0.0.1 5070'],
    ['sip:a@10.0.0.1;transport=TCP', 'tcp 10.0.0.1 5060'],
    ['sip:a@10.0.0.1;transport=tls', 'tls 10.0.0.1 5061'],
    ['sips:a@10.0.0.1', 'tls 10.0.0.1 5061'],
    ['sips:a@10.0.0.1;transport=ws', 'wss 10.0.0.1 443'],
    ['sip:a@x.invalid;transport=ws', 'ws x.invalid 80'],
    ['sip:a@x;maddr=10.0.0.9', 'udp 10.0.0.9 5060'],
    ['sip:a@[fd00::1]:5062', 'udp [fd00::1] 5062'],
    ['sip:a@10.0.0.1;transport=sctp', undefined],
    ['tel:+15550101', undefined],
    ['urn:service:sos', undefined],
  ] as const) {
    it(`${uri} → ${expected ?? 'nowhere'}`, () => {
      const target = targetOf(parseUri(uri)!);
      expect(target && `${target.protocol} ${target.host} ${target.port}`).to.equal(expected);
    });
  }

  it('a route may come with or without angle brackets', () => {
    expect(parseRouteUri('<sip:p@h:1;lr>;x=y')!.port).to.equal(1);
    expect(parseRouteUri('sip:p@h:1;lr')!.port).to.equal(1);
    expect(parseRouteUri('"a > b < c" <sip:p@h:1;lr>')!.port).to.equal(1);
    expect(parseRouteUri('"<sip:p@h:1;lr')).to.equal(undefined);
  });
});

describe('sim/engine: a machine with several networks, sockets that listen on all', () => {
  for (const [remote, own] of [
    ['127.0.0.1', '127.0.0.1'],
    ['10.1.44.2', '10.1.0.5'],
    ['172.18.0.9', '172.18.0.3'],
    ['8.8.8.8', '10.1.0.5'],
    ['fd00::77', 'fd00::5'],
  ] as const) {
    it(`${remote} reaches us at ${own}`, () => {
      expect(addressTowards(remote, machine)).to.equal(own);
    });
  }

  describe('as the engine names itself', () => {
    let transport: TransportLayer;
    let local: LocalAddresses;
    let port: number;
    beforeEach(async () => {
      transport = new TransportLayer({
        clock: new ManualClock(),
        onMessage: () => undefined,
        hosts: { self: '10.1.0.5', other: '10.1.0.6' },
      });
      ({ port } = await transport.listen({ protocol: 'udp', host: '0.0.0.0', port: 0 }));
      local = new LocalAddresses(transport, () => machine);
    });
    afterEach(() => transport.close());

    it('a neighbour with the same port is not ourselves', () => {
      expect(local.isOwn(parseUri(`sip:x@self:${port}`)!)).to.equal(true);
      expect(local.isOwn(parseUri(`sip:x@127.0.0.1:${port}`)!)).to.equal(true);
      expect(local.isOwn(parseUri(`sip:x@other:${port}`)!)).to.equal(false);
      expect(local.isOwn(parseUri(`sip:x@self:${port + 1}`)!)).to.equal(false);
    });

    it('Via and Contact bear an address that the other end can reach', () => {
      const point = local.pointFor({ protocol: 'udp', host: '172.18.0.9', port: 5060 })!;
      expect(local.contact(point)).to.equal(`<sip:172.18.0.3:${port}>`);
    });

    it('authenticate lists every address', () => {
      expect(local.hostports()).to.equal(`udp/127.0.0.1:${port},udp/10.1.0.5:${port},udp/172.18.0.3:${port}`);
    });
  });
});
