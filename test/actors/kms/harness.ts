/** A KMS on loopback with what it needs around it: an IdM's key endpoint, an MCPTT server that takes pushes, a CA. */
import { type ChildProcess, fork } from 'node:child_process';
import type { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { KmsConfig } from '../../../actors/kms/config.ts';
import { createKms } from '../../../actors/kms/kms.ts';
import type { PolicyChange } from '../../../actors/kms/policy.ts';
import { buildCekAck, type CekNews, parseCekPush } from '../../../actors/messages/kms/cek.ts';
import { type HttpsClient, httpsClient } from '../../../actors/messages/kms/https.ts';
import { buildKmsRequest, type KmsRequest } from '../../../actors/messages/kms/request.ts';
import { type KmsResponse, parseKmsResponse } from '../../../actors/messages/kms/response.ts';
import { createTestCa, type IssuedIdentity, type TestCa } from '../../../actors/security/ca.ts';
import { createArithmetic } from '../../../actors/security/ibc/backend.ts';
import { LocalSakkeEngine, type SakkeEngine } from '../../../actors/security/ibc/engine.ts';
import type { Actor, ActorContext, Log } from '../../../sim/control/actor.ts';
import { type Clock, systemClock } from '../../../sim/engine/clock.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';

export const KMS_URI = 'kms.mcptt.example';
export const SERVER_ID = 'sip:mcptt-server@mcptt.example';
export const ALICE = 'sip:alice@mcptt.example';
export const BOB = 'sip:bob@mcptt.example';
export const CLIENT = 'urn:uuid:11111111-1111-4111-8111-111111111111';
export const SESSION = 'sip:ue-1@192.0.2.1;transport=ws';
export const SCOPE = '3gpp:mc:ptt_key_management_service';

type CryptoKey = webcrypto.CryptoKey;

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Fixed secrets, so that a test that keeps no state folder has the same KMS twice. */
export const TEST_SECRETS = JSON.stringify({
  version: 1,
  zT: `${'00'.repeat(8)}${'a7'.repeat(120)}`,
  ksak: '3c'.repeat(32),
  storeKey: '11'.repeat(32),
});

/** What identifies the IdM: its key, and where the public half is published. */
export class TestIdm {
  readonly issuer: string;
  readonly #server: Server;
  readonly #published: { keys: JWK[] };
  #key: CryptoKey;
  kid: string;

  private constructor(server: Server, published: { keys: JWK[] }, key: CryptoKey, kid: string) {
    this.#server = server;
    this.#published = published;
    this.#key = key;
    this.kid = kid;
    this.issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(identity: IssuedIdentity): Promise<TestIdm> {
    const published: { keys: JWK[] } = { keys: [] };
    const server = createServer({ cert: identity.certificate, key: identity.privateKey }, (req, res) => {
      const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const body = req.url === '/.well-known/openid-configuration' ? { issuer, jwks_uri: `${issuer}/jwks` } : published;
      res.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const idm = new TestIdm(server, published, (await generateKeyPair('ES256')).privateKey, 'none');
    await idm.rotate('key-1');
    return idm;
  }

  /** A new signing key, published beside the old ones. */
  async rotate(kid: string): Promise<void> {
    const pair = await generateKeyPair('ES256', { extractable: true });
    this.#key = pair.privateKey;
    this.kid = kid;
    this.#published.keys.push({ ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' });
  }

  get publishedKeys(): JWK[] {
    return this.#published.keys;
  }

  claims(now: number, over: Record<string, unknown> = {}): Record<string, unknown> {
    const at = Math.floor(now / 1000);
    return {
      iss: this.issuer,
      sub: 'user',
      aud: 'urn:3gpp:mcptt:kms',
      exp: at + 300,
      iat: at,
      jti: crypto.randomUUID(),
      scope: `openid 3gpp:mc:ptt_service ${SCOPE}`,
      client_id: 'mcptt-client',
      mcptt_id: ALICE,
      ...over,
    };
  }

  sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}, key: CryptoKey | Uint8Array = this.#key) {
    const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
    return new SignJWT(present).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: this.kid, ...header }).sign(key);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** An MCPTT server as far as the KMS sees it: takes pushes over mutual TLS and acknowledges what `answer` says. */
export class TestMcpttServer {
  readonly url: string;
  readonly pushed: CekNews[] = [];
  readonly #server: Server;
  /** Key IDs to acknowledge; undefined = refuse the push with 503. */
  answer: (news: readonly CekNews[]) => string[] | undefined = (news) => news.map(keyIdOf);

  private constructor(server: Server) {
    this.#server = server;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(identity: IssuedIdentity, port = 0): Promise<TestMcpttServer> {
    const server = createServer({
      cert: identity.certificate,
      key: identity.privateKey,
      ca: identity.ca,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const mcpttServer = new TestMcpttServer(server);
    server.on('request', (req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const news = parseCekPush(Buffer.concat(chunks));
        const taken = mcpttServer.answer(news);
        if (taken === undefined) {
          res.writeHead(503).end();
          return;
        }
        mcpttServer.pushed.push(...news);
        res.writeHead(200, { 'content-type': 'application/xml' }).end(buildCekAck(taken));
      });
    });
    return mcpttServer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

export const keyIdOf = (news: CekNews): string => ('cek' in news ? news.cek.keyId : (news.end.keyId ?? ''));

export interface Setting {
  readonly ca: TestCa;
  readonly idm: TestIdm;
  readonly server: TestMcpttServer;
  readonly serverTls: IssuedIdentity;
  readonly engine: SakkeEngine;
  readonly tls: IssuedIdentity;
  /** Under the CA, without and with the MCPTT server's certificate. */
  readonly asUe: HttpsClient;
  readonly asServer: HttpsClient;
  readonly reports: ReportedMessage[];
  stop(): Promise<void>;
}

/** Everything but the KMS; shared by the tests of a file. */
export async function createSetting(): Promise<Setting> {
  const ca = await createTestCa();
  const [tls, idmTls, serverTls] = await Promise.all([
    ca.issue({ commonName: 'kms', dns: [KMS_URI] }),
    ca.issue({ commonName: 'idm' }),
    ca.issue({ commonName: 'mcptt-as', uri: [SERVER_ID] }),
  ]);
  const idm = await TestIdm.start(idmTls);
  const server = await TestMcpttServer.start(serverTls);
  const engine = new LocalSakkeEngine(createArithmetic());
  const asUe = httpsClient({ ca: ca.certificate });
  const asServer = httpsClient(serverTls);
  return {
    ca,
    idm,
    server,
    serverTls,
    engine,
    tls,
    asUe,
    asServer,
    reports: [],
    stop: async () => {
      await Promise.all([asUe.close(), asServer.close()]);
      await Promise.all([idm.stop(), server.stop()]);
      await engine.close();
    },
  };
}

export interface RunningKms {
  readonly kms: Actor;
  readonly url: string;
}

export async function startKms(
  setting: Setting,
  options: {
    config?: Partial<KmsConfig>;
    clock?: Clock;
    stateFolder?: string;
    /** Tell it where the IdM is, and where the MCPTT server is; both unless false. */
    idm?: boolean;
    connect?: boolean;
  } = {},
): Promise<RunningKms> {
  const context: ActorContext = {
    name: 'kms',
    report: (message) => setting.reports.push(message),
    clock: options.clock ?? systemClock,
    log: silentLog,
    tls: setting.tls,
    host: '127.0.0.1',
    ...(options.stateFolder === undefined ? {} : { stateFolder: options.stateFolder }),
  };
  const secrets = options.stateFolder === undefined ? { masterSecrets: TEST_SECRETS } : {};
  const kms = createKms({ kmsUri: KMS_URI, mcpttServerId: SERVER_ID, ...secrets, ...options.config }, context, {
    engine: setting.engine,
  });
  const { https: url = '' } = await kms.start();
  await kms.connect({
    ...(options.idm === false ? {} : { idm: { issuer: setting.idm.issuer } }),
    ...(options.connect === false ? {} : { 'mcptt-as': { https: setting.server.url } }),
  });
  return { kms, url };
}

/** A KMS in a process of its own, to be killed. */
export async function forkKms(
  setting: Setting,
  told: { stateFolder: string; mcpttServer: string; policy: PolicyChange },
): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(fileURLToPath(new URL('./kms-process.ts', import.meta.url)), [], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child.send({ tls: setting.tls, issuer: setting.idm.issuer, ...told });
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  return { child, url };
}

/** Ends it as a crash would. */
export async function killed(child: ChildProcess): Promise<void> {
  const exited = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly response: KmsResponse;
}

/** Posts a KmsRequest, default but for what is given. */
export async function post(
  client: HttpsClient,
  url: string,
  options: {
    token?: string;
    request?: Partial<KmsRequest>;
    now?: number;
    headers?: Record<string, string>;
    body?: string;
  } = {},
): Promise<Answer> {
  const body =
    options.body ??
    Buffer.from(
      buildKmsRequest({
        userUri: ALICE,
        kmsUri: KMS_URI,
        time: options.now ?? Date.now(),
        clientId: CLIENT,
        clientReqUrl: url,
        cekRequests: [],
        cekEnds: [],
        ...options.request,
      }),
    ).toString('utf8');
  const response = await client.fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/xml',
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    body,
  });
  const octets = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, response: parseKmsResponse(octets) };
}

/** Waits until a condition holds; says what did not come. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, boundMs = 5_000): Promise<void> {
  const end = Date.now() + boundMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not come within ${boundMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
