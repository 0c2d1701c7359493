import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeMessage, encodeFrame, FrameReader, STRICT_FRAMES } from '../../../sim/engine/control/framing.ts';
import { RawApp } from './support/app.ts';
import { Bench } from './support/bench.ts';
import { requestText } from './support/peer.ts';
import { settle, until } from './support/wait.ts';

describe('sim/engine: nothing that arrives ends the process', () => {
  let bench: Bench;
  const escaped: unknown[] = [];
  const note = (error: unknown): void => {
    escaped.push(error);
  };
  before(async () => {
    bench = await Bench.start();
    process.on('uncaughtExceptionMonitor', note);
  });
  after(async () => {
    process.off('uncaughtExceptionMonitor', note);
    await bench.stop();
  });

  const alive = async () => {
    const app = await RawApp.connect(bench.addresses.control);
    expect((await app.ask('ping')).tokens[4]).to.equal('pong');
    await app.close();
    expect(escaped).to.deep.equal([]);
    // What only the last line of defence caught.
    expect(bench.log.filter((line) => line.startsWith('warn') && / failed: /.test(line))).to.deep.equal([]);
  };

  it('any octets on the control port', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (octets) => {
        const app = await RawApp.open(bench.addresses.control);
        app.socket.write(octets);
        await settle(3);
        await app.close();
      }),
      { numRuns: 50 },
    );
    await alive();
  });

  it('any frames on the control port: verbs with any tokens and any text', async () => {
    const token = fc.oneof(
      fc.constantFrom('', 'sip', 'proxy', 'route', 'remove_route', 'authenticate', 'ping', 'm1'),
      fc.string(),
    );
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'INVITE sip:a@127.0.0.1:9 SIP/2.0\r\nFrom: <<>\r\nTo: ;;\r\nCSeq: x\r\nRoute: <\r\n\r\n',
        'SIP/2.0 200 OK\r\nContact: <<\r\nCSeq: 1\r\n\r\n',
        'ACK sip:placeholder SIP/2.0\r\n\r\n',
        'CANCEL sip:x SIP/2.0\r\n\r\n',
        'OPTIONS sip:a@[::1 SIP/2.0\r\n\r\n',
        'NOTIFY sip:127.0.0.1:9;transport=tcp SIP/2.0\r\nCall-ID: x\r\nContact: *\r\n\r\n',
      ),
    );
    const app = await bench.app();
    await fc.assert(
      fc.asyncProperty(fc.array(token, { maxLength: 11 }), fc.option(text), async (tokens, sip) => {
        app.sendMessage(tokens.join('|').replaceAll('\r', ' '), sip ?? undefined);
        await settle(2);
      }),
      { numRuns: 200 },
    );
    await alive();
  });

  it('any datagram', async () => {
    const { host, port } = bench.at('udp');
    const socket = createSocket('udp4');
    await bench.app('invite', 'message', 'register', 'subscribe');
    const register = requestText(await bench.peer('udp'), { method: 'REGISTER' }).toString();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          // A sound request with one piece replaced.
          fc
            .tuple(fc.nat(register.length), fc.nat(20), fc.string())
            .map(([at, cut, put]) => Buffer.from(register.slice(0, at) + put + register.slice(at + cut))),
        ),
        async (octets) => {
          socket.send(Buffer.from(octets), port, host);
          await settle(1);
        },
      ),
      { numRuns: 300 },
    );
    socket.close();
    await alive();
  });

  for (const [what, via] of [
    ['an empty Via before a sound one', 'Via: \r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa'],
    ['port 0 to answer to', 'Via: SIP/2.0/UDP 127.0.0.1:0;branch=z9hG4bKa'],
  ] as const) {
    it(`${what}: in a request to be refused, and in one that is passed up`, async () => {
      const peer = await bench.peer();
      const app = await bench.app('options');
      for (const cseq of ['none', '1 OPTIONS']) {
        const lines = [
          `OPTIONS sip:a@b SIP/2.0\r\n${via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>`,
          `Call-ID: via0\r\nCSeq: ${cseq}\r\nContent-Length: 0\r\n\r\n`,
        ];
        peer.send(lines.join('\r\n'));
      }
      if (via.includes(':0')) {
        const { message, transaction } = await app.request('OPTIONS');
        expect((await app.reply(app.answer(message, transaction, 200))).tokens[3]).to.equal('OK');
      } else {
        await until('two refusals, Via and all', () => peer.broken.length === 2);
        peer.broken.length = 0;
      }
      await app.close();
      await alive();
    });
  }

  it('RFC 4475 messages, mutated', async () => {
    const { host, port } = bench.at('udp');
    const socket = createSocket('udp4');
    const app = await bench.app('invite', 'message', 'register', 'subscribe', 'options', 'info', 'notify');
    const folder = new URL('../../../fixtures/rfc4475/', import.meta.url);
    const corpus = readdirSync(folder)
      .filter((name) => name.endsWith('.dat'))
      .map((name) => readFileSync(new URL(name, folder)));
    const piece = fc.constantFrom(
      '\r\n',
      '\0',
      ':',
      '"',
      '<',
      ',',
      ';tag=',
      ';rport',
      ':0',
      'l: -1\r\n',
      'Via: \r\n',
      '@',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...corpus),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(30), piece), {
          minLength: 1,
          maxLength: 4,
        }),
        async (message, changes) => {
          let octets = message;
          for (const [where, cut, put] of changes) {
            const at = Math.floor(where * octets.length);
            octets = Buffer.concat([octets.subarray(0, at), Buffer.from(put), octets.subarray(at + cut)]);
          }
          // To the listener, and from an application.
          socket.send(octets, port, host);
          app.send('sip||', octets.subarray(0, 8000));
          await settle(1);
        },
      ),
      { numRuns: 500 },
    );
    socket.close();
    await app.close();
    await settle();
    await alive();
  });

  it('an application’s malformed To and From: NOK, nothing is sent', async () => {
    const app = await bench.app();
    const peer = await bench.peer();
    const before = bench.engine.figures;
    for (const header of ['To: <sip:broken', 'From: "x <sip:a@b>']) {
      for (const method of ['SUBSCRIBE', 'MESSAGE', 'INVITE']) {
        const reply = await app.ask('sip||', `${method} sip:a@127.0.0.1:${peer.port} SIP/2.0\r\n${header}\r\n\r\n`);
        expect(reply.tokens[3], header).to.equal('NOK');
      }
    }
    const { dialogs, clientTransactions } = before;
    expect(bench.engine.figures).to.include({ dialogs, clientTransactions });
    await alive();
  });

  it('an application’s malformed headers come back as NOK or go out, and do no harm', async () => {
    const app = await bench.app('options');
    const peer = await bench.peer('tcp');
    peer.send(requestText(peer, { method: 'OPTIONS' }));
    const { transaction } = await app.request('OPTIONS');
    const id = app.send(`sip|${transaction}|`, 'SIP/2.0 200 OK\r\nContact: <sip:broken\r\nExpires: soon\r\n\r\n');
    expect((await app.reply(id)).tokens[3]).to.equal('OK');
    await until('the response', () => peer.broken.length === 1);
    peer.broken.length = 0;
    await alive();
  });
});

