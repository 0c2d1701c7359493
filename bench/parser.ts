/**
 * Messages per second through the engine's parser, beside drachtio-srf's own and sip.js's, on the same octets.
 *
 *   npx tsx bench/parser.ts [--seconds 1] [--json FILE]
 *
 * Each is given a Buffer, as it comes from a socket, and must deliver the message with its Call-ID, CSeq, From tag and
 * top Via branch: what an engine needs of every message. `write` is the engine's parser with a Via put on top and the
 * message written again, as a proxy does.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { Parser } from 'sip.js/lib/core/index.js';
import { parseMessage, SipMessage } from '../sim/engine/message/index.ts';

interface DrachtioMessage {
  get(name: string): string;
  getParsedHeader(name: string): { params: { tag?: string } } & { branch?: string }[];
}
const require = createRequire(import.meta.url);
const DrachtioParser = require('drachtio-srf/lib/sip-parser/message') as new (text: string) => DrachtioMessage;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '1' }, json: { type: 'string' } } });
const milliseconds = Number(values.seconds) * 1000;

const torture = (name: string): Buffer => readFileSync(new URL(`../fixtures/rfc4475/${name}.dat`, import.meta.url));
const register = Buffer.from(
  [
    'REGISTER sip:ims.mnc001.mcc001.3gppnetwork.org SIP/2.0',
    'Via: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK-524287-1-0;rport',
    'Max-Forwards: 70',
    'From: <sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org>;tag=a73kszlfl',
    'To: <sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org>',
    'Call-ID: 1j9FpLxk3uxtm8tn@127.0.0.1',
    'CSeq: 1 REGISTER',
    'Contact: <sip:001010000000001@127.0.0.1:5061>;+g.3gpp.mcptt;expires=600000',
    'Supported: path, gruu, outbound',
    'Expires: 600000',
    'User-Agent: bench',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n'),
);
const response = Buffer.from(
  register
    .toString()
    .replace(/^[^\r]*/, 'SIP/2.0 200 OK')
    .replace('3gppnetwork.org>\r\nCall', '3gppnetwork.org>;tag=x1\r\nCall'),
);
const body = `--b\r\nContent-Type: application/sdp\r\n\r\n${'a=rtpmap:0 PCMU/8000\r\n'.repeat(60)}--b--\r\n`;
const message = Buffer.from(
  register
    .toString()
    .replaceAll('REGISTER', 'MESSAGE')
    .replace(
      'Content-Length: 0\r\n',
      `Content-Type: multipart/mixed;boundary=b\r\nContent-Length: ${body.length}\r\n`,
    ) + body,
);
const inputs: Record<string, Buffer> = {
  register,
  response,
  'message 1.4 kB': message,
  'RFC 4475 longreq': torture('longreq'),
};

const engine = (octets: Buffer): SipMessage => {
  const parsed = parseMessage(octets, 'datagram');
  if (!(parsed instanceof SipMessage)) throw parsed;
  return parsed;
};
const quiet = { warn: () => undefined, error: () => undefined } as unknown as Parameters<typeof Parser.parseMessage>[1];

/** Each returns something made of what it read, so that nothing can be left out as unused. */
const contestants: Record<string, (octets: Buffer) => unknown> = {
  engine: (octets) => {
    const parsed = engine(octets);
    return [parsed.callId, parsed.cseq?.number, parsed.from?.tag, parsed.via?.branch];
  },
  write: (octets) => {
    const parsed = engine(octets);
    parsed.insertFirst('via', 'SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx');
    return parsed.serialise();
  },
  'drachtio-srf': (octets) => {
    const parsed = new DrachtioParser(octets.toString('utf8'));
    const via = parsed.getParsedHeader('via');
    return [parsed.get('call-id'), parsed.get('cseq'), parsed.getParsedHeader('from').params.tag, via[0]?.branch];
  },
  'sip.js': (octets) => {
    const parsed = Parser.parseMessage(octets.toString('utf8'), quiet);
    return parsed && [parsed.callId, parsed.cseq, parsed.fromTag, parsed.viaBranch];
  },
};

/** Messages per second, or undefined if the parser does not take this message at all. */
function measure(parse: (octets: Buffer) => unknown, octets: Buffer): number | undefined {
  try {
    if (parse(octets) === undefined) return undefined;
  } catch {
    return undefined;
  }
  const run = (duration: number): number => {
    const start = performance.now();
    let count = 0;
    let elapsed = 0;
    do {
      for (let i = 0; i < 50; i++) parse(octets);
      count += 50;
      elapsed = performance.now() - start;
    } while (elapsed < duration);
    return (count / elapsed) * 1000;
  };
  run(milliseconds / 4);
  return Math.round(run(milliseconds));
}

const results: Record<string, Record<string, number | null>> = {};
console.log(
  `messages/s${''.padEnd(10)}${Object.keys(contestants)
    .map((name) => name.padStart(14))
    .join('')}`,
);
for (const [name, octets] of Object.entries(inputs)) {
  const rates = Object.entries(contestants).map(([who, parse]) => [who, measure(parse, octets) ?? null] as const);
  results[name] = Object.fromEntries(rates);
  console.log(name.padEnd(20) + rates.map(([, rate]) => String(rate ?? 'refused').padStart(14)).join(''));
}
if (values.json) writeFileSync(values.json, `${JSON.stringify({ unit: 'messages/s', results }, null, 2)}\n`);
