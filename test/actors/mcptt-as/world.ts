/**
 * UEs, SIP core and MCPTT server over real SIP on loopback: two engines, the SIP core actor, the server's logic, UEs over
 * WSS. Tokens are signed and checked for real; in the place of a KMS a key is drawn here and given to both ends.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { McpttPolicy } from '../../../actors/mcptt-as/config.ts';
import { McpttServer, type ServerStores } from '../../../actors/mcptt-as/server.ts';
import { type BodyProtection, createBodyProtection, kekProtection } from '../../../actors/messages/body-protection.ts';
import type { InitialFilterCriterion, Subscriber } from '../../../actors/messages/subscriber.ts';
import type { UserProfile } from '../../../actors/messages/user-profile.ts';
import { createTestCa } from '../../../actors/security/ca.ts';
import { randomKeyId } from '../../../actors/security/cek/key-id.ts';
import type { CekKeyStore } from '../../../actors/security/cek/key-store.ts';
import { generateEccsiMaster } from '../../../actors/security/ibc/eccsi.ts';
import { nativeExtractEccsiKey } from '../../../actors/security/ibc/eccsi-native.ts';
import type { KmsCertificate } from '../../../actors/security/ibc/key-set.ts';
import { createSigner, type IdentitySigner } from '../../../actors/security/ibc/signer.ts';
import { computeUid, keyPeriodNoAt } from '../../../actors/security/ibc/uid.ts';
import type { Profile } from '../../../actors/security/smime/profiles.ts';
import { createTokenVerifier, localTokenKeys } from '../../../actors/security/tokens.ts';
import { createSipCore } from '../../../actors/sip-core/index.ts';
import { UserEquipment } from '../../../actors/ue/equipment.ts';
import type { KmsPort, LoggedIn } from '../../../actors/ue/ports.ts';
import type { ActorContext, Log } from '../../../sim/control/actor.ts';
import { type Clock, Engine, systemClock } from '../../../sim/engine/index.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';

export const DOMAIN = 'ims.mnc001.mcc001.3gppnetwork.org';
export const PSI = `sip:mcptt-participating@${DOMAIN}`;
const SERVER_NAME = `sip:mcptt-server.${DOMAIN}`;
const SERVER_ID = 'sip:mcptt-server@mcptt.example';
const KMS_URI = 'kms.mcptt.example';
const ISSUER = 'https://idm.mcptt.example';
export const AUDIENCE = 'urn:3gpp:mcptt:server';
const SCOPE = '3gpp:mc:ptt_service';

const criteria: InitialFilterCriterion[] = [
  {
    priority: 0,
    triggerPoint: { conditionTypeCnf: true, servicePointTriggers: [{ group: [0], method: 'REGISTER' }] },
    applicationServer: { serverName: SERVER_NAME, includeRegisterRequest: true, serviceInfo: 'mcptt' },
  },
  {
    priority: 1,
    triggerPoint: {
      conditionTypeCnf: true,
      servicePointTriggers: [
        { group: [0], method: 'REGISTER', conditionNegated: true },
        { group: [1], sessionCase: 'ORIGINATING_SESSION' },
      ],
    },
    applicationServer: { serverName: SERVER_NAME, defaultHandling: 'SESSION_TERMINATED' },
  },
];

/** K and OPc of TS 35.208 test sets. */
const CARDS = [
  { k: '465b5ce8b199b49faa5f0a2ee238a6bc', opc: 'cd63cb71954a9f4e48a5994e37a02baf' },
  { k: '0396eb317b6d1c36f19c1c84cd6ffd16', opc: '53c15671c60a4b731c55b4a441c0bde2' },
];

export const subscribers: readonly Subscriber[] = CARDS.map(({ k, opc }, i) => ({
  imsi: `00101000000000${i + 1}`,
  impi: `00101000000000${i + 1}@${DOMAIN}`,
  impus: [`sip:ue-${i + 1}@${DOMAIN}`, `tel:+1555010${i + 1}`],
  k,
  opc,
  amf: '8000',
  sqn: `000000000${i + 1}00`,
  initialFilterCriteria: criteria,
}));

const profileOf = (user: string, more: Partial<UserProfile> = {}): UserProfile => ({
  mcpttId: `sip:${user}@mcptt.example`,
  participantType: 'responder',
  priority: 5,
  groups: ['sip:fire-station-1@mcptt.example'],
  privateCall: true,
  emergencyCall: true,
  maxSimultaneousCalls: 3,
  ...more,
});

