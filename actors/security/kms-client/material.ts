/**
 * One identity's key material at its owner: used only after the checks of RFC 6507 section 5.1.2 and RFC 6508 section 6.1.2,
 * to open the CEKs that the KMS sends and to sign bodies; zeroed when dropped. The check of a key set costs a pairing, so the
 * one for the next key period is checked when that period comes, and until then is not used.
 */
import type { Cek } from '../../messages/kms/cek.ts';
import type { KmsCertificate, KmsKeySet } from '../../messages/kms/key-material.ts';
import { CekError } from '../cek/errors.ts';
import { keyIdOf } from '../cek/key-id.ts';
import type { ArrivedCek } from '../cek/key-store.ts';
import { EccsiVerifier } from '../ibc/eccsi-native.ts';
import type { SakkeEngine } from '../ibc/engine.ts';
import { disposeKeySet, type UserKeySet, validateCertificate, validateKeySet } from '../ibc/key-set.ts';
import { openKey } from '../ibc/key-transport.ts';
import type { Deviation } from '../ibc/mikey/open.ts';
import { MemoryReplayCache } from '../ibc/mikey/replay.ts';
import { createSigner, type IdentitySigner } from '../ibc/signer.ts';
import { acceptedKeyPeriods, keyPeriodBounds, keyPeriodNoAt } from '../ibc/uid.ts';
import { KmsClientError } from './errors.ts';

export interface IdentityMaterialOptions {
  readonly engine: SakkeEngine;
  readonly kmsUri: string;
  /** The owner: MCPTT ID, or the MCPTT server's identity. */
  readonly userUri: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Shared where several identities live together; its own otherwise. */
  readonly verifier?: EccsiVerifier;
  /** Told of each deviation in an I_MESSAGE that was opened all the same; counted here too. */
  readonly onDeviation?: (deviation: Deviation) => void;
}

export class IdentityMaterial {
  readonly #options: IdentityMaterialOptions;
  readonly #keySets = new Map<number, UserKeySet>();
  readonly #unchecked = new Map<number, UserKeySet>();
  readonly #signers = new Map<number, IdentitySigner>();
  readonly #replayCache = new MemoryReplayCache();
  readonly #deviations = new Map<Deviation, number>();
  readonly verifier: EccsiVerifier;
  #certificate: KmsCertificate | undefined;

  constructor(options: IdentityMaterialOptions) {
    this.#options = options;
    this.verifier = options.verifier ?? new EccsiVerifier();
  }

  get userUri(): string {
    return this.#options.userUri;
  }

