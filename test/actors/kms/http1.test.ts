/** TS 33.180 clause D.1 and HTTP1-1: the resources of HTTP-1, what they answer, and what they refuse, over real TLS. */
import { once } from 'node:events';
import { createServer, request as plainRequest } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect as tcpConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { expect } from 'chai';
import { Agent, request as undici } from 'undici';
import { createHttpApp, type HttpParts } from '../../../actors/kms/http.ts';
import { httpsClient } from '../../../actors/messages/kms/https.ts';
import { KMS_PATHS } from '../../../actors/messages/kms/namespaces.ts';
import { buildKmsRequest } from '../../../actors/messages/kms/request.ts';
import { parseKmsResponse } from '../../../actors/messages/kms/response.ts';
import { createTestCa } from '../../../actors/security/ca.ts';
import { createArithmetic } from '../../../actors/security/ibc/backend.ts';
import { EccsiVerifier } from '../../../actors/security/ibc/eccsi-native.ts';
import { LocalSakkeEngine } from '../../../actors/security/ibc/engine.ts';
import { validateCertificate, validateKeySet } from '../../../actors/security/ibc/key-set.ts';
import { openKey } from '../../../actors/security/ibc/key-transport.ts';
import { MemoryReplayCache } from '../../../actors/security/ibc/mikey/replay.ts';
import { toNtp } from '../../../actors/security/ibc/mikey/timestamp.ts';
import { KmsClientError } from '../../../actors/security/kms-client/errors.ts';
import { KmsExchange } from '../../../actors/security/kms-client/exchange.ts';
import { IdentityMaterial } from '../../../actors/security/kms-client/material.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { ManualClock, systemClock } from '../../../sim/engine/clock.ts';
import {
  ALICE,
  BOB,
  CLIENT,
  createSetting,
  KMS_URI,
  keyIdOf,
  post,
  type RunningKms,
  SERVER_ID,
  SESSION,
  type Setting,
  silentLog,
  startKms,
  TestMcpttServer,
  until,
} from './harness.ts';

