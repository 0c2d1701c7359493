import { execFile, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseDigest, readNonce } from '../../../actors/security/aka/digest.ts';
import { milenage } from '../../../actors/security/milenage.ts';
import { createSipCore } from '../../../actors/sip-core/index.ts';
import type { Actor } from '../../../sim/control/actor.ts';
import { Engine, systemClock } from '../../../sim/engine/index.ts';
import { DOMAIN, IMPU, quiet, subscriber } from './bench.ts';
import { parseText, type SipText } from './sip-peer.ts';

/** TS 35.207 test set 2, which SIPp wants with OP. (The K of set 1 holds the octet of `[`, which SIPp takes for a keyword.) */
const SET_2 = { k: '0396eb317b6d1c36f19c1c84cd6ffd16', opc: '53c15671c60a4b731c55b4a441c0bde2' };
const OP = 'ff53bade17df5d4e793073ce9d7579fa';

const { impi } = subscriber();
const register = (cseq: number, credentials: string): string => `<send retrans="500"><![CDATA[

REGISTER sip:${DOMAIN} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <${IMPU}>;tag=[call_number]
To: <${IMPU}>
Call-ID: [call_id]
CSeq: ${cseq} REGISTER
Contact: <sip:sipp@[local_ip]:[local_port]>
Expires: 600
${credentials}
Content-Length: 0

]]></send>`;

const scenario = (k: string): string => `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="IMS AKA">
${register(1, `Authorization: Digest username="${impi}", realm="${DOMAIN}", uri="sip:${DOMAIN}", nonce="", response=""`)}
<recv response="401" auth="true"/>
${register(2, `[authentication username=${impi} aka_K=0x${k} aka_OP=0x${OP} aka_AMF=0x8000]`)}
<recv response="200"/>
</scenario>
`;

describe('RFC 3310 with SIPp as an independent UE', () => {
  let engine: Engine;
  let core: Actor;
  let folder: string;
  let port: number;
  let messages: SipText[];

  before(function () {
    try {
      execFileSync('sipp', ['-v'], { stdio: 'pipe' });
    } catch (error) {
      // SIPp prints its version and exits with 99.
      if ((error as { status?: number | null }).status === 99) return;
      if (process.env.CI === 'true') throw new Error('sipp is needed when CI=true');
      console.log('      skipped: sipp is not installed');
      this.skip();
    }
  });

  beforeEach(async () => {
    messages = [];
    folder = await mkdtemp(join(tmpdir(), 'sipp-'));
    engine = new Engine({
      listen: [
        { protocol: 'udp', host: '127.0.0.1', port: 0 },
        { protocol: 'tcp', host: '127.0.0.1', port: 0 },
      ],
      control: { host: '127.0.0.1', port: 0, secret: 'test' },
    });
    const { control, listen } = await engine.start();
    port = listen[0]!.port;
    const subscribers = [subscriber({ ...SET_2, initialFilterCriteria: [] })];
    core = createSipCore(
      { drachtio: { ...control, secret: 'test' }, homeDomain: DOMAIN, subscribers },
      {
        name: 'sip-core',
        report: ({ bytes }) => messages.push(parseText(Buffer.from(bytes).toString())),
        clock: systemClock,
        log: quiet,
        tls: { certificate: '', privateKey: '', ca: '' },
        host: '127.0.0.1',
      },
    );
    await core.start();
  });

  afterEach(async () => {
    await core.stop();
    await engine.stop();
    await rm(folder, { recursive: true });
  });

  const sipp = async (k: string): Promise<number | string> => {
    await writeFile(join(folder, 'aka.xml'), scenario(k));
    const own = await freeUdpPort();
    const options = [
      '-m',
      '10',
      '-l',
      '1',
      '-r',
      '1000',
      '-nostdin',
      '-timeout',
      '5',
      '-timeout_error',
      '-i',
      '127.0.0.1',
      '-p',
      String(own),
    ];
    return promisify(execFile)('sipp', [`127.0.0.1:${port}`, '-sf', 'aka.xml', '-auth_uri', DOMAIN, ...options], {
      cwd: folder,
      timeout: 10_000,
    }).then(
      () => 0,
      (error: { code?: number | string }) => error.code ?? 'killed',
    );
  };
  const registered = async (): Promise<boolean> =>
    ((await core.readings.registration!({ impu: IMPU })) as { registered: boolean }).registered;

  it('SIPp takes our AUTN and we take its RES, ten times', async () => {
    await sipp(SET_2.k);
    expect(await registered()).to.equal(true);
    expect(verdicts()).to.have.length(10);
    // SIPp ends RES at its first zero octet (3 % of all), and is then rightly refused.
    for (const { res, status } of verdicts()) expect(status, res).to.equal(/^(?:..)*00/.test(res) ? 403 : 200);
  });

  it('SIPp with another K finds our MAC wrong', async () => {
    expect(await sipp(`${SET_2.k.slice(0, -1)}7`)).not.to.equal(0);
    expect(await registered()).to.equal(false);
    expect(verdicts()).to.deep.equal([]);
  });

  /** RES of each challenge that was answered, and the core's final answer. */
  const verdicts = (): { res: string; status: number }[] => {
    const functions = milenage(Buffer.from(SET_2.k, 'hex'), Buffer.from(SET_2.opc, 'hex'));
    const nonces = new Map<string, string>();
    const found: { res: string; status: number }[] = [];
    for (const message of messages) {
      const callId = message.header('Call-ID')!;
      const nonce = parseDigest(message.header('WWW-Authenticate') ?? '')?.get('nonce');
      if (nonce !== undefined) nonces.set(callId, nonce);
      if (message.status !== 200 && message.status !== 403) continue;
      const { rand } = readNonce(nonces.get(callId)!)!;
      found.push({ res: Buffer.from(functions.f2345(rand).res).toString('hex'), status: message.status });
    }
    return found;
  };
});

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
