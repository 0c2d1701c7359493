import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { answerAkaChallenge, formatCredentials, initialCredentials } from '../../../actors/ue/sip/aka-credentials.ts';
import { Usim } from '../../../actors/ue/usim.ts';
import { loadFixtures } from '../../../fixtures/load.ts';
import { type OpenWorld, openWorld } from '../../../sim/cli/world.ts';
import { headerOf, headText } from '../../../sim/trace/describe.ts';

/** One way to the core: sends a message, gives the next one that comes back, within five seconds. */
interface Way {
  readonly via: string;
  ask(message: string): Promise<Buffer>;
  close(): void;
}

const soon = { signal: undefined as AbortSignal | undefined };

async function byStream(host: string, port: number, tls: boolean): Promise<Way> {
  // Who the core is, is tested elsewhere; here it is how it can be reached.
  const socket = tls ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
  await once(socket, tls ? 'secureConnect' : 'connect', soon);
  return {
    via: tls ? 'TLS' : 'TCP',
    ask: async (message) => {
      socket.write(message);
      return ((await once(socket, 'data', soon)) as [Buffer])[0];
    },
    close: () => socket.destroy(),
  };
}

async function byDatagram(host: string, port: number): Promise<Way> {
  const socket = createSocket('udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  return {
    via: 'UDP',
    ask: async (message) => {
      socket.send(message, port, host);
      return ((await once(socket, 'message', soon)) as [Buffer])[0];
    },
    close: () => socket.close(),
  };
}

async function byWebSocket(url: string): Promise<Way> {
  const socket = new WebSocket(url, 'sip', { rejectUnauthorized: false });
  await once(socket, 'open', soon);
  return {
    via: url.startsWith('wss') ? 'WSS' : 'WS',
    ask: async (message) => {
      socket.send(message);
      return ((await once(socket, 'message', soon)) as [Buffer])[0];
    },
    close: () => socket.terminate(),
  };
}

describe('SIP-1 over every transport, in the testbed as it starts (step 1)', () => {
  let world: OpenWorld;
  let endpoints: Record<string, string>;
  const { network, subscribers } = loadFixtures();
  const subscriber = subscribers[2]!;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: [] });
    endpoints = await world.actors.get('sip-core')!.read('endpoints');
  });
  beforeEach(() => {
    soon.signal = AbortSignal.timeout(5_000);
  });
  after(() => world.close());

  const ways: Record<string, (at: string) => Promise<Way>> = {
    udp: (at) => byDatagram(...placeOf(at)),
    tcp: (at) => byStream(...placeOf(at), false),
    tls: (at) => byStream(...placeOf(at), true),
    ws: byWebSocket,
    wss: byWebSocket,
  };
  for (const [name, open] of Object.entries(ways)) {
    it(`a UE registers over ${name.toUpperCase()}`, async () => {
      const way = await open(endpoints[name]!);
      try {
        const usim = new Usim(subscriber);
        const register = (cseq: number, credentials: string): Promise<Buffer> =>
          way.ask(
            [
              `REGISTER sip:${network.homeDomain} SIP/2.0`,
              `Via: SIP/2.0/${way.via} ue.invalid;branch=z9hG4bK-${name}-${cseq};rport`,
              'Max-Forwards: 70',
              `From: <${subscriber.impus[0]}>;tag=${name}`,
              `To: <${subscriber.impus[0]}>`,
              `Call-ID: ${name}@ue.invalid`,
              `CSeq: ${cseq} REGISTER`,
              `Contact: <sip:ue@ue.invalid;transport=${name}>`,
              'Expires: 600',
              `Authorization: ${credentials}`,
              'Content-Length: 0',
              '\r\n',
            ].join('\r\n'),
          );
        const challenge = await register(1, formatCredentials(initialCredentials(usim.impi, network.homeDomain)));
        expect(headText(challenge)).to.match(/^SIP\/2\.0 401 /);
        const { credentials } = answerAkaChallenge(usim, headerOf(challenge, 'WWW-Authenticate'));
        const ok = await register(2, formatCredentials(credentials!));
        expect(headText(ok)).to.match(/^SIP\/2\.0 200 /);
        expect(headerOf(ok, 'Contact')).to.include(`<sip:ue@ue.invalid;transport=${name}>`);
      } finally {
        way.close();
      }
    });
  }
});

/** Host and port of a SIP URI with a numeric host. */
function placeOf(uri: string): [string, number] {
  const { host, port } = /^sip:(?<host>[\d.]+):(?<port>\d+)/.exec(uri)!.groups as { host: string; port: string };
  return [host, Number(port)];
}
