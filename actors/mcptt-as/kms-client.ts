/** The MCPTT server as a client of the KMS (HTTP-1): its own identity's key material, its sessions' CEKs, updates and ends. */

import type { Log, TlsIdentity } from '../../sim/control/actor.ts';
import type { Clock } from '../../sim/engine/clock.ts';
import { recordingFetch } from '../../sim/trace/http.ts';
import type { Report } from '../../sim/trace/record.ts';
import { CEK_END_REASONS, type Cek, type CekEndReason, type CekRequest } from '../messages/kms/cek.ts';
import { type HttpsClient, httpsClient } from '../messages/kms/https.ts';
import { KMS_PATHS } from '../messages/kms/namespaces.ts';
import type { CekKeyStore } from '../security/cek/key-store.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import { KmsClientError } from '../security/kms-client/errors.ts';
import { KmsExchange } from '../security/kms-client/exchange.ts';
import { IdentityMaterial } from '../security/kms-client/material.ts';
import type { EndedAtServer } from './notices.ts';

export interface ServerKmsClientOptions {
  /** The KMS's `https` endpoint. */
  readonly baseUrl: string;
  readonly kmsUri: string;
  /** The server's identity: the URI name of its certificate. */
  readonly serverId: string;
  readonly tls: TlsIdentity;
  readonly engine: SakkeEngine;
  /** Where CEKs go; asked for each time, because a restarted server has another. */
  readonly ceks: () => CekKeyStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
}

/** As many times {@link ServerKmsClient.start} tries, so that the start order of actors does not matter. */
const ATTEMPTS = 20;
const BETWEEN = 250;

export class ServerKmsClient {
  readonly #options: ServerKmsClientOptions;
  readonly #https: HttpsClient;
  readonly #exchange: KmsExchange;
  readonly #material: IdentityMaterial;
  #refreshing: Promise<IdentityMaterial> | undefined;
  #closed = false;

  constructor(options: ServerKmsClientOptions) {
    const { baseUrl, kmsUri, serverId, tls, engine, clock, report } = options;
    this.#options = options;
    this.#https = httpsClient(tls);
    const now = (): number => clock.now();
    const fetch = recordingFetch(this.#https.fetch, report, { interface: 'HTTP-1', peer: 'kms' });
    this.#exchange = new KmsExchange({ baseUrl, kmsUri, userUri: serverId, fetch, now });
    this.#material = new IdentityMaterial({
      engine,
      kmsUri,
      userUri: serverId,
      now,
      onDeviation: (deviation) =>
        options.log.warn({ deviation }, 'the KMS sent an I_MESSAGE that deviates from the specifications'),
    });
  }

  /** Fetches the KMS certificate and the server's key sets. @throws KmsClientError when the KMS does not answer in time */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.material();
        return;
      } catch (error) {
        const mayCome = error instanceof KmsClientError && error.code === 'KMS_UNREACHABLE';
        if (!mayCome || attempt >= ATTEMPTS || this.#closed) throw error;
        await new Promise((resolve) => setTimeout(resolve, BETWEEN));
      }
    }
  }

  /** The server's key material, valid and of the current key period; fetched when it is not. */
  async material(): Promise<IdentityMaterial> {
    if (await this.#material.ready()) return this.#material;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /**
   * After a restart: takes up the CEKs of these SIP sessions, of all that the KMS knows when none is named.
   * @returns the Key IDs taken
   */
  async resume(sipSessions: readonly string[] = []): Promise<string[]> {
    const cekRequests = sipSessions.map((sipSession) => ({ sipSession }));
    return this.#ceksFrom(KMS_PATHS.cekSessions, cekRequests);
  }

  /**
   * LIFE-4: asks for an update of a CEK; the KMS decides.
   * @returns the Key ID to be used from now on: the same, or a new one
   */
  async askUpdate(held: { keyId: string; sipSession: string }): Promise<string> {
    const { keyId, sipSession } = held;
    const messages =
      this.#options
        .ceks()
        .list()
        .find((cek) => cek.keyId === keyId)?.messages ?? 0;
    const taken = await this.#ceksFrom(KMS_PATHS.cekUpdate, [{ sipSession, keyId, messages }]);
    const [answer] = taken;
    if (answer === undefined) throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered an update without a CEK');
    return answer;
  }

  /** Tells the KMS that CEKs have ended here: those of a SIP session, or of one of its users, or single ones. */
  async ended(ended: EndedAtServer): Promise<void> {
    const { sipSession, userUri, keyIds, only } = ended;
    const reason = endReason(ended.reason);
    const all = { sipSession, ...(userUri === undefined ? {} : { userUri }), reason };
    const cekEnds = only === true ? keyIds.map((keyId) => ({ keyId, reason })) : [all];
    const answer = await this.#exchange.ask({ path: KMS_PATHS.cekEnd, cekEnds });
    const acknowledged = answer.type === 'cek-ack' ? answer.keyIds : [];
    // A CEK that arrived after the server had forgotten the others, and that the KMS has ended with them.
    for (const keyId of acknowledged) if (!keyIds.includes(keyId)) this.#options.ceks().end({ keyId }, reason);
  }

  /** Zeroes the key material. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#refreshing?.catch(() => undefined);
    await this.#material.close();
    await this.#https.close();
  }

  async #refresh(): Promise<IdentityMaterial> {
    const init = await this.#exchange.ask({ path: KMS_PATHS.init });
    if (init.type !== 'init') throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered init without a KmsInit');
    await this.#material.takeCertificate(init.certificate);
    const keyProv = await this.#exchange.ask({ path: KMS_PATHS.keyProv });
    if (keyProv.type !== 'key-prov')
      throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered without a KmsKeyProv');
    await this.#material.takeKeySets(keyProv.keySets);
    return this.#material;
  }

  async #ceksFrom(path: string, cekRequests: readonly CekRequest[]): Promise<string[]> {
    const answer = await this.#exchange.ask({ path, cekRequests });
    if (answer.type !== 'key-prov') throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered without a KmsKeyProv');
    const material = await this.material();
    for (const cek of answer.ceks) await this.#take(material, cek);
    return answer.ceks.map((cek) => cek.keyId);
  }

  async #take(material: IdentityMaterial, cek: Cek): Promise<void> {
    const arrived = await material.open(cek);
    try {
      this.#options.ceks().take(arrived);
    } finally {
      arrived.key.fill(0);
    }
  }
}

/** Reasons of the server in the words of the interface: what ran out has expired. */
const endReason = (reason: string): CekEndReason => CEK_END_REASONS.find((known) => known === reason) ?? 'expired';
