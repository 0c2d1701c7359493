import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { McpttServer } from '../../../actors/mcptt-as/server.ts';
import { kekProtection } from '../../../actors/messages/body-protection.ts';
import { buildMcpttInfo } from '../../../actors/messages/mcptt-info.ts';
import { mimeEntity } from '../../../actors/messages/mime.ts';
import { buildMultipart } from '../../../actors/messages/multipart.ts';
import { entityToSip } from '../../../actors/messages/sip-body.ts';
import type { Log } from '../../../sim/control/actor.ts';
import { Engine, systemClock } from '../../../sim/engine/index.ts';
import { response, SipPeer, type SipText } from '../sip-core/sip-peer.ts';
import { quiet, until } from './world.ts';

const USERS = ['alice', 'bob'] as const;
const mcpttId = (user: string): string => `sip:${user}@mcptt.example`;

/** The server alone, with the test in the place of the SIP core: nobody answers a call by itself. */
describe('RFC 3261 9: a private call is cancelled through the MCPTT server', () => {
  let engine: Engine;
  let server: McpttServer;
  let caller: SipPeer;
  let called: SipPeer;
  const warnings: string[] = [];
  beforeEach(async () => {
    warnings.length = 0;
    engine = new Engine({
      listen: [{ protocol: 'tcp', host: '127.0.0.1', port: 0 }],
      control: { host: '127.0.0.1', port: 0, secret: 'as' },
    });
    const { control, listen } = await engine.start();
    const log: Log = { ...quiet, warn: (_, text) => warnings.push(text), error: (_, text) => warnings.push(text) };
    server = new McpttServer(
      {
        engine: { ...control, secret: 'as' },
        psi: 'sip:mcptt@home',
        serverId: 'sip:mcptt-server@mcptt.example',
        kmsUri: 'kms.mcptt.example',
        users: USERS.map((user) => ({
          mcpttId: mcpttId(user),
          participantType: 'responder',
          priority: 5,
          groups: [],
          privateCall: true,
          emergencyCall: false,
          maxSimultaneousCalls: 1,
        })),
        policy: {
          protection: { required: true, profile: 'kek' },
          defaultServices: [],
          tokenExpiryEndsBinding: false,
        },
        audience: '',
        scope: '',
        httpsPort: 0,
      },
      {
        name: 'mcptt-as',
        host: '127.0.0.1',
        clock: systemClock,
        log,
        report: () => undefined,
        tls: { certificate: '', privateKey: '', ca: '' },
      },
      {
        verifyToken: () => Promise.reject(new Error('no token is needed here')),
        tellKms: () => Promise.resolve(),
        protection: kekProtection,
      },
    );
    await server.start();
    called = await SipPeer.listen();
    await server.useCore(`sip:127.0.0.1:${called.port};transport=tcp`);
    caller = await SipPeer.connect(listen[0]!.port);
    const later = systemClock.now() + 3_600_000;
    for (const [i, user] of USERS.entries()) {
      const sipSession = `sip:${user}@ue.invalid`;
      await server.stores.sessions.put({ sipSession, impus: [`sip:${user}@home`], expiresAt: later });
      await server.stores.bindings.put({
        mcpttId: mcpttId(user),
        clientId: `urn:uuid:${i}`,
        sipSession,
        impu: `sip:${user}@home`,
        state: 'bound',
        etag: user,
        boundAt: 0,
        tokenExpiresAt: later,
        answerMode: 'automatic',
      });
      server.ceks.take({
        keyId: `f000000${i}`,
        key: randomBytes(32),
        userUri: mcpttId(user),
        clientId: `urn:uuid:${i}`,
        sipSession,
        notBefore: 0,
        notAfter: later,
        state: 'active',
      });
    }
  });
  afterEach(async () => {
    await caller.close();
    await called.close();
    await server.stop();
    await engine.stop();
  });

  const invite = async (): Promise<string> => {
    const inner = buildMultipart([
      buildMcpttInfo({ 'session-type': 'private', 'mcptt-request-uri': mcpttId('bob') }),
      mimeEntity('application/sdp', 'v=0\r\n'),
    ]);
    const key = server.ceks.sealing({ userUri: mcpttId('alice'), sipSession: 'sip:alice@ue.invalid' });
    const { contentType, headers, body } = entityToSip(await kekProtection().protect(inner, key));
    return `${[
      'INVITE sip:mcptt@home SIP/2.0',
      `Via: SIP/2.0/TCP 127.0.0.1:${caller.port};branch=z9hG4bK${randomBytes(6).toString('hex')}`,
      'Max-Forwards: 70',
      'From: <sip:alice@home>;tag=a',
      'To: <sip:mcptt@home>',
      `Call-ID: ${randomBytes(6).toString('hex')}`,
      'CSeq: 1 INVITE',
      'Contact: <sip:alice@127.0.0.1>',
      'P-Asserted-Identity: <sip:alice@home>',
      `Content-Type: ${contentType}`,
      ...headers.map(([name, value]) => `${name}: ${value}`),
      `Content-Length: ${Buffer.byteLength(body)}`,
    ].join('\r\n')}\r\n\r\n${body}`;
  };
  const cancelOf = (text: string): string => {
    const kept = text.split('\r\n').filter((line) => /^(Via|Max-Forwards|From|To|Call-ID):/.test(line));
    return `${['CANCEL sip:mcptt@home SIP/2.0', ...kept, 'CSeq: 1 CANCEL', 'Content-Length: 0'].join('\r\n')}\r\n\r\n`;
  };
  const finals = (): string[] =>
    caller.seen.filter(({ status }) => status >= 200).map((one) => `${one.status} ${one.header('CSeq')}`);
  const arrived = (method: string): SipText | undefined =>
    called.seen.find(({ startLine }) => startLine.startsWith(`${method} `));

  it('CANCEL reaches the called end, whose 487 ends it; the caller gets 200 and 487', async () => {
    const text = await invite();
    caller.send(text);
    await until('the INVITE is at the called end', () => arrived('INVITE') !== undefined);
    expect(arrived('INVITE')!.text).not.to.match(/alice@mcptt|bob@mcptt|v=0/);
    called.send(response(arrived('INVITE')!, '180 Ringing'));
    caller.send(cancelOf(text));
    await until('the CANCEL is at the called end', () => arrived('CANCEL') !== undefined);
    expect(arrived('CANCEL')!.header('Call-ID')).to.equal(arrived('INVITE')!.header('Call-ID'));
    called.send(response(arrived('CANCEL')!, '200 OK'));
    called.send(response(arrived('INVITE')!, '487 Request Terminated'));
    await until('both have been answered', () => finals().length === 2);
    expect(finals()).to.have.members(['200 1 CANCEL', '487 1 INVITE']);
    await until('the 487 is acknowledged', () => arrived('ACK') !== undefined);
    expect((await server.view()).calls).to.deep.equal([]);
    expect(warnings).to.deep.equal([]);
  });

  it('a called end that answers all the same is hung up', async () => {
    const text = await invite();
    caller.send(text);
    await until('the INVITE is at the called end', () => arrived('INVITE') !== undefined);
    called.send(response(arrived('INVITE')!, '180 Ringing'));
    caller.send(cancelOf(text));
    await until('the CANCEL is at the called end', () => arrived('CANCEL') !== undefined);
    called.send(response(arrived('CANCEL')!, '200 OK'));
    called.send(response(arrived('INVITE')!, '200 OK', [`Contact: <sip:bob@127.0.0.1:${called.port};transport=tcp>`]));
    await until('the BYE', () => arrived('BYE') !== undefined);
    called.send(response(arrived('BYE')!, '200 OK'));
    await until('both have been answered', () => finals().length === 2);
    expect(finals()).to.have.members(['200 1 CANCEL', '487 1 INVITE']);
    expect((await server.view()).calls).to.deep.equal([]);
    expect(warnings).to.deep.equal([]);
  });
});
