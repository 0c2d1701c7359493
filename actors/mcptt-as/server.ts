/**
 * The MCPTT server's service logic, put together: SIP in and out, sessions, bindings, keys, calls. What stands beyond
 * SIP (tokens, the KMS) comes in as two small interfaces, see {@link ServerLinks}.
 */
import type { ActorContext, JsonObject } from '../../sim/control/actor.ts';
import type { BodyProtection } from '../messages/body-protection.ts';
import { MimeError } from '../messages/mime.ts';
import { identityKey, WARNINGS } from '../messages/sip-headers.ts';
import type { UserProfile } from '../messages/user-profile.ts';
import { CekKeyStore } from '../security/cek/key-store.ts';
import { Admission } from './admission.ts';
import { type BindingStore, memoryBindingStore } from './bindings.ts';
import type { McpttAsConfig, McpttPolicy } from './config.ts';
import { ALLOWED_METHODS, handleOptions, isDefaultService } from './default-service.ts';
import { Directory } from './directory.ts';
import { Refusal } from './errors.ts';
import { Life } from './life.ts';
import { handleMessage } from './messaging.ts';
import { memoryNoticeStore, type NoticeStore, Notices, type NoticesOptions } from './notices.ts';
import { PrivateCalls } from './private-call.ts';
import { handlePublish, type ServiceToken } from './publish.ts';
import { memorySessionStore, type SessionStore } from './sessions.ts';
import { type SipRequest, SipServer } from './sip-server.ts';
import { readThirdPartyRegister } from './third-party-register.ts';

/** What answers each method. */
type Handlers = Readonly<Record<string, (request: SipRequest) => Promise<void>>>;

export interface ServerLinks {
  readonly verifyToken: (token: string) => Promise<ServiceToken>;
  readonly tellKms: NoticesOptions['tellKms'];
  readonly protection: () => BodyProtection;
}

export interface ServerStores {
  readonly sessions: SessionStore;
  readonly bindings: BindingStore;
  readonly notices: NoticeStore;
}

const memoryStores = (): ServerStores => ({
  sessions: memorySessionStore(),
  bindings: memoryBindingStore(),
  notices: memoryNoticeStore(),
});

export class McpttServer {
  readonly #config: McpttAsConfig;
  readonly #ctx: ActorContext;
  readonly #users: ReadonlyMap<string, UserProfile>;
  readonly #admission: Admission;
  readonly #notices: Notices;
  readonly #life: Life;
  readonly #calls: PrivateCalls;
  readonly #handlers: Handlers;
  /** Whose each Key ID is, so that the end of a key finds its binding. */
  readonly #owners = new Map<string, Slot>();
  readonly stores: ServerStores;
  #policy: McpttPolicy;
  #ceks: CekKeyStore;
  /** Settles once the keys of the kept sessions are back; undefined while nothing is to be waited for. */
  #recovering: Promise<void> | undefined;
  #sip: SipServer | undefined;

