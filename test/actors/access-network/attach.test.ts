import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAccessNetwork } from '../../../actors/access-network/index.ts';
import { decodeEmm, type EmmMessage, encodeEmm } from '../../../actors/messages/nas/emm.ts';
import { encodePdnConnectivityRequest } from '../../../actors/messages/nas/esm.ts';
import { NasLink } from '../../../actors/messages/nas/link.ts';
import { NasSecurity } from '../../../actors/messages/nas/security.ts';
import { servingNetworkId } from '../../../actors/security/aka/eps-keys.ts';
import { type AttachOptions, attach, type EpsAttachment } from '../../../actors/ue/attach.ts';
import { Usim } from '../../../actors/ue/usim.ts';
import type { Actor, ActorContext, Log } from '../../../sim/control/actor.ts';
import { systemClock } from '../../../sim/engine/clock.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';

const IMSI = '001010000000001';
const card = {
  imsi: IMSI,
  impi: `${IMSI}@ims.mnc001.mcc001.3gppnetwork.org`,
  impus: ['sip:ue-1@ims.mnc001.mcc001.3gppnetwork.org'],
  k: '465b5ce8b199b49faa5f0a2ee238a6bc',
  opc: 'cd63cb71954a9f4e48a5994e37a02baf',
};
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const WSS = 'wss://127.0.0.1:7443';
const plmn = servingNetworkId('001', '01');

interface Bench {
  network: Actor;
  lte: string;
  atNetwork: ReportedMessage[];
  atUe: ReportedMessage[];
}

const opened: (() => unknown)[] = [];
async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

async function startNetwork(subscriber: object = {}, connected = true, guardMs = 2000): Promise<Bench> {
  const atNetwork: ReportedMessage[] = [];
  const network = createAccessNetwork(
    { mcc: '001', mnc: '01', subscribers: [{ ...card, amf: '8000', sqn: '000000000000', ...subscriber }], guardMs },
    {
      name: 'access-network',
      report: (message) => atNetwork.push(message),
      clock: systemClock,
      log: quiet,
      tls: { certificate: '', privateKey: '', ca: '' },
      host: '127.0.0.1',
    } satisfies ActorContext,
  );
  opened.push(() => network.stop());
  const { lte } = await network.start();
  if (connected) await network.connect({ 'sip-core': { wss: WSS } });
  return { network, lte: lte!, atNetwork, atUe: [] };
}

async function attachUe(
  bench: Bench,
  usim = new Usim(card),
  more: Partial<AttachOptions> = {},
): Promise<EpsAttachment> {
  const attachment = await attach({
    usim,
    network: bench.lte,
    clock: systemClock,
    report: (message) => bench.atUe.push(message),
    guardMs: 2000,
    ...more,
  });
  opened.push(() => attachment.close());
  return attachment;
}

const failure = async (promise: Promise<unknown>): Promise<{ code?: string; detail?: { cause?: number } }> =>
  promise.then(
    () => ({}),
    (error: unknown) => error as { code: string },
  );

/** A UE below the one under test: it says what the test tells it. */
function rawUe(bench: Bench): NasLink {
  const { hostname, port } = new URL(bench.lte);
  const link = new NasLink(connect(Number(port), hostname), { timers: systemClock, onPdu: () => {} });
  opened.push(() => link.close());
  return link;
}
const attachRequest = (imsi = IMSI): Uint8Array =>
  encodeEmm({
    type: 'attach-request',
    identity: { kind: 'imsi', imsi },
    capability: Uint8Array.of(0x80, 0x20),
    esm: encodePdnConnectivityRequest(plmn),
  });
const next = async (link: NasLink): Promise<EmmMessage> =>
  decodeEmm(await link.receive({ ms: 2000, what: 'PDU' }), 'downlink');

