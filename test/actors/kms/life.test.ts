/** pCR 7.x.2 and 7.x.3 between the KMS and both ends' clients: step 3b, STEP-3bP, LIFE-1 to LIFE-4, INT-1, INT-2. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import express from 'express';
import { DEFAULT_POLICY } from '../../../actors/kms/policy.ts';
import { ServerKmsClient } from '../../../actors/mcptt-as/kms-client.ts';
import { createPushReceiver, type PushBreak } from '../../../actors/mcptt-as/push-receiver.ts';
import { kekProtection } from '../../../actors/messages/body-protection.ts';
import { buildCekPush } from '../../../actors/messages/kms/cek.ts';
import { httpsClient } from '../../../actors/messages/kms/https.ts';
import { mimeEntity, serialiseMime } from '../../../actors/messages/mime.ts';
import { createTestCa, type IssuedIdentity } from '../../../actors/security/ca.ts';
import { CekKeyStore } from '../../../actors/security/cek/key-store.ts';
import { UeKmsClient } from '../../../actors/ue/kms-client.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { ManualClock, systemClock } from '../../../sim/engine/clock.ts';
import {
  ALICE,
  BOB,
  CLIENT,
  createSetting,
  forkKms,
  KMS_URI,
  killed,
  post,
  type RunningKms,
  SERVER_ID,
  SESSION,
  type Setting,
  silentLog,
  startKms,
  until,
} from './harness.ts';

/** The MCPTT server's side of HTTP-1, real: key store, client of the KMS, and the receiver of its pushes. */
class ServerEnd {
  ceks = new CekKeyStore(systemClock);
  readonly url: string;
  readonly #server: Server;
  kms: ServerKmsClient | undefined;
  /** Where the connection of the next push breaks. */
  breaks: () => PushBreak | undefined = () => undefined;

  constructor(server: Server) {
    this.#server = server;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(setting: Setting, port = 0): Promise<ServerEnd> {
    const { certificate: cert, privateKey: key, ca } = setting.serverTls;
    const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const end = new ServerEnd(server);
    const app = express();
    app.use(
      createPushReceiver({
        kmsUri: KMS_URI,
        material: () => end.kms!.material(),
        ceks: () => end.ceks,
        breaks: () => end.breaks(),
        report: (message) => setting.reports.push(message),
        log: silentLog,
      }),
    );
    server.on('request', app);
    return end;
  }

  async connect(setting: Setting, baseUrl: string): Promise<void> {
    this.kms = new ServerKmsClient({
      baseUrl,
      kmsUri: KMS_URI,
      serverId: SERVER_ID,
      tls: setting.serverTls,
      engine: setting.engine,
      ceks: () => this.ceks,
      clock: systemClock,
      log: silentLog,
      report: (message) => setting.reports.push(message),
    });
    await this.kms.start();
  }

  /** As a crash: keys are gone. */
  forget(): void {
    this.ceks.close();
    this.ceks = new CekKeyStore(systemClock);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await this.kms?.close();
    this.ceks.close();
  }
}

