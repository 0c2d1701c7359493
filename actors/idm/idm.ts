import type { IncomingMessage, RequestListener } from 'node:http';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import express from 'express';
import type { Provider } from 'oidc-provider';
import {
  ACTOR_KINDS,
  type Actor,
  type ActorContext,
  type Endpoints,
  type Json,
  type JsonObject,
} from '../../sim/control/actor.ts';
import { recordHttp } from '../../sim/trace/http.ts';
import { parseDeviations } from '../messages/deviation.ts';
import { closeHttps, type HttpsListening, listenHttps, shownCertificate } from '../messages/https-server.ts';
import { accountIndex, modelIndex } from './adapter.ts';
import { DEFAULT_REDIRECT_URI, DEFAULT_TOKEN_LIFETIME, type IdmConfig, IdmError } from './config.ts';
import { DeviatingTokens } from './deviating-tokens.ts';
import { fileSessionStore } from './file-session-store.ts';
import { loginRouter } from './login.ts';
import { createProvider } from './provider.ts';
import { memorySessionStore, type SessionStore } from './session-store.ts';
import { type IdmSecrets, loadSecrets, newSigningKey, saveSecrets } from './signing-keys.ts';
import { createUserDirectory, type UserDirectory } from './users.ts';

interface Running {
  readonly https: HttpsListening;
  readonly issuer: string;
  secrets: IdmSecrets;
  provider: Provider;
}

/** The identity management server of step 3a. See README.md. */
export class Idm implements Actor {
  readonly name: string;
  readonly kind = 'idm';
  readonly #config: IdmConfig;
  readonly #context: ActorContext;
  readonly #users: UserDirectory;
  readonly #deviating = new DeviatingTokens();
  #store: SessionStore;
  #running: Running | undefined;

  readonly verbs: Actor['verbs'] = {
    rotateKeys: async (args) => this.#rotateKeys(args.withdraw === true),
    revokeUser: async (args) => this.#revokeUser(text(args, 'user'), args.bar !== false),
    deviate: async (args) => this.#deviate(args),
    presentCertificate: async (args) => this.#presentCertificate(args),
    restoreUser: async (args) => this.#restoreUser(args.user === undefined ? undefined : text(args, 'user')),
  };

