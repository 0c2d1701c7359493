import { expect } from 'chai';
import { createArithmetic } from '../../../../actors/security/ibc/backend.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import {
  certificateOf as certificateOfMaster,
  disposeKeySet,
  extractKeySet,
  generateKms,
  type KmsCertificate,
  type UserKeySet,
  validateCertificate,
  validateKeySet,
} from '../../../../actors/security/ibc/key-set.ts';
import { toHex } from '../../../../actors/security/ibc/octets.ts';
import { certificateOf, keySetOf, vector, vectorsOf } from './vectors.ts';

describe('Key sets: what a KMS extracts and a user checks', () => {
  const arithmetic = createArithmetic();
  const engine = new LocalSakkeEngine(createArithmetic(), { receivers: 2 });
  const { master, certificate } = generateKms(
    { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 },
    arithmetic,
  );
  let alice: UserKeySet;
  let bob: UserKeySet;

  before(async () => {
    alice = await extractKeySet(engine, master, certificate, 'sip:alice@mcptt.example', 1540);
    bob = await extractKeySet(engine, master, certificate, 'sip:bob@mcptt.example', 1540);
  });

  after(async () => {
    arithmetic.dispose();
    await engine.close();
  });

  const codeOf = async (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => (error instanceof IbcError ? error.code : String(error)),
    );

  it('what is extracted validates', async () => {
    await validateCertificate(engine, certificate);
    await validateKeySet(engine, alice, certificate);
    await validateKeySet(engine, bob, certificate);
  });

  it('the certificate follows from the master secrets', () => {
    const again = certificateOfMaster(master, certificate, arithmetic);
    expect(toHex(again.pubEncKey)).to.equal(toHex(certificate.pubEncKey));
    expect(toHex(again.pubAuthKey)).to.equal(toHex(certificate.pubAuthKey));
  });

  const broken: [string, string, (set: UserKeySet) => UserKeySet][] = [
    ['the UID of somebody else', 'bad-identity', (set) => ({ ...set, uid: bob.uid })],
    ['another user’s URI', 'bad-identity', (set) => ({ ...set, userUri: bob.userUri })],
    ['another key period', 'bad-identity', (set) => ({ ...set, keyPeriodNo: 1541 })],
    ['the SSK of somebody else', 'ssk-invalid', (set) => ({ ...set, ssk: bob.ssk })],
    ['the PVT of somebody else', 'ssk-invalid', (set) => ({ ...set, pvt: bob.pvt })],
    ['the RSK of somebody else', 'rsk-invalid', (set) => ({ ...set, rsk: bob.rsk })],
    [
      'an RSK off the curve',
      'rsk-invalid',
      (set) => ({ ...set, rsk: set.rsk.map((octet, at) => octet ^ (at === 80 ? 1 : 0)) }),
    ],
    ['an RSK of 256 octets', 'rsk-invalid', (set) => ({ ...set, rsk: set.rsk.subarray(1) })],
  ];
  for (const [what, code, change] of broken) {
    it(`${what}: ${code}`, async () => {
      expect(await codeOf(validateKeySet(engine, change(alice), certificate))).to.equal(code);
    });
  }

  it('the key sets of two vendors validate, but for the one whose PVT is another’s', async () => {
    for (const vendor of ['Streamwide v5', 'Alea v3']) {
      const theirs = certificateOf(vector(`${vendor} KMS certificate`));
      await validateCertificate(engine, theirs);
      for (const source of vectorsOf(`${vendor} KmsKeySet`)) {
        const expected = source.name === 'Alea v3 KmsKeySet bob' ? 'ssk-invalid' : undefined;
        expect(await codeOf(validateKeySet(engine, keySetOf(source), theirs)), source.name).to.equal(expected);
      }
    }
  });

  it('the sample of a vendor’s test suite, whose keys do not fit its certificate, is refused', async () => {
    const sample = vector('Streamwide kms-agent sample KmsInit+KmsKeyProv');
    const theirs: KmsCertificate = {
      kmsUri: sample.text('KmsUri'),
      userKeyPeriod: sample.number('UserKeyPeriod'),
      userKeyOffset: 0,
      pubEncKey: sample.hex('PubEncKey'),
      pubAuthKey: sample.hex('PubAuthKey'),
    };
    expect(await codeOf(validateKeySet(engine, keySetOf(sample), theirs))).to.equal('ssk-invalid');
  });

  it('a certificate with a point off its curve, of another order, or no period is invalid', async () => {
    const order4 = new Uint8Array(257);
    order4[0] = 4; // (0, 0): on the curve, of order 2
    const changed: Partial<KmsCertificate>[] = [
      { pubAuthKey: certificate.pubAuthKey.map((octet, at) => octet ^ (at === 64 ? 1 : 0)) },
      { pubEncKey: certificate.pubEncKey.map((octet, at) => octet ^ (at === 256 ? 1 : 0)) },
      { pubEncKey: order4 },
      { userKeyPeriod: 0 },
      { userKeyOffset: -1 },
    ];
    for (const change of changed) {
      expect(await codeOf(validateCertificate(engine, { ...certificate, ...change }))).to.equal('certificate-invalid');
    }
  });

  it('disposing of a key set zeroes its secrets', async () => {
    const set = await extractKeySet(engine, master, certificate, 'sip:carol@mcptt.example', 1540);
    await disposeKeySet(engine, set);
    expect(set.rsk.every((octet) => octet === 0) && set.ssk.every((octet) => octet === 0)).to.equal(true);
  });
});
