import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  parseMessage,
  parseUri,
  type SipMessage,
  SipParseError,
  type SipParseErrorCode,
  toText,
  unescapeUri,
} from '../../../../sim/engine/message/index.ts';

const folder = new URL('../../../../fixtures/rfc4475/', import.meta.url);

interface Entry {
  readonly name: string;
  readonly section: string;
  readonly sha256: string;
  readonly expect_class: 'valid' | 'invalid' | 'liberal' | 'semantic';
  readonly layer_hint: string;
}

const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as { count: number; messages: Entry[] };
const read = (name: string): Buffer => readFileSync(new URL(`${name}.dat`, folder));

/** What this parser does with each message: 'ok', or the fault that it finds and the answer that it suggests. */
type Outcome = 'ok' | readonly [SipParseErrorCode, 400 | 413 | 505 | 'drop'];

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  wsinv: 'ok',
  intmeth: 'ok',
  esc01: 'ok',
  escnull: 'ok',
  esc02: 'ok',
  lwsdisp: 'ok',
  longreq: 'ok',
  dblreq: 'ok',
  semiuri: 'ok',
  transports: 'ok',
  mpart01: 'ok',
  unreason: 'ok',
  noreason: 'ok',
  badinv01: ['header-value', 400],
  clerr: ['content-length', 400],
  ncl: ['content-length', 400],
  scalar02: ['header-value', 400],
  scalarlg: ['header-value', 'drop'],
  quotbal: ['header-value', 400],
  ltgtruri: ['request-uri', 400],
  lwsruri: ['request-uri', 400],
  lwsstart: ['request-uri', 400],
  trws: ['start-line', 400],
  escruri: 'ok',
  baddate: 'ok',
  regbadct: ['header-value', 400],
  badaspec: ['header-value', 400],
  baddn: ['headers-unfinished', 400],
  badvers: ['version', 505],
  mismatch01: ['method-mismatch', 400],
  mismatch02: ['method-mismatch', 400],
  bigcode: ['status-code', 'drop'],
  badbranch: ['header-value', 400],
  insuf: ['header-missing', 400],
  unkscm: 'ok',
  novelsc: 'ok',
  unksm2: 'ok',
  bext01: 'ok',
  invut: 'ok',
  regaut01: 'ok',
  multi01: ['header-repeated', 400],
  mcl01: ['content-length', 400],
  bcast: 'ok',
  zeromf: 'ok',
  cparam01: 'ok',
  cparam02: 'ok',
  regescrt: 'ok',
  sdp01: 'ok',
  inv2543: 'ok',
};

const accepted = (name: string): SipMessage => {
  const message = parseMessage(read(name), 'datagram');
  if (message instanceof SipParseError) throw message;
  return message;
};

