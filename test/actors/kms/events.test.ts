/** The clients' event stream (LIFE-2): ids that go on over restarts, nothing missed, nobody else's, over by the token's end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { EventSource } from 'eventsource';
import { type CekNews, parseCekEvent } from '../../../actors/messages/kms/cek.ts';
import { KMS_PATHS } from '../../../actors/messages/kms/namespaces.ts';
import { KmsEvents } from '../../../actors/ue/kms-events.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { ManualClock, systemClock } from '../../../sim/engine/clock.ts';
import {
  ALICE,
  BOB,
  CLIENT,
  createSetting,
  post,
  type RunningKms,
  SESSION,
  type Setting,
  silentLog,
  startKms,
  until,
} from './harness.ts';

describe('server-sent events of the KMS', () => {
  let setting: Setting;
  let folder: string;
  let running: RunningKms;
  const open: { close: () => void | Promise<void> }[] = [];

  before(async () => {
    setting = await createSetting();
  });
  after(() => setting.stop());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kms-events-'));
    running = await startKms(setting, { stateFolder: folder });
  });
  afterEach(async () => {
    for (const stream of open.splice(0)) await stream.close();
    await running.kms.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const tokenOf = (mcpttId: string, seconds = 300) =>
    setting.idm.sign(
      setting.idm.claims(Date.now(), { mcptt_id: mcpttId, exp: Math.floor(Date.now() / 1000) + seconds }),
    );
  const obtain = async (mcpttId = ALICE, clientId = CLIENT, sipSession = SESSION): Promise<string> => {
    const { response } = await post(setting.asUe, `${running.url}${KMS_PATHS.keyProv}`, {
      token: await tokenOf(mcpttId),
      request: { userUri: mcpttId, clientId, cekRequests: [{ sipSession }] },
    });
    if (response.message?.type !== 'key-prov') throw new Error('no KmsKeyProv');
    return response.message.ceks[0]!.keyId;
  };
  const rotated = async (mcpttId = ALICE): Promise<string> => {
    const before = ((await running.kms.readings.ceks!({})) as JsonObject[]).length;
    await running.kms.verbs.cekRotate!({ user: mcpttId });
    let last: JsonObject | undefined;
    await until('the rotation', async () => {
      const all = (await running.kms.readings.ceks!({})) as JsonObject[];
      last = all.at(-1);
      return all.length > before && last?.state === 'active';
    });
    return last!.keyId as string;
  };
  /** An event source as any client would use it; collects what comes. */
  const listen = (token: string, options: { after?: string; client?: string } = {}) => {
    const seen: { id: number; type: string; news: CekNews }[] = [];
    const query = options.client === undefined ? '' : `?client=${encodeURIComponent(options.client)}`;
    const source = new EventSource(`${running.url}${KMS_PATHS.cekEvents}${query}`, {
      fetch: (url, init) =>
        setting.asUe.fetch(String(url), {
          headers: {
            ...init.headers,
            authorization: `Bearer ${token}`,
            ...(options.after === undefined ? {} : { 'last-event-id': options.after }),
          },
          signal: init.signal as AbortSignal,
        }),
    });
    for (const type of ['cek', 'cek-end']) {
      source.addEventListener(type, (event) =>
        seen.push({ id: Number(event.lastEventId), type, news: parseCekEvent(String(event.data)) }),
      );
    }
    open.push(source);
    return { seen, source };
  };
  const keyIds = (seen: { news: CekNews }[]): string[] =>
    seen.map(({ news }) => ('cek' in news ? news.cek.keyId : `end ${news.end.keyId}`));

  it('come in order, with ids that count up, and go on over a restart of the KMS', async () => {
    const first = await obtain();
    const { seen, source } = listen(await tokenOf(ALICE));
    await until('the first event', () => seen.length === 1);
    const second = await rotated();
    await until('the second event', () => seen.length === 2);
    source.close();
    await running.kms.stop();
    running = await startKms(setting, { stateFolder: folder });
    const third = await rotated();
    const again = listen(await tokenOf(ALICE), { after: String(seen[1]!.id) });
    await until('the third event', () => again.seen.length === 1);
    expect(keyIds([...seen, ...again.seen])).to.deep.equal([first, second, third]);
    const ids = [...seen, ...again.seen].map(({ id }) => id);
    expect(ids).to.deep.equal([...ids].sort((a, b) => a - b));
    expect(new Set(ids)).to.have.length(3);
  });

  it('are in the audit log as pushes to the client, each time that one is sent', async () => {
    const keyId = await obtain();
    const { seen } = listen(await tokenOf(ALICE), { client: CLIENT });
    await until('the key', () => seen.length === 1);
    await running.kms.verbs.cekRevoke!({ keyId });
    await until('its end', () => seen.length === 2);
    const audit = (await running.kms.readings.audit!({})) as JsonObject[];
    const pushes = audit.filter(({ event, to }) => event === 'pushed' && to === 'client');
    expect(pushes.map(({ what, ...pushed }) => [what, pushed.keyId, pushed.userUri, pushed.clientId])).to.deep.equal([
      ['cek', keyId, ALICE, CLIENT],
      ['end', keyId, ALICE, CLIENT],
    ]);
  });

  it('without Last-Event-ID begin with all that is kept, keys that have ended left out', async () => {
    const first = await obtain();
    await running.kms.verbs.cekRevoke!({ keyId: first });
    const second = await obtain();
    const { seen } = listen(await tokenOf(ALICE));
    await until('the events', () => seen.length === 2);
    expect(keyIds(seen)).to.deep.equal([`end ${first}`, second]);
  });

  it("are the token's user's alone, and one client's where it says so", async () => {
    const mine = await obtain();
    await obtain(BOB, 'urn:uuid:b');
    const tablet = await obtain(ALICE, 'urn:uuid:tablet', 'sip:tablet@ue');
    const all = listen(await tokenOf(ALICE));
    const one = listen(await tokenOf(ALICE), { client: 'urn:uuid:tablet' });
    await until('the events', () => all.seen.length >= 2 && one.seen.length >= 1);
    expect(keyIds(all.seen)).to.deep.equal([mine, tablet]);
    expect(keyIds(one.seen)).to.deep.equal([tablet]);
  });

  it('bring no CEK to whom policy allows none, by MCPTT ID or by client, but the ends of those it has', async () => {
    const first = await obtain();
    const { seen } = listen(await tokenOf(ALICE));
    const stranger = listen(
      await setting.idm.sign(setting.idm.claims(Date.now(), { client_id: 'somebody-elses-app' })),
    );
    await until('the first event', () => seen.length === 1);
    await running.kms.verbs.setPolicy!({ deniedMcpttIds: [ALICE] });
    const second = await rotated();
    await running.kms.verbs.cekRevoke!({ keyId: second });
    const ends = [`end ${second}`];
    await until('the end', () => seen.length === 2 && stranger.seen.length === 1);
    expect(keyIds(seen)).to.deep.equal([first, ...ends]);
    expect(keyIds(stranger.seen)).to.deep.equal(ends);
  });

  it('need a token, and a Last-Event-ID that is one', async () => {
    const get = (headers: Record<string, string>) =>
      setting.asUe.fetch(`${running.url}${KMS_PATHS.cekEvents}`, { headers });
    const without = await get({});
    expect(without.status).to.equal(401);
    const badId = await get({ authorization: `Bearer ${await tokenOf(ALICE)}`, 'last-event-id': '1; drop' });
    expect(badId.status).to.equal(400);
    const server = await setting.asServer.fetch(`${running.url}${KMS_PATHS.cekEvents}`);
    expect(server.status).to.equal(403);
    for (const response of [without, badId, server]) await response.arrayBuffer();
  });

  it('begin with all that is kept after an id that was never given, as when the KMS has lost its state since', async () => {
    const first = await obtain();
    const { seen } = listen(await tokenOf(ALICE), { after: '4711' });
    const second = await rotated();
    await until('both events', () => seen.length === 2);
    expect(keyIds(seen)).to.deep.equal([first, second]);
  });

  it('end with the token', async () => {
    const response = await setting.asUe.fetch(`${running.url}${KMS_PATHS.cekEvents}`, {
      headers: { authorization: `Bearer ${await tokenOf(ALICE, 2)}` },
    });
    expect(response.status).to.equal(200);
    const begun = Date.now();
    await response.text();
    expect(Date.now() - begun).to.be.lessThan(5_000);
  });

  it('that come up while a stream ends are left for the next one', async () => {
    const clock = new ManualClock(Date.now());
    const other = await startKms(setting, { clock });
    const token = await tokenOf(ALICE);
    const { response } = await post(setting.asUe, `${other.url}${KMS_PATHS.keyProv}`, {
      token,
      request: { cekRequests: [{ sipSession: SESSION }] },
      now: clock.now(),
    });
    expect(response.message).to.have.nested.property('ceks[0].state', 'active');
    const stream = await setting.asUe.fetch(`${other.url}${KMS_PATHS.cekEvents}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    // The token expires, and in the same turn of the event loop there is an event.
    clock.advance(301_000);
    await other.kms.verbs.cekRevoke!({ user: ALICE });
    expect(await stream.text()).to.not.contain('cek-end');
    await other.kms.stop();
  });

  it("the client's stream outlives a KMS that is away, and takes each event once", async () => {
    const first = await obtain();
    const taken: string[] = [];
    const token = await tokenOf(ALICE);
    const { port } = new URL(running.url);
    const events = new KmsEvents({
      url: `${running.url}${KMS_PATHS.cekEvents}`,
      fetch: setting.asUe.fetch,
      token: () => token,
      take: async (news) => {
        taken.push(...keyIds([{ news }]));
      },
      clock: systemClock,
      log: silentLog,
      report: (message) => setting.reports.push(message),
    });
    open.push(events);
    expect(await events.settled()).to.equal('open');
    await until('the first event', () => taken.length === 1);
    await running.kms.stop();
    await until('the loss', () => events.state === 'connecting');
    running = await startKms(setting, { stateFolder: folder, config: { port: Number(port) } });
    const second = await rotated();
    await until('the second event', () => taken.length === 2);
    expect(taken).to.deep.equal([first, second]);
  });

  it('both ends report a stream as request, head and events, with names that match', async () => {
    setting.reports.length = 0;
    await obtain();
    const token = await tokenOf(ALICE);
    const events = new KmsEvents({
      url: `${running.url}${KMS_PATHS.cekEvents}`,
      fetch: setting.asUe.fetch,
      token: () => token,
      take: () => Promise.resolve(),
      clock: systemClock,
      log: silentLog,
      report: (message) => setting.reports.push(message),
    });
    open.push(events);
    const ofStream = () =>
      setting.reports.filter(({ bytes }) => /^(GET|id:)|event-stream/.test(Buffer.from(bytes).toString('latin1')));
    await until('six records', () => ofStream().length === 6);
    for (const part of ['request', 'response', 'event-']) {
      const records = ofStream().filter(({ correlation }) => correlation?.includes(`/${part}`));
      expect(records.map(({ direction }) => direction).sort(), part).to.deep.equal(['received', 'sent']);
      expect(new Set(records.map(({ correlation }) => correlation))).to.have.length(1);
    }
  });
});