  /** @throws KmsClientError `KMS_NO_KEY_MATERIAL` */
  get certificate(): KmsCertificate {
    if (this.#certificate === undefined) throw missing('the KMS certificate: ask for it with init');
    return this.#certificate;
  }

  /** Key period numbers held, checked or not. */
  get periods(): number[] {
    return [...new Set([...this.#keySets.keys(), ...this.#unchecked.keys()])].sort((a, b) => a - b);
  }

  /** How often I_MESSAGEs opened that deviate from the specifications as other vendors' do, by deviation. */
  get deviations(): Readonly<Partial<Record<Deviation, number>>> {
    return Object.fromEntries(this.#deviations);
  }

  /**
   * Checks the key set of the current key period if that has not been done.
   * @returns false when there is none, and the KMS must be asked
   * @throws IbcError `bad-identity`, `ssk-invalid`, `rsk-invalid`
   */
  async ready(): Promise<boolean> {
    if (this.#certificate === undefined) return false;
    const period = this.#periodNow();
    await this.#check(period);
    return this.#keySets.has(period);
  }

  /** @throws KmsClientError `KMS_BAD_ANSWER` for another KMS's, or one that is not valid now; IbcError `certificate-invalid` */
  async takeCertificate(certificate: KmsCertificate): Promise<void> {
    if (certificate.kmsUri !== this.#options.kmsUri) {
      throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS certificate is of another KMS');
    }
    this.#checkValidity(certificate, 'KMS certificate');
    await validateCertificate(this.#options.engine, certificate);
    this.#certificate = certificate;
  }

  /**
   * Takes key sets and checks that of the current key period; those of key periods before the last are dropped.
   * @throws KmsClientError `KMS_BAD_ANSWER` for somebody else's, or one that is not valid in its own key period; IbcError `bad-identity`, `ssk-invalid`, `rsk-invalid`
   */
  async takeKeySets(keySets: readonly KmsKeySet[]): Promise<void> {
    const { kmsUri, userUri } = this.#options;
    for (const given of keySets) {
      if (given.kmsUri !== kmsUri || given.userUri !== userUri) {
        throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS gave key material of another identity or KMS');
      }
      if (given.keyPeriodNo === this.#periodNow()) this.#checkValidity(given, 'key set');
      const { keyPeriodNo, userDecryptKey: rsk, userSigningKeySsk: ssk, userPubTokenPvt: pvt } = given;
      const held = this.#keySets.get(keyPeriodNo) ?? this.#unchecked.get(keyPeriodNo);
      if (held !== undefined && same(held.rsk, rsk) && same(held.ssk, ssk) && same(held.pvt, pvt)) {
        rsk.fill(0);
        ssk.fill(0);
        continue;
      }
      await this.#drop(keyPeriodNo);
      this.#unchecked.set(keyPeriodNo, { userUri, uid: given.userId, keyPeriodNo, rsk, ssk, pvt });
    }
    for (const period of this.periods) if (period < this.#periodNow() - 1) await this.#drop(period);
    await this.ready();
  }

  /**
   * Opens a CEK that the KMS sealed to this identity.
   * @returns the CEK with its 32 octets, the caller's to zero
   * @throws IbcError as `openKey`; CekError `CEK_REPEATED` when the I_MESSAGE carries a key of another Key ID than the element
   */
  async open(cek: Cek): Promise<ArrivedCek> {
    const { engine, kmsUri, now } = this.#options;
    // Around the turn of a key period the sender's clock may be in the other one.
    const periods = acceptedKeyPeriods(this.certificate, now());
    for (const period of nearTurn(this.certificate, now()) ? periods : periods.slice(0, 1)) await this.#check(period);
    const opened = await openKey(cek.iMessage, {
      engine,
      verifier: this.verifier,
      keySets: [...this.#keySets.values()],
      certificate: this.certificate,
      expectedSender: kmsUri,
      now: now(),
      replayCache: this.#replayCache,
      onDeviation: (deviation) => {
        this.#deviations.set(deviation, (this.#deviations.get(deviation) ?? 0) + 1);
        this.#options.onDeviation?.(deviation);
      },
    });
    if (keyIdOf(opened.keyId) !== cek.keyId) {
      opened.key.fill(0);
      throw new CekError('CEK_REPEATED', `the I_MESSAGE under Key ID ${cek.keyId} carries a key of another Key ID`);
    }
    const { iMessage: _sealed, ...rest } = cek;
    return { ...rest, key: opened.key };
  }

  /** Signs as this identity, in the current key period unless another is named. @throws KmsClientError `KMS_NO_KEY_MATERIAL` */
  signer(period = this.#periodNow()): IdentitySigner {
    const keySet = this.#keySets.get(period);
    if (keySet === undefined) throw missing(`key set for key period ${period}: ask for it with keyprov`);
    const signer = this.#signers.get(period) ?? createSigner(keySet, this.certificate);
    this.#signers.set(period, signer);
    return signer;
  }

  /** Zeroes and forgets all key material. */
  async close(): Promise<void> {
    for (const period of this.periods) await this.#drop(period);
    this.#certificate = undefined;
  }

  #periodNow(): number {
    return keyPeriodNoAt(this.certificate, this.#options.now());
  }

  /** TS 33.180 D.3.2.2 and D.3.3.2, ValidFrom and ValidTo; one that begins within the window begins by another clock. */
  #checkValidity({ validFrom, validTo }: { validFrom?: number; validTo?: number }, what: string): void {
    const now = this.#options.now();
    if ((validTo ?? Number.POSITIVE_INFINITY) <= now || (validFrom ?? 0) > now + WINDOW) {
      throw new KmsClientError('KMS_BAD_ANSWER', `the ${what} is not valid now: compare its dates and the clocks`);
    }
  }

  async #check(period: number): Promise<void> {
    const keySet = this.#unchecked.get(period);
    if (keySet === undefined) return;
    await validateKeySet(this.#options.engine, keySet, this.certificate);
    this.#unchecked.delete(period);
    this.#keySets.set(period, keySet);
  }

  async #drop(period: number): Promise<void> {
    const keySet = this.#keySets.get(period) ?? this.#unchecked.get(period);
    if (keySet === undefined) return;
    this.#keySets.delete(period);
    this.#unchecked.delete(period);
    this.#signers.get(period)?.dispose();
    this.#signers.delete(period);
    await disposeKeySet(this.#options.engine, keySet);
  }
}

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/** How far clocks may differ, as the window of an I_MESSAGE's timestamp: how near the turn of a key period both are expected. */
const WINDOW = 5 * 60_000;

function nearTurn(certificate: KmsCertificate, now: number): boolean {
  const { validFrom, validTo } = keyPeriodBounds(certificate, keyPeriodNoAt(certificate, now));
  return now - validFrom < WINDOW || validTo - now < WINDOW;
}

const missing = (what: string): KmsClientError =>
  new KmsClientError('KMS_NO_KEY_MATERIAL', `this identity has no ${what}`);
