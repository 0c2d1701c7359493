/** What the figure's steps see in messages: each row makes one message wrong, and the step names the actor that sent it. */
import { expect } from 'chai';
import { readNonce } from '../../actors/security/aka/digest.ts';
import { milenage } from '../../actors/security/milenage.ts';
import { loadFixtures } from '../../fixtures/load.ts';
import { figure } from '../../scenarios/figure-7.x.2-1.ts';
import { step0 } from '../../scenarios/steps/step-0.ts';
import { step1 } from '../../scenarios/steps/step-1.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import type { Json, JsonObject } from '../../sim/control/actor.ts';
import { runScenario, type World } from '../../sim/scenario/runner.ts';
import type { Failure, Scenario, Step } from '../../sim/scenario/scenario.ts';
import { type Edit, only, seen, wrapped } from './retold.ts';

/** The world whose UE does this one thing wrong. */
const deviating = (world: World, verb: string, deviate: readonly Json[]): World =>
  wrapped(world, (actor) =>
    actor.kind !== 'ue'
      ? {}
      : {
          do: <T>(asked: string, args?: JsonObject) => {
            const own = (args?.deviate ?? []) as readonly Json[];
            return actor.do<T>(asked, asked === verb ? { ...args, deviate: [...own, ...deviate] } : args);
          },
        },
  );

const thirdParty = (edit: Edit): Edit => only(/^REGISTER sip:mcptt-server/, edit);
const remove =
  (line: RegExp): Edit =>
  (text) =>
    text.replace(line, '');
/** Changes octet `at` of the base64 after `mark`, counted from the end when negative. */
const flipped =
  (mark: RegExp, at: number): Edit =>
  (text) =>
    text.replace(mark, (_all, before: string, base64: string) => {
      const octets = Buffer.from(base64, 'base64');
      octets[at < 0 ? octets.length + at : at]! ^= 1;
      return before + octets.toString('base64');
    });

const subscriber = loadFixtures().subscribers[0]!;

const deregistered: Step = {
  number: '-',
  title: 'the UE de-registers',
  clause: '-',
  responsible: 'ue',
  guard: 5_000,
  run: async (t) => {
    await t.actor('ue').do('deregister');
  },
};

