import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Engine } from '../../../../sim/engine/index.ts';
import { connectSrf, newSrf, type Srf } from '../support/srf.ts';
import { RawClient, until } from './support.ts';

const folder = new URL('../../../../fixtures/rfc4475/', import.meta.url);
interface Entry {
  readonly name: string;
  readonly section: string;
  readonly start_line: string;
}
const { messages } = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as { messages: Entry[] };

/**
 * What the running engine does with a message, in strict mode: the status it answers with, `up` (the application sees
 * it, and answers 200), `silence` (responses nobody waits for, methods that drachtio-server drops without a word), or
 * `closed` (the application sees it, but what follows on the stream is no SIP).
 */
type Outcome = number | 'up' | 'silence' | 'closed';

const UDP: Readonly<Record<string, Outcome>> = {
  wsinv: 481, // its To tag belongs to no dialog here
  intmeth: 'silence',
  esc01: 'up',
  escnull: 'up',
  esc02: 'silence',
  lwsdisp: 'up',
  longreq: 'up',
  dblreq: 'up',
  semiuri: 'up',
  transports: 'up',
  mpart01: 400, // strict mode: NUL octets in the body
  unreason: 'silence',
  noreason: 'silence',
  badinv01: 400,
  clerr: 400,
  ncl: 400,
  scalar02: 400,
  scalarlg: 'silence',
  quotbal: 400,
  ltgtruri: 400,
  lwsruri: 400,
  lwsstart: 400,
  trws: 400,
  escruri: 'up',
  baddate: 'up',
  regbadct: 400,
  badaspec: 400,
  baddn: 400,
  badvers: 505,
  mismatch01: 400,
  mismatch02: 400,
  bigcode: 'silence',
  badbranch: 400,
  insuf: 400,
  unkscm: 'up',
  novelsc: 'up',
  unksm2: 'up',
  bext01: 'up',
  invut: 'up',
  regaut01: 'up',
  multi01: 400,
  mcl01: 400,
  bcast: 'silence',
  zeromf: 'up',
  cparam01: 'up',
  cparam02: 'up',
  regescrt: 'up',
  sdp01: 'up',
  inv2543: 'up',
};

/** On a stream no message may lack its length, and a body that does not come is waited for. */
const TCP: Readonly<Record<string, Outcome>> = {
  ...UDP,
  clerr: 'silence',
  dblreq: 'closed',
  baddn: 'silence',
  inv2543: 400,
};

let probes = 0;

/** A request that is sure to be answered; each is a transaction of its own. */
const probe = (): string =>
  [
    'OPTIONS sip:probe@example.com SIP/2.0',
    `Via: SIP/2.0/UDP probe.invalid;rport;branch=z9hG4bKprobe${++probes}`,
    'From: <sip:probe@example.com>;tag=probe',
    'To: <sip:probe@example.com>',
    'Call-ID: probe',
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

/** The octets with an rport in the top Via, so that the answer comes back here and not to a host of 2006. */
function fromHere(name: string): Buffer {
  const text = readFileSync(new URL(`${name}.dat`, folder)).toString('latin1');
  return Buffer.from(text.replace(/^(v(?:ia)?\s*:[^\r,;]*(?:\r\n[ \t][^\r,;]*)*)/im, '$1;rport '), 'latin1');
}

const statusOf = (text: string): number => Number(/SIP\/2\.0 ([2-6]\d\d) /.exec(text)?.[1]);

describe('RFC 4475 torture tests, the running engine', () => {
  let engine: Engine;
  let srf: Srf;
  let ports: { udp: number; tcp: number };
  /** Call-IDs that the application saw. */
  let seen: Set<string>;

  // A new engine for each: several messages share a branch, and would be retransmissions of one another.
  beforeEach(async () => {
    const host = '127.0.0.1';
    engine = new Engine({
      listen: [
        { protocol: 'udp', host, port: 0 },
        { protocol: 'tcp', host, port: 0 },
      ],
      control: { host, port: 0, secret: 'cymru' },
    });
    const { control, listen } = await engine.start();
    ports = { udp: listen[0]!.port, tcp: listen[1]!.port };
    srf = newSrf();
    seen = new Set();
    for (const method of ['invite', 'register', 'options', 'message']) {
      srf.use(method, (request, response) => {
        seen.add(request.get('call-id'));
        response.send(200);
      });
    }
    await connectSrf(srf, control);
  });
  afterEach(async () => {
    srf.disconnect();
    await engine.stop();
  });

  const judge = (answers: string, expected: Outcome): void => {
    const ours = [...seen].filter((callId) => callId !== 'probe');
    expect(ours, 'seen by the application').to.have.length(expected === 'up' ? 1 : 0);
    if (expected === 'silence') expect(answers).to.equal('');
    else expect(statusOf(answers)).to.equal(expected === 'up' ? 200 : expected);
  };

  for (const { name, section } of messages) {
    const expected = UDP[name]!;
    it(`UDP: ${section} ${name}: ${expected}`, async () => {
      const socket: Socket = createSocket('udp4');
      const got: string[] = [];
      socket.on('message', (octets) => got.push(octets.toString('latin1')));
      socket.send(fromHere(name), ports.udp, '127.0.0.1');
      const done = (): boolean => got.some((text) => text.includes('Call-ID: probe'));
      const answered = (): boolean => got.some((text) => statusOf(text) > 0);
      if (expected !== 'silence') await until('the answer', answered);
      // The engine lives, and has had its say on the message before.
      socket.send(probe(), ports.udp, '127.0.0.1');
      await until('the answer to the probe', done);
      judge(got.filter((text) => !text.includes('Call-ID: probe')).join(''), expected);
      socket.close();
    });
  }

  for (const { name, section } of messages) {
    const expected = TCP[name]!;
    it(`TCP: ${section} ${name}: ${expected}`, async () => {
      const client = new RawClient(ports.tcp);
      client.socket.write(fromHere(name));
      if (expected === 'closed') {
        await until('the end of the connection', () => client.ended && seen.size === 2);
        return;
      }
      if (expected === 'silence') {
        // Nothing may come before the answer to a request on another connection, sent later.
        const other = new RawClient(ports.tcp);
        other.socket.write(probe());
        await until('the answer to the probe', () => other.text.includes('Call-ID: probe'));
        other.socket.destroy();
      } else await until('the answer', () => statusOf(client.text) > 0);
      judge(client.text, expected);
      client.socket.destroy();
    });
  }
});
