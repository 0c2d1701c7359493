/** What the figure's steps must not mind: the same messages as another make may write them within the specifications. */
import { expect } from 'chai';
import { figure } from '../../scenarios/figure-7.x.2-1.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import { runScenario } from '../../sim/scenario/runner.ts';
import { type Edit, only, seen, wrapped } from './retold.ts';

/** RFC 3261 20, RFC 3841 10, RFC 6665 8.2.1. */
const COMPACT: Readonly<Record<string, string>> = {
  'accept-contact': 'a',
  'call-id': 'i',
  contact: 'm',
  'content-length': 'l',
  'content-type': 'c',
  event: 'o',
  from: 'f',
  supported: 'k',
  to: 't',
  via: 'v',
};

const lines = (change: (lines: string[]) => string[]): Edit =>
  only(/ SIP\/2\.0\r\n|^SIP\/2\.0 /, (text) => {
    const end = text.indexOf('\r\n\r\n');
    const [start, ...fields] = text.slice(0, end).split('\r\n');
    return [start, ...change(fields)].join('\r\n') + text.slice(end);
  });
const named = (rename: (name: string) => string): Edit =>
  lines((fields) => fields.map((field) => field.replace(/^[\w-]+/, rename)));
const DIGEST = /^((?:www-authenticate|authorization):.*)$/gim;
const QOP = /, *(?:qop|nc|cnonce)="?\w+"?/g;
const http = (change: (body: Record<string, unknown>) => unknown, which: RegExp): Edit =>
  only(/^HTTP/, (text) => {
    const end = text.indexOf('\r\n\r\n') + 4;
    return which.test(text.slice(end))
      ? text.slice(0, end) + JSON.stringify(change(JSON.parse(text.slice(end)) as Record<string, unknown>), null, 2)
      : text;
  });

describe('the figure takes what is written otherwise and says the same', () => {
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: ['ue'] });
  });

  after(() => world.close());

  const rows: [string, Edit][] = [
    ['SIP header names in capitals', named((name) => name.toUpperCase())],
    ['compact SIP header names', named((name) => COMPACT[name.toLowerCase()] ?? name)],
    ['SIP header fields in another order', lines((fields) => fields.reverse())],
    [
      'white space round the equals sign of digest parameters',
      (s) => s.replace(DIGEST, (f) => f.replace(/="/g, ' = "')),
    ],
    ['digest parameters in capitals', (s) => s.replace(DIGEST, (f) => f.replace(/\w+(?==")/g, (n) => n.toUpperCase()))],
    ['a challenge and its answer without qop (RFC 2617 3.2.1)', (s) => s.replace(QOP, '')],
    [
      'media feature tags of the Contact in capitals',
      (s) => s.replace(/\+g\.3gpp\.[\w-]+/g, (tag) => tag.toUpperCase()),
    ],
    ['white space round the expires parameter', (s) => s.replace(/;expires=(\d+)/g, ' ; Expires = $1')],
    [
      'smime-type quoted, in capitals',
      (s) => s.replace(/smime-type=([\w-]+)/g, (_, type: string) => `SMIME-TYPE="${type}"`),
    ],
    ['white space round the equals sign of smime-type', (s) => s.replace(/smime-type=/g, 'smime-type = ')],
    [
      'the tel URI asserted first, and in one header field',
      (s) => s.replace(/^(P-Asserted-Identity: )(.*)$/gm, '$1<tel:+15550101>, $2'),
    ],
    [
      'an RSA key published beside the one in use',
      http((body) => ({ keys: [RSA, ...(body.keys as object[])] }), /"keys"/),
    ],
    ['a key published without a kid', http((body) => ({ keys: [...(body.keys as object[]), NAMELESS] }), /"keys"/)],
    ['no expires_in (RFC 6749 5.1)', http((body) => ({ ...body, expires_in: undefined }), /"expires_in"/)],
    [
      'expires_in counted a second later',
      http((body) => ({ ...body, expires_in: Number(body.expires_in) - 1 }), /"expires_in"/),
    ],
    ['HTTP field names in capitals', only(/^HTTP/, (s) => s.replace(/^[\w-]+(?=: )/gm, (n) => n.toUpperCase()))],
    [
      'another namespace prefix in a KmsResponse',
      only(/KmsResponse/, (s) =>
        s.replace(/<(\/?)(?=[A-Z]\w*[\s/>])/g, '<$1kms:').replaceAll(' xmlns=', ' xmlns:kms='),
      ),
    ],
  ];
  it('takes every SIP message on SIP-1 twice, as over UDP (RFC 3261 17)', async () => {
    const twice = wrapped(world, (actor) => ({
      onRecord: (listener) =>
        actor.onRecord((record) => {
          listener(record);
          if (record.interface === 'SIP-1') listener({ ...record });
        }),
    }));
    const { verdict, steps } = await runScenario(figure, twice);
    expect({ verdict, failures: steps.flatMap(({ failure }) => failure ?? []) }).to.deep.equal({
      verdict: 'pass',
      failures: [],
    });
  });

  for (const [what, edit] of rows) {
    it(`takes ${what}`, async () => {
      let changed = 0;
      const { verdict, steps } = await runScenario(
        figure,
        seen(world, (text) => {
          const other = edit(text);
          changed += other === text ? 0 : 1;
          return other;
        }),
      );
      expect({ verdict, failures: steps.flatMap(({ failure }) => failure ?? []) }).to.deep.equal({
        verdict: 'pass',
        failures: [],
      });
      expect(changed, 'messages that were written otherwise').to.be.greaterThan(0);
    });
  }
});

const RSA = { kty: 'RSA', use: 'sig', alg: 'RS256', kid: 'for-id-tokens', n: 'sXchbQ', e: 'AQAB' };
const NAMELESS = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
};