describe('sim/engine: control frames', () => {
  it('property: any messages, cut anywhere, are read as they were written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.stringMatching(/^[a-z0-9|;=-]{1,40}$/), fc.option(fc.uint8Array({ maxLength: 300 }))), {
          maxLength: 8,
        }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (messages, cuts) => {
          const stream = Buffer.concat(
            messages.map(([leader, sip]) => encodeFrame(leader, sip === null ? undefined : Buffer.from(sip))),
          );
          const reader = new FrameReader(STRICT_FRAMES);
          const read: [string, string | undefined][] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = cuts[i % cuts.length]!;
            reader.push(stream.subarray(at, at + size), (message) => {
              const { tokens, sip } = decodeMessage(message);
              read.push([tokens.join('|'), sip?.toString('hex')]);
            });
            at += size;
          }
          expect(read).to.deep.equal(
            messages.map(([leader, sip]) => [leader, sip === null ? undefined : Buffer.from(sip).toString('hex')]),
          );
        },
      ),
    );
  });

  it('LENGTH has five digits at most in strict mode, leading zeros or not', () => {
    const read = (octets: string): string[] => {
      const messages: string[] = [];
      new FrameReader(STRICT_FRAMES).push(Buffer.from(octets), (message) => messages.push(message.toString()));
      return messages;
    };
    expect(read('00007#id|ping')).to.deep.equal(['id|ping']);
    expect(() => read('000007#id|ping'))
      .to.throw('more than 5 digits')
      .with.property('code', 'ERR_CONTROL_FRAME');
  });

  it('LENGTH counts octets, not characters', () => {
    const frame = encodeFrame('id|ping', Buffer.from('é', 'utf8'));
    expect(frame.toString('latin1')).to.match(/^11#id\|ping\r\n/);
  });
});