  constructor(config: McpttAsConfig, ctx: ActorContext, links: ServerLinks, stores: ServerStores = memoryStores()) {
    this.#config = config;
    this.#ctx = ctx;
    this.#policy = config.policy;
    this.stores = stores;
    this.#users = new Map(config.users.map((user) => [identityKey(user.mcpttId), user]));
    this.#admission = new Admission(stores.sessions);
    this.#ceks = this.#newKeyStore();
    const shared = {
      ...stores,
      admission: this.#admission,
      ceks: () => this.#ceks,
      protection: links.protection,
      policy: () => this.#policy,
      userOf: (mcpttId: string) => this.#users.get(identityKey(mcpttId)),
      clock: ctx.clock,
      log: ctx.log,
      sip: () => this.sip,
      psi: config.psi,
    };
    const directory = new Directory(shared);
    this.#calls = new PrivateCalls({ ...shared, directory });
    this.#notices = new Notices({
      ...shared,
      store: stores.notices,
      tellKms: links.tellKms,
      // A user may have been given another CEK without anything having come over SIP.
      mayHaveBegunAnew: async ({ userUri, sipSession }) =>
        userUri !== undefined || (await stores.sessions.get(sipSession)) !== undefined,
    });
    this.#life = new Life({
      ...shared,
      notices: this.#notices,
      tokenExpiryEndsBinding: () => this.#policy.tokenExpiryEndsBinding,
      onUnbound: (binding) => this.#calls.endOf(binding),
    });
    this.#handlers = {
      REGISTER: (request) => this.#register(request),
      PUBLISH: (request) => handlePublish(request, { ...shared, life: this.#life, verifyToken: links.verifyToken }),
      OPTIONS: (request) => handleOptions(request, this.#admission, this.#policy),
      SUBSCRIBE: (request) => this.#notServed(request),
      NOTIFY: (request) => this.#notServed(request),
      INFO: (request) => this.#notServed(request),
      REFER: (request) => this.#notServed(request),
      MESSAGE: (request) => this.#orDefaultService(request, () => handleMessage(request, { ...shared, directory })),
      INVITE: (request) => this.#calls.invite(request),
    };
  }

  /** Keys that the server holds; another store after a restart. */
  get ceks(): CekKeyStore {
    return this.#ceks;
  }

  get policy(): McpttPolicy {
    return this.#policy;
  }

  set policy(policy: McpttPolicy) {
    this.#policy = policy;
  }

  get sip(): SipServer {
    if (this.#sip === undefined) throw new Error('the MCPTT server has not been started');
    return this.#sip;
  }

  /** Connects to the SIP engine. @returns its listeners, `proto/host:port` */
  async start(): Promise<readonly string[]> {
    const { report, log } = this.#ctx;
    this.#sip = await SipServer.connect({ engine: this.#config.engine, report, log, handlers: this.#held() });
    await this.#life.resume();
    return this.#sip.hostports;
  }

  /** Names the SIP core: where requests go to, and whose requests are taken. */
  async useCore(coreUri: string): Promise<void> {
    this.sip.routeTo(coreUri);
    const host = /^sips?:(?:\[([^\]]+)\]|([^:;]+))/.exec(coreUri);
    await this.#admission.trust(this.#config.trustedAddresses ?? [host?.[1] ?? host?.[2] ?? '']);
  }

  /**
   * Runs what brings the keys of the kept sessions back. Requests that come meanwhile wait for it, up to {@link RECOVERY_BOUND_MS},
   * instead of being told that their Key IDs are unknown.
   */
  async recover<T>(run: () => Promise<T>): Promise<T> {
    let done = (): void => undefined;
    const recovering = new Promise<void>((resolve) => {
      done = resolve;
    });
    this.#recovering = recovering;
    const bound = this.#ctx.clock.setTimer(RECOVERY_BOUND_MS, done);
    void recovering.then(() => {
      bound.cancel();
      if (this.#recovering === recovering) this.#recovering = undefined;
    });
    try {
      return await run();
    } finally {
      done();
    }
  }

  /** Tells the KMS what it has not heard of before the server stopped. */
  async tellKept(): Promise<void> {
    await this.#notices.resume();
  }

  /** As after a crash: keys are forgotten, sessions and bindings come back from their stores. */
  async restart(): Promise<void> {
    this.#life.stop();
    this.#notices.stop();
    await this.#calls.stop();
    this.#ceks.close();
    this.#owners.clear();
    this.#ceks = this.#newKeyStore();
    await this.#life.resume();
  }

  async stop(): Promise<void> {
    this.#life.stop();
    this.#notices.stop();
    if (this.#sip === undefined) return;
    await this.#calls.stop();
    this.#sip.stop();
    this.#sip = undefined;
    this.#ceks.close();
  }

  /** What anybody may know of the server's state; no key, no token. */
  async view(): Promise<Readonly<Record<'sessions' | 'bindings' | 'ceks' | 'calls', JsonObject[]>>> {
    const iso = (time: number): string => new Date(time).toISOString();
    return {
      sessions: (await this.stores.sessions.all()).map(({ sipSession, impus, expiresAt }) => ({
        sipSession,
        impus: [...impus],
        expiresAt: iso(expiresAt),
      })),
      bindings: (await this.stores.bindings.all()).map((binding) => ({
        mcpttId: binding.mcpttId,
        clientId: binding.clientId,
        sipSession: binding.sipSession,
        impu: binding.impu,
        state: binding.state,
        boundAt: iso(binding.boundAt),
        tokenExpiresAt: iso(binding.tokenExpiresAt),
        answerMode: binding.answerMode,
      })),
      ceks: this.#ceks.list().map(({ keyId, userUri, clientId, sipSession, state, cekFingerprint }) => ({
        keyId,
        user: userUri,
        clientId,
        sipSession,
        state,
        cekFingerprint,
      })),
      calls: this.#calls.list().map((call) => ({ ...call })),
    };
  }

  /** The handlers, each of which waits while the server recovers. */
  #held(): Handlers {
    return Object.fromEntries(
      Object.entries(this.#handlers).map(([method, handle]) => [
        method,
        async (request: SipRequest) => {
          if (this.#recovering !== undefined) await this.#recovering;
          await handle(request);
        },
      ]),
    );
  }

  /** Step 2. TS 24.229 5.4.1.7: the answer is 200, whatever the server makes of the registration. */
  async #register(request: SipRequest): Promise<void> {
    this.#admission.fromCore(request);
    const told = this.#read(request);
    const known = await this.stores.sessions.byImpu(told.impu);
    if (told.expires === 0) {
      const ended =
        told.sipSession === undefined ? known : known.filter((session) => session.sipSession === told.sipSession);
      for (const { sipSession } of ended) await this.#life.sessionEnded(sipSession, 'deregistered');
    } else if (told.sipSession !== undefined) {
      const own = known.find((session) => session.sipSession === told.sipSession);
      await this.#life.registered({
        sipSession: told.sipSession,
        impus: [...new Set([...(own?.impus ?? []), told.impu, ...told.associated])],
        expiresAt: this.#ctx.clock.now() + told.expires * 1000,
      });
    } else {
      this.#ctx.log.warn(
        { impu: told.impu },
        "a third-party REGISTER without the UE's REGISTER in it names no SIP session; include it by the filter criteria",
      );
    }
    await request.answer(200);
  }

  #read(request: SipRequest): ReturnType<typeof readThirdPartyRegister> {
    try {
      return readThirdPartyRegister(request);
    } catch (error) {
      if (error instanceof MimeError) throw new Refusal(400, '399 malformed body');
      throw error;
    }
  }

  /** Methods that the server knows and does not serve: STEP-1N comes first, then RFC 3261 21.4.6. */
  async #notServed(request: SipRequest): Promise<void> {
    if (!(await this.#isAuthorised(request))) throw new Refusal(403, WARNINGS.notYetAuthorised);
    throw new Refusal(405, undefined, { Allow: ALLOWED_METHODS });
  }

  async #isAuthorised(request: SipRequest): Promise<boolean> {
    const { sessions } = await this.#admission.sender(request);
    const bound = await Promise.all(sessions.map(({ sipSession }) => this.stores.bindings.bySession(sipSession)));
    return bound.flat().length > 0;
  }

  /** STEP-2S: a method that policy names is answered for who is registered and not authorized yet. */
  async #orDefaultService(request: SipRequest, authorised: () => Promise<void>): Promise<void> {
    if (isDefaultService(this.#policy, request.method) && !(await this.#isAuthorised(request))) {
      return request.answer(200);
    }
    return authorised();
  }

  #newKeyStore(): CekKeyStore {
    const store = new CekKeyStore(this.#ctx.clock);
    store.onChange(({ keyId, state, reason }) => {
      if (state !== 'retired') {
        const cek = store.list().find((held) => held.keyId === keyId);
        if (cek !== undefined) this.#owners.set(keyId, cek);
        return;
      }
      const owner = this.#owners.get(keyId);
      this.#owners.delete(keyId);
      // Where another key serves, the service goes on: what was only superseded, or revoked in its overlap, ends nothing.
      if (owner === undefined || reason === undefined || store.serves(owner)) return;
      this.#life.keyEnded(owner, reason).catch((error: Error) => {
        this.#ctx.log.error({ error: error.message }, 'the binding of an ended CEK could not be ended');
      });
    });
    return store;
  }
}

/** The longest that requests wait for a recovery; timer F of their senders is 32 s (RFC 3261 17.1.2.2). */
const RECOVERY_BOUND_MS = 5_000;

interface Slot {
  readonly userUri: string;
  readonly sipSession: string;
  readonly clientId: string;
}
