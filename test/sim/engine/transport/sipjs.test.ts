import { expect } from 'chai';
import {
  type Invitation,
  Inviter,
  type Message,
  Messager,
  Registerer,
  RegistererState,
  type SessionDescriptionHandler,
  SessionState,
  UserAgent,
} from 'sip.js';
import { WebSocket } from 'ws';
import { Engine } from '../../../../sim/engine/index.ts';
import { connectSrf, newSrf, responseTo, type Srf } from '../support/srf.ts';
import { makeCertificate, until } from './support.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';

/** A session description handler without media: sip.js wants one. */
const describesNothing = (): SessionDescriptionHandler => ({
  close: () => undefined,
  getDescription: () => Promise.resolve({ body: SDP, contentType: 'application/sdp' }),
  hasDescription: (contentType: string) => contentType === 'application/sdp',
  setDescription: () => Promise.resolve(),
  rollbackDescription: () => Promise.resolve(),
  sendDtmf: () => false,
});

/**
 * sip.js as an independent peer over WSS, with its own transport and parser.
 *
 * ```
 *   sip.js ──WSS──► engine ──control port──► drachtio-srf
 *          ◄─────── (its own connection)
 * ```
 */
describe('sip.js over WSS', () => {
  const original = (globalThis as { WebSocket?: unknown }).WebSocket;
  let engine: Engine;
  let srf: Srf;
  let ua: UserAgent;
  const received: string[] = [];
  let invitation: Invitation | undefined;

  before(async () => {
    const { key, cert } = await makeCertificate();
    // sip.js takes its WebSocket from the global scope, which has none in Node 20.
    (globalThis as { WebSocket?: unknown }).WebSocket = class extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { ca: cert });
      }
    };
    const host = '127.0.0.1';
    engine = new Engine({
      listen: [{ protocol: 'wss', host, port: 0 }],
      control: { host, port: 0, secret: 'cymru' },
      tls: { privateKey: key, certificate: cert },
    });
    const { control, listen } = await engine.start();
    srf = newSrf();
    srf.register((request, response) => {
      response.send(200, { headers: { Contact: `${request.get('contact')};expires=600`, Expires: '600' } });
    });
    srf.message((request, response) => {
      received.push(request.body);
      response.send(200);
    });
    srf.invite((request, response) => {
      void srf
        .createUAS(request, response, { localSdp: SDP })
        .then((dialog) => dialog.on('destroy', () => received.push('BYE')));
    });
    await connectSrf(srf, control);
    ua = new UserAgent({
      uri: UserAgent.makeURI('sip:alice@example.com')!,
      transportOptions: { server: `wss://${host}:${listen[0]!.port}` },
      sessionDescriptionHandlerFactory: describesNothing,
      logBuiltinEnabled: false,
      delegate: {
        onMessage: (message: Message) => {
          received.push(message.request.body);
          void message.accept();
        },
        onInvite: (incoming: Invitation) => {
          invitation = incoming;
        },
      },
    });
    await ua.start();
  });
  beforeEach(() => received.splice(0));
  after(async () => {
    await ua?.stop();
    srf?.disconnect();
    await engine?.stop();
    (globalThis as { WebSocket?: unknown }).WebSocket = original;
  });

  it('registers, and is then reached over its own connection: MESSAGE and INVITE', async () => {
    const registerer = new Registerer(ua);
    await registerer.register();
    await until('the registration', () => registerer.state === RegistererState.Registered);
    const contact = ua.contact.uri.toString();

    const message = srf.request(contact, {
      method: 'MESSAGE',
      headers: { 'Content-Type': 'text/plain' },
      body: 'grüße',
    });
    expect((await responseTo(await message)).status).to.equal(200);
    expect(received).to.deep.equal(['grüße']);

    const called = srf.createUAC(contact, { localSdp: SDP });
    await until('the INVITE', () => invitation !== undefined);
    await invitation!.accept();
    const dialog = await called;
    await until('the session', () => invitation!.state === SessionState.Established);
    await dialog.destroy();
    await until('the BYE', () => invitation!.state === SessionState.Terminated);
  });

  it('sends MESSAGE, and calls', async () => {
    const target = UserAgent.makeURI('sip:service@example.com')!;
    let status = 0;
    await new Messager(ua, target, 'hello').message({
      requestDelegate: {
        onAccept: (response) => {
          status = response.message.statusCode ?? 0;
        },
      },
    });
    await until('the 200', () => status === 200);
    expect(received).to.deep.equal(['hello']);

    const call = new Inviter(ua, target);
    await call.invite();
    await until('the session', () => call.state === SessionState.Established);
    await call.bye();
    await until('the BYE', () => received.includes('BYE'));
  });
});
