import { expect } from 'chai';
import { createArithmetic } from '../../../../actors/security/ibc/backend.ts';
import { EccsiVerifier } from '../../../../actors/security/ibc/eccsi-native.ts';
import { LocalSakkeEngine } from '../../../../actors/security/ibc/engine.ts';
import { IbcError } from '../../../../actors/security/ibc/errors.ts';
import { openKey } from '../../../../actors/security/ibc/key-transport.ts';
import { purposeTag, userKeyId } from '../../../../actors/security/ibc/mikey/key-id.ts';
import {
  dataPayloadKey,
  KEY_PARAMETERS_EXTENSION,
  type KeyParameters,
  openKeyParameters,
} from '../../../../actors/security/ibc/mikey/key-parameters.ts';
import { type Deviation, type OpenOptions, openIMessage } from '../../../../actors/security/ibc/mikey/open.ts';
import { parseMessage } from '../../../../actors/security/ibc/mikey/parse.ts';
import { KEY_CONSTANT, keyLabel, prf } from '../../../../actors/security/ibc/mikey/prf.ts';
import { MemoryReplayCache } from '../../../../actors/security/ibc/mikey/replay.ts';
import { fromNtp, toNtp } from '../../../../actors/security/ibc/mikey/timestamp.ts';
import { concat, fromHex, toHex } from '../../../../actors/security/ibc/octets.ts';
import { createSigner } from '../../../../actors/security/ibc/signer.ts';
import { certificateOf, keySetOf, type Vector, vector, vectorsOf } from './vectors.ts';

const octetsOf = (source: Vector) => new Uint8Array(Buffer.from(source.text('iMessage'), 'base64'));

function sentAtOf(octets: Uint8Array): number {
  const timestamp = parseMessage(octets).payloads.find(({ kind }) => kind === 'timestamp');
  return timestamp?.kind === 'timestamp' ? fromNtp(timestamp.value) : Number.NaN;
}

const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof IbcError ? error.code : `not an IbcError: ${String(error)}`),
  );

