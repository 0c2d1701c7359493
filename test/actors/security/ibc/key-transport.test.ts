import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { createArithmetic } from '../../../../actors/security/ibc/backend.ts';
import { createBigintArithmetic } from '../../../../actors/security/ibc/bigint/index.ts';
import { ORDER } from '../../../../actors/security/ibc/eccsi.ts';
import { EccsiVerifier } from '../../../../actors/security/ibc/eccsi-native.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { IbcError, type IbcErrorCode } from '../../../../actors/security/ibc/errors.ts';
import { extractKeySet, generateKms, type UserKeySet } from '../../../../actors/security/ibc/key-set.ts';
import { openKey, sealKey } from '../../../../actors/security/ibc/key-transport.ts';
import { buildIMessage, freshRand } from '../../../../actors/security/ibc/mikey/build.ts';
import { sealKemac } from '../../../../actors/security/ibc/mikey/kemac.ts';
import type { Deviation, OpenOptions } from '../../../../actors/security/ibc/mikey/open.ts';
import { parseMessage } from '../../../../actors/security/ibc/mikey/parse.ts';
import { type Body, chain, PAYLOAD } from '../../../../actors/security/ibc/mikey/payloads.ts';
import { MemoryReplayCache } from '../../../../actors/security/ibc/mikey/replay.ts';
import { toNtp } from '../../../../actors/security/ibc/mikey/timestamp.ts';
import { concat, fromHex, toHex, toInteger, toOctets, xor } from '../../../../actors/security/ibc/octets.ts';
import { SAKKE_Q } from '../../../../actors/security/ibc/parameters.ts';
import { generateSsv, hashToIntegerRange } from '../../../../actors/security/ibc/sakke.ts';
import { createSigner, type IdentitySigner } from '../../../../actors/security/ibc/signer.ts';
import { keyPeriodBounds, keyPeriodNoAt } from '../../../../actors/security/ibc/uid.ts';

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0, 250);
const KMS = 'sip:kms@mcptt.example';
const ALICE = 'sip:alice@mcptt.example';
const BOB = 'sip:bob@mcptt.example';
const KEY = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
const KEY_ID = fromHex('f1234567');

