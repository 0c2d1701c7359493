/** A SIP core on the embedded engine, a raw UE in front of it and a raw MCPTT server behind it. */
import { randomBytes } from 'node:crypto';
import type { InitialFilterCriterion, Subscriber } from '../../../actors/messages/subscriber.ts';
import { digestHa1, digestResponse, parseDigest, readNonce } from '../../../actors/security/aka/digest.ts';
import type { UsimAnswer } from '../../../actors/security/aka/vector.ts';
import { createSipCore, type SipCoreConfig } from '../../../actors/sip-core/index.ts';
import { Usim } from '../../../actors/ue/usim.ts';
import type { Actor, ActorContext, Log } from '../../../sim/control/actor.ts';
import { type Clock, Engine, systemClock } from '../../../sim/engine/index.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';
import { response, SipPeer, type SipText } from './sip-peer.ts';

export const DOMAIN = 'ims.mnc001.mcc001.3gppnetwork.org';
export const IMPU = `sip:ue-1@${DOMAIN}`;
export const TEL = 'tel:+15550101';
export const SERVER = `sip:mcptt-server.${DOMAIN}`;

export const registerCriterion: InitialFilterCriterion = {
  priority: 0,
  triggerPoint: { conditionTypeCnf: true, servicePointTriggers: [{ group: [0], method: 'REGISTER' }] },
  applicationServer: { serverName: SERVER, includeRegisterRequest: true },
};

export const requestCriterion: InitialFilterCriterion = {
  priority: 1,
  triggerPoint: {
    conditionTypeCnf: true,
    servicePointTriggers: [
      { group: [0], method: 'REGISTER', conditionNegated: true },
      { group: [1], sessionCase: 'ORIGINATING_SESSION' },
    ],
  },
  applicationServer: { serverName: SERVER, defaultHandling: 'SESSION_TERMINATED' },
};

export const subscriber = (more: Partial<Subscriber> = {}): Subscriber => ({
  imsi: '001010000000001',
  impi: `001010000000001@${DOMAIN}`,
  impus: [IMPU, TEL],
  k: '465b5ce8b199b49faa5f0a2ee238a6bc',
  opc: 'cd63cb71954a9f4e48a5994e37a02baf',
  amf: '8000',
  sqn: '000000000100',
  initialFilterCriteria: [registerCriterion, requestCriterion],
  ...more,
});

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface Bench {
  readonly core: Actor;
  readonly engine: Engine;
  readonly server: SipPeer;
  readonly records: ReportedMessage[];
  readonly subscribers: readonly Subscriber[];
  readonly clock: Clock;
  readonly context: ActorContext;
  /** Port of the engine's control connection. */
  readonly controlPort: number;
  /** Port of SIP-1 over TCP, and of SIP-2. */
  readonly ports: { readonly sip1: number; readonly sip2: number };
  ue(usim?: Usim): Promise<RawUe>;
  close(): Promise<void>;
}

