/**
 * The KMS's identity based side: its certificate, the key sets that it extracts for identities, and the signer under which it
 * seals CEKs. All arithmetic goes through the engine, off this thread where that is a pool.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../sim/engine/clock.ts';
import type { KmsCertificate, KmsKeySet } from '../messages/kms/key-material.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import { extractKeySet, type UserKeySet } from '../security/ibc/key-set.ts';
import { sealKey } from '../security/ibc/key-transport.ts';
import { createSigner, type IdentitySigner } from '../security/ibc/signer.ts';
import { keyPeriodBounds, keyPeriodNoAt } from '../security/ibc/uid.ts';
import type { KmsSecrets } from './master-secrets.ts';
import type { KmsStore } from './store.ts';

export interface IdentityKeysParts {
  readonly engine: SakkeEngine;
  readonly secrets: KmsSecrets;
  readonly certificate: KmsCertificate;
  readonly store: KmsStore;
  readonly clock: Clock;
}

const UID = 32;
const RSK = 257;
const SSK = 32;
const PVT = 65;

export class IdentityKeys {
  readonly #parts: IdentityKeysParts;
  readonly #extracting = new Map<string, Promise<UserKeySet>>();
  #signer: IdentitySigner | undefined;

  constructor(parts: IdentityKeysParts) {
    this.#parts = parts;
  }

  get certificate(): KmsCertificate {
    return this.#parts.certificate;
  }

  /** The number of the key period of a time, now unless told. */
  periodAt(time = this.#parts.clock.now()): number {
    return keyPeriodNoAt(this.#parts.certificate, time);
  }

  /** The key set of an identity for one key period: extracted once, then the same again. For the caller to zero. */
  async keySet(userUri: string, keyPeriodNo: number): Promise<KmsKeySet> {
    const keys = await this.#keys(userUri, keyPeriodNo);
    return {
      kmsUri: this.#parts.certificate.kmsUri,
      userUri,
      userId: keys.uid,
      keyPeriodNo,
      ...keyPeriodBounds(this.#parts.certificate, keyPeriodNo),
      userDecryptKey: keys.rsk,
      userSigningKeySsk: keys.ssk,
      userPubTokenPvt: keys.pvt,
    };
  }

  /**
   * A CEK as an I_MESSAGE: sealed to the receiver's UID, signed by the KMS's own (its KmsUri is its identity).
   * @param key 32 octets, stays the caller's to zero
   * @param keyId 4 octets
   * @param senderUri another signer than the KMS, for I_MESSAGEs that are wrong on purpose
   */
  async seal(key: Uint8Array, keyId: Uint8Array, receiverUri: string, senderUri?: string): Promise<Uint8Array> {
    const { engine, certificate, clock } = this.#parts;
    const time = clock.now();
    const common = { engine, key, keyId, receiverUri, certificate, time };
    if (senderUri === undefined) return sealKey({ ...common, sender: await this.#sender(time) });
    const sender = await this.#signerOf(senderUri, this.periodAt(time));
    return sealKey({ ...common, sender }).finally(() => sender.dispose());
  }

  close(): void {
    this.#signer?.dispose();
  }

  async #sender(time: number): Promise<IdentitySigner> {
    const keyPeriodNo = this.periodAt(time);
    if (this.#signer?.keyPeriodNo === keyPeriodNo) return this.#signer;
    const signer = await this.#signerOf(this.#parts.certificate.kmsUri, keyPeriodNo);
    this.#signer?.dispose();
    this.#signer = signer;
    return signer;
  }

  async #signerOf(identity: string, keyPeriodNo: number): Promise<IdentitySigner> {
    const keys = await this.#keys(identity, keyPeriodNo);
    const signer = createSigner(keys, this.#parts.certificate);
    zeroKeySet(keys);
    return signer;
  }

  async #keys(userUri: string, keyPeriodNo: number): Promise<UserKeySet> {
    const kept = await this.#parts.store.keySet(userUri, keyPeriodNo);
    if (kept !== undefined) return unpack(kept, userUri, keyPeriodNo);
    const name = `${keyPeriodNo} ${userUri}`;
    let extracting = this.#extracting.get(name);
    if (extracting === undefined) {
      extracting = this.#extract(userUri, keyPeriodNo).finally(() => this.#extracting.delete(name));
      this.#extracting.set(name, extracting);
    }
    const keys = await extracting;
    // Each caller zeroes its own.
    return { ...keys, rsk: keys.rsk.slice(), ssk: keys.ssk.slice() };
  }

  async #extract(userUri: string, keyPeriodNo: number): Promise<UserKeySet> {
    const { engine, secrets, certificate, store } = this.#parts;
    const keys = await extractKeySet(engine, secrets, certificate, userUri, keyPeriodNo);
    const octets = Buffer.concat([keys.uid, keys.rsk, keys.ssk, keys.pvt]);
    // Another replica may have been faster: what is kept is what everybody gets.
    return unpack(await store.putKeySet(userUri, keyPeriodNo, octets), userUri, keyPeriodNo);
  }
}

function unpack(octets: Uint8Array, userUri: string, keyPeriodNo: number): UserKeySet {
  const part = (from: number, length: number): Uint8Array => Uint8Array.from(octets.subarray(from, from + length));
  const keys = {
    userUri,
    keyPeriodNo,
    uid: part(0, UID),
    rsk: part(UID, RSK),
    ssk: part(UID + RSK, SSK),
    pvt: part(UID + RSK + SSK, PVT),
  };
  octets.fill(0);
  return keys;
}

const zeroKeySet = (keys: UserKeySet): void => {
  keys.rsk.fill(0);
  keys.ssk.fill(0);
};

/** Draws what a new KMS needs: z_T and KSAK by the cryptography's own generators, and a key for the store. */
export function drawSecrets(generate: { zT: () => Uint8Array; ksak: () => Uint8Array }): KmsSecrets {
  return { zT: generate.zT(), ksak: generate.ksak(), storeKey: Uint8Array.from(randomBytes(32)) };
}