describe('A 256-bit key in an I_MESSAGE (RFC 6509, RFC 3830 section 6.2)', () => {
  const engine = new LocalSakkeEngine(createBigintArithmetic());
  const { master, certificate } = generateKms(
    { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 },
    createBigintArithmetic(),
  );
  const period = keyPeriodNoAt(certificate, NOW);
  let sender: IdentitySigner;
  let alice: UserKeySet;
  let bob: UserKeySet;

  before(async () => {
    sender = createSigner(await extractKeySet(engine, master, certificate, KMS, period), certificate);
    alice = await extractKeySet(engine, master, certificate, ALICE, period);
    bob = await extractKeySet(engine, master, certificate, BOB, period);
  });

  after(async () => {
    sender.dispose();
    await engine.close();
  });

  const seal = (time = NOW) =>
    sealKey({ engine, key: KEY, keyId: KEY_ID, sender, receiverUri: ALICE, certificate, time });

  const options = (over: Partial<OpenOptions> = {}): OpenOptions => ({
    engine,
    verifier: new EccsiVerifier(),
    keySets: [alice],
    certificate,
    expectedSender: KMS,
    now: NOW,
    replayCache: new MemoryReplayCache(),
    ...over,
  });

  const refused = async (code: IbcErrorCode, octets: Uint8Array, over: Partial<OpenOptions> = {}) => {
    const error = await openKey(octets, options(over)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(IbcError);
    expect((error as IbcError).code).to.equal(code);
    expect((error as IbcError).message).to.not.contain(toHex(KEY));
  };

  it('is remembered until its timestamp alone refuses it, by what is signed (RFC 3830 section 5.4)', async () => {
    const admitted: [string, number, number, number][] = [];
    const replayCache = {
      admit: (...entry: [string, number, number, number]) => admitted.push(entry) > 0,
      withdraw: () => undefined,
    };
    const octets = await seal();
    await openKey(octets, options({ now: NOW + 1_000, window: 7_000, replayCache }));
    const signed = createHash('sha256')
      .update(octets.subarray(0, octets.length - 129))
      .digest('hex');
    expect(admitted).to.deep.equal([[signed, NOW, NOW + 7_000, NOW + 1_000]]);
  });

  it('comes out at the receiver as it went in, with its Key ID and sender', async () => {
    const opened = await openKey(await seal(), options());
    expect(toHex(opened.key)).to.equal(toHex(KEY));
    expect(toHex(opened.keyId)).to.equal('f1234567');
    expect(opened.senderUri).to.equal(KMS);
    expect(opened.receiverUri).to.equal(ALICE);
    expect(opened.keyPeriodNo).to.equal(period);
    expect(opened.sentAt).to.equal(NOW);
    expect(opened.deviations).to.deep.equal([]);
  });

  it('shows neither the key nor an identity on the outside, and no two seals are alike', async () => {
    const [first, second] = [await seal(), await seal()];
    const text = Buffer.from(first).toString('latin1');
    expect(text).to.not.contain('alice').and.not.contain('kms@');
    expect(toHex(first)).to.not.contain(toHex(KEY));
    expect(toHex(first)).to.not.equal(toHex(second));
    const kinds = parseMessage(first).payloads.map(({ kind }) => kind);
    expect(kinds).to.deep.equal(['timestamp', 'rand', 'idr', 'idr', 'idr', 'idr', 'sakke', 'kemac', 'sign']);
  });

  it('every flipped bit before the signature is noticed', async () => {
    const octets = await seal();
    const { signedLength } = parseMessage(octets);
    for (let at = 0; at < signedLength; at += 7) {
      const changed = octets.slice();
      changed[at]! ^= 0x01;
      const outcome = await openKey(changed, options()).then(
        () => 'opened',
        (error: unknown) => (error instanceof IbcError ? 'refused' : 'crashed'),
      );
      expect(outcome, `octet ${at}`).to.equal('refused');
    }
  });

  it('a message that is cut short anywhere is malformed, never a crash', async () => {
    const octets = await seal();
    for (let length = 0; length < octets.length; length += 5)
      await refused('message-malformed', octets.subarray(0, length));
  });

  it('replayed: refused the second time', async () => {
    const octets = await seal();
    const shared = options();
    await openKey(octets, shared);
    await refused('message-replayed', octets, shared);
  });

  it('replayed with -s in place of s, which verifies as well: refused all the same', async () => {
    const octets = await seal();
    const { signedLength } = parseMessage(octets);
    const twin = octets.slice();
    const s = toInteger(octets.subarray(signedLength + 32, signedLength + 64));
    twin.set(toOctets(ORDER - s, 32), signedLength + 32);
    await openKey(twin, options()); // it is a good signature
    const shared = options();
    await openKey(octets, shared);
    await refused('message-replayed', twin, shared);
  });

  it('a message whose signature is wrong does not reach the replay cache', async () => {
    const octets = await seal();
    const replayCache = new MemoryReplayCache();
    const forged = octets.slice();
    forged[forged.length - 80]! ^= 1;
    await refused('signature-invalid', forged, { replayCache });
    expect(replayCache.size).to.equal(0);
  });

  it('too old and too far ahead: refused outside the window, accepted at its edges', async () => {
    const octets = await seal();
    await refused('message-too-old', octets, { now: NOW + 300_001 });
    await refused('message-in-future', octets, { now: NOW - 300_001 });
    await openKey(octets, options({ now: NOW + 300_000 }));
    await openKey(octets, options({ now: NOW - 300_000 }));
    await refused('message-too-old', octets, { now: NOW + 10_001, window: 10_000 });
  });

  it('another receiver: wrong-receiver, even with key sets of its own', async () => {
    await refused('wrong-receiver', await seal(), { keySets: [bob] });
    await refused('wrong-receiver', await seal(), { keySets: [] });
  });

  it('another sender than expected: wrong-sender', async () => {
    await refused('wrong-sender', await seal(), { expectedSender: BOB });
  });

  it('signed by a user who writes the KMS into IDRi: signature-invalid', async () => {
    const impostor = createSigner(bob, certificate);
    const forger: IdentitySigner = { ...impostor, uid: sender.uid, userUri: KMS };
    const octets = await sealKey({
      engine,
      key: KEY,
      keyId: KEY_ID,
      sender: forger,
      receiverUri: ALICE,
      certificate,
      time: NOW,
    });
    await refused('signature-invalid', octets);
  });

  it('a KEMAC of another sender, or of a key with another Key ID than the CSB ID: kemac-invalid', async () => {
    const other: IdentitySigner = { ...sender, userUri: BOB }; // IDRi and signature are the KMS's, the KEMAC says Bob
    await refused(
      'kemac-invalid',
      await sealKey({ engine, key: KEY, keyId: KEY_ID, sender: other, receiverUri: ALICE, certificate, time: NOW }),
    );
    const ssv = generateSsv();
    const context = { ssv, csbId: KEY_ID, rand: freshRand(), timestamp: toNtp(NOW) };
    const contents = [
      { senderUri: KMS, key: KEY, keyId: fromHex('f7654321') },
      { senderUri: KMS, key: KEY.subarray(0, 16), keyId: KEY_ID },
      { senderUri: KMS, key: KEY, keyId: KEY_ID },
    ];
    const messages = await Promise.all(
      contents.map(async (content) =>
        buildIMessage(
          {
            ...context,
            receiverUid: alice.uid,
            senderKmsUri: certificate.kmsUri,
            receiverKmsUri: certificate.kmsUri,
            sed: await engine.encapsulate(certificate.pubEncKey, alice.uid, ssv),
            more: (next) => sealKemac(context, content, next),
          },
          sender,
        ),
      ),
    );
    await refused('kemac-invalid', messages[0]!);
    await refused('kemac-invalid', messages[1]!);
    expect((await openKey(messages[2]!, options())).senderUri, 'the right one').to.equal(KMS);
  });

  it('signed, yet not as RFC 3830 and RFC 6509 have it: another T, RAND or SIGN', async () => {
    const octets = await seal();
    const { payloads, signedLength } = parseMessage(octets);
    /** As its own sender would have sent it. */
    const signedAnew = (at: number, value: number) => {
      const changed = octets.slice();
      changed[at] = value;
      changed.set(sender.sign(changed.subarray(0, signedLength)), signedLength);
      return changed;
    };
    const t = payloads.find(({ kind }) => kind === 'timestamp')!.offset;
    await refused('message-unsupported', signedAnew(t + 1, 1)); // NTP that is not UTC
    await refused('message-unsupported', signedAnew(signedLength - 2, 0x10)); // RSA/PSS
    expect((await openKey(signedAnew(t + 1, 0), options())).senderUri, 'nothing changed').to.equal(KMS);
    const ssv = generateSsv();
    const short = { csbId: KEY_ID, rand: freshRand().subarray(1), timestamp: toNtp(NOW) };
    const message = buildIMessage(
      {
        ...short,
        receiverUid: alice.uid,
        senderKmsUri: certificate.kmsUri,
        receiverKmsUri: certificate.kmsUri,
        sed: await engine.encapsulate(certificate.pubEncKey, alice.uid, ssv),
        more: (next) => sealKemac({ ...short, ssv }, { senderUri: KMS, key: KEY, keyId: KEY_ID }, next),
      },
      sender,
    );
    await refused('message-malformed', message);
  });

  it('payloads in any order, a CERT among them (RFC 6509 section 2.1), signed by their sender: opens', async () => {
    const octets = await seal();
    const { payloads } = parseMessage(octets);
    const bodies: Body[] = payloads.slice(0, -2).map((payload, index) => ({
      type: index === 0 ? octets[2]! : payloads[index - 1]!.octets[0]!,
      octets: payload.octets.subarray(1),
    }));
    const kemac = { type: PAYLOAD.kemac, octets: payloads.at(-2)!.octets.subarray(1) }; // its MAC covers that SIGN is next
    const cert = { type: PAYLOAD.cert, octets: fromHex('0100053003020101') };
    for (const order of [
      bodies.toReversed(),
      [cert, ...bodies],
      [...bodies, cert],
      [...bodies.slice(3), cert, ...bodies.slice(0, 3)],
    ]) {
      const { first, octets: chained } = chain([...order, kemac], PAYLOAD.sign);
      const covered = concat(
        octets.subarray(0, 2),
        Uint8Array.of(first),
        octets.subarray(3, 10),
        chained,
        fromHex('2081'),
      );
      expect(toHex((await openKey(concat(covered, sender.sign(covered)), options())).key)).to.equal(toHex(KEY));
    }
  });

  it('sealed with the stripped mask that other vendors send: opens, and is told of', async () => {
    const arithmetic = createArithmetic();
    const table = arithmetic.prepareKms(certificate.pubEncKey);
    let ssv: Uint8Array;
    let r: Uint8Array;
    let w: Uint8Array;
    do {
      ssv = generateSsv();
      r = toOctets(hashToIntegerRange(concat(ssv, alice.uid), SAKKE_Q), 128);
      w = arithmetic.gPow(r);
    } while (w[0] !== 0); // one in 256
    const stripped = w.subarray(w.findIndex((octet) => octet !== 0));
    const mask = toOctets(hashToIntegerRange(stripped, 2n ** 128n), 16);
    const context = { ssv, csbId: KEY_ID, rand: freshRand(), timestamp: toNtp(NOW) };
    const message = buildIMessage(
      {
        ...context,
        receiverUid: alice.uid,
        senderKmsUri: certificate.kmsUri,
        receiverKmsUri: certificate.kmsUri,
        sed: concat(arithmetic.encapsulationPoint(table, alice.uid, r), xor(ssv, mask)),
        more: (next) => sealKemac(context, { senderUri: KMS, key: KEY, keyId: KEY_ID }, next),
      },
      sender,
    );
    arithmetic.dispose();
    const [seen, before]: [Deviation[], number] = [[], engine.strippedMasks];
    const opened = await openKey(message, options({ onDeviation: (deviation) => seen.push(deviation) }));
    expect(toHex(opened.key)).to.equal(toHex(KEY));
    expect(opened.deviations).to.deep.equal(['stripped-mask']);
    expect(seen).to.deep.equal(['stripped-mask']);
    expect(engine.strippedMasks - before).to.equal(1);
  });

  it('another KMS: certificate-mismatch by name, signature-invalid by key', async () => {
    const other = generateKms({ ...certificate }, createBigintArithmetic());
    const elsewhere = { ...certificate, kmsUri: 'kms.elsewhere.example' };
    await refused('certificate-mismatch', await seal(), { senderCertificate: elsewhere });
    await refused('certificate-mismatch', await seal(), { certificate: elsewhere, senderCertificate: certificate });
    await refused('signature-invalid', await seal(), {
      certificate: { ...certificate, pubAuthKey: other.certificate.pubAuthKey },
    });
    await refused('sakke-test-failed', await seal(), {
      certificate: { ...certificate, pubEncKey: other.certificate.pubEncKey },
    });
  });

  it('an RSK of somebody else under the right UID: SAKKE TEST fails', async () => {
    const octets = await seal();
    const shared = options({ keySets: [{ ...alice, rsk: bob.rsk }] });
    await refused('sakke-test-failed', octets, shared);
    await openKey(octets, { ...shared, keySets: [alice] }); // what was not opened is not a replay
  });

  it('neighbouring key periods are accepted, farther ones are not', async () => {
    for (const [shift, ok] of [
      [-2, false],
      [-1, true],
      [1, true],
      [2, false],
    ] as const) {
      const keySet = await extractKeySet(engine, master, certificate, KMS, period + shift);
      const signer = createSigner(keySet, certificate);
      const attempt = sealKey({
        engine,
        key: KEY,
        keyId: KEY_ID,
        sender: signer,
        receiverUri: ALICE,
        certificate,
        time: NOW,
      });
      if (ok) expect((await openKey(await attempt, options())).senderUri, `period ${shift}`).to.equal(KMS);
      else expect((await attempt.catch((error: IbcError) => error)) as IbcError).to.have.property('code', 'no-key-set');
    }
  });

  it('the key period is that of T, not of the receiver’s clock', async () => {
    const { validFrom } = keyPeriodBounds(certificate, period + 1);
    const justBefore = await seal(validFrom - 1);
    expect((await openKey(justBefore, options({ now: validFrom + 1000 }))).keyPeriodNo).to.equal(period);
  });

  it('no key set of the message’s period: says so', async () => {
    const older = await extractKeySet(engine, master, certificate, ALICE, period - 1);
    const octets = await seal();
    const shared = options({ keySets: [older] });
    await refused('no-key-set', octets, shared);
    expect((await openKey(octets, { ...shared, keySets: [older, alice] })).keyPeriodNo, 'once it is held').to.equal(
      period,
    );
  });

  it('keys and Key IDs of another length are refused when sealing', async () => {
    for (const wrong of [{ key: KEY.subarray(0, 16) }, { keyId: KEY_ID.subarray(0, 3) }]) {
      const error = await sealKey({
        engine,
        key: KEY,
        keyId: KEY_ID,
        sender,
        receiverUri: ALICE,
        certificate,
        time: NOW,
        ...wrong,
      }).catch((reason: unknown) => reason);
      expect(error).to.have.property('code', 'bad-length');
    }
  });

  it('a disposed signer signs no more', () => {
    const signer = createSigner(alice, certificate);
    signer.dispose();
    expect(() => signer.sign(KEY))
      .to.throw()
      .with.property('code', 'disposed');
  });
});
