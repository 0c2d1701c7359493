/** A CEK, or its end, as one receiver is to get it: sealed to the receiver's UID, and anew each time. */
import type { Clock } from '../../sim/engine/clock.ts';
import type { Cek, CekNews } from '../messages/kms/cek.ts';
import { keyIdOctets } from '../security/cek/key-id.ts';
import type { Principal } from './authorize.ts';
import type { IdentityKeys } from './identity-keys.ts';
import type { KmsPolicy } from './policy.ts';
import type { CekRecord, KmsStore, News } from './store.ts';

export type Receiver = Pick<Principal, 'kind' | 'uri'>;

export class Composer {
  readonly #store: KmsStore;
  readonly #keys: IdentityKeys;
  readonly #clock: Clock;
  readonly #policy: () => KmsPolicy;

  constructor(parts: { store: KmsStore; keys: IdentityKeys; clock: Clock; policy: () => KmsPolicy }) {
    this.#store = parts.store;
    this.#keys = parts.keys;
    this.#clock = parts.clock;
    this.#policy = parts.policy;
  }

  /** @returns undefined when the CEK has ended: then there is no key any more */
  async cek(record: CekRecord, receiver: Receiver): Promise<Cek | undefined> {
    const key = await this.#store.cekOctets(record.keyId);
    if (key === undefined) return undefined;
    try {
      const { keyId, userUri, clientId, sipSession, notBefore, notAfter } = record;
      // For the MCPTT server a CEK is active as soon as it has it: its acknowledgement is what makes it so.
      const active = receiver.kind === 'server' || record.state !== 'pending-ack';
      return {
        keyId,
        userUri,
        clientId,
        sipSession,
        notBefore,
        notAfter,
        state: active ? 'active' : 'pending-ack',
        ...(active ? await this.#superseded(record) : {}),
        iMessage: await this.#keys.seal(key, keyIdOctets(keyId), receiver.uri),
      };
    } finally {
      key.fill(0);
    }
  }

  /** @returns undefined when there is nothing to tell any more */
  async news({ keyId, what }: News, receiver: Receiver): Promise<CekNews | undefined> {
    const record = await this.#store.cek(keyId);
    if (record === undefined) return undefined;
    if (what === 'end') return { end: { keyId, reason: record.endReason ?? 'revoked' } };
    const cek = await this.cek(record, receiver);
    return cek === undefined ? undefined : { cek };
  }

  /** The CEK before, as long as it opens. Before the acknowledgement its overlap has not begun: it would end from now on. */
  async #superseded(record: CekRecord): Promise<Pick<Cek, 'supersedes'>> {
    const before = record.supersedes === undefined ? undefined : await this.#store.cek(record.supersedes);
    if (before === undefined || before.state === 'ended') return {};
    const overlapEnd = before.state === 'superseded' ? before.notAfter : this.#clock.now() + this.#policy().cek.overlap;
    return { supersedes: { keyId: before.keyId, notAfter: Math.min(before.notAfter, overlapEnd) } };
  }
}