describe('HTTP-1 at the KMS', () => {
  let setting: Setting;
  let running: RunningKms;

  before(async () => {
    setting = await createSetting();
    running = await startKms(setting, { config: { policy: { requests: { burst: 1_000, perMinute: 1_000 } } } });
  });
  after(async () => {
    await running.kms.stop();
    await setting.stop();
  });

  const token = (over = {}) => setting.idm.sign(setting.idm.claims(Date.now(), over));
  const at = (path: string): string => `${running.url}${path}`;
  const ask = async (path: string, request = {}, more = {}) =>
    post(setting.asUe, at(path), { token: await token(), request, ...more });

  describe('resources', () => {
    it('init: the KMS certificate, whose keys are valid', async () => {
      const { status, response } = await ask(KMS_PATHS.init);
      expect(status).to.equal(200);
      if (response.message?.type !== 'init') throw new Error('no KmsInit');
      const { certificate } = response.message;
      expect(certificate).to.include({ kmsUri: KMS_URI, userKeyPeriod: 2_592_000, userKeyOffset: 0, role: 'Root' });
      await validateCertificate(setting.engine, certificate);
    });

    it('keyprov: key sets that pass RFC 6507 5.1.2 and RFC 6508 6.1.2, and a CEK that only they open', async () => {
      const init = (await ask(KMS_PATHS.init)).response.message;
      const { response } = await ask(KMS_PATHS.keyProv, { cekRequests: [{ sipSession: SESSION }] });
      if (init?.type !== 'init' || response.message?.type !== 'key-prov') throw new Error('no key material');
      const { certificate } = init;
      const engine = new LocalSakkeEngine(createArithmetic());
      const keySets = response.message.keySets.map((given) => ({
        userUri: given.userUri,
        uid: given.userId,
        keyPeriodNo: given.keyPeriodNo,
        rsk: given.userDecryptKey,
        ssk: given.userSigningKeySsk,
        pvt: given.userPubTokenPvt,
      }));
      for (const keySet of keySets) await validateKeySet(engine, keySet, certificate);
      const options = { engine, verifier: new EccsiVerifier(), certificate, now: Date.now(), keySets };
      const cek = response.message.ceks[0]!;
      const opened = await openKey(cek.iMessage, {
        ...options,
        expectedSender: KMS_URI,
        replayCache: new MemoryReplayCache(),
      });
      expect(opened.key).to.have.length(32);
      expect(Buffer.from(opened.keyId).toString('hex')).to.equal(cek.keyId);
      const forged = await openKey(cek.iMessage, {
        ...options,
        expectedSender: BOB,
        replayCache: new MemoryReplayCache(),
      }).catch((error: { code: string }) => error.code);
      expect(forged).to.be.a('string');
      await engine.close();
    });

    it('keyprov with the own URI and a time in the path: the key set of that period', async () => {
      const now = Buffer.from(toNtp(Date.now())).toString('hex').toUpperCase();
      const path = `${KMS_PATHS.keyProv}/${encodeURIComponent(ALICE)}`;
      const both = (await ask(path)).response.message;
      const one = (await ask(`${path}/${now}`)).response.message;
      if (both?.type !== 'key-prov' || one?.type !== 'key-prov') throw new Error('no KmsKeyProv');
      expect(both.keySets).to.have.length(2);
      expect(one.keySets.map((keySet) => keySet.keyPeriodNo)).to.deep.equal([both.keySets[0]!.keyPeriodNo]);
      const [{ keyPeriodNo, validFrom, validTo } = { keyPeriodNo: 0 }] = both.keySets;
      for (const [at, expected] of [
        [validTo! - 1, keyPeriodNo],
        [validTo!, keyPeriodNo + 1],
        [validFrom! - 1, 404],
        [2 * validTo! - validFrom!, 404],
      ] as const) {
        const answer = await ask(`${path}/${Buffer.from(toNtp(at)).toString('hex')}`);
        const { message } = answer.response;
        expect(message?.type === 'key-prov' ? message.keySets[0]?.keyPeriodNo : answer.status).to.equal(expected);
      }
      expect((await ask(`${path}/D6B4323200000000`)).status, 'a period of 2014').to.equal(404);
      expect((await ask(`${path}/yesterday`)).status).to.equal(400);
    });

    it('key sets and sealed CEKs follow the clock over the turn of a key period', async () => {
      const clock = new ManualClock(Date.now());
      const turning = await startKms(setting, { clock });
      const at = `${turning.url}${KMS_PATHS.keyProv}`;
      const get = async (sipSession: string) => {
        const authorized = await setting.idm.sign(setting.idm.claims(clock.now()));
        const { response } = await post(setting.asUe, at, {
          token: authorized,
          request: { time: clock.now(), cekRequests: [{ sipSession }] },
        });
        if (response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
        return response.message;
      };
      const material = new IdentityMaterial({
        engine: setting.engine,
        kmsUri: KMS_URI,
        userUri: ALICE,
        now: () => clock.now(),
      });
      const before = await get('sip:before@ue');
      const init = await post(setting.asUe, `${turning.url}${KMS_PATHS.init}`, {
        token: await setting.idm.sign(setting.idm.claims(clock.now())),
        request: { time: clock.now() },
      });
      if (init.response.message?.type !== 'init') throw new Error('no KmsInit');
      await material.takeCertificate(init.response.message.certificate);
      await material.takeKeySets(before.keySets);
      expect((await material.open(before.ceks[0]!)).key).to.have.length(32);
      const [current, next] = before.keySets.map(({ keyPeriodNo }) => keyPeriodNo);
      expect(next).to.equal(current! + 1);

      clock.advance(before.keySets[0]!.validTo! - clock.now() + 1_000);
      const after = await get('sip:after@ue');
      expect(after.keySets.map(({ keyPeriodNo }) => keyPeriodNo)).to.deep.equal([next, next! + 1]);
      expect(after.keySets[0]!.userDecryptKey, 'given out before, and the same now').to.deep.equal(
        before.keySets[1]!.userDecryptKey,
      );
      // With what was given before the turn alone: the KMS's own signing key has turned as well.
      expect((await material.open(after.ceks[0]!)).key).to.have.length(32);
      await material.close();
      await turning.kms.stop();
    });

    it('certcache: the certificate for whoever does not hold it, nothing new for the others', async () => {
      for (const [path, count] of [
        ['', 1],
        ['/0', 1],
        ['/1', 0],
        ['/7', 0],
      ] as const) {
        const { message } = (await ask(`${KMS_PATHS.certCache}${path}`)).response;
        if (message?.type !== 'cert-cache') throw new Error('no KmsCertCache');
        expect(message.certificates, path).to.have.length(count);
      }
      expect((await ask(`${KMS_PATHS.certCache}/x`)).status).to.equal(400);
    });

    it('the MCPTT server gets its own key sets by its certificate, and no CEK of a user at keyprov', async () => {
      const own = await post(setting.asServer, at(KMS_PATHS.keyProv), { request: { userUri: SERVER_ID } });
      expect(own.status).to.equal(200);
      expect(own.response.message).to.have.nested.property('keySets[0].userUri', SERVER_ID);
      const cek = await post(setting.asServer, at(KMS_PATHS.keyProv), {
        request: { userUri: SERVER_ID, cekRequests: [{ sipSession: SESSION }] },
      });
      expect(cek.status).to.equal(403);
      const others = await post(setting.asServer, at(KMS_PATHS.keyProv));
      expect(others.status, "a user's key material").to.equal(403);
    });

    it('sessions: the CEKs that the MCPTT server fetches are given to it on record', async () => {
      const { message } = (await ask(KMS_PATHS.keyProv, { cekRequests: [{ sipSession: SESSION }] })).response;
      if (message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
      const request = { userUri: SERVER_ID, cekRequests: [{ sipSession: SESSION }] };
      const fetched = await post(setting.asServer, at(KMS_PATHS.cekSessions), { request });
      expect(fetched.response.message).to.have.nested.property('ceks[0].keyId', message.ceks[0]!.keyId);
      const last = ((await running.kms.readings.audit!({})) as JsonObject[]).at(-1);
      expect(last).to.include({ event: 'cek-given-again', keyId: message.ceks[0]!.keyId, by: 'server' });
    });
  });

  it('CEK-2: 1,000 requests at once give 1,000 CEKs under 1,000 Key IDs', async function () {
    this.timeout(60_000);
    const agent = new Agent({ connections: 16, connect: { ca: setting.ca.certificate } });
    const authorization = `Bearer ${await token()}`;
    await running.kms.verbs.setPolicy!({ requests: { burst: 2_000, perMinute: 1_000 } });
    const keyIds = await Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => {
        const body = buildKmsRequest({
          userUri: ALICE,
          kmsUri: KMS_URI,
          time: Date.now(),
          clientId: `urn:uuid:${index}`,
          clientReqUrl: at(KMS_PATHS.keyProv),
          cekRequests: [{ sipSession: `sip:${index}@ue` }],
          cekEnds: [],
        });
        const answer = await undici(at(KMS_PATHS.keyProv), {
          dispatcher: agent,
          method: 'POST',
          headers: { authorization, 'content-type': 'application/xml' },
          body,
        });
        const { message } = parseKmsResponse(new Uint8Array(await answer.body.arrayBuffer()));
        if (message?.type !== 'key-prov') throw new Error(`status ${answer.statusCode}`);
        return message.ceks[0]!.keyId;
      }),
    );
    await agent.close();
    expect(new Set(keyIds)).to.have.length(1_000);
  });

  /** One request as octets, for what HTTP clients do not send; the answer as text. */
  async function raw(
    head: readonly string[],
    body: string,
    framing = `Content-Length: ${Buffer.byteLength(body)}`,
  ): Promise<string> {
    const { hostname, port } = new URL(running.url);
    const socket = tlsConnect({ host: hostname, port: Number(port), ca: setting.ca.certificate });
    socket.setTimeout(5_000, () => socket.destroy(new Error('the KMS did not answer within 5 s')));
    const lines = [...head, framing, 'Connection: close', '', body];
    socket.write(lines.join('\r\n')); // not end: the server gives up on who closes its side early
    const pieces: Buffer[] = [];
    for await (const piece of socket) pieces.push(piece as Buffer);
    return Buffer.concat(pieces).toString();
  }

  describe('refusals', () => {
    const refused = async (expected: [status: number, errorCode: number], answer: ReturnType<typeof ask>) => {
      const { status, response, headers } = await answer;
      expect([status, response.error?.code]).to.deep.equal(expected);
      expect(response.message).to.equal(undefined);
      expect(response.kmsUri).to.equal(KMS_URI);
      return headers;
    };

    it('400 for XML that the schema does not allow, or that holds a document type', async () => {
      await refused([400, 1001], ask(KMS_PATHS.init, {}, { body: '<KmsRequest/>' }));
      await refused([400, 1001], ask(KMS_PATHS.init, {}, { body: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>' }));
      await refused([400, 1001], ask(KMS_PATHS.init, {}, { body: 'not xml' }));
    });
    it('413 for a body beyond the bound', async () => {
      await refused([413, 1006], ask(KMS_PATHS.init, {}, { body: `<a>${'x'.repeat(70_000)}</a>` }));
    });
    it('400 for another KmsUri, another ClientReqUrl, a Time that is not recent', async () => {
      await refused([400, 1003], ask(KMS_PATHS.init, { kmsUri: 'other.example' }));
      await refused([400, 1004], ask(KMS_PATHS.init, { clientReqUrl: at(KMS_PATHS.keyProv) }));
      await refused(
        [400, 1004],
        ask(KMS_PATHS.init, { clientReqUrl: 'https://other.example/keymanagement/identity/v1/init' }),
      );
      await refused([400, 1005], ask(KMS_PATHS.init, { time: Date.now() - 6 * 60_000 }));
      await refused([400, 1005], ask(KMS_PATHS.init, { time: Date.now() + 6 * 60_000 }));
    });
    it('400 for a CekRequest without a ClientId, and for updates and ends that name nothing', async () => {
      const without = buildKmsRequest({
        userUri: ALICE,
        kmsUri: KMS_URI,
        time: Date.now(),
        clientReqUrl: at(KMS_PATHS.keyProv),
        cekRequests: [{ sipSession: SESSION }],
        cekEnds: [],
      });
      await refused([400, 1002], ask(KMS_PATHS.keyProv, {}, { body: Buffer.from(without).toString() }));
      await refused([400, 1002], ask(KMS_PATHS.cekUpdate));
      await refused([400, 1002], ask(KMS_PATHS.cekEnd));
    });
    it("403 for another user's CEK, and for the server's resource", async () => {
      const bob = { token: await token({ mcptt_id: BOB }) };
      const theirs = await post(setting.asUe, at(KMS_PATHS.keyProv), {
        ...bob,
        request: { userUri: BOB, clientId: 'urn:uuid:b', cekRequests: [{ sipSession: SESSION }] },
      });
      if (theirs.response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
      const { keyId } = theirs.response.message.ceks[0]!;
      const headers = await refused([403, 2004], ask(KMS_PATHS.cekEnd, { cekEnds: [{ keyId, reason: 'logged-off' }] }));
      expect(headers.get('www-authenticate')).to.match(/^Bearer /);
      await refused(
        [403, 2004],
        ask(KMS_PATHS.cekEnd, { cekEnds: [{ userUri: BOB, sipSession: SESSION, reason: 'logged-off' }] }),
      );
      await refused([403, 2004], ask(KMS_PATHS.cekUpdate, { cekRequests: [{ sipSession: SESSION, keyId }] }));
      await refused([403, 2006], ask(KMS_PATHS.cekSessions));
      const ceks = (await running.kms.readings.ceks!({})) as JsonObject[];
      expect(ceks.find((cek) => cek.keyId === keyId)?.state).to.equal('active');
    });
    it("an end of a whole SIP session ends the asking client's CEK, and no other client's or user's on it", async () => {
      const shared = 'sip:shared@ue';
      const keyIds: string[] = [];
      for (const userUri of [ALICE, BOB]) {
        const { response } = await post(setting.asUe, at(KMS_PATHS.keyProv), {
          token: await token({ mcptt_id: userUri }),
          request: { userUri, clientId: `urn:uuid:${userUri}`, cekRequests: [{ sipSession: shared }] },
        });
        if (response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
        keyIds.push(response.message.ceks[0]!.keyId);
      }
      const cekEnds = [{ sipSession: shared, reason: 'logged-off' }] as const;
      const elsewhere = await ask(KMS_PATHS.cekEnd, { clientId: 'urn:uuid:another', cekEnds });
      expect(elsewhere.response.message).to.deep.equal({ type: 'cek-ack', keyIds: [] });
      const end = await ask(KMS_PATHS.cekEnd, { clientId: `urn:uuid:${ALICE}`, cekEnds });
      expect(end.response.message).to.deep.equal({ type: 'cek-ack', keyIds: [keyIds[0]] });
      const ceks = (await running.kms.readings.ceks!({})) as JsonObject[];
      expect(ceks.find(({ keyId }) => keyId === keyIds[1])?.state).to.equal('active');
    });
    it('404 for a resource or a CEK that is not there, 409 for one that has ended', async () => {
      await refused([404, 3001], ask('/keymanagement/identity/v1/lookup'));
      await refused(
        [404, 3002],
        ask(KMS_PATHS.cekUpdate, { cekRequests: [{ sipSession: SESSION, keyId: 'f0000000' }] }),
      );
      await refused([404, 3002], ask(KMS_PATHS.cekEnd, { cekEnds: [{ keyId: 'f0000000', reason: 'logged-off' }] }));
      const session = 'sip:short@ue';
      const { message } = (await ask(KMS_PATHS.keyProv, { cekRequests: [{ sipSession: session }] })).response;
      if (message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
      const { keyId } = message.ceks[0]!;
      const end = await ask(KMS_PATHS.cekEnd, { cekEnds: [{ sipSession: session, reason: 'logged-off' }] });
      expect(end.response.message).to.deep.equal({ type: 'cek-ack', keyIds: [keyId] });
      await refused([409, 3005], ask(KMS_PATHS.cekUpdate, { cekRequests: [{ sipSession: session, keyId }] }));
    });
    it('400 for CEKs of several SIP sessions at once: a client is on one, and what it had on another ends', async () => {
      const several = ['sip:one@ue', 'sip:two@ue'].map((sipSession) => ({ sipSession }));
      await refused([400, 1002], ask(KMS_PATHS.keyProv, { cekRequests: several }));
      const twice = await ask(KMS_PATHS.keyProv, { cekRequests: [several[0]!, several[0]!] });
      if (twice.response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
      expect(new Set(twice.response.message.ceks.map(({ keyId }) => keyId))).to.have.length(1);
    });
    it('409 for a CEK that ended before it could be given: an answer without one would say that none is needed', async () => {
      const clientId = 'urn:uuid:restarting';
      const stateOn = async (session: string) =>
        ((await running.kms.readings.ceks!({})) as JsonObject[]).find(({ sipSession }) => sipSession === session)
          ?.state;
      setting.server.answer = () => undefined;
      await running.kms.verbs.setPolicy!({ pushWait: 5_000 });
      const first = ask(KMS_PATHS.keyProv, { clientId, cekRequests: [{ sipSession: 'sip:before@ue' }] });
      await until('the CEK of the first session', async () => (await stateOn('sip:before@ue')) === 'pending-ack');
      const second = ask(KMS_PATHS.keyProv, { clientId, cekRequests: [{ sipSession: 'sip:after@ue' }] });
      await refused([409, 3005], first);
      setting.server.answer = (news) => news.map(keyIdOf);
      expect((await second).status).to.equal(200);
      await running.kms.verbs.setPolicy!({ pushWait: 2_000 });
    });
    it('405 with Allow for another method, 415 for another media type', async () => {
      const response = await setting.asUe.fetch(at(KMS_PATHS.init), {
        headers: { authorization: `Bearer ${await token()}` },
      });
      expect(response.status).to.equal(405);
      expect(response.headers.get('allow')).to.equal('POST');
      await response.arrayBuffer();
      await refused([415, 3006], ask(KMS_PATHS.init, {}, { headers: { 'content-type': 'application/json' } }));
    });
    it('405 with Allow for what would never end: HEAD of the event stream', async () => {
      for (const method of ['HEAD', 'POST', 'OPTIONS']) {
        const response = await setting.asUe.fetch(at(KMS_PATHS.cekEvents), {
          method,
          headers: { authorization: `Bearer ${await token()}` },
        });
        await response.arrayBuffer();
        expect([response.status, response.headers.get('allow')], method).to.deep.equal([405, 'GET']);
      }
    });
    it('415 for a charset that is not UTF-8, whatever the body says of itself (RFC 7303 section 3)', async () => {
      const sent = (type: string) => ask(KMS_PATHS.init, {}, { headers: { 'content-type': type } });
      for (const type of ['application/xml; charset=utf-16', 'text/xml;charset="ISO-8859-1"']) {
        await refused([415, 3006], sent(type));
      }
      for (const type of ['application/xml; charset=UTF-8', 'text/xml; charset="utf-8"', 'application/x+xml']) {
        expect((await sent(type)).status, type).to.equal(200);
      }
    });
    it('400 for two Authorization headers, in either order', async () => {
      const good = await token();
      for (const pair of [
        [good, 'other'],
        ['other', good],
      ]) {
        const answer = await raw(
          [
            `POST ${KMS_PATHS.init} HTTP/1.1`,
            `Host: ${new URL(running.url).host}`,
            ...pair.map((one) => `Authorization: Bearer ${one}`),
          ],
          '',
        );
        expect(answer).to.match(/^HTTP\/1.1 400 /);
        expect(answer).to.contain('<ErrorCode>1007</ErrorCode>');
        expect(answer, 'RFC 6750 section 3.1').to.match(/^WWW-Authenticate: Bearer .*error="invalid_request"/m);
      }
    });
    it('400 for two Host headers, in either order (RFC 9112 section 3.2)', async () => {
      const { host } = new URL(running.url);
      for (const pair of [
        [host, 'other'],
        ['other', host],
      ]) {
        const hosts = pair.map((one) => `Host: ${one}`);
        const answer = await raw(
          [`POST ${KMS_PATHS.init} HTTP/1.1`, ...hosts, `Authorization: Bearer ${await token()}`],
          '',
        );
        expect(answer).to.match(/^HTTP\/1.1 400 /);
        expect(answer).to.contain('<ErrorCode>1008</ErrorCode>');
      }
    });
    it('400 for a transfer coding other than chunked (RFC 9112 section 6.1)', async () => {
      const { host } = new URL(running.url);
      for (const [coding, status] of [
        ['gzip, chunked', 400],
        ['Chunked', 415],
      ] as const) {
        const head = [`POST ${KMS_PATHS.init} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${await token()}`];
        const answer = await raw(head, '0\r\n\r\n', `Transfer-Encoding: ${coding}`);
        expect(answer, coding).to.match(new RegExp(`^HTTP/1.1 ${status} `));
        expect(answer.match(/HTTP\/1.1/g), 'one answer').to.have.length(1);
      }
    });
    it('405 with a KmsError for CONNECT; an Expect that nobody knows is read past (RFC 9110 section 10.1.1)', async () => {
      const { host } = new URL(running.url);
      const connect = await raw(
        [`CONNECT ${host} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${await token()}`],
        '',
      );
      expect(connect)
        .to.match(/^HTTP\/1.1 405 /)
        .and.to.contain('<ErrorCode>3004</ErrorCode>');
      const expecting = await raw([`POST ${KMS_PATHS.init} HTTP/1.1`, `Host: ${host}`, 'Expect: miracles'], '');
      expect(expecting)
        .to.match(/^HTTP\/1.1 401 /)
        .and.to.contain('<ErrorCode>2001</ErrorCode>');
    });
    it('a KmsError for what is no HTTP request, too: 400, 431, and 408 for one that does not come in in time', async () => {
      const impatient = await startKms(setting, { connect: false, config: { requestTimeout: 100 } });
      const { hostname, port } = new URL(impatient.url);
      const answerTo = async (octets: string): Promise<string> => {
        const socket = tlsConnect({ host: hostname, port: Number(port), ca: setting.ca.certificate });
        socket.setTimeout(8_000, () => socket.destroy(new Error('the KMS did not answer within 8 s')));
        socket.write(octets);
        const pieces: Buffer[] = [];
        for await (const piece of socket) pieces.push(piece as Buffer);
        return Buffer.concat(pieces).toString();
      };
      const start = `POST ${KMS_PATHS.init} HTTP/1.1\r\n`;
      const host = `Host: ${hostname}:${port}\r\n`;
      for (const [octets, status, code] of [
        ['FOO / HTTP/1.1\r\n\r\n', 400, 1008],
        [`${start}Connection: close\r\n\r\n`, 400, 1008],
        [`${start}${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 1008],
        [`${start}${host}X: ${'x'.repeat(17_000)}\r\n\r\n`, 431, 1009],
        [`${start}${host}`, 408, 1010],
        [`${start}${host}Authorization: Bearer ${await token()}\r\nContent-Length: 5\r\n\r\n<`, 408, 1010],
      ] as const) {
        const answer = await answerTo(octets);
        expect(answer, octets.slice(0, 80)).to.match(new RegExp(`^HTTP/1.1 ${status} `));
        const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
        expect(parseKmsResponse(Buffer.from(body)).error?.code, octets.slice(0, 80)).to.equal(code);
        expect(answer.match(/HTTP\/1.1/g), 'one answer').to.have.length(1);
      }
      const refused = (await impatient.kms.readings.audit!({})) as JsonObject[];
      expect(refused.filter(({ code }) => code === 'KMS_TOO_SLOW')).to.have.length(2);
      await impatient.kms.stop();
    });
    it('no connection is kept whose TLS handshake does not come to an end, or is none', async () => {
      const impatient = await startKms(setting, { connect: false, config: { requestTimeout: 100 } });
      const { hostname, port } = new URL(impatient.url);
      for (const octets of ['', '\x16\x03\x01', 'POST / HTTP/1.1\r\n\r\n']) {
        const socket = tcpConnect(Number(port), hostname);
        socket.setTimeout(5_000, () => socket.destroy(new Error('the KMS kept the connection for 5 s')));
        socket.write(octets);
        let answer = '';
        for await (const piece of socket) answer += (piece as Buffer).toString('latin1');
        expect(answer, 'HTTP in clear').not.to.match(/HTTP/);
      }
      expect(await impatient.kms.readings.audit!({}), 'entries about what was no request').to.deep.equal([]);
      await impatient.kms.stop();
    });
    it('an answer is valid XML of the schema whatever the URL and the host were', async () => {
      const good = await token();
      for (const [target, host] of [
        [`${KMS_PATHS.keyProv}/%zz`, 'kms.example'],
        [`${KMS_PATHS.keyProv}/"<a>|{}`, 'kms.example'],
        ['*', 'kms.example'],
        [KMS_PATHS.init, 'a b"<c>'],
        [KMS_PATHS.init, 'a:b:c'],
        [`https://kms.example${KMS_PATHS.init}%`, 'kms.example'],
      ]) {
        const head = [`OPTIONS ${target} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${good}`];
        const answer = await raw(head, '');
        expect(answer, target).to.match(/^HTTP\/1.1 4\d\d /);
        const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
        expect(parseKmsResponse(Buffer.from(body)).error, `${target} at ${host}`).to.be.an('object');
      }
    });
    it('<ClientReqUrl> may write the identity with or without percent-encoding, and the request target may be absolute', async () => {
      const plain = `${KMS_PATHS.keyProv}/${ALICE}`;
      const escaped = `${KMS_PATHS.keyProv}/${encodeURIComponent(ALICE)}`;
      for (const [path, named] of [
        [plain, escaped],
        [escaped, plain],
        [escaped.toLowerCase(), escaped],
      ] as const) {
        expect((await ask(path, { clientReqUrl: at(named) })).status).to.equal(200);
      }
      await refused([400, 1004], ask(escaped, { clientReqUrl: at(`${plain}/`) }));
      await refused([400, 1004], ask(KMS_PATHS.init, { clientReqUrl: at(`${KMS_PATHS.init}/`) }));
      await refused([400, 1004], ask(KMS_PATHS.init, { clientReqUrl: at(`${KMS_PATHS.init}?`).concat('a=b') }));
      const body = Buffer.from(
        buildKmsRequest({
          userUri: ALICE,
          kmsUri: KMS_URI,
          time: Date.now(),
          clientReqUrl: at(KMS_PATHS.init),
          cekRequests: [],
          cekEnds: [],
        }),
      ).toString();
      const head = [
        `POST ${at(KMS_PATHS.init)} HTTP/1.1`,
        `Host: ${new URL(running.url).host}`,
        'Content-Type: application/xml',
        `Authorization: Bearer ${await token()}`,
      ];
      expect(await raw(head, body)).to.match(/^HTTP\/1.1 200 /);
    });
    it('404 for a path in other letters', async () => {
      await refused([404, 3001], ask(KMS_PATHS.init.toUpperCase()));
    });
    it('429 with Retry-After beyond the rate, for that user alone, and only for a while', async () => {
      await running.kms.verbs.setPolicy!({ requests: { burst: 2, perMinute: 60 } });
      const carol = {
        token: await token({ mcptt_id: 'sip:carol@mcptt.example' }),
        request: { userUri: 'sip:carol@mcptt.example' },
      };
      const statuses: number[] = [];
      let last: Headers | undefined;
      for (let i = 0; i < 3; i += 1) {
        const answer = await post(setting.asUe, at(KMS_PATHS.init), carol);
        statuses.push(answer.status);
        last = answer.headers;
      }
      expect(statuses).to.deep.equal([200, 200, 429]);
      expect(Number(last?.get('retry-after'))).to.be.within(1, 2);
      await running.kms.verbs.setPolicy!({ requests: { burst: 1_000, perMinute: 1_000 } });
      expect((await ask(KMS_PATHS.init)).status).to.equal(200);
    });
    it('503 with Retry-After while the IdM is not known', async () => {
      const alone = await startKms(setting, { idm: false, connect: false });
      const answer = await post(setting.asUe, `${alone.url}${KMS_PATHS.init}`, { token: await token() });
      expect([answer.status, answer.response.error?.code]).to.deep.equal([503, 4002]);
      expect(answer.headers.get('retry-after')).to.equal('1');
      expect(await alone.kms.readings.health!({})).to.deep.equal({ ok: false, waitingFor: ['idm', 'mcptt-as'] });
      await alone.kms.stop();
    });
    it('503 with a KmsError, and no stack, even when refusing goes wrong', async () => {
      const fail = (): never => {
        throw new Error('the disk is full');
      };
      const logged: string[] = [];
      const app = createHttpApp({
        kmsUri: KMS_URI,
        clock: systemClock,
        report: () => {},
        counted: () => {},
        log: { ...silentLog, error: (_details: unknown, text: string) => logged.push(text) },
        audit: { write: fail },
        checkToken: fail,
      } as unknown as HttpParts);
      const server = createServer(app).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const response = await fetch(`http://127.0.0.1:${port}${KMS_PATHS.init}`, {
        method: 'POST',
        headers: { authorization: 'Bearer abc', connection: 'close' },
      });
      const body = await response.text();
      server.close();
      expect(response.status).to.equal(503);
      expect(parseKmsResponse(Buffer.from(body)).error).to.include({ code: 4002 });
      expect(body).to.not.contain('disk');
      expect(logged).to.have.length(2);
    });
    it('an answer never tells more than its KmsError: no stack, no server name', async () => {
      const answer = await ask('/nowhere');
      expect(answer.headers.get('x-powered-by')).to.equal(null);
      expect(answer.headers.get('cache-control')).to.equal('no-store');
      expect(answer.response.error?.message).to.not.match(/\.ts|node_modules/);
    });
  });

  describe('HTTP1-1: nothing but TLS under trusted certificates', () => {
    it('plain HTTP gets no answer from the KMS', async () => {
      const { hostname, port } = new URL(running.url);
      const sent = plainRequest({ host: hostname, port, method: 'POST', path: KMS_PATHS.init }).end();
      const outcome = await once(sent, 'response').then(
        ([response]) => (response as { statusCode: number }).statusCode,
        (error: { code: string }) => error.code,
      );
      expect(outcome).to.equal('ECONNRESET');
    });

    it('a client of the KMS follows no redirection: its request goes where it was sent, or nowhere', async () => {
      const elsewhere = `${running.url}${KMS_PATHS.init}`;
      const detour = createHttpsServer({ cert: setting.tls.certificate, key: setting.tls.privateKey }, (_req, res) => {
        res.writeHead(307, { location: elsewhere }).end();
      });
      detour.listen(0, '127.0.0.1');
      await once(detour, 'listening');
      const { port } = detour.address() as AddressInfo;
      const client = httpsClient({ ca: setting.ca.certificate });
      const outcome = await client.fetch(`https://127.0.0.1:${port}/`, { method: 'POST' }).then(
        ({ status }) => status,
        (error: Error) => error.name,
      );
      await client.close();
      const closed = once(detour, 'close');
      detour.close();
      await closed;
      expect(outcome).to.equal('TypeError');
    });
    it('a client of the KMS does not speak plain HTTP, and trusts its CA alone', async () => {
      const exchange = (baseUrl: string, ca: string) => {
        const client = httpsClient({ ca });
        const kms = new KmsExchange({
          baseUrl,
          kmsUri: KMS_URI,
          userUri: ALICE,
          clientId: CLIENT,
          fetch: client.fetch,
          now: Date.now,
        });
        return kms
          .ask({ path: KMS_PATHS.init, token: 'x' })
          .catch((error: KmsClientError) => error)
          .finally(() => void client.close());
      };
      const plain = await exchange(running.url.replace('https', 'http'), setting.ca.certificate);
      expect(plain).to.be.instanceOf(KmsClientError).with.property('code', 'KMS_UNREACHABLE');
      const foreign = await exchange(running.url, (await createTestCa()).certificate);
      expect(foreign).to.be.instanceOf(KmsClientError).with.property('code', 'KMS_UNREACHABLE');
      expect((foreign as KmsClientError).detail.why).to.match(/SELF_SIGNED|UNABLE_TO|CERT/);
      const byOtherName = await exchange(running.url.replace('127.0.0.1', '127.0.0.2'), setting.ca.certificate);
      expect(byOtherName).to.be.instanceOf(KmsClientError).with.property('code', 'KMS_UNREACHABLE');
    });

    it('a client certificate of another CA is nobody, whatever name it carries', async () => {
      const forged = await (await createTestCa()).issue({ commonName: 'mcptt-as', uri: [SERVER_ID] });
      const client = httpsClient({ ...forged, ca: setting.ca.certificate });
      const answer = await post(client, at(KMS_PATHS.cekSessions), { request: { userUri: SERVER_ID } });
      expect(answer.status).to.equal(401);
      await client.close();
    });

    it('a certificate of our CA without the name of an MCPTT server is nobody either', async () => {
      for (const uri of [[], [BOB], [`${SERVER_ID}.evil.example`], [`sip:x@y,URI:${SERVER_ID}`]]) {
        const identity = await setting.ca.issue({ commonName: SERVER_ID, uri });
        const client = httpsClient(identity);
        const answer = await post(client, at(KMS_PATHS.cekSessions), { request: { userUri: SERVER_ID } });
        expect(answer.status, uri.join()).to.equal(401);
        await client.close();
      }
    });

    it('TLS before 1.2 is not spoken', async () => {
      const { hostname, port } = new URL(running.url);
      const socket = tlsConnect({
        host: hostname,
        port: Number(port),
        ca: setting.ca.certificate,
        maxVersion: 'TLSv1.1',
        minVersion: 'TLSv1',
      });
      const [error] = (await once(socket, 'error')) as [Error];
      expect(error.message).to.match(/version|protocol|alert/i);
      socket.destroy();
    });

    it('octets that are no TLS end the connection and nothing else', async () => {
      const { hostname, port } = new URL(running.url);
      const socket = tcpConnect(Number(port), hostname);
      socket.on('error', () => undefined);
      const closed = once(socket, 'close');
      socket.end('GET / HTTP/1.1\r\n\r\n');
      socket.resume();
      await closed;
      expect((await ask(KMS_PATHS.init)).status).to.equal(200);
    });

    it('a KMS refuses to push to a server whose certificate it cannot trust', async () => {
      const foreignCa = await createTestCa();
      const impostor = await TestMcpttServer.start(await foreignCa.issue({ commonName: 'mcptt-as', uri: [SERVER_ID] }));
      const { kms, url } = await startKms(setting, { connect: false, config: { policy: { pushWait: 100 } } });
      await kms.connect({ 'mcptt-as': { https: impostor.url } });
      const answer = await post(setting.asUe, `${url}${KMS_PATHS.keyProv}`, {
        token: await token(),
        request: { cekRequests: [{ sipSession: SESSION }] },
      });
      expect(answer.response.message).to.have.nested.property('ceks[0].state', 'pending-ack');
      expect(impostor.pushed).to.deep.equal([]);
      const audit = (await kms.readings.audit!({})) as JsonObject[];
      expect(audit.some((entry) => entry.event === 'push-failed')).to.equal(true);
      await kms.stop();
      await impostor.stop();
    });
  });

  it('counts what it answers, per instance', async () => {
    await ask(KMS_PATHS.init);
    await ask('/nowhere');
    const metrics = (await running.kms.readings.metrics!({})) as Record<
      string,
      { labels: JsonObject; value: number }[]
    >;
    const ok = metrics.kms_requests_total!.find(
      ({ labels }) => labels.resource === KMS_PATHS.init && labels.status === 200,
    );
    expect(ok?.value).to.be.greaterThan(0);
    expect(metrics.kms_audit_events_total!.some(({ labels }) => labels.event === 'refused')).to.equal(true);
  });
});