describe('MIKEY-SAKKE I_MESSAGE, RFC 6509, RFC 3830, RFC 6043', () => {
  const engine = new LocalSakkeEngine(createArithmetic());
  after(() => engine.close());

  const vendorOptions = (vendor: string, source: Vector): OpenOptions => ({
    engine,
    verifier: new EccsiVerifier(),
    keySets: vectorsOf(`${vendor} KmsKeySet`)
      .map(keySetOf)
      .filter(({ userUri }) => userUri === source.text('responderUri')),
    certificate: certificateOf(vector(`${vendor} KMS certificate`)),
    expectedSender: source.text('initiatorUri'),
    now: sentAtOf(octetsOf(source)),
    replayCache: new MemoryReplayCache(),
  });

  const parameters: Record<string, KeyParameters> = {
    'Streamwide v5 I_MESSAGE 1: GMK': { keyType: 0, status: 1, activation: 0, expiry: 0, text: '', groupIds: [] },
    'Streamwide v5 I_MESSAGE 2: CSK': { keyType: 2, status: 1, activation: 0, expiry: 0, text: '', groupIds: [] },
    'Streamwide v5 I_MESSAGE 3: PCK': { keyType: 1, status: 1, activation: 0, expiry: 0, text: '', groupIds: [] },
    'Streamwide v5 I_MESSAGE 4: GMK (legacy format for IWF)': {
      keyType: 1,
      status: 1,
      activation: 0,
      expiry: 0,
      text: '',
      groupIds: [],
    },
    'Alea v3 I_MESSAGE imsg_gmk': {
      keyType: 0,
      status: 0,
      activation: 0x68d7eafa,
      expiry: 0xffffffff,
      text: '',
      groupIds: ['sip:g4.chat@veronica-cluster'],
    },
  };

  for (const vendor of ['Streamwide v5', 'Alea v3']) {
    for (const source of vectorsOf(`${vendor} I_MESSAGE`)) {
      describe(source.name, () => {
        const octets = octetsOf(source);

        it('verifies, opens, and gives the key that its maker says', async () => {
          const opened = await openIMessage(octets, vendorOptions(vendor, source));
          expect(toHex(opened.ssv)).to.equal(source.text('key'));
          expect(opened.deviations).to.deep.equal([]);
        });

        it('its CSB ID leads to the key identifier', async () => {
          const { csbId } = parseMessage(octets).header;
          const key = source.hex('key');
          const isGroupKey = purposeTag(csbId) === 0;
          const keyId = isGroupKey ? userKeyId(key, csbId, source.text('responderUri')) : csbId;
          expect(toHex(keyId)).to.equal(source.text('keyId'));
        });

        it('its key parameters, where it has some, open with that key', () => {
          const extension = parseMessage(octets).payloads.find(
            (payload) => payload.kind === 'general-extension' && payload.extensionType === KEY_PARAMETERS_EXTENSION,
          );
          if (extension?.kind !== 'general-extension') return expect(parameters[source.name]).to.equal(undefined);
          expect(openKeyParameters(source.hex('key'), extension.data)).to.deep.equal(parameters[source.name]);
          if (extension.data.length > 20) {
            const wrongKey = source.hex('key').map((octet) => octet ^ 1);
            expect(() => openKeyParameters(wrongKey, extension.data))
              .to.throw()
              .with.property('code', 'message-malformed');
          }
          return undefined;
        });

        it('every octet counts: with any one changed, or cut short at any, it is refused', async function () {
          this.timeout(30_000);
          const options = vendorOptions(vendor, source);
          const refusals = new Set([
            'message-malformed',
            'message-unsupported',
            'message-too-old',
            'message-in-future',
            'certificate-mismatch',
            'wrong-sender',
            'signature-invalid',
          ]);
          for (const at of octets.keys()) {
            const changed = octets.slice();
            changed[at]! ^= 1 << (at % 8);
            expect(refusals, `octet ${at}`).to.include(await codeOf(openIMessage(changed, options)));
            expect(await codeOf(openIMessage(octets.subarray(0, at), options)), `${at} octets`).to.equal(
              'message-malformed',
            );
          }
          expect(await codeOf(openIMessage(octets, options)), 'unchanged').to.equal(undefined);
        });

        it('holds no KEMAC, and openKey says so', async () => {
          expect(await codeOf(openKey(octets, vendorOptions(vendor, source)))).to.equal('message-malformed');
        });
      });
    }
  }

  it('payloads are found by next payload: two vendors order SAKKE and General Extension differently', () => {
    const order = (name: string) => parseMessage(octetsOf(vector(name))).payloads.map(({ kind }) => kind);
    const streamwide = order('Streamwide v5 I_MESSAGE 1: GMK');
    const alea = order('Alea v3 I_MESSAGE imsg_gmk');
    expect(streamwide.indexOf('sakke')).to.be.lessThan(streamwide.indexOf('general-extension'));
    expect(alea.indexOf('sakke')).to.be.greaterThan(alea.indexOf('general-extension'));
  });

  it('reads the GENERIC-ID map and the SRTP-ID map', () => {
    const generic = parseMessage(octetsOf(vector('Streamwide v5 I_MESSAGE 1: GMK'))).header;
    expect(generic.csIdMapType).to.equal(2);
    expect(toHex(generic.cryptoSessions[0]!.spi)).to.equal('0df9bc3906a12aea');
    const srtp = parseMessage(octetsOf(vector('Streamwide v5 I_MESSAGE 4: GMK (legacy format for IWF)'))).header;
    expect(srtp.csIdMapType).to.equal(0);
    expect(srtp.cryptoSessions).to.have.length(2);
  });

  describe('what is not well formed', () => {
    const source = vector('Streamwide v5 I_MESSAGE 3: PCK');
    const octets = octetsOf(source);
    const parseCode = (changed: Uint8Array) => {
      try {
        parseMessage(changed);
        return undefined;
      } catch (error) {
        return error instanceof IbcError ? error.code : 'crash';
      }
    };
    const with_ = (at: number, value: number) => {
      const changed = octets.slice();
      changed[at] = value;
      return changed;
    };

    it('cut short anywhere, or followed by octets', () => {
      for (let length = 0; length < octets.length; length += 3) {
        expect(parseCode(octets.subarray(0, length)), `${length} octets`).to.equal('message-malformed');
      }
      expect(parseCode(concat(octets, Uint8Array.of(0)))).to.equal('message-malformed');
      expect(parseCode(new Uint8Array(9000))).to.equal('message-malformed');
    });

    it('another version, an unknown payload, an unknown map', () => {
      expect(parseCode(with_(0, 2))).to.equal('message-unsupported');
      expect(parseCode(with_(2, 77))).to.equal('message-unsupported');
      expect(parseCode(with_(9, 9))).to.equal('message-unsupported');
      expect(parseCode(with_(8, 1)), 'one session in an empty map').to.equal('message-malformed');
    });

    it('another data type, PRF, timestamp type, parameter set or identifier scheme', async () => {
      const { payloads } = parseMessage(octets);
      const sakke = payloads.find(({ kind }) => kind === 'sakke')!.offset;
      for (const changed of [with_(1, 0), with_(3, 0), with_(sakke + 1, 2), with_(sakke + 2, 1)]) {
        expect(await codeOf(openIMessage(changed, vendorOptions('Streamwide v5', source)))).to.equal(
          'message-unsupported',
        );
      }
    });

    it('two payloads where one is meant', async () => {
      const { payloads } = parseMessage(octets);
      const timestamp = payloads[0]!.octets.slice();
      timestamp[0] = 5; // another T follows
      const doubled = concat(octets.subarray(0, 10), timestamp, octets.subarray(10));
      expect(await codeOf(openIMessage(doubled, vendorOptions('Streamwide v5', source)))).to.equal('message-malformed');
      const idr = payloads.find(({ kind }) => kind === 'idr')!;
      const twoSenders = concat(octets.subarray(0, idr.offset), idr.octets, octets.subarray(idr.offset));
      expect(await codeOf(openIMessage(twoSenders, vendorOptions('Streamwide v5', source)))).to.equal(
        'message-malformed',
      );
    });
  });

  it('a signature that stops before the SIGN header is accepted, counted and reported', async () => {
    const source = vector('Streamwide v5 I_MESSAGE 3: PCK');
    const octets = octetsOf(source);
    const alice = vectorsOf('Streamwide v5 KmsKeySet')
      .map(keySetOf)
      .find(({ userUri }) => userUri === source.text('initiatorUri'))!;
    const options = vendorOptions('Streamwide v5', source);
    const { signedLength } = parseMessage(octets);
    const signer = createSigner(alice, options.certificate);
    const older = concat(octets.subarray(0, signedLength), signer.sign(octets.subarray(0, signedLength - 2)));
    const seen: Deviation[] = [];
    const opened = await openIMessage(older, { ...options, onDeviation: (deviation) => seen.push(deviation) });
    expect(opened.deviations).to.deep.equal(['sign-header-not-covered']);
    expect(seen).to.deep.equal(['sign-header-not-covered']);
    signer.dispose();
  });

  describe('keys derived from a transported key', () => {
    for (const source of vectorsOf('Etherstack GUK-ID/SRTP')) {
      it(`${source.name}: UK-ID, SRTP master key and salt`, () => {
        const gmk = source.hex('gmk');
        const gukId = userKeyId(gmk, source.hex('gmkId'), source.text('uri'));
        expect(toHex(gukId)).to.equal(source.text('gukId'));
        expect(toHex(userKeyId(gmk, gukId, source.text('uri'))), 'and back').to.equal(source.text('gmkId'));
        const label = (constant: number) => keyLabel(constant, source.number('csId'), gukId, source.hex('rand'));
        expect(toHex(prf(gmk, label(KEY_CONSTANT.tek), 16))).to.equal(source.text('srtpMasterKey'));
        expect(toHex(prf(gmk, label(KEY_CONSTANT.tekSalt), 12))).to.equal(source.text('srtpMasterSalt'));
      });
    }

    it('DPCK is the last 16 octets of the KDF’s output', () => {
      const source = vector('DPCK derivation');
      expect(toHex(dataPayloadKey(source.hex('dppk'), source.hex('dppkId')))).to.equal(
        source.text('kdfOutput').slice(32),
      );
    });
  });

  describe('T payload', () => {
    it('NTP seconds and fraction, there and back to the millisecond', () => {
      expect(toHex(toNtp(Date.UTC(2025, 9, 2, 23, 47, 52)))).to.equal('ec898da800000000');
      for (const at of [0, 1, 999, Date.UTC(2026, 10, 23, 1, 2, 3, 456), Date.UTC(2036, 1, 7, 6, 28, 16, 5)]) {
        expect(fromNtp(toNtp(at)), String(at)).to.equal(at);
      }
      expect(fromNtp(toNtp(1_999.999_999_999)), 'not a second early').to.be.within(1_999, 2_000);
    });

    it('has 8 octets', () => {
      expect(() => fromNtp(fromHex('00000000')))
        .to.throw()
        .with.property('code', 'message-malformed');
    });
  });
});
