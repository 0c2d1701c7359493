import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import type { Protocol, TransportLimits } from '../../../../sim/engine/transport/index.ts';
import { makeCertificate, options, Party, RawClient, until } from './support.ts';

const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: sip',
  '\r\n',
].join('\r\n');

/** A binary frame of a client, masked with zeros (RFC 6455 5.2). */
function webSocketFrame(payload: Buffer): Buffer {
  const head = Buffer.from([0x82, 0xfe, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

describe('Limits of the transports: each is answered or closed in a defined way', () => {
  let tls: { key: string; cert: string };
  let clock: ManualClock;
  let bob: Party;
  before(async () => {
    tls = await makeCertificate();
  });
  beforeEach(() => {
    clock = new ManualClock();
  });
  afterEach(() => bob.layer.close());

  async function start(protocol: Protocol, limits: Partial<TransportLimits>): Promise<number> {
    bob = new Party({ clock, limits });
    return (await bob.layer.listen({ protocol, host: '127.0.0.1', port: 0, tls })).port;
  }

  it('connections: one too many is closed at once, the others stay', async () => {
    const port = await start('tcp', { connections: 2 });
    const clients = [new RawClient(port), new RawClient(port)];
    await until('two connections', () => bob.layer.connectionCount === 2);
    const third = new RawClient(port);
    await until('its end', () => third.ended);
    expect(clients.map(({ ended }) => ended)).to.deep.equal([false, false]);
    bob.layer.send(Buffer.from('x'), { protocol: 'tcp', host: '127.0.0.1', port: 1 }, bob.failed);
    await until('a failure', () => bob.failures.length === 1);
    expect(bob.failures).to.deep.equal(['too-many-connections']);
    for (const { socket } of clients) socket.destroy();
  });

  for (const protocol of ['tls', 'ws', 'wss'] as const) {
    it(`half-open ${protocol} handshakes: one too many is closed, and none outlives its time`, async () => {
      const port = await start(protocol, { halfOpen: 1, handshakeMs: 1000 });
      const first = new RawClient(port);
      await until('a half-open connection', () => bob.layer.connectionCount === 1);
      const second = new RawClient(port);
      await until('the second’s end', () => second.ended);
      expect(first.ended).to.equal(false);
      clock.advance(999);
      expect(bob.layer.connectionCount).to.equal(1);
      clock.advance(1);
      await until('the first’s end', () => first.ended);
      expect(bob.layer.connectionCount).to.equal(0);
      expect(clock.pending).to.equal(0);
    });
  }

  it('idleMs: silence ends a connection, input puts it off', async () => {
    const port = await start('tcp', { idleMs: 1000 });
    const client = new RawClient(port);
    await until('the connection', () => bob.layer.connectionCount === 1);
    clock.advance(700);
    client.socket.write(options('a', 'TCP'));
    await until('the request', () => bob.messages.length === 1);
    clock.advance(999);
    expect(bob.layer.connectionCount).to.equal(1);
    clock.advance(1);
    await until('the end', () => client.ended);
    expect(bob.closedFlows).to.have.length(1);
  });

  it('messageMs: a message that dribbles in is given up', async () => {
    const port = await start('tcp', { messageMs: 1000, idleMs: 100_000 });
    const client = new RawClient(port);
    const octets = options('a', 'TCP');
    client.socket.write(octets);
    await until('the request', () => bob.messages.length === 1);
    clock.advance(5000);
    for (let i = 0; i < 3; i++) {
      const seen = client.socket.bytesWritten;
      client.socket.write(octets.subarray(i * 10, i * 10 + 10));
      await until('the octets', () => client.socket.bytesWritten > seen);
      await new Promise((resolve) => setTimeout(resolve, 5));
      clock.advance(500);
    }
    await until('the end', () => client.ended);
  });

  it('messageMs: a busy connection whose reads all end within a message stays', async () => {
    const port = await start('tcp', { messageMs: 1000, idleMs: 100_000 });
    const client = new RawClient(port);
    const octets = options('a', 'TCP');
    client.socket.write(octets.subarray(0, 10));
    for (let i = 1; i <= 5; i++) {
      client.socket.write(Buffer.concat([octets.subarray(10), octets.subarray(0, 10)]));
      await until('the request', () => bob.messages.length === i);
      clock.advance(500);
    }
    expect(bob.layer.connectionCount).to.equal(1);
    expect(client.ended).to.equal(false);
    clock.advance(1000);
    await until('the end of the one that dribbles', () => client.ended);
  });

  it('messageMs: a WebSocket message that dribbles in is given up, a connection between two messages is not', async () => {
    const port = await start('ws', { messageMs: 1000, idleMs: 10_000_000 });
    const client = new RawClient(port);
    client.socket.write(UPGRADE);
    await until('the upgrade', () => client.text.startsWith('HTTP/1.1 101 '));
    client.socket.write(webSocketFrame(options('a.invalid', 'WS')));
    await until('the request', () => bob.messages.length === 1);
    clock.advance(5000);
    expect(bob.layer.connectionCount).to.equal(1);
    client.socket.write(webSocketFrame(Buffer.alloc(60_000)).subarray(0, 100));
    await until('the end', () => {
      client.socket.write('x');
      clock.advance(50);
      return client.ended;
    });
  });

  it('backlogBytes: a peer that does not read is cut off', async () => {
    const port = await start('tcp', { backlogBytes: 100_000 });
    const client = new RawClient(port);
    client.socket.pause();
    client.socket.write(options('a', 'TCP'));
    await until('the request', () => bob.messages.length === 1);
    const { flow } = bob.messages[0]!;
    for (let i = 0; i < 400 && bob.failures.length === 0; i++) {
      bob.layer.send(Buffer.alloc(50_000), flow, bob.failed);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the failure', () => bob.failures.length > 0);
    expect(bob.failures).to.include('backlog-full');
    expect(bob.layer.flow(flow.id)).to.equal(undefined);
    client.socket.destroy();
  });

  for (const protocol of ['tls', 'ws'] as const) {
    it(`connectMs: an outgoing ${protocol} connection that gets no answer`, async () => {
      await start(protocol, { connectMs: 1000 });
      const silent = createServer(() => undefined);
      const accepted = new Promise((resolve) => silent.once('connection', resolve));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as AddressInfo;
      bob.layer.send(Buffer.from('x'), { protocol, host: '127.0.0.1', port }, bob.failed);
      await accepted;
      clock.advance(1000);
      await until('the failure', () => bob.failures.length === 1);
      expect(bob.failures).to.deep.equal(['connect-timeout']);
      await new Promise((resolve) => silent.close(resolve));
    });
  }

  it('headers without end on TCP: 400 cannot be said, the connection closes', async () => {
    const port = await start('tcp', { headBytes: 500 });
    const client = new RawClient(port);
    client.socket.write('x'.repeat(100_000));
    await until('the end', () => client.ended);
    expect(bob.refused.map(({ code }) => code)).to.deep.equal(['headers-too-large']);
    expect(client.text).to.equal('');
  });

  const broken: [string, (text: string) => string, string][] = [
    ['a header section over headBytes', (text) => text.replace('CSeq', `X: ${'x'.repeat(600)}\r\nCSeq`), '400'],
    ['a body over bodyBytes', (text) => text.replace('Content-Length: 0', 'Content-Length: 101'), '413'],
    ['no Content-Length', (text) => text.replace('Content-Length: 0\r\n', ''), '400'],
    ['two Content-Lengths', (text) => text.replace('Content-Length: 0', 'Content-Length: 0\r\nl: 0'), '400'],
  ];
  for (const [what, change, status] of broken) {
    it(`${what} on TCP: ${status}, then the connection closes, the rest unread`, async () => {
      const port = await start('tcp', { headBytes: 500, bodyBytes: 100 });
      const client = new RawClient(port);
      const sound = options('a', 'TCP').toString();
      client.socket.write(change(sound) + sound);
      await until('the end', () => client.ended);
      expect(client.text).to.match(new RegExp(`^SIP/2.0 ${status} `));
      expect(client.text.match(/SIP\/2\.0 \d/g)).to.have.length(1);
      expect(bob.messages).to.have.length(0);
    });
  }

  it('headerCount on TCP: 400, and the connection stays, since the next message is known', async () => {
    const port = await start('tcp', { headerCount: 7 });
    const client = new RawClient(port);
    const sound = options('a', 'TCP').toString();
    client.socket.write(sound.replace('CSeq', 'X: y\r\nCSeq') + sound);
    await until('the sound request', () => bob.messages.length === 1);
    await until('the answer', () => client.text.startsWith('SIP/2.0 400 Bad Request'));
    expect(client.ended).to.equal(false);
    client.socket.destroy();
  });

  it('a WebSocket message over headBytes and bodyBytes: closed with 1009', async () => {
    const port = await start('ws', { headBytes: 500, bodyBytes: 500 });
    const client = new WebSocket(`ws://127.0.0.1:${port}`, 'sip');
    let closed = 0;
    client.on('open', () => client.send('x'.repeat(1001)));
    client.on('error', () => undefined);
    client.on('close', (code) => {
      closed = code;
    });
    await until('the close', () => closed !== 0);
    expect(closed).to.be.oneOf([1006, 1009]);
    await until('the flow’s end', () => bob.layer.connectionCount === 0);
  });

  it('8.2.7: a faulty request that is repeated gets the same answer, To tag included; another gets another', async () => {
    const port = await start('tcp', {});
    const client = new RawClient(port);
    const faulty = (callId: string): Buffer => Buffer.from(options('a', 'TCP', callId).toString().replace('70', '256'));
    for (const callId of ['c1', 'c1', 'c2']) client.socket.write(faulty(callId));
    await until('three answers', () => client.text.split('\r\n\r\n').length === 4);
    const [first, second, third] = client.text.match(/;tag=[0-9a-f]{16}\r/g)!;
    expect(second).to.equal(first);
    expect(third).to.not.equal(first);
    client.socket.destroy();
  });

  it('over UDP: faulty requests get their status, faulty responses and ACKs nothing', async () => {
    const port = await start('udp', { headBytes: 500, bodyBytes: 100 });
    const socket = createSocket('udp4');
    const got: string[] = [];
    socket.on('message', (octets) => got.push(octets.toString()));
    const sound = options('a.invalid;rport').toString();
    for (const text of [
      sound.replaceAll('OPTIONS', 'ACK').replace('CSeq: 1 ACK', 'CSeq: x ACK'),
      sound.replace('OPTIONS sip:bob@biloxi.com SIP/2.0', 'SIP/2.0 999 Odd'),
      'nonsense\r\n\r\n',
      '\r\n\r\n',
      sound.replace('SIP/2.0\r\n', 'SIP/3.0\r\n'),
      sound.replace('Content-Length: 0', 'Content-Length: 101'),
      sound.replace('CSeq', `X: ${'x'.repeat(600)}\r\nCSeq`),
      sound.replace(/Via: [^\r]*/, 'Via: broken'),
    ]) {
      socket.send(text, port, '127.0.0.1');
    }
    await until('four answers', () => got.length === 4);
    expect(got.map((text) => text.slice(8, 11))).to.deep.equal(['505', '413', '400', '400']);
    expect(got[0]).to.match(/;rport=\d+;received=127\.0\.0\.1\r\n/);
    expect(got[0]).to.match(/\r\nTo: <sip:bob@biloxi\.com>;tag=/);
    expect(bob.messages).to.have.length(0);
    expect(bob.refused).to.have.length(7);
    socket.close();
  });
});