export const USERS = ['alice', 'bob', 'carol', 'dave'] as const;
const profiles = USERS.map((user) => profileOf(user, user === 'dave' ? { privateCall: false } : {}));

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface WorldOptions {
  readonly profile?: Profile;
  readonly policy?: Partial<McpttPolicy>;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly expires?: number;
  readonly tokenLifetime?: number;
  /** Where the server keeps sessions and bindings. */
  readonly stores?: ServerStores;
}

export interface World {
  readonly server: McpttServer;
  readonly core: ReturnType<typeof createSipCore>;
  /** Two UEs of two subscribers; every user may log in at each. */
  readonly ues: readonly [UserEquipment, UserEquipment];
  readonly records: (ReportedMessage & { readonly actor: string })[];
  /** What the server told the KMS. */
  readonly told: { sipSession: string; userUri?: string; reason: string }[];
  /** Steps 1, 3a, 3b and 4 of one user. */
  bind(ue: UserEquipment, user: string): Promise<void>;
  /** A token of a user, with claims of the caller's choice. */
  token(user: string, claims?: Record<string, unknown>): Promise<string>;
  /** A new CEK for both ends, as the KMS would push it. */
  rekey(ue: UserEquipment, user: string, overlapMs?: number): string;
  /** The server's end of protected bodies, and one that signs as somebody else, or does not sign at all. */
  readonly protection: BodyProtection;
  protectionAs(signer: string | undefined): BodyProtection;
  /** A user's keys at a UE. */
  keysOf(ue: UserEquipment, user: string): CekKeyStore;
  /** One more UE, of the first subscriber, with something different about it. */
  anotherUe(changes: { usim?: Partial<Subscriber>; ca?: string; coreUrl?: string }): Promise<UserEquipment>;
  /** Publishes with a good token and a key of an MCPTT ID that is no user of the service. */
  stranger(ue: UserEquipment, user: string, mcpttId: string): Promise<unknown>;
  /** Sends octets to the server from an address that is not the SIP core's. @returns the answer */
  fromStranger(message: string): Promise<string>;
  close(): Promise<void>;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { profile = 'kek', expires = 3600, tokenLifetime = 3600 } = options;
  const clock = options.clock ?? systemClock;
  const ca = await createTestCa();
  const records: World['records'] = [];
  const context = async (name: string): Promise<ActorContext> => {
    const identity = await ca.issue({ commonName: name });
    return {
      name,
      host: '127.0.0.1',
      clock,
      log: options.log ?? quiet,
      report: (message) => records.push({ ...message, actor: name }),
      tls: { certificate: identity.certificate, privateKey: identity.privateKey, ca: ca.certificate },
    };
  };

