/** Secrets are zeroed when dropped: what RFC 6507, 6508 and 6509 derive on the way holds nothing once a function has returned. */
import { createCipheriv, createECDH } from 'node:crypto';
import { expect } from 'chai';
import { createBigintArithmetic } from '../../../../actors/security/ibc/bigint/index.ts';
import { generateEccsiMaster } from '../../../../actors/security/ibc/eccsi.ts';
import { EccsiVerifier, nativeEccsiSign, nativeExtractEccsiKey } from '../../../../actors/security/ibc/eccsi-native.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { extractKeySet, generateKms } from '../../../../actors/security/ibc/key-set.ts';
import { openKey, sealKey } from '../../../../actors/security/ibc/key-transport.ts';
import { openKemac, sealKemac } from '../../../../actors/security/ibc/mikey/kemac.ts';
import { PAYLOAD } from '../../../../actors/security/ibc/mikey/payloads.ts';
import { MemoryReplayCache } from '../../../../actors/security/ibc/mikey/replay.ts';
import { concat } from '../../../../actors/security/ibc/octets.ts';
import { decapsulate, encapsulate, extractRsk, generateSakkeMaster } from '../../../../actors/security/ibc/sakke.ts';
import { createSigner } from '../../../../actors/security/ibc/signer.ts';
import { keyPeriodNoAt } from '../../../../actors/security/ibc/uid.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const ALICE = 'sip:alice@mcptt.example';
const KMS = 'kms.mcptt.example';

interface Seen {
  readonly what: string;
  readonly octets: Uint8Array;
}

/** The object itself, with every octet string that goes into or comes out of its methods noted, and whether it held anything. */
function watched<T extends object>(
  object: T,
): { readonly watching: T; readonly named: (what: string) => Uint8Array[] } {
  const seen: Seen[] = [];
  const note = (what: string, value: unknown): void => {
    if (value instanceof Uint8Array && value.some((octet) => octet !== 0)) seen.push({ what, octets: value });
    if (typeof value === 'object' && value !== null && 'ssv' in value) note(`${what}.ssv`, value.ssv);
  };
  const watching = new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        for (const [index, argument] of args.entries()) note(`${String(name)} ${index}`, argument);
        const result: unknown = value.apply(target, args);
        if (!(result instanceof Promise)) {
          note(`${String(name)} result`, result);
          return result;
        }
        return result.then((settled: unknown) => {
          note(`${String(name)} result`, settled);
          return settled;
        });
      };
    },
  });
  return { watching, named: (what) => seen.filter((one) => one.what === what).map(({ octets }) => octets) };
}

type Update = (this: unknown, octets: Uint8Array) => Uint8Array;

const expectZeroed = (octets: readonly Uint8Array[], count: number): void => {
  expect(octets, 'how often it was seen').to.have.length(count);
  for (const one of octets) expect(one).to.satisfy((secret: Uint8Array) => secret.every((octet) => octet === 0));
};