/** The MCPTT server answers every request with 200 unless a test sets `server.onRequest`. */
export async function startBench(
  options: {
    subscribers?: readonly Subscriber[];
    config?: Partial<SipCoreConfig>;
    clock?: Clock;
    stateFolder?: string;
  } = {},
): Promise<Bench> {
  const clock = options.clock ?? systemClock;
  const engine = new Engine({
    listen: [
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
      { protocol: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    control: { host: '127.0.0.1', port: 0, secret: 'test' },
  });
  const { control, listen } = await engine.start();
  const server = await SipPeer.listen();
  server.onRequest = (request) => (request.startLine.startsWith('ACK') ? undefined : response(request, '200 OK'));
  const records: ReportedMessage[] = [];
  const subscribers = options.subscribers ?? [subscriber()];
  const context: ActorContext = {
    name: 'sip-core',
    report: (message) => records.push(message),
    clock,
    log: quiet,
    tls: { certificate: '', privateKey: '', ca: '' },
    host: '127.0.0.1',
    ...(options.stateFolder === undefined ? {} : { stateFolder: options.stateFolder }),
  };
  const core = createSipCore(
    { drachtio: { ...control, secret: 'test' }, homeDomain: DOMAIN, subscribers, ...options.config },
    context,
  );
  await core.start();
  await core.connect({ 'mcptt-as': { sip2: `sip:127.0.0.1:${server.port};transport=tcp` } });
  const ports = { sip1: listen[0]!.port, sip2: listen[1]!.port };
  const ues: RawUe[] = [];
  return {
    core,
    engine,
    server,
    records,
    subscribers,
    clock,
    context,
    controlPort: control.port,
    ports,
    async ue(usim = new Usim(subscribers[0]!)) {
      const ue = new RawUe(await SipPeer.connect(ports.sip1), usim);
      ues.push(ue);
      return ue;
    },
    async close() {
      for (const ue of ues) await ue.peer.close();
      await core.stop();
      await engine.stop();
      await server.close();
    },
  };
}

export interface RegisterFields {
  requestUri?: string;
  to?: string;
  callId?: string;
  cseq?: number | string;
  contact?: string | readonly string[];
  expires?: number | string;
  authorization?: string;
  headers?: readonly string[];
}

/** Writes REGISTERs by hand; every field can be made wrong. */
export class RawUe {
  readonly peer: SipPeer;
  readonly usim: Usim;
  readonly session: string;
  readonly callId = randomBytes(8).toString('hex');
  cseq = 0;

  constructor(peer: SipPeer, usim: Usim) {
    this.peer = peer;
    this.usim = usim;
    this.session = `sip:session-${randomBytes(6).toString('hex')}@127.0.0.1:${peer.port};transport=tcp`;
  }

  /** A REGISTER's text. Default: the unprotected one with empty credentials (TS 24.229 5.1.1.2.1). */
  registerText(fields: RegisterFields = {}): string {
    const { callId = this.callId, requestUri = `sip:${DOMAIN}`, to = `<${IMPU}>`, expires = 600 } = fields;
    const cseq = fields.cseq ?? `${++this.cseq} REGISTER`;
    const contacts = [fields.contact ?? `<${this.session}>;+g.3gpp.mcptt`].flat();
    return `${[
      `REGISTER ${requestUri} SIP/2.0`,
      `Via: SIP/2.0/TCP 127.0.0.1:${this.peer.port};branch=z9hG4bK${randomBytes(8).toString('hex')};rport`,
      'Max-Forwards: 70',
      `From: <${IMPU}>;tag=ue`,
      `To: ${to}`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq}`,
      ...contacts.filter((contact) => contact !== '').map((contact) => `Contact: ${contact}`),
      ...(expires === '' ? [] : [`Expires: ${expires}`]),
      ...(fields.authorization === '' ? [] : [`Authorization: ${fields.authorization ?? this.credentials()}`]),
      'P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010019B01',
      ...(fields.headers ?? []),
      'Content-Length: 0',
    ].join('\r\n')}\r\n\r\n`;
  }

  /** Digest credentials; `undefined` removes a parameter. */
  credentials(parameters: Record<string, string | undefined> = {}): string {
    const all = {
      username: this.usim.impi,
      realm: DOMAIN,
      uri: `sip:${DOMAIN}`,
      nonce: '',
      response: '',
      ...parameters,
    };
    const list = Object.entries(all).filter(([, value]) => value !== undefined);
    return `Digest ${list.map(([name, value]) => (['algorithm', 'qop', 'nc'].includes(name) ? `${name}=${value}` : `${name}="${value}"`)).join(', ')}`;
  }

  async exchange(fields: RegisterFields = {}): Promise<SipText> {
    this.peer.send(this.registerText(fields));
    return this.peer.next('the answer to REGISTER');
  }

  /** What the USIM says to a 401. */
  challengeOf(unauthorized: SipText): { nonce: string; answer: UsimAnswer } {
    const nonce = parseDigest(unauthorized.header('www-authenticate')!)!.get('nonce')!;
    const { rand, autn } = readNonce(nonce)!;
    return { nonce, answer: this.usim.authenticate(rand, autn) };
  }

  /** Credentials over `password` for `nonce`. */
  answer(nonce: string, password: Uint8Array, parameters: Record<string, string | undefined> = {}): string {
    const qop = { nc: '00000001', cnonce: 'c0ffee' };
    const response = digestResponse({
      ha1: digestHa1(this.usim.impi, DOMAIN, password),
      method: 'REGISTER',
      uri: `sip:${DOMAIN}`,
      nonce,
      qop,
    });
    return this.credentials({ nonce, algorithm: 'AKAv1-MD5', qop: 'auth', ...qop, response, ...parameters });
  }

  /** The right answer to a 401. */
  rightAnswer(unauthorized: SipText): string {
    const { nonce, answer } = this.challengeOf(unauthorized);
    if (answer.outcome !== 'success') throw new Error(answer.outcome);
    return this.answer(nonce, answer.res);
  }

  /** Registers, refreshes or, with `expires: 0`, de-registers. */
  async register(fields: RegisterFields = {}): Promise<SipText> {
    const unauthorized = await this.exchange(fields);
    if (unauthorized.status !== 401) return unauthorized;
    return this.exchange({ ...fields, authorization: this.rightAnswer(unauthorized) });
  }

  /** A request of the registered UE. */
  request(method: string, uri: string, headers: readonly string[] = [], body = ''): string {
    return `${[
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/TCP 127.0.0.1:${this.peer.port};branch=z9hG4bK${randomBytes(8).toString('hex')};rport`,
      'Max-Forwards: 70',
      `From: <${IMPU}>;tag=ue`,
      `To: <${uri}>`,
      `Call-ID: ${randomBytes(8).toString('hex')}`,
      `CSeq: 1 ${method}`,
      ...headers,
      `Content-Length: ${Buffer.byteLength(body)}`,
    ].join('\r\n')}\r\n\r\n${body}`;
  }
}

/** Waits for a condition, within two seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 2000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not happen within 2000 ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
