/** What a scenario has the KMS give wrong on purpose, so that it is seen who takes what the KMS's own keys do not verify. */
import { type Deviation, deviateOctets, deviationValue } from '../messages/deviation.ts';
import type { KmsKeySet } from '../messages/kms/key-material.ts';
import { IdentityKeys } from './identity-keys.ts';

/**
 * The identity keys with the deviations at `kms-response`, for each receiver its own: `set` `rsk` or `ssk` to the identity
 * whose key stands in the key set instead; `set` `signer` to the identity that signs CEKs instead of the KMS; any other path is
 * an offset into the I_MESSAGE (deviation.ts).
 */
export class DeviatingKeys extends IdentityKeys {
  readonly #deviations = new Map<string, readonly Deviation[]>();

  /** From now on what this identity is given is wrong so; right again with an empty list. */
  deviate(receiverUri: string, deviations: readonly Deviation[]): void {
    this.#deviations.set(receiverUri, deviations);
  }

  /** All is right again. */
  undeviate(): void {
    this.#deviations.clear();
  }

  override async keySet(userUri: string, keyPeriodNo: number): Promise<KmsKeySet> {
    const own = await super.keySet(userUri, keyPeriodNo);
    const instead = async (path: 'rsk' | 'ssk'): Promise<KmsKeySet> => {
      const identity = deviationValue(this.#of(userUri), 'kms-response', path);
      return identity === undefined ? own : super.keySet(identity, keyPeriodNo);
    };
    const [{ userDecryptKey }, { userSigningKeySsk }] = [await instead('rsk'), await instead('ssk')];
    return { ...own, userDecryptKey, userSigningKeySsk };
  }

  override async seal(key: Uint8Array, keyId: Uint8Array, receiverUri: string): Promise<Uint8Array> {
    const deviations = this.#of(receiverUri);
    const signer = deviationValue(deviations, 'kms-response', 'signer');
    return deviateOctets(deviations, 'kms-response', await super.seal(key, keyId, receiverUri, signer));
  }

  #of(receiverUri: string): readonly Deviation[] {
    return this.#deviations.get(receiverUri) ?? [];
  }
}