describe('Secrets that are zeroed when dropped', () => {
  const arithmetic = createBigintArithmetic();
  const id = new Uint8Array(32).fill(5);
  const ssv = new Uint8Array(16).fill(7);
  after(() => arithmetic.dispose());

  it('SAKKE: r, g^r and w, whether TEST passes or not, and the scalar of an RSK (RFC 6508)', () => {
    const { watching, named } = watched(arithmetic);
    const { zT, ZT } = generateSakkeMaster(arithmetic);
    const kms = arithmetic.prepareKms(ZT);
    const rsk = extractRsk(watching, zT, id);
    expectZeroed(named('mulBase 0'), 1);
    const sed = encapsulate(watching, kms, id, ssv);
    expectZeroed(named('gPow 0'), 1);
    expectZeroed(named('gPow result'), 1);
    expectZeroed(named('encapsulationPoint 2'), 1);
    const table = arithmetic.preparePairing(rsk);
    expect(decapsulate(watching, kms, id, table, sed).ssv).to.deep.equal(ssv);
    sed[270]! ^= 1;
    expect(() => decapsulate(watching, kms, id, table, sed)).to.throw(/TEST/);
    expectZeroed(named('pairPrepared result'), 2);
    expectZeroed(named('encapsulationPoint 2'), 3);
    expect(ssv, 'the caller’s').to.deep.equal(new Uint8Array(16).fill(7));
  });

  it('I_MESSAGE: the SSV, at its sender and at its receiver, also when the KEMAC does not open', async () => {
    const { watching: engine, named } = watched(new LocalSakkeEngine(createBigintArithmetic()));
    const periods = { kmsUri: KMS, userKeyPeriod: 2_592_000, userKeyOffset: 0 };
    const { master, certificate } = generateKms(periods, arithmetic);
    const period = keyPeriodNoAt(certificate, NOW);
    const alice = await extractKeySet(engine, master, certificate, ALICE, period);
    const sender = createSigner(await extractKeySet(engine, master, certificate, KMS, period), certificate);
    const seal = { engine, keyId: Uint8Array.of(0xf0, 0, 0, 1), sender, receiverUri: ALICE, certificate, time: NOW };
    const iMessage = await sealKey({ ...seal, key: new Uint8Array(32).fill(9) });
    expectZeroed(named('encapsulate 2'), 1);
    const open = {
      engine,
      verifier: new EccsiVerifier(),
      keySets: [alice],
      certificate,
      expectedSender: KMS,
      now: NOW,
    };
    const { key } = await openKey(iMessage, { ...open, replayCache: new MemoryReplayCache() });
    expect(key).to.deep.equal(new Uint8Array(32).fill(9));
    expectZeroed(named('decapsulate result.ssv'), 1);
    // Signed by the right sender, under another name inside.
    const named2 = { ...sender, userUri: 'sip:mallory@mcptt.example' };
    const other = await sealKey({ ...seal, key, sender: named2 });
    const error = await openKey(other, { ...open, replayCache: new MemoryReplayCache() }).catch(
      (caught: Error) => caught,
    );
    expect(error).to.have.property('code', 'kemac-invalid');
    expectZeroed(named('decapsulate result.ssv'), 2);
    sender.dispose();
    await engine.close();
  });

  it('KEMAC: what the cipher gives of the key is zeroed, but for the key itself (RFC 3830 section 6.2)', () => {
    const context = { ssv, csbId: id.slice(28), rand: ssv, timestamp: id.slice(24) };
    const sealed = sealKemac(context, { senderUri: KMS, key: id, keyId: id.slice(28) }, PAYLOAD.sign);
    const kemac = {
      kind: 'kemac',
      encryption: 1,
      encrypted: sealed.octets.slice(3, -33),
      macAlgorithm: 2,
      mac: sealed.octets.slice(-32),
      octets: concat(Uint8Array.of(PAYLOAD.sign), sealed.octets),
      offset: 0,
    } as const;
    const given: Uint8Array[] = [];
    const prototype = Object.getPrototypeOf(createCipheriv('aes-128-ctr', ssv, ssv)) as Record<'update', Update>;
    const original = prototype.update;
    prototype.update = function (this: unknown, octets: Uint8Array): Uint8Array {
      given.push(original.call(this, octets));
      return given.at(-1)!;
    };
    try {
      expect(openKemac(context, kemac).key).to.deep.equal(id);
      expectZeroed(given, 1);
    } finally {
      prototype.update = original;
    }
  });

  it('ECCSI: v and j (RFC 6507 sections 5.1.1 and 5.2.1)', () => {
    const master = generateEccsiMaster();
    const prototype = Object.getPrototypeOf(createECDH('prime256v1')) as {
      getPrivateKey: (this: unknown) => Uint8Array;
    };
    const original = prototype.getPrivateKey;
    const drawn: Uint8Array[] = [];
    prototype.getPrivateKey = function (this: unknown): Uint8Array {
      drawn.push(original.call(this));
      return drawn.at(-1)!;
    };
    try {
      const key = nativeExtractEccsiKey(master, id);
      expectZeroed(drawn, 1);
      const signature = nativeEccsiSign(master.kpak, id, key, ssv);
      expectZeroed(drawn, 2);
      expect(new EccsiVerifier().verify(master.kpak, id, ssv, signature)).to.equal(true);
    } finally {
      prototype.getPrivateKey = original;
    }
  });
});
