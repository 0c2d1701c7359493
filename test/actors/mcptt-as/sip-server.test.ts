import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { SipServer } from '../../../actors/mcptt-as/sip-server.ts';
import type { Log } from '../../../sim/control/actor.ts';
import { quiet, startWorld, until } from './world.ts';

const frame = (text: string): string => `${Buffer.byteLength(text)}#${text}`;
const rejected = (running: Promise<unknown>): Promise<Error> =>
  running.then(
    () => new Error('it was answered'),
    (error: Error) => error,
  );

describe("the MCPTT server's end of the SIP engine", () => {
  it('stops with half a frame in hand, does not choke on the other half, and lets go of what waits', async () => {
    const message =
      'm2|sip|network|300|tcp|127.0.0.1|1|00:00:00.000000|t1||127.0.0.1|5060|\r\nOPTIONS sip:x SIP/2.0\r\n\r\n';
    const half = frame(message).indexOf('OPTIONS');
    let asked = '';
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    // A control port by hand: drachtio's frames, one of them in two halves around the stop.
    const port = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (octets) => {
        asked += octets.toString();
      });
      socket.once('data', (octets) => {
        const id = /#([^|]+)\|authenticate/.exec(octets.toString())![1]!;
        const hostports = 'tcp/127.0.0.1:5060';
        socket.write(frame(`m1|response|${id}|OK|${hostports}|v0.9.0|${hostports}`) + frame(message).slice(0, half));
      });
      socket.on('end', () => {
        socket.end(frame(message).slice(half) + frame(message));
        end();
      });
    });
    await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
    const warnings: string[] = [];
    const log: Log = { ...quiet, warn: (_, text) => warnings.push(text), error: (_, text) => warnings.push(text) };
    try {
      const server = await SipServer.connect({
        engine: { host: '127.0.0.1', port: (port.address() as AddressInfo).port, secret: 'x' },
        report: () => undefined,
        log,
        handlers: {},
      });
      const waiting = rejected(server.request({ method: 'MESSAGE', uri: 'sip:ue-1@home' }));
      await until('the request has reached the engine', () => asked.includes('MESSAGE sip:ue-1@home'));
      server.stop();
      expect(await waiting).to.include({ code: 'MCPTT_AS_NO_ANSWER' });
      await ended;
      expect(warnings).to.deep.equal([]);
    } finally {
      await new Promise((resolve) => port.close(resolve));
    }
  });

  it('a world that is closed in the middle of traffic warns of nothing', async () => {
    const warnings: string[] = [];
    const world = await startWorld({
      log: { ...quiet, warn: (_, text) => warnings.push(text), error: (_, text) => warnings.push(text) },
    });
    const [a, b] = world.ues;
    await world.bind(a, 'alice');
    await world.bind(b, 'bob');
    const running = Array.from({ length: 20 }, (_, i) =>
      a.sendMessage('alice', 'sip:bob@mcptt.example', `m${i}`, []).catch(() => undefined),
    );
    await until('messages are under way', () => b.clientOf('bob').inbox.length > 0);
    // The servers go first: what is under way has nobody to answer it.
    await world.server.stop();
    await world.core.stop();
    await world.close();
    await Promise.allSettled(running);
    expect(warnings).to.deep.equal([]);
  });
});