describe('the figure names who sent a wrong message', () => {
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: ['ue'] });
  });

  after(() => world.close());

  const failure = async (broken: World, scenario = figure): Promise<Failure | undefined> => {
    const result = await runScenario(scenario, broken);
    const found = result.steps.find((step) => step.failure !== undefined)?.failure;
    expect(result.verdict, found?.message).to.equal('fail');
    return found;
  };

  const rows: [string, string, string, RegExp, Edit][] = [
    [
      'no challenge',
      '1',
      'sip-core',
      /answer to a REGISTER without a response/,
      only(/^SIP\/2.0 401/, (s) => s.replace('401 Unauthorized', '200 OK')),
    ],
    ['401 with MD5', '1', 'sip-core', /algorithm/, only(/^SIP\/2.0 401/, (s) => s.replace('AKAv1-MD5', 'MD5'))],
    [
      '200 without expires',
      '1',
      'sip-core',
      /seconds granted/,
      only(/^SIP\/2.0 200[\s\S]*Path:/, remove(/;expires=\d+/)),
    ],
    ['no Expires', '2', 'sip-core', /header field Expires/, thirdParty(remove(/^Expires: .*\r\n/m))],
    [
      'other Expires',
      '2',
      'sip-core',
      /Expires, as granted/,
      thirdParty((s) => s.replace(/^(Expires): .*/m, '$1: 60')),
    ],
    [
      'parts that are alternatives',
      '2',
      'sip-core',
      /body of several parts/,
      thirdParty((s) => s.replace('multipart/mixed', 'multipart/alternative')),
    ],
    [
      'a UE that does not name its access network',
      '2',
      'ue',
      /P-Access-Network-Info/,
      only(/^REGISTER sip:ims/, remove(/^P-Access-Network-Info: .*\r\n/m)),
    ],
    ['no service-info', '2', 'sip-core', /types of the body/, thirdParty((s) => s.replace('3gpp-ims+xml', 'other'))],
    ['a key on another curve', '3a', 'idm', /P-256|published key/, (s) => s.replace('"crv":"P-256"', '"crv":"P-384"')],
    [
      'http endpoints',
      '3a',
      'idm',
      /token_endpoint/,
      (s) => s.replace('"token_endpoint":"https', '"token_endpoint":"http'),
    ],
    [
      'a UE that asks for the KMS token only',
      '3a',
      'ue',
      /resources asked for/,
      only(/^POST \/token/, (s) =>
        s.replace('resource=urn%3A3gpp%3Amcptt%3Aserver', 'resource=urn%3A3gpp%3Amcptt%3Akms'),
      ),
    ],
    ['JSON cut short', '3a', 'idm', /cannot be read/, only(/"keys":/, (s) => s.slice(0, -1))],
    [
      'a key beside the I_MESSAGE',
      '3b',
      'kms',
      /elements that a Cek may have/,
      (s) => s.replace('</Cek>', '<Key>AA==</Key></Cek>'),
    ],
    ['forged I_MESSAGE', '3b', 'kms', /ECCSI signature of the KMS/, flipped(/(<IMessage>)([^<]+)/, -1)],
    ['I_MESSAGE under another Key ID', '3b', 'kms', /CSB ID/, flipped(/(<IMessage>)([^<]+)/, 7)],
    ['another Key ID', '4', 'ue', /Key ID in the KEKIdentifier/, only(/^PUBLISH/, flipped(/(\r\n\r\n)([\s\S]+)/, 40))],
    [
      'no asserted service',
      '4',
      'sip-core',
      /P-Asserted-Service/,
      only(/^PUBLISH/, remove(/^P-Asserted-Service: .*\r\n/m)),
    ],
    [
      'KmsInit asked for in another’s name',
      '3b',
      'ue',
      /UserUri/,
      only(/^POST \S*\/v1\/init/, (s) => s.replace('sip:alice@', 'sip:bob@')),
    ],
    [
      'another Request-URI at the server',
      '4',
      'sip-core',
      /Request-URI, passed on/,
      only(/^PUBLISH[\s\S]*P-Asserted/, (s) => s.replace('PUBLISH sip:mcptt-participating@', 'PUBLISH sip:someone@')),
    ],
    ['no entity-tag', '4', 'mcptt-as', /SIP-ETag/, remove(/^SIP-ETag: .*\r\n/m)],
    [
      'not CMS',
      '4',
      'mcptt-as',
      /cannot be read/,
      only(/^SIP\/2.0 200[\s\S]*ETag/, (s) => s.replace(/\r\n\r\nMII/, '\r\n\r\nAAA')),
    ],
  ];
  for (const [what, step, responsible, message, edit] of rows) {
    it(`${what}: step ${step}, ${responsible}`, async () => {
      const found = await failure(seen(world, edit));
      expect(found).to.include({ step, responsible });
      expect(found?.message).to.match(message);
    });
  }

  /** Puts CK and IK of the subscriber's last challenge into messages, in an encoding of its own. */
  const leaking = (which: RegExp, encoding: BufferEncoding): Edit => {
    let keys = '';
    const { k, opc } = subscriber;
    return (text) => {
      const nonce = /^WWW-Authenticate:.*nonce="([^"]+)"/im.exec(text)?.[1];
      if (nonce !== undefined) {
        const { ck, ik } = milenage(Buffer.from(k, 'hex'), Buffer.from(opc, 'hex')).f2345(readNonce(nonce)!.rand);
        keys = Buffer.concat([ck, ik]).toString(encoding);
      }
      return keys === '' ? text : only(which, (s) => s.replace('\r\n', `\r\nX-Note: ${keys}\r\n`))(text);
    };
  };
  const leaks: [string, string, RegExp, BufferEncoding][] = [
    ['the 200 to REGISTER', '1', /^SIP\/2.0 200[\s\S]*Path:/, 'hex'],
    ['the third-party REGISTER', '2', /^REGISTER sip:mcptt-server/, 'base64'],
  ];
  for (const [what, step, which, encoding] of leaks) {
    it(`CK and IK in ${encoding} in ${what}: step ${step}, sip-core`, async () => {
      const found = await failure(seen(world, leaking(which, encoding)));
      expect(found, found?.message).to.include({ step, responsible: 'sip-core', clause: 'TS 33.203 6.1.1' });
    });
  }

  it('a challenge whose RAND was there before: step 1, sip-core', async () => {
    const same = (s: string): string => s.replace(/(nonce=")[^"]{22}/, `$1${'A'.repeat(22)}`);
    const twice: Scenario = { ...figure, steps: [step0(), step1(), deregistered, step1()] };
    const found = await failure(seen(world, only(/^(REGISTER|SIP\/2.0 401)/, same)), twice);
    expect(found, found?.message).to.include({ step: '1', responsible: 'sip-core' });
    expect(found?.message).to.match(/different RANDs/);
  });

  it('a third-party REGISTER before the 200 to the UE: step 2, sip-core', async () => {
    const late = wrapped(world, (actor) => ({
      onRecord: (listener) =>
        actor.onRecord((record) => {
          const isOk = actor.kind === 'sip-core' && record.interface === 'SIP-1' && record.direction === 'sent';
          listener(isOk ? { ...record, sequence: record.sequence + 1_000 } : record);
        }),
    }));
    const found = await failure(late);
    expect(found, found?.message).to.include({ step: '2', responsible: 'sip-core' });
    expect(found?.message).to.match(/after the 200 to the UE/);
  });

  const deviations: [string, string, string, RegExp, readonly Json[]][] = [
    ['attach', 'a wrong RES', '0', /RES is the one/, [{ at: 'res', op: 'flip', path: '0' }]],
    [
      'register',
      'a response that is not from RES',
      '1',
      /against that of RES/,
      [{ at: 'sip', op: 'set', path: 'authorization.response', value: '0'.repeat(32) }],
    ],
    ['register', 'no credentials', '1', /Authorization/, [{ at: 'sip', op: 'remove', path: 'Authorization' }]],
    ['publish', 'no Accept-Contact', '4', /Accept-Contact/, [{ at: 'sip', op: 'remove', path: 'Accept-Contact' }]],
    ['publish', 'a body in clear', '4', /gives away/, [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }]],
    ['publish', 'another Key ID', '4', /KEKIdentifier/, [{ at: 'cms', op: 'set', path: 'key-id', value: 'f0000000' }]],
    ['publish', 'no settings', '4', /poc-settings/, [{ at: 'inner', op: 'remove', path: 'poc-settings' }]],
    [
      'publish',
      'settings of no client',
      '4',
      /malformed body/,
      [{ at: 'poc-settings', op: 'set', path: 'entity', value: '' }],
    ],
    ['publish', 'no signature', '4', /body signature missing/, [{ at: 'cms', op: 'remove', path: 'signature' }]],
    [
      'publish',
      'the KMS token',
      '4',
      /access token that the IdM gave for the MCPTT server/,
      [{ at: 'token', op: 'replace', path: '', value: 'other' }],
    ],
    [
      'publish',
      'another client id',
      '4',
      /client id in the PUBLISH/,
      [
        {
          at: 'mcptt-info',
          op: 'set',
          path: 'mcptt-client-id',
          value: 'urn:uuid:00000000-0000-4000-8000-000000000001',
        },
      ],
    ],
  ];
  for (const [verb, what, step, message, deviate] of deviations) {
    it(`a UE whose ${verb} has ${what}: step ${step}, ue`, async () => {
      const found = await failure(deviating(world, verb, deviate));
      expect(found, found?.message).to.include({ step, responsible: 'ue' });
      expect(found?.message).to.match(message);
    });
  }

  for (const [kind, identity, step] of [
    ['access-network', { imsi: subscriber.imsi }, '0'],
    ['sip-core', { impi: subscriber.impi }, '1'],
  ] as const) {
    it(`a wrong MAC in AUTN: step ${step}, ${kind}`, async () => {
      const deviate = [{ at: 'autn', op: 'flip', path: '15' }];
      const asked = step === '0' ? 'attach' : 'register';
      const found = await failure(
        wrapped(world, (actor) => ({
          do: async <T>(verb: string, args?: JsonObject) => {
            if (actor.kind === 'ue' && verb === asked) {
              await world.actors.get(kind)!.do('deviate', { ...identity, deviate });
            }
            return actor.do<T>(verb, args);
          },
        })),
      );
      expect(found, found?.message).to.include({ step, responsible: kind });
      expect(found?.message).to.match(/MAC in AUTN/);
    });
  }

  const readings: [string, RegExp, string, JsonObject][] = [
    ['no PDN address', /PDN address/, 'attach', { pdnAddress: '0.0.0.0' }],
    ['another SIP core than there is', /the core’s own/, 'endpoints', { wss: 'wss://127.0.0.1:9' }],
  ];
  for (const [what, message, reading, other] of readings) {
    it(`${what}: step 0, access-network`, async () => {
      const found = await failure(
        wrapped(world, (actor) => ({
          read: async <T>(asked: string, args?: JsonObject) => {
            const read = await actor.read<T>(asked, args);
            return asked === reading ? ({ ...read, ...other } as T) : read;
          },
        })),
      );
      expect(found, found?.message).to.include({ step: '0', responsible: 'access-network' });
      expect(found?.message).to.match(message);
    });
  }

  const claims: [string, RegExp, (of: { iat: number; exp: number }) => object][] = [
    ['has expired', /exp, against the time/, ({ iat, exp }) => ({ iat: iat - 7_200, exp: exp - 7_200 })],
    ['is of tomorrow', /iat, against the time/, ({ iat, exp }) => ({ iat: iat + 86_400, exp: exp + 86_400 })],
    ['is good for ten days', /life of the token/, ({ iat }) => ({ exp: iat + 864_000 })],
  ];
  for (const [what, message, change] of claims) {
    it(`a token that ${what}: step 3a, idm`, async () => {
      type Login = Record<'kms' | 'mcptt', { iat: number; exp: number }>;
      const given = wrapped(world, (actor) =>
        actor.kind !== 'ue'
          ? {}
          : {
              do: async <T>(asked: string, args?: JsonObject) => {
                const result = await actor.do<T>(asked, args);
                if (asked !== 'logIn') return result;
                const { mcptt, ...others } = result as Login;
                return { ...others, mcptt: { ...mcptt, ...change(mcptt) } } as T;
              },
            },
      );
      const found = await failure(given);
      expect(found, found?.message).to.include({ step: '3a', responsible: 'idm' });
      expect(found?.message).to.match(message);
    });
  }
});