describe('pCR 7.x.3: the life of a CEK between KMS, MCPTT client and MCPTT server', () => {
  let setting: Setting;
  let running: RunningKms;
  let server: ServerEnd;
  let ceks: CekKeyStore;
  let clients: UeKmsClient[] = [];
  let kmsTls: IssuedIdentity;
  /** How far the KMS's clock has been moved, milliseconds. */
  let ahead = 0;

  before(async () => {
    setting = await createSetting();
    kmsTls = setting.tls;
  });
  after(() => setting.stop());

  beforeEach(async () => {
    server = await ServerEnd.start(setting);
    ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    running = await startKms(setting, { connect: false, clock, config: { policy: { pushWait: 2_000 } } });
    await server.connect(setting, running.url);
    await running.kms.connect({ 'mcptt-as': { https: server.url } });
    ceks = new CekKeyStore(systemClock);
    clients = [];
  });
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await running.kms.stop();
    await server.stop();
    ceks.close();
  });

  const clientOf = async (
    mcpttId: string,
    clientId = CLIENT,
    baseUrl = running.url,
    clock = systemClock,
    renewedToken?: () => Promise<string>,
  ): Promise<UeKmsClient> => {
    const token = await setting.idm.sign(
      setting.idm.claims(Date.now(), { mcptt_id: mcpttId, exp: Math.floor(Date.now() / 1000) + 3600 }),
    );
    const client = new UeKmsClient({
      baseUrl,
      kmsUri: KMS_URI,
      mcpttId,
      clientId,
      token: () => token,
      ...(renewedToken === undefined ? {} : { renewedToken }),
      ceks,
      engine: setting.engine,
      profile: () => 'kek',
      protection: () => kekProtection(),
      tls: { ca: setting.ca.certificate },
      clock,
      log: silentLog,
      report: (message) => setting.reports.push(message),
    });
    clients.push(client);
    return client;
  };
  const verb = async (name: string, args: JsonObject = {}): Promise<JsonObject> =>
    (await running.kms.verbs[name]!(args)) as JsonObject;
  const issued = async (): Promise<JsonObject[]> => (await running.kms.readings.ceks!({})) as JsonObject[];
  const stateOf = async (keyId: string | undefined) => (await issued()).find((cek) => cek.keyId === keyId)?.state;
  const alice = { userUri: ALICE, sipSession: SESSION };
  const codeOf = (run: () => unknown): string => {
    try {
      run();
      return 'no error';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('step 3b: the client gets valid key material and the CEK; the server holds the same CEK under the same Key ID (INT-1)', async () => {
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    expect(client.material.signer().userUri).to.equal(ALICE);
    expect(client.material.periods).to.have.length(2);
    const [mine] = ceks.list();
    const [theirs] = server.ceks.list();
    expect(mine).to.include({ keyId, state: 'current', userUri: ALICE, sipSession: SESSION });
    expect(theirs).to.include({ keyId, state: 'current', userUri: ALICE, sipSession: SESSION });
    expect(theirs!.cekFingerprint).to.equal(mine!.cekFingerprint);
    expect((await issued())[0]).to.include({ keyId, state: 'active', cekFingerprint: mine!.cekFingerprint });
  });

  it('the CEK crosses HTTP-1 only inside I_MESSAGEs, and never in a log or an audit entry', async () => {
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    const key = Buffer.from(ceks.opening(keyId!).key);
    const seen = setting.reports.map((message) => Buffer.from(message.bytes).toString('latin1')).join('\n');
    const audit = JSON.stringify(await running.kms.readings.audit!({}));
    for (const form of [key.toString('hex'), key.toString('base64'), key.toString('latin1')]) {
      expect(seen.toLowerCase()).to.not.contain(form.toLowerCase());
      expect(audit).to.not.contain(form);
    }
    expect(audit).to.contain(keyId);
  });

  it('a repeated request gets the same CEK; another SIP session, user or client another one (INT-1, MULTI-1)', async () => {
    const client = await clientOf(ALICE);
    const first = await client.requestKey(SESSION);
    expect(await client.requestKey(SESSION)).to.deep.equal(first);
    const bob = await clientOf(BOB, 'urn:uuid:22222222-2222-4222-8222-222222222222');
    const second = await bob.requestKey(SESSION);
    const other = await clientOf(ALICE, 'urn:uuid:33333333-3333-4333-8333-333333333333');
    const third = await other.requestKey('sip:ue-2@192.0.2.2');
    const keyIds = [first.keyId, second.keyId, third.keyId];
    expect(new Set(keyIds)).to.have.length(3);
    expect(new Set(server.ceks.list().map((held) => held.cekFingerprint))).to.have.length(3);
  });

  it('a client that has started over has a new CEK on its new SIP session, and its old one is ended', async () => {
    const client = await clientOf(ALICE);
    const { keyId: old } = await client.requestKey(SESSION);
    const { keyId } = await client.requestKey('sip:ue-1@192.0.2.1:9;transport=ws');
    expect(keyId).to.not.equal(old);
    await until(
      'the end of the old CEK at the server',
      () => codeOf(() => server.ceks.opening(old!)) === 'CEK_RETIRED',
    );
    expect(await stateOf(old)).to.equal('ended');
    expect(server.ceks.opening(keyId!).state).to.equal('current');
  });

  it('POL-1: where no protection is required there are key sets and no CEK, and nothing is pushed', async () => {
    await verb('setPolicy', { protectionRequired: false });
    const client = await clientOf(ALICE);
    expect(await client.requestKey(SESSION)).to.deep.equal({ keyId: undefined });
    expect(client.material.signer().userUri).to.equal(ALICE);
    expect(await issued()).to.deep.equal([]);
    expect(server.ceks.list()).to.deep.equal([]);
  });

  it('LIFE-2: a rotation by the operator reaches both ends; the old key opens only, until the overlap ends', async () => {
    await verb('setPolicy', { cek: { overlap: 300 } });
    const client = await clientOf(ALICE);
    const { keyId: old } = await client.requestKey(SESSION);
    await client.eventsSettled();
    expect(await verb('cekRotate', { user: ALICE })).to.deep.equal({ superseding: [old] });
    await until('the new CEK at the client', () => ceks.sealing(alice).keyId !== old);
    const next = ceks.sealing(alice).keyId;
    expect(server.ceks.sealing(alice).keyId).to.equal(next);
    expect(Buffer.from(ceks.opening(next).key)).to.deep.equal(Buffer.from(server.ceks.opening(next).key));
    expect(ceks.opening(old!).state).to.equal('overlap');
    expect(server.ceks.opening(old!).state).to.equal('overlap');
    await until(
      'the end of the overlap at the server',
      () => codeOf(() => server.ceks.opening(old!)) === 'CEK_RETIRED',
    );
    await until('the end of the overlap at the client', () => codeOf(() => ceks.opening(old!)) === 'CEK_RETIRED');
    await until('the end at the KMS', async () => (await stateOf(old)) === 'ended');
  });

  it('LIFE-3: the client asks for an update, the KMS decides by its rule, and both ends hold the same answer', async () => {
    const client = await clientOf(ALICE);
    const { keyId: first } = await client.requestKey(SESSION);
    expect(await client.askUpdate(SESSION, first!), 'young: the same again').to.deep.equal({ keyId: first });
    await verb('setPolicy', { cek: { renewAfter: 0 } });
    const { keyId: second } = await client.askUpdate(SESSION, first!);
    expect(second, 'old enough: a new one').to.not.equal(first);
    expect(ceks.sealing(alice).keyId).to.equal(second);
    expect(server.ceks.sealing(alice).keyId).to.equal(second);
    expect(await client.askUpdate(SESSION, first!), 'who is behind gets the current one').to.deep.equal({
      keyId: second,
    });
  });

  it('LIFE-3: a CEK that has protected many messages is renewed, as the ends have counted them', async () => {
    await verb('setPolicy', { cek: { renewAfterMessages: 5 } });
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    for (let i = 0; i < 3; i += 1) ceks.sealing(alice);
    expect(await client.askUpdate(SESSION, keyId!)).to.deep.equal({ keyId });
    for (let i = 0; i < 3; i += 1) ceks.sealing(alice);
    expect((await client.askUpdate(SESSION, keyId!)).keyId).to.not.equal(keyId);
  });

  it('LIFE-4: the server asks for an update; the client learns the same by its event stream', async () => {
    await verb('setPolicy', { cek: { renewAfter: 0 } });
    const client = await clientOf(ALICE);
    const { keyId: first } = await client.requestKey(SESSION);
    await client.eventsSettled();
    const second = await server.kms!.askUpdate({ keyId: first!, sipSession: SESSION });
    expect(second).to.not.equal(first);
    await until('the new CEK at the client', () => ceks.sealing(alice).keyId === second);
    expect(server.ceks.sealing(alice).keyId).to.equal(second);
  });

  it('LIFE-4: a server that has restarted fetches the CEKs of its sessions and goes on', async () => {
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    const bob = await clientOf(BOB, 'urn:uuid:22222222-2222-4222-8222-222222222222');
    await bob.requestKey('sip:ue-2@192.0.2.2');
    server.forget();
    expect(await server.kms!.resume([SESSION])).to.deep.equal([keyId]);
    expect(Buffer.from(server.ceks.opening(keyId!).key)).to.deep.equal(Buffer.from(ceks.opening(keyId!).key));
    expect(await server.kms!.resume()).to.have.length(2);
  });

  it('INT-2: updates that both ends ask for at once end in one key', async () => {
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    await client.eventsSettled();
    ahead = DEFAULT_POLICY.cek.renewAfter;
    const answers = await Promise.all([
      client.askUpdate(SESSION, keyId!),
      server.kms!.askUpdate({ keyId: keyId!, sipSession: SESSION }).then((id) => ({ keyId: id })),
      verb('cekRotate', { user: ALICE }).then(() => undefined),
    ]);
    const last = (await issued()).filter((cek) => cek.state === 'active');
    expect(last).to.have.length(1);
    await until('one key at both ends', () => {
      const [mine, theirs] = [ceks.sealing(alice).keyId, server.ceks.sealing(alice).keyId];
      return mine === theirs && mine === last[0]!.keyId;
    });
    expect(answers[0]?.keyId).to.not.equal(keyId);
    expect(new Set((await issued()).map((cek) => cek.keyId)).size).to.be.at.most(3);
  });

  it('LIFE-1: a notice that comes late ends the Key IDs that it names, and not what the session has got since', async () => {
    const client = await clientOf(ALICE);
    const { keyId: old } = await client.requestKey(SESSION);
    await client.ended(SESSION, 'logged-off');
    const { keyId } = await client.requestKey(SESSION);
    await server.kms!.ended({ sipSession: SESSION, userUri: ALICE, reason: 'logged-off', keyIds: [old!], only: true });
    expect((await issued()).map((cek) => [cek.keyId, cek.state])).to.have.deep.members([
      [old, 'ended'],
      [keyId, 'active'],
    ]);
    await server.kms!.ended({ sipSession: SESSION, reason: 'expired', keyIds: [keyId!], only: true });
    expect((await issued()).filter((cek) => cek.state === 'active')).to.deep.equal([]);
  });

  for (const [by, reason, act] of [
    [
      'the server',
      'deregistered',
      () => server.kms!.ended({ sipSession: SESSION, reason: 'deregistered', keyIds: [] }),
    ],
    ['the user', 'logged-off', () => clients[0]!.ended(SESSION, 'logged-off')],
    ['the operator', 'revoked', () => verb('cekRevoke', { user: ALICE })],
  ] as const) {
    it(`LIFE-1: ended by ${by} (${reason}), the key is forgotten everywhere and its Key ID retired`, async () => {
      const client = await clientOf(ALICE);
      const { keyId } = await client.requestKey(SESSION);
      await client.eventsSettled();
      if (by === 'the server') server.ceks.end({ sipSession: SESSION }, reason);
      await act();
      await until('the end at the client', () => codeOf(() => ceks.opening(keyId!)) === 'CEK_RETIRED');
      await until('the end at the server', () => codeOf(() => server.ceks.opening(keyId!)) === 'CEK_RETIRED');
      const [cek] = await issued();
      expect(cek).to.include({ keyId, state: 'ended', endReason: reason });
      expect(cek).to.not.have.property('cekFingerprint');
      await until('no more about an ended CEK', async () =>
        client.askUpdate(SESSION, keyId!).then(
          () => false,
          (error: { detail: { httpStatus: number } }) => [409, 403].includes(error.detail.httpStatus),
        ),
      );
    });
  }

  it('LIFE-1: a CEK that reaches the server after it has forgotten the SIP session ends with the others', async () => {
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    await server.kms!.ended({ sipSession: SESSION, reason: 'deregistered', keyIds: [] });
    expect(codeOf(() => server.ceks.opening(keyId!))).to.equal('CEK_RETIRED');
    expect(await stateOf(keyId)).to.equal('ended');
  });

  it('LIFE-1: a CEK ends with the access token where policy says so', async () => {
    await verb('setPolicy', { cek: { endsWithToken: true } });
    const token = await setting.idm.sign(setting.idm.claims(Date.now(), { exp: Math.floor(Date.now() / 1000) + 2 }));
    const answer = await post(setting.asUe, `${running.url}/keymanagement/identity/v1/keyprov`, {
      token,
      request: { cekRequests: [{ sipSession: SESSION }] },
    });
    if (answer.response.message?.type !== 'key-prov') throw new Error(`status ${answer.status}`);
    const { keyId } = answer.response.message.ceks[0]!;
    await until('the end of the CEK at the server', () => codeOf(() => server.ceks.opening(keyId)) === 'CEK_RETIRED');
    await until('the end at the KMS', async () => (await stateOf(keyId)) === 'ended');
    expect((await issued())[0]).to.include({ keyId, endReason: 'expired' });
  });

  it('MULTI-1: one user logging off leaves the other user of the SIP session alone', async () => {
    const client = await clientOf(ALICE);
    await client.requestKey(SESSION);
    const bob = await clientOf(BOB, 'urn:uuid:22222222-2222-4222-8222-222222222222');
    const { keyId } = await bob.requestKey(SESSION);
    await client.ended(SESSION, 'logged-off');
    expect(await stateOf(keyId)).to.equal('active');
    expect(server.ceks.opening(keyId!).state).to.equal('current');
  });

  it('MULTI-1: one client of a user logging off leaves the other client of the same user and SIP session alone', async () => {
    const client = await clientOf(ALICE);
    const { keyId: own } = await client.requestKey(SESSION);
    const other = await clientOf(ALICE, 'urn:uuid:22222222-2222-4222-8222-222222222222');
    const { keyId } = await other.requestKey(SESSION);
    await client.ended(SESSION, 'logged-off');
    expect([await stateOf(own), await stateOf(keyId)]).to.deep.equal(['ended', 'active']);
    expect(server.ceks.opening(keyId!).state).to.equal('current');
  });

  it('a revoked user gets no key material until policy allows it again', async () => {
    const client = await clientOf(ALICE);
    await client.requestKey(SESSION);
    await verb('cekRevoke', { user: ALICE });
    const refused = await client.requestKey(SESSION).catch((error: { detail: JsonObject }) => error.detail);
    expect(refused).to.include({ httpStatus: 403, errorCode: 2005 });
    await verb('setPolicy', { deniedMcpttIds: [] });
    expect((await client.requestKey(SESSION)).keyId).to.match(/^f[0-9a-f]{7}$/);
  });

  /** A client whose event stream is lost, and comes back when its clock has moved; meanwhile its CEK is replaced twice. */
  const awayOverTwoRotations = async () => {
    const clock = new ManualClock(Date.now());
    const client = await clientOf(ALICE, CLIENT, running.url, clock);
    const keyIds = [(await client.requestKey(SESSION)).keyId!];
    expect(await client.eventsSettled()).to.equal('open');
    client.dropEvents();
    for (const _ of ['first', 'second']) {
      await verb('cekRotate', { user: ALICE });
      await until('the rotation', async () => {
        const active = (await issued()).find(({ state }) => state === 'active')?.keyId as string | undefined;
        return active !== undefined && active !== keyIds.at(-1) && keyIds.push(active) > 0;
      });
    }
    expect(ceks.list().map(({ keyId }) => keyId)).to.deep.equal(keyIds.slice(0, 1));
    return { client, keyIds: keyIds as [string, string, string], comeBack: () => clock.advance(10_000) };
  };
  const held = () => Object.fromEntries(ceks.list().map(({ keyId, state }) => [keyId, state]));

  it('an event stream that was lost misses nothing (Last-Event-ID)', async () => {
    const { keyIds, comeBack } = await awayOverTwoRotations();
    const [first, second, third] = keyIds;
    comeBack();
    await until('both rotations at the client', () => ceks.list().length === 3);
    await until('the last of them', () => ceks.sealing(alice).keyId === third);
    expect(held()).to.deep.equal({ [first]: 'overlap', [second]: 'overlap', [third]: 'current' });
  });

  it('LIFE-2: events that come after the client has learned of a newer key do not take it back to an older one', async () => {
    const { client, keyIds, comeBack } = await awayOverTwoRotations();
    const [first, second, third] = keyIds;
    expect(await client.askUpdate(SESSION, first)).to.deep.equal({ keyId: third });
    expect(held()).to.deep.equal({ [first]: 'overlap', [third]: 'current' });
    comeBack();
    await until('the event of the key between', () => ceks.list().length === 3);
    expect(held()).to.deep.equal({ [first]: 'overlap', [second]: 'overlap', [third]: 'current' });
    const overlapEnd = Date.now() + DEFAULT_POLICY.cek.overlap;
    for (const { keyId, notAfter } of ceks.list()) if (keyId !== third) expect(notAfter).to.be.at.most(overlapEnd);
  });

  it('LIFE-2: the event stream outlives the token that it was opened with', async () => {
    const inSeconds = (seconds: number) =>
      setting.idm.sign(setting.idm.claims(Date.now(), { exp: Math.floor(Date.now() / 1000) + seconds }));
    let opened = 0;
    const client = await clientOf(ALICE, CLIENT, running.url, systemClock, () => {
      opened += 1;
      return inSeconds(opened === 1 ? 2 : 3600);
    });
    const { keyId } = await client.requestKey(SESSION);
    await client.eventsSettled();
    await until('another stream, with another token', () => opened === 2);
    await verb('cekRotate', { user: ALICE });
    await until('the new CEK at the client', () => ceks.sealing(alice).keyId !== keyId);
  });

  it('STEP-3bP: while the server is down the answer says pending-ack within its bound; the push is repeated until taken', async () => {
    await verb('setPolicy', { pushWait: 50 });
    const { port } = new URL(server.url);
    await server.stop();
    const client = await clientOf(ALICE);
    const { keyId, state } = await client.requestKey(SESSION);
    expect(state).to.equal('pending-ack');
    expect(codeOf(() => ceks.sealing(alice))).to.equal('CEK_PENDING');
    expect(await stateOf(keyId)).to.equal('pending-ack');
    server = await ServerEnd.start(setting, Number(port));
    await server.connect(setting, running.url);
    await until('the push to the server', () => server.ceks.list().some((held) => held.keyId === keyId));
    await until('the event to the client', () => ceks.list()[0]?.state === 'current');
  });

  it('LIFE-2: a stream of messages in both directions loses none over 20 rekeys', async function () {
    this.timeout(30_000);
    const client = await clientOf(ALICE);
    await client.requestKey(SESSION);
    await client.eventsSettled();
    const protection = kekProtection();
    const lost: string[] = [];
    let opened = 0;
    let sending = true;
    const stream = async (from: () => CekKeyStore, to: () => CekKeyStore): Promise<void> => {
      const inFlight: Promise<void>[] = [];
      while (sending) {
        const entity = mimeEntity('text/plain', randomBytes(64));
        const body = await protection.protect(entity, from().sealing(alice));
        inFlight.push(
          protection
            .open(body, (keyId) => to().awaitOpening(keyId, 2_000))
            .then(
              (arrived) => {
                opened += Number(Buffer.compare(serialiseMime(arrived.entity), serialiseMime(entity)) === 0);
              },
              (error: { code: string; message: string }) => lost.push(`${error.code} ${error.message}`),
            )
            .then(() => undefined),
        );
        // The rate, fifty messages a second (LIFE-2); nothing is waited for here.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await Promise.all(inFlight);
    };
    const streams = [
      stream(
        () => ceks,
        () => server.ceks,
      ),
      stream(
        () => server.ceks,
        () => ceks,
      ),
    ];
    for (let i = 0; i < 20; i += 1) {
      const before = server.ceks.sealing(alice).keyId;
      await verb('cekRotate', { user: ALICE });
      await until(`rekey ${i + 1} at both ends`, () => {
        const theirs = server.ceks.sealing(alice).keyId;
        return theirs !== before && ceks.sealing(alice).keyId === theirs;
      });
      const arrived = opened;
      await until(`messages under key ${i + 1}`, () => opened >= arrived + 2);
    }
    sending = false;
    await Promise.all(streams);
    expect(lost).to.deep.equal([]);
    expect(opened).to.be.at.least(40);
    expect((await issued()).length).to.equal(21);
  });

  it('LIFE-2: a KMS that is killed between the push of a new CEK and its acknowledgement ends the change when it is back', async function () {
    this.timeout(120_000);
    const stateFolder = await mkdtemp(join(tmpdir(), 'kms-killed-'));
    const policy = { cek: { renewAfter: 0 } };
    const { child, url } = await forkKms(setting, { stateFolder, mcpttServer: server.url, policy });
    try {
      await server.kms?.close();
      await server.connect(setting, url);
      const client = await clientOf(ALICE, CLIENT, url);
      const { keyId: old } = await client.requestKey(SESSION);
      await client.eventsSettled();
      let dying: Promise<void> | undefined;
      server.breaks = () => {
        dying ??= killed(child);
        return 'before-acknowledgement';
      };
      expect(await client.askUpdate(SESSION, old!).catch((error: { code: string }) => error.code)).to.equal(
        'KMS_UNREACHABLE',
      );
      await dying;
      await until('the new CEK at the server', () => server.ceks.sealing(alice).keyId !== old);
      const next = server.ceks.sealing(alice).keyId;
      expect(ceks.sealing(alice).keyId, 'the client has not heard of it').to.equal(old);
      expect(server.ceks.opening(old!).state, 'and what it seals is opened').to.equal('overlap');

      server.breaks = () => undefined;
      await running.kms.stop();
      running = await startKms(setting, {
        stateFolder,
        connect: false,
        config: { policy, port: Number(new URL(url).port) },
      });
      await running.kms.connect({ 'mcptt-as': { https: server.url } });
      // Its pauses have grown by now.
      client.reconnectEvents();
      await until('the new CEK at the client', () => ceks.sealing(alice).keyId === next);
      expect(Buffer.from(ceks.opening(next).key)).to.deep.equal(Buffer.from(server.ceks.opening(next).key));
      expect((await issued()).map(({ keyId, state }) => [keyId, state])).to.deep.equal([
        [old, 'superseded'],
        [next, 'active'],
      ]);
      const latest = Date.now() + DEFAULT_POLICY.cek.overlap;
      for (const store of [server.ceks, ceks]) {
        const both = store.list().map(({ keyId, state, notAfter }) => [keyId, state, notAfter <= latest]);
        expect(both, 'the old one ends with the overlap').to.deep.equal([
          [old, 'overlap', true],
          [next, 'current', false],
        ]);
      }
    } finally {
      await killed(child);
      await rm(stateFolder, { recursive: true, force: true });
    }
  });

  it('a push is refused from anyone but the KMS', async () => {
    const push = `${server.url}/cek/v1/push`;
    const body = Buffer.from(buildCekPush([{ end: { sipSession: SESSION, reason: 'revoked' } }])).toString();
    const client = await clientOf(ALICE);
    const { keyId } = await client.requestKey(SESSION);
    const strangerTls = await setting.ca.issue({
      commonName: 'kms',
      uri: [`https://${KMS_URI}`],
      dns: ['other.example'],
    });
    const foreignCa = await createTestCa();
    const forged = await foreignCa.issue({ commonName: 'kms', dns: [KMS_URI] });
    for (const tls of [
      { ca: setting.ca.certificate },
      strangerTls,
      setting.serverTls,
      { ...forged, ca: setting.ca.certificate },
    ]) {
      const stranger = httpsClient(tls);
      const response = await stranger.fetch(push, {
        method: 'POST',
        headers: { 'content-type': 'application/xml' },
        body,
      });
      expect(response.status).to.equal(403);
      await response.arrayBuffer();
      await stranger.close();
    }
    expect(server.ceks.opening(keyId!).state).to.equal('current');
    const real = httpsClient(kmsTls);
    const response = await real.fetch(push, { method: 'POST', headers: { 'content-type': 'application/xml' }, body });
    expect(response.status).to.equal(200);
    await response.arrayBuffer();
    await real.close();
  });
});