  readonly readings: Actor['readings'] = {
    health: () => ({ ok: this.#running !== undefined, waitingFor: [] }),
    endpoints: () => ({ ...this.#endpoints() }),
    issuer: () => this.#parts().issuer,
    sessions: () => this.#sessions(),
  };

  constructor(config: IdmConfig, context: ActorContext) {
    this.name = context.name;
    this.#config = config;
    this.#context = context;
    this.#users = createUserDirectory(config.users);
    this.#store = memorySessionStore(context.clock);
  }

  async start(): Promise<Endpoints> {
    const { clock, tls, host, log, stateFolder } = this.#context;
    const secrets = await loadSecrets(stateFolder);
    if (stateFolder !== undefined) this.#store = await fileSessionStore(join(stateFolder, 'sessions.json'), clock);
    // The issuer holds the port, so the server listens first and answers once the provider stands behind it.
    let answer: RequestListener = (_req, res) => res.writeHead(503, { 'retry-after': '1' }).end();
    const { port = 0, publicHost } = this.#config;
    // Nobody needs a client certificate here; who shows one is named in the records.
    const at = { host, port, publicHost, clientCertificate: 'asked' } as const;
    const https = await listenHttps((req, res) => answer(req, res), tls, at);
    const issuer = https.url;
    this.#running = { https, issuer, secrets, provider: this.#provider(issuer, secrets) };

    const app = express();
    app.disable('x-powered-by');
    app.use(recordHttp(this.#context.report, { interface: 'CSC-1', peer: peerOf }));
    app.use(loginRouter({ provider: () => this.#parts().provider, users: this.#users, log }));
    app.use((req, res) => this.#parts().provider.callback()(req, res));
    answer = app;
    return this.#endpoints();
  }

  /** The IdM calls nobody, so it waits for nobody. */
  async connect(): Promise<void> {
    this.#parts();
  }

  async stop(): Promise<void> {
    const https = this.#running?.https;
    this.#running = undefined;
    if (https !== undefined) await closeHttps(https.server);
  }

  #parts(): Running {
    if (this.#running === undefined) throw new IdmError('IDM_NOT_RUNNING', 'start the IdM first');
    return this.#running;
  }

  #endpoints(): Endpoints {
    return this.#running === undefined ? {} : { https: this.#running.issuer };
  }

  #provider(issuer: string, { signing, cookie }: IdmSecrets): Provider {
    const { clientId, redirectUris = [DEFAULT_REDIRECT_URI], tokenLifetime = DEFAULT_TOKEN_LIFETIME } = this.#config;
    const provider = createProvider({
      issuer,
      clientId,
      redirectUris,
      tokenLifetime,
      users: this.#users,
      store: this.#store,
      signing,
      cookieSecret: cookie,
      clock: this.#context.clock,
    });
    provider.use(this.#deviating.answer(signing[0]!));
    provider.on('server_error', (_ctx, { name, message }) => {
      this.#context.log.error({ name, reason: message }, 'the provider failed');
    });
    return provider;
  }

  /**
   * Signs with a new key from now on. The one before stays published, so that tokens which are out can be checked,
   * unless it is to be withdrawn. oidc-provider takes its keys when it is made: another one takes over its sessions.
   */
  async #rotateKeys(withdraw: boolean): Promise<Json> {
    const running = this.#parts();
    const key = newSigningKey();
    const { signing, cookie } = running.secrets;
    const secrets = { signing: withdraw ? [key] : [key, signing[0]!], cookie };
    await saveSecrets(this.#context.stateFolder, secrets);
    running.secrets = secrets;
    running.provider = this.#provider(running.issuer, secrets);
    return { kid: key.kid!, published: secrets.signing.map(({ kid }) => kid!) };
  }

  /** Ends the user's logins, and refuses new ones until the user is restored. Tokens that are out live to their end. */
  async #revokeUser(user: string, bar: boolean): Promise<Json> {
    const index = accountIndex(user);
    const ended = (await this.#store.list(index)).filter(({ key }) => key.startsWith('Grant:')).length;
    if (!this.#users.bar(user, bar)) throw new IdmError('IDM_UNKNOWN_USER', `there is no user ${user}`);
    await this.#store.removeAll(index);
    return { ended };
  }

  /** Lets a user log in again, or all when none is named. */
  async #restoreUser(user: string | undefined): Promise<Json> {
    if (user === undefined) {
      for (const { userName } of this.#config.users) this.#users.bar(userName, false);
      return {};
    }
    if (!this.#users.bar(user, false)) throw new IdmError('IDM_UNKNOWN_USER', `there is no user ${user}`);
    return {};
  }

  async #presentCertificate({ of }: JsonObject): Promise<Json> {
    await this.#parts().https.present(shownCertificate(of));
    return {};
  }

  /** The user's access tokens are wrong in this way from now on; without a user everything is right again. */
  async #deviate(args: JsonObject): Promise<Json> {
    if (args.user === undefined) {
      this.#deviating.end();
      await this.#parts().https.present('own');
      return {};
    }
    const user = text(args, 'user');
    if (!this.#config.users.some(({ userName }) => userName === user))
      throw new IdmError('IDM_UNKNOWN_USER', `there is no user ${user}`);
    this.#deviating.deviate(user, parseDeviations(args.deviate));
    return {};
  }

  async #sessions(): Promise<Json> {
    const grants = await this.#store.list(modelIndex('Grant'));
    return grants.map(({ value }) => ({ user: String(value.accountId), clientId: String(value.clientId) }));
  }
}

/** Who a request comes from: a service that shows its certificate by that, anybody else is a UE. */
function peerOf(req: IncomingMessage): string {
  const socket = req.socket as TLSSocket;
  const name = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined;
  return ACTOR_KINDS.find((kind) => kind === name) ?? 'ue';
}

function text(args: JsonObject, name: string): string {
  const value = args[name];
  if (typeof value !== 'string' || value === '') {
    throw new IdmError('IDM_BAD_ARGUMENT', `"${name}" must be given as a string`);
  }
  return value;
}
