import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { makeCertificate, options, Party, until } from './support.ts';

describe('a connection follows the name that it was asked for until it is established', () => {
  let tls: { key: string; cert: string };
  const parties: Party[] = [];
  const servers: Server[] = [];
  const party = (given: ConstructorParameters<typeof Party>[0] = {}): Party => {
    const one = new Party(given);
    parties.push(one);
    return one;
  };
  before(async () => {
    tls = await makeCertificate();
  });
  afterEach(async () => {
    await Promise.all(parties.splice(0).map(({ layer }) => layer.close()));
    for (const server of servers.splice(0)) server.close();
  });

  for (const protocol of ['tcp', 'tls'] as const) {
    it(`${protocol}: refused at the old address, it goes to the new one and the message with it`, async () => {
      const hosts = { 'sip.test': '127.0.0.2' };
      const [alice, bob] = [party({ ca: tls.cert, hosts }), party()];
      await alice.layer.listen({ protocol, host: '127.0.0.1', port: 0, tls });
      const { port } = await bob.layer.listen({ protocol, host: '127.0.0.1', port: 0, tls });
      const to = { protocol, host: 'sip.test', port };
      const flow = alice.layer.send(options('a', protocol.toUpperCase()), to, alice.failed);
      expect(flow!.remoteAddress).to.equal('127.0.0.2');
      hosts['sip.test'] = '127.0.0.1';
      await until('the request', () => bob.messages.length === 1);
      expect(alice.layer.flow(flow!.id)).to.include({ remoteAddress: '127.0.0.1', remotePort: port });
      expect(alice.layer.send(options('b', protocol.toUpperCase()), to, alice.failed)).to.equal(flow);
      await until('the second over the same flow', () => bob.messages.length === 2);
      expect(bob.messages[1]!.flow.id).to.equal(bob.messages[0]!.flow.id);
      expect([alice.failures, alice.closedFlows, alice.layer.connectionCount]).to.deep.equal([[], [], 1]);
    });
  }

  it('a host that says nothing is left as soon as the name is known to lead elsewhere', async () => {
    // TLS towards somebody who takes the connection and never shakes hands.
    let taken = 0;
    const silent = createServer((socket) => {
      taken += 1;
      socket.on('error', () => {});
    });
    servers.push(silent);
    const clock = new ManualClock();
    const hosts = { 'sip.test': '127.0.0.2' };
    const [alice, bob] = [party({ clock, ca: tls.cert, hosts }), party()];
    await alice.layer.listen({ protocol: 'tls', host: '127.0.0.1', port: 0, tls });
    const { port } = await bob.layer.listen({ protocol: 'tls', host: '127.0.0.1', port: 0, tls });
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.2', resolve));
    const to = { protocol: 'tls', host: 'sip.test', port } as const;
    alice.layer.send(options('a', 'TLS'), to, alice.failed);
    await until('the connection', () => taken === 1);
    clock.advance(1000);
    hosts['sip.test'] = '127.0.0.1';
    clock.advance(250);
    await until('the request', () => bob.messages.length === 1);
    expect(alice.failures).to.deep.equal([]);
    // Who lives at the old address now gets a connection of its own.
    alice.layer.send(options('b', 'TLS'), { ...to, host: '127.0.0.2' }, alice.failed);
    await until('a second connection there', () => taken === 2);
    clock.advance(5000);
    await until('its end', () => alice.failures.length === 1);
    expect(alice.failures).to.deep.equal(['connect-timeout']);
    expect(clock.pending, 'the timers of the open connection').to.equal(1);
  });

  it('a name that leads where it led fails as any address does, in the time of one connection', async () => {
    const clock = new ManualClock();
    const refused = party({ hosts: { 'sip.test': '127.0.0.2' } });
    const { port } = await refused.layer.listen({ protocol: 'tcp', host: '127.0.0.1', port: 0 });
    refused.layer.send(options('a', 'TCP'), { protocol: 'tcp', host: 'sip.test', port }, refused.failed);
    await until('the failure', () => refused.failures.length === 1);
    expect(refused.failures).to.deep.equal(['connect-failed']);

    const silent = createServer((socket) => socket.on('error', () => {}));
    servers.push(silent);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.2', resolve));
    const alice = party({ clock, ca: tls.cert, hosts: { 'sip.test': '127.0.0.2' } });
    await alice.layer.listen({ protocol: 'tls', host: '127.0.0.1', port: 0, tls });
    const at = (silent.address() as { port: number }).port;
    alice.layer.send(options('a', 'TLS'), { protocol: 'tls', host: 'sip.test', port: at }, alice.failed);
    clock.advance(4999);
    expect(alice.failures).to.deep.equal([]);
    clock.advance(1);
    await until('the time-out', () => alice.failures.length === 1);
    expect(alice.failures).to.deep.equal(['connect-timeout']);
    expect(clock.pending).to.equal(0);
  });
});
