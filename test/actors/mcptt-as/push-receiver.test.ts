/** STEP-3bP at the MCPTT server: what a push does, again and again, and what is not taken. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import express from 'express';
import { createPushReceiver } from '../../../actors/mcptt-as/push-receiver.ts';
import { buildCekPush, type CekNews, parseCekAck } from '../../../actors/messages/kms/cek.ts';
import { type HttpsClient, httpsClient } from '../../../actors/messages/kms/https.ts';
import { createTestCa, type IssuedIdentity } from '../../../actors/security/ca.ts';
import { type ArrivedCek, CekKeyStore } from '../../../actors/security/cek/key-store.ts';
import type { IdentityMaterial } from '../../../actors/security/kms-client/material.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';

const KMS_URI = 'kms.mcptt.example';
const ALICE = { userUri: 'sip:alice@mcptt.example', clientId: 'urn:uuid:1', sipSession: 'sip:s@ue' };

describe('createPushReceiver', () => {
  let ceks: CekKeyStore;
  let server: Server;
  let url: string;
  let kms: HttpsClient;
  let kmsTls: IssuedIdentity;
  let available = true;
  const clock = new ManualClock();
  const keys = new Map<string, Uint8Array>();

  /** Opens by Key ID instead of by SAKKE: what is sealed is tried in material.test.ts. */
  const material = {
    open: (cek: CekNews & object): Promise<ArrivedCek> => {
      const { iMessage, ...rest } = cek as unknown as ArrivedCek & { iMessage: Uint8Array };
      if (iMessage[0] === 0)
        return Promise.reject(Object.assign(new Error('sealed to somebody else'), { code: 'wrong-receiver' }));
      const key = keys.get(rest.keyId) ?? randomBytes(32);
      keys.set(rest.keyId, key);
      return Promise.resolve({ ...rest, key: Uint8Array.from(key) });
    },
  } as unknown as IdentityMaterial;

  before(async () => {
    const ca = await createTestCa();
    const own = await ca.issue({ commonName: 'mcptt-as' });
    kmsTls = await ca.issue({ commonName: 'kms', dns: [KMS_URI] });
    kms = httpsClient(kmsTls);
    server = createServer({
      cert: own.certificate,
      key: own.privateKey,
      ca: own.ca,
      requestCert: true,
      rejectUnauthorized: false,
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/cek/v1/push`;
    const app = express();
    app.use(
      createPushReceiver({
        kmsUri: KMS_URI,
        material: () => (available ? Promise.resolve(material) : Promise.reject(new Error('no key material'))),
        ceks: () => ceks,
        report: () => undefined,
        log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      }),
    );
    server.on('request', app);
  });
  after(async () => {
    await kms.close();
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    available = true;
    keys.clear();
    ceks = new CekKeyStore(clock);
  });
  afterEach(() => ceks.close());

  const cek = (keyId: string, over: object = {}): CekNews => ({
    cek: {
      keyId,
      ...ALICE,
      notBefore: clock.now(),
      notAfter: clock.now() + 3_600_000,
      state: 'active',
      iMessage: Uint8Array.of(1),
      ...over,
    },
  });
  const send = async (body: Uint8Array, method = 'POST'): Promise<{ status: number; octets: Uint8Array }> => {
    const response = await kms.fetch(url, {
      method,
      headers: { 'content-type': 'application/xml' },
      ...(method === 'POST' ? { body: body as NonNullable<RequestInit['body']> } : {}),
    });
    return { status: response.status, octets: new Uint8Array(await response.arrayBuffer()) };
  };
  const push = async (...news: CekNews[]): Promise<string[]> => {
    const { status, octets } = await send(buildCekPush(news));
    expect(status).to.equal(200);
    return parseCekAck(octets);
  };
  const stateOf = (keyId: string): string => ceks.list().find((held) => held.keyId === keyId)?.state ?? 'not held';

  it('takes keys and ends in the order of the push, and acknowledges them', async () => {
    const end: CekNews = { end: { keyId: 'f0000001', reason: 'revoked' } };
    expect(await push(cek('f0000001'), end, cek('f0000002'))).to.deep.equal(['f0000001', 'f0000001', 'f0000002']);
    expect([stateOf('f0000001'), stateOf('f0000002')]).to.deep.equal(['not held', 'current']);
  });

  it('a repeated push changes nothing and is acknowledged again, also for a key that has ended', async () => {
    await push(cek('f0000001'));
    expect(await push(cek('f0000001'))).to.deep.equal(['f0000001']);
    expect(ceks.list()).to.have.length(1);
    const end: CekNews = { end: { keyId: 'f0000001', reason: 'logged-off' } };
    expect(await push(end)).to.deep.equal(['f0000001']);
    expect(await push(end)).to.deep.equal(['f0000001']);
    expect(await push(cek('f0000001'))).to.deep.equal(['f0000001']);
    expect(stateOf('f0000001')).to.equal('not held');
  });

  it('a new key takes over and the old one only opens', async () => {
    await push(cek('f0000001'));
    await push(
      cek('f0000002', { notBefore: clock.now() + 1, supersedes: { keyId: 'f0000001', notAfter: clock.now() + 5_000 } }),
    );
    expect([stateOf('f0000001'), stateOf('f0000002')]).to.deep.equal(['overlap', 'current']);
  });

  it('a key that cannot be opened is left out of the acknowledgement, the others are taken', async () => {
    const closed = cek('f0000001', { iMessage: Uint8Array.of(0) });
    expect(await push(closed, cek('f0000002'))).to.deep.equal(['f0000002']);
    expect(stateOf('f0000001')).to.equal('not held');
  });

  it('another key under a Key ID that is held is not taken', async () => {
    await push(cek('f0000001'));
    const before = ceks.list()[0]!.cekFingerprint;
    keys.set('f0000001', randomBytes(32));
    expect(await push(cek('f0000001'))).to.deep.equal([]);
    expect(ceks.list()[0]!.cekFingerprint).to.equal(before);
  });

  it('400 for what is no CekPush, 405 for another method, 503 while there is no key material', async () => {
    expect((await send(Buffer.from('<CekPush/>'))).status).to.equal(400);
    expect((await send(Buffer.from('<!DOCTYPE a><a/>'))).status).to.equal(400);
    expect((await send(new Uint8Array(), 'GET')).status).to.equal(405);
    available = false;
    const { status, octets } = await send(buildCekPush([cek('f0000001')]));
    expect(status).to.equal(503);
    expect(Buffer.from(octets).toString()).to.not.match(/Error|\.ts/);
  });
});