  const coreContext = await context('sip-core');
  const coreEngine = new Engine({
    listen: [
      { protocol: 'wss', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    control: { host: '127.0.0.1', port: 0, secret: 'core' },
    tls: coreContext.tls,
    clock,
  });
  const serverEngine = new Engine({
    listen: [{ protocol: 'tcp', host: '127.0.0.1', port: 0 }],
    control: { host: '127.0.0.1', port: 0, secret: 'as' },
    clock,
  });
  const coreControl = (await coreEngine.start()).control;
  const serverControl = (await serverEngine.start()).control;

  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'idm-1', alg: 'ES256', use: 'sig' };
  const token: World['token'] = (user, claims = {}) => {
    const now = Math.floor(clock.now() / 1000);
    return new SignJWT({
      iss: ISSUER,
      sub: user,
      aud: AUDIENCE,
      iat: now,
      exp: now + tokenLifetime,
      jti: randomBytes(8).toString('hex'),
      scope: `openid ${SCOPE}`,
      client_id: 'mcptt-client',
      mcptt_id: `sip:${user}@mcptt.example`,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'idm-1' })
      .sign(privateKey);
  };
  const verifier = createTokenVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    scopes: [SCOPE],
    keys: localTokenKeys({ keys: [jwk] }),
    now: () => clock.now(),
  });

  const eccsi = generateEccsiMaster();
  const certificate: KmsCertificate = {
    kmsUri: KMS_URI,
    userKeyPeriod: 2_592_000,
    userKeyOffset: 0,
    pubAuthKey: eccsi.kpak,
    pubEncKey: new Uint8Array(257),
  };
  const signerOf = (userUri: string): IdentitySigner => {
    const keyPeriodNo = keyPeriodNoAt(certificate, clock.now());
    const uid = computeUid(userUri, certificate, keyPeriodNo);
    return createSigner(
      { userUri, uid, keyPeriodNo, rsk: new Uint8Array(257), ...nativeExtractEccsiKey(eccsi, uid) },
      certificate,
    );
  };
  const protectionOf = (own: string, peerOf: (user: string) => string): BodyProtection =>
    createBodyProtection({
      profile,
      signer: () => signerOf(own),
      certificate: () => certificate,
      peerOf: (cek) => peerOf(cek.userUri),
      now: () => clock.now(),
    });

  const policy: McpttPolicy = {
    protection: { required: true, profile },
    defaultServices: ['OPTIONS'],
    tokenExpiryEndsBinding: false,
    ...options.policy,
  };
  const told: World['told'] = [];
  const serverProtection = protectionOf(SERVER_ID, (user) => user);
  const server = new McpttServer(
    {
      engine: { ...serverControl, secret: 'as' },
      psi: PSI,
      serverId: SERVER_ID,
      kmsUri: KMS_URI,
      users: profiles,
      policy,
      audience: AUDIENCE,
      scope: SCOPE,
      httpsPort: 0,
    },
    await context('mcptt-as'),
    {
      verifyToken: (jwt) => verifier.verify(jwt),
      tellKms: (ended) => Promise.resolve(void told.push(ended)),
      protection: () => serverProtection,
    },
    options.stores,
  );
  const serverAt = (await server.start()).find((hostport) => hostport.startsWith('tcp/'))!.slice('tcp/'.length);

  const core = createSipCore(
    { drachtio: { ...coreControl, secret: 'core' }, homeDomain: DOMAIN, subscribers },
    coreContext,
  );
  const coreEndpoints = await core.start();
  await core.connect({ 'mcptt-as': { tcp: serverAt } });
  await server.useCore(coreEndpoints.sip2!);

  const give = (
    ceks: CekKeyStore,
    user: string,
    clientId: string,
    sipSession: string,
    supersedes?: string,
    overlapMs = 30_000,
  ): string => {
    const cek = {
      keyId: randomKeyId(),
      key: randomBytes(32),
      userUri: user.startsWith('sip:') ? user : `sip:${user}@mcptt.example`,
      clientId,
      sipSession,
      notBefore: clock.now(),
      notAfter: clock.now() + 86_400_000,
      state: 'active' as const,
      ...(supersedes === undefined ? {} : { supersedes: { keyId: supersedes, notAfter: clock.now() + overlapMs } }),
    };
    server.ceks.take(cek);
    ceks.take(cek);
    return cek.keyId;
  };
  const stores = new Map<string, CekKeyStore>();
  /** Users who log in as somebody that the service does not know. */
  const strangers = new Map<string, string>();
  const keysOf = (ue: UserEquipment, user: string): CekKeyStore =>
    stores.get(`${ue === ues[0] ? 'ue-1' : 'ue-2'} ${user}`)!;
  const makeUe = async (i: 0 | 1, changes: Parameters<World['anotherUe']>[0] = {}): Promise<UserEquipment> => {
    const name = `ue-${i + 1}`;
    const own = await context(name);
    const ports = {
      idm: {
        logIn: async (user: string): Promise<LoggedIn> => ({
          mcpttId: strangers.get(user) ?? `sip:${user}@mcptt.example`,
          mcpttToken: await token(user),
          kmsToken: await token(user, { aud: 'urn:3gpp:mcptt:kms' }),
          claims: { mcptt: {}, kms: {} },
          refresh: () => Promise.resolve(),
          revoke: () => Promise.resolve(),
        }),
      },
      kmsFor: (login: LoggedIn, client: { user: string; clientId: string }, ceks: CekKeyStore): KmsPort => {
        stores.set(`${name} ${client.user}`, ceks);
        return {
          requestKey: (sipSession) =>
            Promise.resolve({
              keyId: policy.protection.required ? give(ceks, client.user, client.clientId, sipSession) : undefined,
            }),
          askUpdate: (sipSession, keyId) =>
            Promise.resolve({ keyId: give(ceks, client.user, client.clientId, sipSession, keyId) }),
          ended: () => Promise.resolve(),
          dropEvents: () => undefined,
          ready: true,
          profile,
          protection: protectionOf(login.mcpttId, () => SERVER_ID),
          outdated: protectionOf(login.mcpttId, () => SERVER_ID),
          close: () => Promise.resolve(),
        };
      },
    };
    const ue = new UserEquipment(
      {
        usim: { ...subscribers[i]!, ...changes.usim },
        homeDomain: DOMAIN,
        participatingPsi: PSI,
        users: USERS.map((user) => ({ user, password: '' })),
        oauthClientId: 'mcptt-client',
        kmsUri: KMS_URI,
        mcpttServerId: SERVER_ID,
        protectionProfile: profile,
        expires,
      },
      { ...own, tls: { ...own.tls, ca: changes.ca ?? own.tls.ca } },
      () => ports,
    );
    ue.peers = { 'sip-core': { ...coreEndpoints, wss: changes.coreUrl ?? coreEndpoints.wss! } };
    more.push(ue);
    return ue;
  };
  const more: UserEquipment[] = [];
  const ues = [await makeUe(0), await makeUe(1)] as const;

  return {
    server,
    core,
    ues,
    records,
    told,
    token,
    bind: async (ue, user) => {
      if (!ue.registration.registered) await ue.register([]);
      await ue.logIn(user);
      await ue.requestKey(user, []);
      await ue.publish(user, []);
    },
    rekey: (ue, user, overlapMs) => {
      const client = ue.clientOf(user);
      const ceks = keysOf(ue, user);
      return give(ceks, user, client.clientId, ue.sipSession, client.sealingKey(ue.sipSession).keyId, overlapMs);
    },
    protection: serverProtection,
    protectionAs: (signer) => (signer === undefined ? kekProtection() : protectionOf(signer, () => '')),
    keysOf,
    anotherUe: (changes) => makeUe(0, changes),
    stranger: async (ue, user, mcpttId) => {
      const client = ue.clientOf(user);
      const ceks = keysOf(ue, user);
      const jwt = await token(user, { mcptt_id: mcpttId });
      const keyId = give(ceks, mcpttId, client.clientId, ue.sipSession);
      strangers.set(user, mcpttId);
      await ue.logIn(user);
      strangers.delete(user);
      const running = ue.publish(user, [{ at: 'token', op: 'replace', path: '', value: jwt }]);
      await running.catch(() => undefined);
      server.ceks.end({ keyId }, 'expired');
      ceks.end({ keyId }, 'expired');
      await ue.logIn(user);
      return running;
    },
    fromStranger: (message) => {
      const [host, port] = serverAt.split(':') as [string, string];
      return new Promise((resolve, reject) => {
        const socket = connect({ host, port: Number(port), localAddress: '127.0.0.2' }, () => socket.write(message));
        socket.setTimeout(5000, () => reject(new Error('the server did not answer a stranger within 5 s')));
        socket.on('error', reject);
        socket.once('data', (data) => {
          socket.destroy();
          resolve(data.toString('latin1'));
        });
      });
    },
    close: async () => {
      await Promise.all(more.map((ue) => ue.stop()));
      await server.stop();
      await core.stop();
      await coreEngine.stop();
      await serverEngine.stop();
    },
  };
}

/** What a request was refused with; fails when it was not refused. */
export async function refusal(
  running: Promise<unknown>,
): Promise<{ status: unknown; warning: unknown; code: unknown }> {
  try {
    await running;
  } catch (error) {
    const { code, detail } = error as { code?: unknown; detail?: { status?: unknown; warning?: unknown } };
    return { code, status: detail?.status, warning: detail?.warning };
  }
  throw new Error('expected a refusal, and there was none');
}

/** Waits until `holds`, looking again after each turn of the event loop; the bound is in real time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, boundMs = 5000): Promise<void> {
  const end = performance.now() + boundMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`after ${boundMs} ms still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Start lines of the SIP messages that an actor sent or received. */
export const startLines = (world: World, actor: string, direction: 'sent' | 'received'): string[] =>
  world.records
    .filter((record) => record.actor === actor && record.direction === direction)
    .map((record) => Buffer.from(record.bytes).toString('latin1').split('\r\n', 1)[0]!);
