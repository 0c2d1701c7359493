/** The KMS as an actor: its parts put together, its verbs and readings (docs/interfaces.md). */
import { join } from 'node:path';
import type { Actor, ActorContext, Endpoints, Json, JsonObject, Peers } from '../../sim/control/actor.ts';
import { recordingFetch } from '../../sim/trace/http.ts';
import { parseDeviations } from '../messages/deviation.ts';
import { closeHttps, type HttpsListening, listenHttps, shownCertificate } from '../messages/https-server.ts';
import { buildCekPush, type CekNews, parseCekAck } from '../messages/kms/cek.ts';
import { type HttpsClient, httpsClient } from '../messages/kms/https.ts';
import { KMS_MEDIA_TYPE, KMS_PATHS } from '../messages/kms/namespaces.ts';
import { cekFingerprint } from '../security/fingerprint.ts';
import type { SakkeEngine } from '../security/ibc/engine.ts';
import { IbcPool } from '../security/ibc/pool.ts';
import { Audit } from './audit.ts';
import { CekService } from './cek-service.ts';
import { Composer } from './compose.ts';
import { KMS_AUDIENCE, KMS_SCOPE, type KmsConfig } from './config.ts';
import { DeviatingKeys } from './deviating-keys.ts';
import { EventStreams } from './event-streams.ts';
import { createHttpApp } from './http.ts';
import { identityOf } from './identity.ts';
import { openLibsqlStore } from './libsql-store.ts';
import { type KmsSecrets, zeroSecrets } from './master-secrets.ts';
import { Metrics } from './metrics.ts';
import { changePolicy, DEFAULT_POLICY, type KmsPolicy, type PolicyChange } from './policy.ts';
import { Pusher } from './pusher.ts';
import { RateLimit } from './rate-limit.ts';
import { KmsRefusal } from './refusal.ts';
import { Resources } from './resources.ts';
import type { CekFilter, KmsStore } from './store.ts';
import { type CheckToken, tokenCheck } from './token-check.ts';
import { answerUnreadable } from './unreadable.ts';
import { Vault } from './vault.ts';

/** How long the MCPTT server may take to answer a push, milliseconds. */
const PUSH_TIMEOUT = 5_000;

/** What a KMS may share with the other actors of its process. */
export interface KmsShared {
  /** Its own pool of workers unless given; a given one stays open. */
  readonly engine?: SakkeEngine;
}

/**
 * @param config see {@link KmsConfig}
 * @param context where, with which certificate and clock, and where state is kept
 */
export function createKms(config: KmsConfig, context: ActorContext, shared: KmsShared = {}): Actor {
  return new Kms(config, context, shared);
}

interface Opened {
  readonly store: KmsStore;
  readonly audit: Audit;
  readonly https: HttpsClient;
  readonly engine: SakkeEngine;
}

/** What exists between `start` and `stop`. */
interface Running extends Opened, HttpsListening {
  readonly secrets: KmsSecrets;
  readonly keys: DeviatingKeys;
  readonly ceks: CekService;
  readonly pusher: Pusher;
  readonly events: EventStreams;
}

class Kms implements Actor {
  readonly kind = 'kms';
  readonly verbs: Actor['verbs'];
  readonly readings: Actor['readings'];
  readonly #config: KmsConfig;
  readonly #context: ActorContext;
  readonly #shared: KmsShared;
  readonly #metrics = new Metrics();
  #policy: KmsPolicy;
  #running: Running | undefined;
  #checkToken: CheckToken | undefined;
  #mcpttServer: string | undefined;

