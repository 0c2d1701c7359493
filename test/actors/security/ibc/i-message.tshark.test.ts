import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  createArithmetic,
  createSigner,
  extractKeySet,
  generateKms,
  keyPeriodNoAt,
  LocalSakkeEngine,
  sealKey,
} from '../../../../actors/security/ibc/index.ts';

/** A capture file of one UDP datagram to MIKEY's port (RFC 3830 section 8), link type raw IPv4. */
function captureOf(payload: Uint8Array): Buffer {
  const packet = Buffer.alloc(28 + payload.length);
  packet.set([
    0x45,
    0,
    (packet.length >> 8) & 0xff,
    packet.length & 0xff,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    127,
    0,
    0,
    1,
    127,
    0,
    0,
    1,
  ]);
  packet.writeUInt16BE(2269, 20);
  packet.writeUInt16BE(2269, 22);
  packet.writeUInt16BE(8 + payload.length, 24);
  packet.set(payload, 28);
  const header = Buffer.alloc(40);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(101, 20); // LINKTYPE_RAW
  header.writeUInt32LE(packet.length, 32);
  header.writeUInt32LE(packet.length, 36);
  return Buffer.concat([header, packet]);
}

describe('An I_MESSAGE of ours, read by Wireshark', () => {
  const available = spawnSync('tshark', ['--version']).status === 0;
  let folder: string;

  before(function () {
    if (!available && process.env.CI !== 'true') {
      console.log('      skipped: tshark is not installed');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'i-message-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  it('has the payloads, identities and algorithms that we meant', async () => {
    const arithmetic = createArithmetic();
    const engine = new LocalSakkeEngine(arithmetic);
    const { master, certificate } = generateKms(
      { kmsUri: 'kms.mcptt.example', userKeyPeriod: 2_592_000, userKeyOffset: 0 },
      arithmetic,
    );
    const time = Date.UTC(2026, 10, 23, 12, 34, 56, 789);
    const kms = await extractKeySet(engine, master, certificate, certificate.kmsUri, keyPeriodNoAt(certificate, time));
    const sender = createSigner(kms, certificate);
    const octets = await sealKey({
      engine,
      key: new Uint8Array(32),
      keyId: Uint8Array.of(0xf1, 2, 3, 4),
      sender,
      receiverUri: 'sip:alice@mcptt.example',
      certificate,
      time,
    });
    sender.dispose();
    await engine.close();

    const file = join(folder, 'message.pcap');
    writeFileSync(file, captureOf(octets));
    const fields = [
      'type',
      'csb_id',
      'next_payload',
      't.ntp',
      'id.role',
      'sakke.params',
      'sakke.idscheme',
      'sakke.len',
      'kemac.encr_alg',
      'kemac.mac_alg',
    ];
    const out = execFileSync(
      'tshark',
      ['-r', file, '-T', 'fields', '-E', 'separator=|', ...fields.flatMap((field) => ['-e', `mikey.${field}`])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TZ: 'UTC' }, timeout: 15_000 },
    );
    const read = Object.fromEntries(
      out
        .trim()
        .split('|')
        .map((value, index) => [fields[index], value]),
    );
    expect(read.type).to.equal('26');
    expect(read.csb_id).to.equal('0xf1020304');
    expect(read.next_payload).to.equal('5,11,14,14,14,14,26,1,4');
    expect(read['t.ntp']).to.match(/Nov 23, 2026 12:34:56\.789/);
    expect(read['id.role']).to.equal('8,9,6,7');
    expect([read['sakke.params'], read['sakke.idscheme'], read['sakke.len']]).to.deep.equal(['1', '2', '273']);
    expect([read['kemac.encr_alg'], read['kemac.mac_alg']]).to.deep.equal(['1', '2']);
  });
});
