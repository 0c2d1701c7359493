/** STEP-3b at the receiver: key material and CEKs are used only after every check; what fails one is not taken. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Cek } from '../../../../actors/messages/kms/cek.ts';
import type { KmsCertificate, KmsKeySet } from '../../../../actors/messages/kms/key-material.ts';
import { keyIdOctets } from '../../../../actors/security/cek/key-id.ts';
import { createArithmetic } from '../../../../actors/security/ibc/backend.ts';
import { generateEccsiMaster } from '../../../../actors/security/ibc/eccsi.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { extractKeySet, type MasterSecrets, type UserKeySet } from '../../../../actors/security/ibc/key-set.ts';
import { sealKey } from '../../../../actors/security/ibc/key-transport.ts';
import { parseMessage } from '../../../../actors/security/ibc/mikey/parse.ts';
import { generateSakkeMaster } from '../../../../actors/security/ibc/sakke.ts';
import { createSigner } from '../../../../actors/security/ibc/signer.ts';
import { keyPeriodBounds, keyPeriodNoAt } from '../../../../actors/security/ibc/uid.ts';
import { IdentityMaterial } from '../../../../actors/security/kms-client/material.ts';

const KMS_URI = 'kms.mcptt.example';
const ALICE = 'sip:alice@mcptt.example';
const BOB = 'sip:bob@mcptt.example';
const NOW = Date.UTC(2026, 10, 23, 12);

describe('IdentityMaterial', () => {
  let engine: LocalSakkeEngine;
  let master: MasterSecrets;
  let certificate: KmsCertificate;
  let now = NOW;
  let material: IdentityMaterial;

  before(() => {
    const arithmetic = createArithmetic();
    engine = new LocalSakkeEngine(arithmetic);
    const sakke = generateSakkeMaster(arithmetic);
    const eccsi = generateEccsiMaster();
    master = { zT: sakke.zT, ksak: eccsi.ksak };
    certificate = {
      role: 'Root',
      kmsUri: KMS_URI,
      userKeyPeriod: 2_592_000,
      userKeyOffset: 0,
      pubEncKey: sakke.ZT,
      pubAuthKey: eccsi.kpak,
    };
  });
  after(() => engine.close());
  beforeEach(() => {
    now = NOW;
    material = new IdentityMaterial({ engine, kmsUri: KMS_URI, userUri: ALICE, now: () => now });
  });
  afterEach(() => material.close());

  const period = (): number => keyPeriodNoAt(certificate, NOW);
  const extract = (userUri: string, keyPeriodNo = period()): Promise<UserKeySet> =>
    extractKeySet(engine, master, certificate, userUri, keyPeriodNo);
  const keySetOf = async (
    userUri = ALICE,
    keyPeriodNo = period(),
    over: Partial<KmsKeySet> = {},
  ): Promise<KmsKeySet> => {
    const keys = await extract(userUri, keyPeriodNo);
    return {
      kmsUri: KMS_URI,
      userUri,
      userId: keys.uid,
      keyPeriodNo,
      userDecryptKey: keys.rsk,
      userSigningKeySsk: keys.ssk,
      userPubTokenPvt: keys.pvt,
      ...over,
    };
  };
  const sealed = async (
    over: Partial<Cek> = {},
    options: { sender?: string; receiver?: string; time?: number } = {},
  ): Promise<Cek> => {
    const { sender = KMS_URI, receiver = ALICE, time = now } = options;
    const keys = await extract(sender, keyPeriodNoAt(certificate, time));
    return {
      keyId: 'f0000001',
      userUri: ALICE,
      clientId: 'urn:uuid:1',
      sipSession: 'sip:s@ue',
      notBefore: time,
      notAfter: time + 1_000,
      state: 'active',
      iMessage: await sealKey({
        engine,
        key: randomBytes(32),
        keyId: keyIdOctets('f0000001'),
        sender: createSigner(keys, certificate),
        receiverUri: receiver,
        certificate,
        time,
      }),
      ...over,
    };
  };
  const codeOf = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'accepted',
      (error: { code: string }) => error.code,
    );
  const flipped = (octets: Uint8Array, at = 40): Uint8Array => {
    const changed = Uint8Array.from(octets);
    changed[at]! ^= 1;
    return changed;
  };

  it('takes valid key material, signs with it and opens a CEK sealed to it', async () => {
    await material.takeCertificate(certificate);
    await material.takeKeySets([await keySetOf(), await keySetOf(ALICE, period() + 1)]);
    expect(material.periods).to.deep.equal([period(), period() + 1]);
    expect(material.signer().userUri).to.equal(ALICE);
    const opened = await material.open(await sealed());
    expect(opened.key).to.have.length(32);
    expect(opened).to.not.have.property('iMessage');
  });

  it('a KMS certificate of another KMS, or with a key that is no point, is refused', async () => {
    expect(await codeOf(material.takeCertificate({ ...certificate, kmsUri: 'other.example' }))).to.equal(
      'KMS_BAD_ANSWER',
    );
    for (const bad of [
      { pubEncKey: flipped(certificate.pubEncKey) },
      { pubAuthKey: flipped(certificate.pubAuthKey) },
      { userKeyPeriod: 0 },
    ]) {
      expect(await codeOf(material.takeCertificate({ ...certificate, ...bad }))).to.equal('certificate-invalid');
    }
    expect(await material.ready()).to.equal(false);
  });

  it('a KMS certificate that has expired, or is for later, is refused (TS 33.180 D.3.2.2)', async () => {
    const MINUTE = 60_000;
    for (const [validity, outcome] of [
      [{ validTo: NOW }, 'KMS_BAD_ANSWER'],
      [{ validFrom: NOW + 6 * MINUTE }, 'KMS_BAD_ANSWER'],
      [{ validFrom: NOW + 4 * MINUTE, validTo: NOW + 5 * MINUTE }, 'accepted'],
      [{ validFrom: NOW - MINUTE, validTo: NOW + 1 }, 'accepted'],
    ] as const) {
      expect(await codeOf(material.takeCertificate({ ...certificate, ...validity }))).to.equal(outcome);
    }
  });

  it('the validity of a key set counts in its key period alone (TS 33.180 D.3.3.2)', async () => {
    await material.takeCertificate(certificate);
    const next = await keySetOf(ALICE, period() + 1, keyPeriodBounds(certificate, period() + 1));
    expect(await codeOf(material.takeKeySets([next]))).to.equal('accepted');
    const current = await keySetOf(ALICE, period(), keyPeriodBounds(certificate, period()));
    expect(await codeOf(material.takeKeySets([current]))).to.equal('accepted');
  });

  it('key material of key periods that are over is zeroed, and the rest when all is closed', async () => {
    await material.takeCertificate(certificate);
    const taken = [await keySetOf(), await keySetOf(ALICE, period() + 1), await keySetOf(ALICE, period() + 2)] as const;
    const secrets = taken.map(({ userDecryptKey, userSigningKeySsk }) => [userDecryptKey, userSigningKeySsk]);
    const zeroed = (): boolean[] =>
      secrets.map((octets) => octets.every((secret) => secret.every((octet) => octet === 0)));
    await material.takeKeySets(taken.slice(0, 2));
    now = keyPeriodBounds(certificate, period() + 2).validFrom;
    await material.takeKeySets([taken[2]]);
    expect(material.periods, 'the last one may still open what was on the way').to.deep.equal([
      period() + 1,
      period() + 2,
    ]);
    expect(zeroed()).to.deep.equal([true, false, false]);
    await material.close();
    expect(zeroed()).to.deep.equal([true, true, true]);
  });

  const bad: [string, () => Promise<KmsKeySet>, string][] = [
    ['that has expired', () => keySetOf(ALICE, period(), { validTo: NOW }), 'KMS_BAD_ANSWER'],
    ['that is for later', () => keySetOf(ALICE, period(), { validFrom: NOW + 360_000 }), 'KMS_BAD_ANSWER'],
    ['of another user', () => keySetOf(BOB), 'KMS_BAD_ANSWER'],
    ['of another KMS', () => keySetOf(ALICE, period(), { kmsUri: 'other.example' }), 'KMS_BAD_ANSWER'],
    [
      'under the name of the user but of another UID',
      async () => ({ ...(await keySetOf(BOB)), userUri: ALICE }),
      'bad-identity',
    ],
    [
      'with the SSK of another user (RFC 6507 5.1.2)',
      async () => ({ ...(await keySetOf()), userSigningKeySsk: (await extract(BOB)).ssk }),
      'ssk-invalid',
    ],
    [
      'with a changed PVT (RFC 6507 5.1.2)',
      async () => ({ ...(await keySetOf()), userPubTokenPvt: (await extract(BOB)).pvt }),
      'ssk-invalid',
    ],
    [
      'with the RSK of another user (RFC 6508 6.1.2)',
      async () => ({ ...(await keySetOf()), userDecryptKey: (await extract(BOB)).rsk }),
      'rsk-invalid',
    ],
    [
      'with an RSK that is no point',
      async () => {
        const keySet = await keySetOf();
        return { ...keySet, userDecryptKey: flipped(keySet.userDecryptKey) };
      },
      'rsk-invalid',
    ],
  ];
  for (const [what, make, code] of bad) {
    it(`a key set ${what} is refused before anything is done with it`, async () => {
      await material.takeCertificate(certificate);
      expect(await codeOf(material.takeKeySets([await make()]))).to.equal(code);
      expect(() => material.signer())
        .to.throw()
        .with.property('code', 'KMS_NO_KEY_MATERIAL');
    });
  }

  it('the key set of the next period is checked when that period comes, and refused then if it is wrong', async () => {
    await material.takeCertificate(certificate);
    const next = await keySetOf(ALICE, period() + 1);
    await material.takeKeySets([await keySetOf(), { ...next, userDecryptKey: (await extract(BOB, period() + 1)).rsk }]);
    now = keyPeriodBounds(certificate, period()).validTo + 3_600_000;
    expect(await codeOf(material.ready())).to.equal('rsk-invalid');
    await material.takeKeySets([await keySetOf(ALICE, period() + 1)]);
    expect(await material.ready()).to.equal(true);
    expect((await material.open(await sealed())).key).to.have.length(32);
  });

  it('opens across the turn of a key period, with either key set', async () => {
    await material.takeCertificate(certificate);
    now = keyPeriodBounds(certificate, period()).validTo - 60_000;
    await material.takeKeySets([await keySetOf(), await keySetOf(ALICE, period() + 1)]);
    expect((await material.open(await sealed({}, { time: now + 120_000 }))).key).to.have.length(32);
    now += 120_000;
    expect((await material.open(await sealed({}, { time: now - 120_000 }))).key).to.have.length(32);
  });

  describe('a CEK', () => {
    beforeEach(async () => {
      await material.takeCertificate(certificate);
      await material.takeKeySets([await keySetOf()]);
    });

    const refused: [string, () => Promise<Cek>, string][] = [
      ['sealed to another user', () => sealed({}, { receiver: BOB }), 'wrong-receiver'],
      ['signed by somebody else than the KMS', () => sealed({}, { sender: BOB }), 'wrong-sender'],
      ['whose element names another Key ID', () => sealed({ keyId: 'f0000002' }), 'CEK_REPEATED'],
      ['that is too old', () => sealed({}, { time: NOW - 6 * 60_000 }), 'message-too-old'],
      ['from the future', () => sealed({}, { time: NOW + 6 * 60_000 }), 'message-in-future'],
      [
        'that was changed on the way',
        async () => {
          const cek = await sealed();
          return { ...cek, iMessage: flipped(cek.iMessage, 300) };
        },
        'signature-invalid',
      ],
      [
        'that is cut',
        async () => {
          const cek = await sealed();
          return { ...cek, iMessage: cek.iMessage.slice(0, 200) };
        },
        'message-malformed',
      ],
    ];
    for (const [what, make, code] of refused) {
      it(`${what} is refused`, async () => expect(await codeOf(material.open(await make()))).to.equal(code));
    }

    it('is opened once: the same I_MESSAGE again is a replay', async () => {
      const cek = await sealed();
      await material.open(cek);
      expect(await codeOf(material.open(cek))).to.equal('message-replayed');
    });

    it('whose I_MESSAGE deviates as known vendors do is taken, counted and told of', async () => {
      const told: string[] = [];
      const telling = new IdentityMaterial({
        engine,
        kmsUri: KMS_URI,
        userUri: ALICE,
        now: () => now,
        onDeviation: (deviation) => told.push(deviation),
      });
      await telling.takeCertificate(certificate);
      await telling.takeKeySets([await keySetOf()]);
      expect(telling.deviations).to.deep.equal({});
      for (let i = 0; i < 2; i += 1) {
        const cek = await sealed();
        const { signedLength } = parseMessage(cek.iMessage);
        const signer = createSigner(await extract(KMS_URI), certificate);
        const older = Buffer.concat([
          cek.iMessage.subarray(0, signedLength),
          signer.sign(cek.iMessage.subarray(0, signedLength - 2)),
        ]);
        expect((await telling.open({ ...cek, iMessage: older })).key).to.have.length(32);
      }
      expect(telling.deviations).to.deep.equal({ 'sign-header-not-covered': 2 });
      expect(told).to.deep.equal(['sign-header-not-covered', 'sign-header-not-covered']);
      await telling.close();
    });

    it('is not opened with key material that has been closed', async () => {
      const cek = await sealed();
      const keySet = await keySetOf();
      await material.takeKeySets([keySet]);
      await material.close();
      expect(await codeOf(material.open(cek))).to.equal('KMS_NO_KEY_MATERIAL');
    });
  });
});