describe('RFC 4475 torture tests, parser', () => {
  it('has the 49 messages, octet for octet', () => {
    expect(index.messages).to.have.length(49);
    expect(Object.keys(OUTCOMES)).to.deep.equal(index.messages.map(({ name }) => name));
    for (const { name, sha256 } of index.messages) {
      expect(createHash('sha256').update(read(name)).digest('hex'), name).to.equal(sha256);
    }
  });

  for (const { name, section, expect_class: expected, layer_hint: hint } of index.messages) {
    const outcome = OUTCOMES[name]!;
    const told = outcome === 'ok' ? 'accepted' : `refused: ${outcome.join(', ')}`;
    it(`${section} ${name} (${expected}) is ${told}`, () => {
      const message = parseMessage(read(name), 'datagram');
      const actual = message instanceof SipParseError ? [message.code, message.refusal] : 'ok';
      expect(actual).to.deep.equal(outcome);
      if (expected === 'valid') expect(actual).to.equal('ok');
      if (expected === 'invalid') expect(actual).not.to.equal('ok');
      if (/^\d+$/.test(hint) && expected === 'invalid') expect(actual[1]).to.equal(Number(hint));
    });
  }

  it('carries what it accepts through unchanged, also when it writes it anew', () => {
    for (const { name } of index.messages.filter((entry) => OUTCOMES[entry.name] === 'ok')) {
      const message = accepted(name);
      const original = message.serialise();
      expect(original, name).to.deep.equal(read(name).subarray(0, original.length));
      const counted = message.has('content-length') ? '' : `Content-Length: ${message.body.length}\r\n`;
      message.append('X-Mark', '1');
      message.remove('x-mark');
      const expected = original.toString('latin1').replace('\r\n\r\n', `\r\n${counted}\r\n`);
      expect(message.serialise().toString('latin1'), name).to.equal(expected);
    }
  });

  it('3.1.1.1 wsinv: folding, white space, compact names, escaped quotes', () => {
    const message = accepted('wsinv');
    expect(message.get('to')).to.equal('sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n');
    expect(message.to?.tag).to.equal('1918181833n');
    expect(message.from?.display).to.equal('J Rosenberg \\"');
    expect(message.from?.tag).to.equal('98asjd8');
    expect(message.maxForwards).to.equal(68);
    expect(message.cseq).to.deep.equal({ number: 9, method: 'INVITE' });
    expect(message.getAll('via')).to.have.length(3);
    expect(message.via).to.include({ transport: 'UDP', host: '192.0.2.2', branch: '390skdjuw' });
    expect(message.get('NewFangledHeader')).to.equal('newfangled value continued newfangled value');
    expect(message.get('subject')).to.equal('');
    expect(message.contact?.display).to.equal('Quoted string ""');
    expect(message.contact?.params.get('q')).to.equal('0.33');
    expect(message.contact?.params.get('newparam')).to.equal('newvalue');
    expect(message.routes[0]?.parsedUri.params.has('lr')).to.equal(true);
  });

  it('3.1.1.2 intmeth: every character that a method, a URI and a parameter may hold', () => {
    const message = accepted('intmeth');
    expect(message.method).to.equal("!interesting-Method0123456789_*+`.%indeed'~");
    expect(parseUri(message.requestUri)).to.include({
      user: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
      password: "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
      host: 'example.com',
    });
    expect(message.to?.display).to.equal('BEL:\x07 NUL:\x00 DEL:\x7f');
    expect(toText(message.get("extensionHeader-!.%*+_`'~")!)).to.equal('\ufeff大停電');
  });

  it('3.1.1.3, 3.1.1.4, 3.1.1.9: escapes stay in the URI and resolve once', () => {
    expect(unescapeUri(parseUri(accepted('esc01').requestUri)!.user!)).to.equal('sips:user@example.com');
    expect(unescapeUri(accepted('escnull').to!.parsedUri.user!)).to.equal('null-\0-null');
    const contacts = accepted('escnull').contacts;
    expect(contacts === '*' ? [] : contacts.map(({ uri }) => uri)).to.deep.equal([
      'sip:%00@host5.example.com',
      'sip:%00%00@host5.example.com',
    ]);
    expect(unescapeUri(parseUri(accepted('semiuri').requestUri)!.user!)).to.equal('user;par=u@example.net');
  });

  it('3.1.1.5 esc02: percent escapes mean nothing in methods and header names', () => {
    const message = accepted('esc02');
    expect(message.method).to.equal('RE%47IST%45R');
    expect(message.getAll('contact')).to.have.length(2);
  });

  it('3.1.1.7 longreq, 3.1.1.10 transports: many Vias in every spelling, unknown transports', () => {
    expect(accepted('longreq').getAll('via')).to.have.length(34);
    expect(accepted('transports').getAll('via')[3]).to.equal('SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en');
  });

  it('3.1.1.8 dblreq: octets after the datagram’s first message are left alone', () => {
    const message = accepted('dblreq');
    expect(message.method).to.equal('REGISTER');
    expect(message.body).to.have.length(0);
  });

  it('3.1.1.11 mpart01: a binary body', () => {
    const message = accepted('mpart01');
    expect(message.body).to.have.length(message.contentLength!);
    expect(message.body.includes(0)).to.equal(true);
  });

  it('3.1.1.12, 3.1.1.13: unusual and empty reason phrases', () => {
    expect(toText(accepted('unreason').reason)).to.equal('= 2**3 * 5**2 но сто девяносто девять - простое');
    expect(accepted('noreason')).to.include({ status: 100, reason: '' });
  });
});