  constructor(config: KmsConfig, context: ActorContext, shared: KmsShared) {
    this.#config = config;
    this.#context = context;
    this.#shared = shared;
    this.#policy = this.#configuredPolicy();
    this.verbs = {
      cekList: () => this.#listCeks(),
      cekRotate: (args) => this.#rotate(args),
      cekRevoke: (args) => this.#revoke(args),
      setPolicy: (args) => this.#setPolicy(args),
      presentCertificate: async ({ of }) => {
        await this.#parts().present(shownCertificate(of));
        return {};
      },
      resetPolicy: async () => {
        this.#policy = this.#configuredPolicy();
        this.#parts().keys.undeviate();
        await this.#parts().present('own');
        return this.#setPolicy({});
      },
      deviate: (args) => this.#deviate(args),
    };
    this.readings = {
      health: () => this.#health(),
      endpoints: () => ({ ...this.#endpoints() }),
      ceks: () => this.#listCeks(),
      policy: () => asJson(this.#policy),
      audit: ({ since }) => this.#parts().audit.since(typeof since === 'number' ? since : 0),
      metrics: () => this.#metrics.read(),
    };
  }

  get name(): string {
    return this.#context.name;
  }

  async start(): Promise<Endpoints> {
    if (this.#running !== undefined) return this.#endpoints();
    const { clock, log, tls, host, stateFolder, report } = this.#context;
    const inState = (name: string): string | undefined =>
      stateFolder === undefined ? undefined : join(stateFolder, name);
    const { secrets, certificate } = await identityOf(this.#config, inState('master-secrets.json'));
    const open = await this.#open(secrets, inState);
    const { store, audit, engine, https } = open;
    const keys = new DeviatingKeys({ engine, secrets, certificate, store, clock });
    const policy = (): KmsPolicy => this.#policy;

    const composer = new Composer({ store, keys, clock, policy });
    const server = { kind: 'server' as const, uri: this.#config.mcpttServerId };
    const ceks: CekService = new CekService({
      store,
      clock,
      policy,
      audit,
      log,
      onPush: () => pusher.wake(),
      onEvents: (userUri) => events.notify(userUri),
    });
    const pusher = new Pusher({
      store,
      clock,
      log,
      audit,
      compose: (push) => composer.news(push, server),
      post: (news) => this.#push(https, news),
      delivered: (push) => ceks.delivered(push),
    });
    const events = new EventStreams({
      store,
      clock,
      log,
      audit,
      report,
      compose: (event) => composer.news(event, { kind: 'user', uri: event.userUri }),
    });
    const app = createHttpApp({
      kmsUri: this.#config.kmsUri,
      scope: this.#config.scope ?? KMS_SCOPE,
      servers: [this.#config.mcpttServerId],
      checkToken: (token) => {
        if (this.#checkToken === undefined) throw new KmsRefusal('KMS_UNAVAILABLE', 'the KMS waits for the IdM', 1);
        return this.#checkToken(token);
      },
      resources: new Resources({
        ceks,
        keys,
        audit,
        clock,
        policy,
        compose: (record, receiver) => composer.cek(record, receiver),
      }),
      events,
      rateLimit: new RateLimit(clock, () => this.#policy.requests),
      audit,
      clock,
      log,
      report,
      counted: (resource, status) => this.#metrics.request(resource, status),
    });
    const parts = { secrets, ...open, keys, ceks, pusher, events };
    try {
      const { port = 0, publicHost, requestTimeout } = this.#config;
      const listening = await listenHttps(app, tls, {
        host,
        port,
        publicHost,
        requestTimeout,
        // Clients come with a token and without a certificate; whether one that is shown is good is asked per request.
        clientCertificate: 'asked',
        // The application refuses what has none, with a KmsError.
        requireHostHeader: false,
      });
      // Node would answer 417 by itself; what nobody knows of may be read past (RFC 9110 section 10.1.1).
      listening.server.on('checkExpectation', app);
      answerUnreadable(listening.server, { kmsUri: this.#config.kmsUri, clock, audit });
      this.#running = { ...parts, ...listening };
    } catch (error) {
      await this.#close(parts);
      throw error;
    }
    this.#metrics.observe({ streams: () => events.open, audit });
    try {
      this.#deny(await store.deniedUsers());
      await ceks.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    return this.#endpoints();
  }

  /** What holds files or threads. What was opened is closed again when the rest cannot be. */
  async #open(secrets: KmsSecrets, inState: (name: string) => string | undefined): Promise<Opened> {
    const { clock, log, tls } = this.#context;
    const opened: { close(): Promise<void> }[] = [];
    const open = <T extends { close(): Promise<void> }>(part: T): T => {
      opened.push(part);
      return part;
    };
    try {
      const store = open(openLibsqlStore(inState('kms.db'), new Vault(secrets.storeKey)));
      const audit = open(new Audit(clock, inState('audit.jsonl'), log));
      const https = open(httpsClient(tls));
      const engine = this.#shared.engine ?? open(await IbcPool.start());
      return { store, audit, https, engine };
    } catch (error) {
      for (const part of opened.reverse()) await part.close();
      zeroSecrets(secrets);
      throw error;
    }
  }

  /**
   * Learns the IdM (whose keys it fetches, within a bound) and the MCPTT server, to which what is queued is then pushed.
   */
  async connect(peers: Peers): Promise<void> {
    const { pusher, https } = this.#parts();
    const { idm, 'mcptt-as': mcpttServer } = peers;
    if (idm !== undefined) {
      this.#checkToken = await tokenCheck({
        issuer: this.#config.issuer ?? idm.issuer ?? idm.https ?? '',
        audience: this.#config.audience ?? KMS_AUDIENCE,
        scope: this.#config.scope ?? KMS_SCOPE,
        fetch: https.fetch,
        clock: this.#context.clock,
        wait: this.#config.connectWait ?? 5_000,
      });
    }
    if (mcpttServer !== undefined) {
      this.#mcpttServer = mcpttServer.https;
      pusher.retryNow();
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    await closeHttps(running.server);
    await this.#close(running);
  }

  /** Everything but the listener, in the order in which one needs the other. */
  async #close(parts: Omit<Running, keyof HttpsListening>): Promise<void> {
    await Promise.all([parts.pusher.stop(), parts.ceks.stop(), parts.events.stop()]);
    await parts.https.close();
    parts.keys.close();
    await parts.store.close();
    await parts.audit.close();
    zeroSecrets(parts.secrets);
    if (this.#shared.engine === undefined) await parts.engine.close();
  }

  #parts(): Running {
    if (this.#running === undefined) throw new KmsRefusal('KMS_UNAVAILABLE', 'the KMS has not been started');
    return this.#running;
  }

  #endpoints(): Endpoints {
    return { https: this.#parts().url };
  }

  #health(): JsonObject {
    const waitingFor = [
      ...(this.#checkToken === undefined ? ['idm'] : []),
      ...(this.#mcpttServer === undefined ? ['mcptt-as'] : []),
    ];
    return { ok: this.#running !== undefined && waitingFor.length === 0, waitingFor };
  }

  async #push(https: HttpsClient, news: readonly CekNews[]): Promise<readonly string[]> {
    if (this.#mcpttServer === undefined) throw new Error('the KMS waits to be told where the MCPTT server is');
    const fetch = recordingFetch(https.fetch, this.#context.report, { interface: 'HTTP-1', peer: 'mcptt-as' });
    const response = await fetch(`${this.#mcpttServer}${KMS_PATHS.cekPush}`, {
      method: 'POST',
      headers: { 'content-type': KMS_MEDIA_TYPE },
      body: buildCekPush(news) as NonNullable<RequestInit['body']>,
      signal: AbortSignal.timeout(PUSH_TIMEOUT),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`the MCPTT server answered ${response.status} to a push`);
    return parseCekAck(body);
  }

  async #listCeks(): Promise<Json> {
    const { ceks, store } = this.#parts();
    const listed: JsonObject[] = [];
    for (const record of await ceks.list()) {
      const key = await store.cekOctets(record.keyId);
      listed.push({
        keyId: record.keyId,
        user: record.userUri,
        clientId: record.clientId,
        sipSession: record.sipSession,
        state: record.state,
        notBefore: new Date(record.notBefore).toISOString(),
        notAfter: new Date(record.notAfter).toISOString(),
        messages: record.messages,
        ...(record.supersedes === undefined ? {} : { supersedes: record.supersedes }),
        ...(record.endReason === undefined ? {} : { endReason: record.endReason }),
        ...(key === undefined ? {} : { cekFingerprint: cekFingerprint(key) }),
      });
      key?.fill(0);
    }
    return listed;
  }

  async #rotate(args: JsonObject): Promise<Json> {
    return { superseding: await this.#parts().ceks.rotate(filterOf(args), 'operator') };
  }

  /** Ends CEKs. A revoked user gets no key material any more, until policy allows it again (`deny: false` only ends). */
  async #revoke(args: JsonObject): Promise<Json> {
    const filter = filterOf(args);
    const { userUri } = filter;
    if (userUri !== undefined && args.deny !== false) {
      this.#deny([userUri]);
      await this.#keepDenied();
    }
    return { ended: await this.#parts().ceks.end(filter, 'revoked', { kind: 'operator' }) };
  }

  async #deviate({ to, deviate }: JsonObject): Promise<Json> {
    if (typeof to !== 'string') throw new KmsRefusal('KMS_BAD_REQUEST', 'name in `to` the identity that is given it');
    this.#parts().keys.deviate(to, parseDeviations(deviate));
    return {};
  }

  #configuredPolicy(): KmsPolicy {
    return changePolicy(DEFAULT_POLICY, this.#config.policy ?? {});
  }

  #deny(userUris: readonly string[]): void {
    const denied = new Set([...this.#policy.deniedMcpttIds, ...userUris]);
    this.#policy = changePolicy(this.#policy, { deniedMcpttIds: [...denied] });
  }

  /** Whom the operator has denied stays denied over a restart; whom the configuration denies it may allow again. */
  async #keepDenied(): Promise<void> {
    const configured = this.#configuredPolicy().deniedMcpttIds;
    await this.#parts().store.setDeniedUsers(this.#policy.deniedMcpttIds.filter((id) => !configured.includes(id)));
  }

  async #setPolicy(args: JsonObject): Promise<Json> {
    this.#policy = changePolicy(this.#policy, args as PolicyChange);
    await this.#keepDenied();
    this.#parts().audit.write('policy-changed', { changed: Object.keys(args) });
    this.#parts().ceks.policyChanged();
    return asJson(this.#policy);
  }
}

/** `{keyId}` or `{user}`; one of them must be there, so that nothing is ended or rotated for want of a name. */
function filterOf({ keyId, user }: JsonObject): CekFilter {
  if (typeof keyId === 'string') return { keyId: keyId.toLowerCase() };
  if (typeof user === 'string') return { userUri: user };
  throw new KmsRefusal('KMS_BAD_REQUEST', 'name a keyId or a user');
}

const asJson = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;