/** Waits for what happens on the other end, within a bound. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 2000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not happen within 2000 ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('TS 24.301 and TS 33.401: EPS attach (step 0)', () => {
  afterEach(closeAll);

  it('gives address, P-CSCF and SIP core, and both ends derive the same K_ASME', async () => {
    const bench = await startNetwork();
    const ue = await attachUe(bench);
    expect({ pdn: ue.pdnAddress, pCscf: ue.pCscfAddress, core: ue.sipCoreUrl }).to.deep.equal({
      pdn: '10.45.0.1',
      pCscf: '127.0.0.1',
      core: WSS,
    });
    await until(() => bench.atNetwork.length === bench.atUe.length, 'Attach complete');
    expect(await bench.network.readings.attached!({ imsi: IMSI })).to.deep.equal({
      attached: true,
      pdnAddress: '10.45.0.1',
      kasmeFingerprint: ue.kasmeFingerprint,
    });
    expect(ue.kasmeFingerprint).to.match(/^[0-9a-f]{16}$/);
    const sent = bench.atUe.map(({ direction, bytes }) => [direction, Buffer.from(bytes).toString('hex')]);
    const seen = bench.atNetwork.map(({ direction, bytes }) => [
      direction === 'sent' ? 'received' : 'sent',
      Buffer.from(bytes).toString('hex'),
    ]);
    expect(seen).to.deep.equal(sent);
    expect(sent).to.have.length(7);
  });

  it('a network with another K is refused by the UE', async () => {
    const bench = await startNetwork({ k: randomBytes(16).toString('hex') });
    const error = await failure(attachUe(bench));
    expect(error).to.include({ code: 'ATTACH_NETWORK_MAC_WRONG' });
    expect(bench.atUe.some(({ bytes }) => Buffer.from(bytes).toString('hex') === '075c14')).to.equal(true);
  });

  it('a vector whose AMF is not for EPS is refused by the UE with cause 26 (TS 33.401 6.1.1)', async () => {
    const bench = await startNetwork({ amf: '0000' });
    expect(await failure(attachUe(bench))).to.deep.include({ code: 'ATTACH_NOT_FOR_EPS', detail: { cause: 26 } });
    const said = bench.atUe
      .filter(({ direction }) => direction === 'sent')
      .map(({ bytes }) => decodeEmm(bytes, 'uplink'));
    expect(said.at(-1)).to.deep.equal({ type: 'authentication-failure', cause: 26 });
  });

  it('SQN out of range: AUTS, resynchronisation, attached', async () => {
    const bench = await startNetwork();
    const usim = new Usim(
      card,
      Array.from({ length: 32 }, () => 5000),
    );
    await attachUe(bench, usim);
    expect(bench.atUe.filter(({ bytes }) => bytes[1] === 0x5c && bytes[2] === 21)).to.have.length(1);
    expect(bench.atUe.filter(({ bytes }) => bytes[1] === 0x52)).to.have.length(2);
  });

  it('resetSqn makes the network stale and the UE brings it back', async () => {
    const bench = await startNetwork({ sqn: '000000001000' });
    const usim = new Usim(card);
    await (await attachUe(bench, usim)).detach();
    await bench.network.verbs.resetSqn!({ imsi: IMSI, sqn: '000000000000' });
    await attachUe(bench, usim);
    expect(bench.atUe.filter(({ bytes }) => bytes[1] === 0x5c && bytes[2] === 21)).to.have.length(1);
  });

  it('a wrong RES gets Authentication reject', async () => {
    const link = rawUe(await startNetwork());
    link.send(attachRequest());
    expect((await next(link)).type).to.equal('authentication-request');
    link.send(encodeEmm({ type: 'authentication-response', res: randomBytes(8) }));
    expect((await next(link)).type).to.equal('authentication-reject');
    expect(await failure(link.receive({ ms: 2000, what: 'end' }))).to.include({ code: 'NAS_CONNECTION_LOST' });
  });

  it('AUTS that the USIM did not make, and a second synchronisation failure, get Authentication reject', async () => {
    const bench = await startNetwork();
    const link = rawUe(bench);
    link.send(attachRequest());
    await next(link);
    link.send(encodeEmm({ type: 'authentication-failure', cause: 21, auts: randomBytes(14) }));
    expect((await next(link)).type).to.equal('authentication-reject');

    const again = rawUe(bench);
    again.send(attachRequest());
    for (const seqAtUsim of [2 ** 30, 2 ** 31]) {
      const message = await next(again);
      expect(message.type).to.equal('authentication-request');
      if (message.type !== 'authentication-request') return;
      const answer = new Usim(
        card,
        Array.from({ length: 32 }, () => seqAtUsim),
      ).authenticate(message.rand, message.autn);
      if (answer.outcome !== 'synch-failure') throw new Error(answer.outcome);
      again.send(encodeEmm({ type: 'authentication-failure', cause: 21, auts: answer.auts }));
    }
    expect((await next(again)).type).to.equal('authentication-reject');
  });

  it('an unknown IMSI gets Attach reject with cause 8', async () => {
    const bench = await startNetwork();
    const error = await failure(attachUe(bench, new Usim({ ...card, imsi: '001019999999999' })));
    expect(error).to.deep.include({ code: 'ATTACH_REJECTED', detail: { cause: 8 } });
  });

  it('before the SIP core is known, Attach reject with cause 17', async () => {
    const bench = await startNetwork({}, false);
    expect(await bench.network.readings.health!({})).to.deep.equal({ ok: false, waitingFor: ['sip-core'] });
    expect(await failure(attachUe(bench))).to.deep.include({ code: 'ATTACH_REJECTED', detail: { cause: 17 } });
  });

  it('another serving network at the UE gives another K_ASME, and the UE refuses the security mode command', async () => {
    const bench = await startNetwork();
    const error = await failure(attachUe(bench, new Usim(card), { servingNetwork: { mcc: '001', mnc: '02' } }));
    expect(error).to.include({ code: 'ATTACH_SECURITY_MODE_REFUSED' });
    expect(await bench.network.readings.attached!({ imsi: IMSI })).to.deep.equal({ attached: false });
  });

  it('Security mode complete under another key ends the attach', async () => {
    const bench = await startNetwork();
    const link = rawUe(bench);
    link.send(attachRequest());
    const request = await next(link);
    if (request.type !== 'authentication-request') throw new Error(request.type);
    const answer = new Usim(card).authenticate(request.rand, request.autn);
    if (answer.outcome !== 'success') throw new Error(answer.outcome);
    link.send(encodeEmm({ type: 'authentication-response', res: answer.res }));
    await link.receive({ ms: 2000, what: 'Security mode command' });
    const wrong = new NasSecurity(randomBytes(32), 'uplink');
    link.send(wrong.protect(encodeEmm({ type: 'security-mode-complete' }), 'integrity-ciphered-new-context'));
    expect(await failure(link.receive({ ms: 2000, what: 'end' }))).to.include({ code: 'NAS_CONNECTION_LOST' });
    expect(await bench.network.readings.attached!({ imsi: IMSI })).to.deep.equal({ attached: false });
  });

  it('the UE detaches', async () => {
    const bench = await startNetwork();
    const ue = await attachUe(bench);
    await ue.detach();
    expect(ue.state).to.equal('EMM-DEREGISTERED');
    expect(await bench.network.readings.attached!({ imsi: IMSI })).to.deep.equal({ attached: false });
    expect(await failure(ue.detach())).to.include({ code: 'ATTACH_NOT_ATTACHED' });
  });

  it('the network detaches the UE', async () => {
    const bench = await startNetwork();
    const reasons: string[] = [];
    const ue = await attachUe(bench, new Usim(card), { onDetached: (reason) => reasons.push(reason) });
    await until(async () => (await attachedAt(bench)) === true, 'attach');
    await bench.network.verbs.detachSubscriber!({ imsi: IMSI });
    await until(() => ue.state === 'EMM-DEREGISTERED', 'detach');
    expect(reasons).to.deep.equal(['network']);
    expect(await attachedAt(bench)).to.equal(false);
    expect(await failure(bench.network.verbs.detachSubscriber!({ imsi: IMSI }))).to.include({
      code: 'ACCESS_NETWORK_NOT_ATTACHED',
    });
  });

  it('a UE whose connection is lost counts as detached; a second attach replaces the first', async () => {
    const bench = await startNetwork();
    const usim = new Usim(card);
    const reasons: string[] = [];
    await attachUe(bench, usim, { onDetached: (reason) => reasons.push(reason) });
    const second = await attachUe(bench, usim);
    await until(() => reasons.length === 1, 'end of the first');
    expect(reasons).to.deep.equal(['connection-lost']);
    expect(await attachedAt(bench)).to.equal(true);
    await second.close();
    await until(async () => !(await attachedAt(bench)), 'implicit detach');
  });

  it('a network that says nothing, or nobody there, is named within the guard time', async () => {
    const silent: Server = createServer((socket) => opened.push(() => socket.destroy()));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    opened.push(() => silent.close());
    const lte = `tcp://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const bench = { lte, atUe: [] } as unknown as Bench;
    expect(await failure(attachUe(bench, new Usim(card), { guardMs: 30 }))).to.include({ code: 'ATTACH_TIMEOUT' });
    const nobody = { ...bench, lte: 'tcp://127.0.0.1:1' };
    expect(await failure(attachUe(nobody))).to.include({ code: 'ATTACH_CONNECTION_LOST' });
  });

  it('junk on the LTE interface ends that connection only', async () => {
    const bench = await startNetwork();
    for (const junk of [Buffer.alloc(0), randomBytes(40), Buffer.from('0741', 'hex'), attachRequest().subarray(0, 9)]) {
      const link = rawUe(bench);
      link.send(junk);
      expect(await failure(link.receive({ ms: 2000, what: 'end' }))).to.include({ code: 'NAS_CONNECTION_LOST' });
    }
    expect((await attachUe(bench)).state).to.equal('EMM-REGISTERED');
  });
});

const attachedAt = async (bench: Bench): Promise<unknown> =>
  ((await bench.network.readings.attached!({ imsi: IMSI })) as { attached: boolean }).attached;

describe('TS 24.301 encodings, as tshark reads them', () => {
  afterEach(closeAll);
  before(function () {
    try {
      execFileSync('tshark', ['--version'], { stdio: 'pipe' });
    } catch {
      if (process.env.CI === 'true') throw new Error('tshark is needed when CI=true');
      console.log('      skipped: tshark is not installed');
      this.skip();
    }
  });

  it('every PDU of attach, resynchronisation and detach is dissected without complaint', async () => {
    const bench = await startNetwork();
    const usim = new Usim(
      card,
      Array.from({ length: 32 }, () => 5000),
    );
    await (await attachUe(bench, usim)).detach();
    const fields = dissect(bench.atUe.map(({ bytes }) => bytes));
    expect(fields.complaints).to.deep.equal([]);
    expect(fields.messageTypes).to.deep.equal([
      '0x41',
      '0x52',
      '0x5c',
      '0x52',
      '0x53',
      '0x5d',
      '0x5e',
      '0x42',
      '0x43',
      '0x45',
      '0x46',
    ]);
    expect(fields.text).to.contain(IMSI).and.contain('10.45.0.1').and.contain('128-EIA2').and.contain('127.0.0.1');
  });
});

/** DLT_USER0 packets given to tshark's nas-eps dissector. */
function dissect(pdus: readonly Uint8Array[]): { messageTypes: string[]; complaints: string[]; text: string } {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(147, 20);
  const packets = pdus.map((pdu) => {
    const head = Buffer.alloc(16);
    head.writeUInt32LE(pdu.length, 8);
    head.writeUInt32LE(pdu.length, 12);
    return Buffer.concat([head, pdu]);
  });
  const folder = mkdtempSync(join(tmpdir(), 'nas-'));
  try {
    const file = join(folder, 'nas.pcap');
    writeFileSync(file, Buffer.concat([header, ...packets]));
    const tshark = (...args: string[]): string =>
      execFileSync(
        'tshark',
        [
          '-r',
          file,
          '-o',
          'uat:user_dlts:"User 0 (DLT=147)","nas-eps","0","","0",""',
          '-o',
          'nas-eps.null_decipher:TRUE',
          ...args,
        ],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
    const lines = tshark('-T', 'fields', '-e', 'nas_eps.nas_msg_emm_type', '-e', '_ws.expert.message')
      .trimEnd()
      .split('\n');
    const table = lines.map((line) => line.split('\t'));
    return {
      messageTypes: table.map(([type]) => type ?? ''),
      complaints: table.flatMap(([, complaint]) => (complaint ? [complaint] : [])),
      text: tshark('-V'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
