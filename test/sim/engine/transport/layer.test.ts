import { expect } from 'chai';
import { WebSocket } from 'ws';
import { buildResponse } from '../../../../sim/engine/message/index.ts';
import type { BoundPoint, Protocol } from '../../../../sim/engine/transport/index.ts';
import { makeCertificate, options, Party, PROTOCOLS, RawClient, until } from './support.ts';

const LOOPBACKS = ['127.0.0.1', '::1'];
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

describe('RFC 3261 18, RFC 7118: transports', () => {
  let tls: { key: string; cert: string };
  let alice: Party;
  let bob: Party;
  before(async () => {
    tls = await makeCertificate();
  });
  beforeEach(() => {
    alice = new Party({ ca: tls.cert, hosts: { 'sip.test': '127.0.0.1' } });
    bob = new Party();
  });
  afterEach(() => Promise.all([alice.layer.close(), bob.layer.close()]));

  const listen = (party: Party, protocol: Protocol, host = '127.0.0.1'): Promise<BoundPoint> =>
    party.layer.listen({ protocol, host, port: 0, tls });

  for (const protocol of PROTOCOLS) {
    for (const host of LOOPBACKS) {
      it(`${protocol} on ${host}: request, response over the same flow, reuse of the flow`, async () => {
        const from = await listen(alice, protocol, host);
        const to = await listen(bob, protocol, host);
        const request = options('alice.invalid;rport', protocol.toUpperCase());
        const sent = alice.layer.send(request, { protocol, host: bracketed(host), port: to.port }, alice.failed);
        await until('the request', () => bob.messages.length === 1);
        const { message, flow } = bob.messages[0]!;
        expect(message.via).to.include({ received: host, rport: flow.remotePort });
        expect(flow).to.include({ protocol, localAddress: host, localPort: to.port, remoteAddress: host });
        if (protocol === 'udp') expect(flow.remotePort).to.equal(from.port);
        expect(sent).to.include({ localAddress: host, localPort: flow.remotePort, remotePort: to.port });

        bob.layer.sendResponse(buildResponse(message, 200), flow, bob.failed);
        await until('the response', () => alice.messages.length === 1);
        expect(alice.messages[0]!.message.status).to.equal(200);
        expect(alice.messages[0]!.flow.id).to.equal(sent!.id);

        alice.layer.send(request, { protocol, host, port: to.port }, alice.failed);
        bob.layer.send(request, flow, bob.failed);
        await until('both requests', () => bob.messages.length === 2 && alice.messages.length === 2);
        expect(bob.messages[1]!.flow.id).to.equal(flow.id);
        expect([alice.layer.connectionCount, bob.layer.connectionCount]).to.deep.equal(
          protocol === 'udp' ? [0, 0] : [1, 1],
        );
        expect([...alice.failures, ...bob.failures]).to.deep.equal([]);
      });
    }
  }

  it('checks the name in a TLS server’s certificate (RFC 5922 7.1), unless told not to', async () => {
    await listen(alice, 'tls');
    const { port } = await listen(bob, 'tls');
    alice.layer.send(options('a', 'TLS'), { protocol: 'tls', host: 'sip.test', port }, alice.failed);
    await until('the request', () => bob.messages.length === 1);

    const misled = new Party({ ca: tls.cert, hosts: { 'other.test': '127.0.0.1' } });
    const careless = new Party({ verifyPeers: false, hosts: { 'other.test': '127.0.0.1' } });
    try {
      for (const party of [misled, careless]) {
        await listen(party, 'tls');
        party.layer.send(options('a', 'TLS'), { protocol: 'tls', host: 'other.test', port }, party.failed);
      }
      await until('a failure and a success', () => misled.failures.length === 1 && bob.messages.length === 2);
      expect(misled.failures).to.deep.equal(['connect-failed']);
      expect(careless.failures).to.deep.equal([]);
    } finally {
      await Promise.all([misled.layer.close(), careless.layer.close()]);
    }
  });

  it('18.2.2: a response whose connection is gone goes to the sent-by port over another', async () => {
    const from = await listen(alice, 'tcp');
    const to = await listen(bob, 'tcp');
    const request = options(`127.0.0.1:${from.port}`, 'TCP');
    const raw = new RawClient(to.port);
    raw.socket.end(request);
    await until('the request and the end', () => bob.messages.length === 1 && bob.layer.connectionCount === 0);
    const { message, flow } = bob.messages[0]!;
    expect(bob.layer.flow(flow.id)).to.equal(undefined);
    bob.layer.sendResponse(buildResponse(message, 200), flow, bob.failed);
    await until('the response', () => alice.messages.length === 1);
    expect(bob.failures).to.deep.equal([]);
  });

  it('RFC 5923: a peer is found at a few of the ports that it names, however many they are', async () => {
    const to = await listen(bob, 'tcp');
    const raw = new RawClient(to.port);
    for (let i = 0; i < 20; i++) raw.socket.write(options(`127.0.0.1:${100 + i};alias`, 'TCP'));
    await until('the requests', () => bob.messages.length === 20);
    const over = (port: number): boolean =>
      bob.layer.send(Buffer.from('x'), { protocol: 'tcp', host: '127.0.0.1', port })?.remotePort ===
      raw.socket.localPort;
    expect([100, 101, 118, 119].map(over)).to.deep.equal([true, true, false, false]);
    raw.socket.destroy();
  });

  it('RFC 5923: a peer that offers its connection (alias) is reached over it', async () => {
    const to = await listen(bob, 'tcp');
    const raw = new RawClient(to.port);
    raw.socket.write(options('127.0.0.1:5099;alias', 'TCP'));
    await until('the request', () => bob.messages.length === 1);
    const flow = bob.layer.send(options('b', 'TCP'), { protocol: 'tcp', host: '127.0.0.1', port: 5099 }, bob.failed);
    expect(flow?.id).to.equal(bob.messages[0]!.flow.id);
    await until('the request back', () => raw.text.includes('OPTIONS'));
    raw.socket.destroy();
  });

  it('a registered client behind WebSocket is reached over its flow, and not once that is closed', async () => {
    const { port } = await listen(bob, 'wss');
    const client = new WebSocket(`wss://127.0.0.1:${port}`, 'sip', { ca: tls.cert });
    const got: (string | Buffer)[] = [];
    client.on('message', (data: Buffer, binary) => got.push(binary ? data : data.toString()));
    client.on('open', () => client.send(options('x.invalid', 'WSS').toString()));
    await until('the request', () => bob.messages.length === 1);
    expect(client.protocol).to.equal('sip');
    expect(client.extensions).to.equal('');
    const { flow } = bob.messages[0]!;
    bob.layer.send(Buffer.from('text'), flow);
    bob.layer.send(Buffer.from([0xff, 0]), flow);
    client.send('\r\n\r\n');
    await until('a text frame, a binary frame, a pong', () => got.length === 3);
    expect(got).to.deep.equal(['text', Buffer.from([0xff, 0]), '\r\n']);
    client.send(options('x.invalid', 'WSS'));
    await until('the binary request', () => bob.messages.length === 2);
    bob.layer.send(Buffer.from('binary to one who speaks binary'), flow);
    await until('the binary answer', () => got.length === 4);
    expect(got[3]).to.be.instanceOf(Buffer);
    client.close();
    await until('the close', () => bob.closedFlows.length === 1);
    expect(bob.closedFlows[0]!.id).to.equal(flow.id);
    bob.layer.send(Buffer.from('late'), flow, bob.failed);
    await until('the failure', () => bob.failures.length === 1);
    expect(bob.failures).to.deep.equal(['connection-lost']);
  });

  it('RFC 7118 4.1: only the subprotocol "sip", and nothing but WebSocket', async () => {
    const { port } = await listen(bob, 'ws');
    const statuses: (number | undefined)[] = [];
    const client = new WebSocket(`ws://127.0.0.1:${port}`, 'chat');
    client.on('unexpected-response', (request, response) => {
      statuses.push(response.statusCode);
      request.destroy();
    });
    client.on('error', () => undefined);
    const raw = new RawClient(port);
    raw.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('both refusals', () => statuses.length === 1 && raw.ended);
    expect(statuses).to.deep.equal([400]);
    expect(raw.text).to.match(/^HTTP\/1.1 426 /);
    await until('the connections’ end', () => bob.layer.connectionCount === 0);
  });

  it('answers 400 where a layer above finds a header malformed that only it reads, and lives', async () => {
    const strict = new Party({ onMessage: (message) => void message.expires });
    try {
      const { port } = await listen(strict, 'tcp');
      const raw = new RawClient(port);
      const faulty = (method: string): string =>
        options('a', 'TCP').toString().replaceAll('OPTIONS', method).replace('CSeq', 'Expires: soon\r\nCSeq');
      raw.socket.write(faulty('ACK') + faulty('SUBSCRIBE'));
      await until('both refusals and the answer', () => strict.refused.length === 2 && raw.text.includes('\r\n\r\n'));
      expect(strict.refused.map(({ code, refusal }) => [code, refusal])).to.deep.equal([
        ['header-value', 'drop'],
        ['header-value', 400],
      ]);
      expect(raw.text).to.match(/^SIP\/2.0 400 Bad Request\r\n/);
      raw.socket.destroy();
    } finally {
      await strict.layer.close();
    }
  });

  it('RFC 5626 4.4.1: answers a ping on TCP with a pong', async () => {
    const { port } = await listen(bob, 'tcp');
    const raw = new RawClient(port);
    raw.socket.write('\r\n\r\n');
    await until('the pong', () => raw.text === '\r\n');
    raw.socket.destroy();
  });

  it('speaks from the listen point that fits', async () => {
    await listen(bob, 'tcp', '::1');
    const v4 = await listen(bob, 'udp');
    const v6 = await listen(bob, 'udp', '::1');
    expect(bob.layer.localPoint({ protocol: 'udp', host: '127.0.0.9', port: 1 })).to.include(v4);
    expect(bob.layer.localPoint({ protocol: 'udp', host: '[::1]', port: 1 })).to.include(v6);
    expect(bob.layer.localPoint({ protocol: 'tcp', host: '127.0.0.9', port: 1 })).to.equal(undefined);
    expect(bob.layer.listenPoints.map(({ protocol, host }) => `${protocol} ${host}`)).to.deep.equal([
      'tcp ::1',
      'udp 127.0.0.1',
      'udp ::1',
    ]);
  });

  it('localhost is the loopback address, unless the host table says otherwise (RFC 6761 6.3)', async () => {
    const { port } = await listen(bob, 'udp');
    await listen(alice, 'udp');
    alice.layer.send(options('a'), { protocol: 'udp', host: 'LocalHost', port }, alice.failed);
    await until('the request', () => bob.messages.length === 1);
    expect(new Party({ hosts: { localhost: '127.0.0.9' } }).layer.resolve('localhost')).to.equal('127.0.0.9');
  });

  it('7.5: CRLFs before the start line are ignored, in a datagram too', async () => {
    const { port } = await listen(bob, 'udp');
    await listen(alice, 'udp');
    const octets = Buffer.concat([Buffer.from('\r\n\r\n\r\n'), options('a')]);
    alice.layer.send(octets, { protocol: 'udp', host: '127.0.0.1', port }, alice.failed);
    await until('the request', () => bob.messages.length === 1);
    expect(bob.messages[0]!.message.startLine).to.equal('OPTIONS sip:bob@biloxi.com SIP/2.0');
  });

  it('names each failure', async () => {
    const { port } = await listen(alice, 'udp');
    await listen(alice, 'tcp');
    await listen(alice, 'ws');
    const tries = [
      ['unresolvable', 'udp', 'nowhere.test', 5060, 1],
      ['no-listen-point', 'tls', '127.0.0.1', 5061, 1],
      ['message-too-large', 'udp', '127.0.0.1', 5060, 65_508],
      ['connect-failed', 'tcp', '127.0.0.1', 1, 1],
      ['connect-failed', 'ws', '127.0.0.1', 1, 1],
    ] as const;
    for (const [code, protocol, host, toPort, size] of tries) {
      alice.failures.length = 0;
      alice.layer.send(Buffer.alloc(size), { protocol, host, port: toPort }, alice.failed);
      expect(alice.failures, 'not before send returns').to.deep.equal([]);
      await until(code, () => alice.failures.length === 1);
      expect(alice.failures).to.deep.equal([code]);
    }
    const taken = await alice.layer
      .listen({ protocol: 'udp', host: '127.0.0.1', port })
      .catch((error: unknown) => error);
    expect(taken).to.include({ code: 'listen-failed' });
    const keyless = await alice.layer.listen({ protocol: 'tls', host: '127.0.0.1', port: 0 }).catch((e: unknown) => e);
    expect(keyless).to.include({ code: 'listen-failed' });
    await alice.layer.close();
    alice.failures.length = 0;
    alice.layer.send(Buffer.alloc(1), { protocol: 'udp', host: '127.0.0.1', port: 5060 }, alice.failed);
    await until('closed', () => alice.failures.length === 1);
    expect(alice.failures).to.deep.equal(['closed']);
  });
});
