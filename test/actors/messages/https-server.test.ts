import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import {
  closeHttps,
  type HttpsListening,
  type HttpsServerOptions,
  listenHttps,
  shownCertificate,
  UnknownCertificate,
} from '../../../actors/messages/https-server.ts';
import { type HttpsClient, httpsClient, IDLE_TIMEOUT } from '../../../actors/messages/kms/https.ts';
import { createTestCa, type IssuedIdentity, type TestCa } from '../../../actors/security/ca.ts';

describe('https endpoints (RFC 9112 9.3)', () => {
  let ca: TestCa;
  let tls: IssuedIdentity;
  let listening: HttpsListening;
  let client: HttpsClient;
  let requests: string[];

  const listen = async (
    answer: RequestListener = (_request, response) => response.end('here'),
    options: Partial<HttpsServerOptions> = {},
  ): Promise<void> => {
    const counted: RequestListener = (request, response) => {
      requests.push(String(request.url));
      answer(request, response);
    };
    listening = await listenHttps(counted, tls, { host: '127.0.0.1', port: 0, clientCertificate: 'asked', ...options });
  };
  /** The body of the answer, or the code of what went wrong. */
  const get = async (path = '/', by = client): Promise<string> => {
    try {
      return await (await by.fetch(listening.url + path)).text();
    } catch (error) {
      return String(((error as Error).cause as { code?: string } | undefined)?.code);
    }
  };
  /** A TLS connection by somebody who looks at no certificate. */
  const careless = async (options: { allowHalfOpen?: boolean } = {}): Promise<TLSSocket> => {
    const { port } = listening.server.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
    await once(socket, 'secureConnect');
    return socket;
  };

  before(async () => {
    ca = await createTestCa();
    tls = await ca.issue({ commonName: 'kms', dns: ['kms.mcptt.example'], uri: ['sip:kms@mcptt.example'] });
  });
  beforeEach(() => {
    requests = [];
    client = httpsClient(tls);
  });
  afterEach(async () => {
    await client.close();
    await closeHttps(listening.server);
  });

  it('keep an idle connection far longer than clients do, so that no request meets its end', async () => {
    await listen();
    const answer = await client.fetch(listening.url);
    expect(await answer.text()).to.equal('here');
    const seconds = Number(/timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '')?.[1]);
    expect(seconds * 1000).to.be.at.least(5 * IDLE_TIMEOUT);
  });

  it('show a stranger’s certificate when told to, and their own again', async () => {
    await listen();
    // Also with a connection and a TLS session from before.
    expect(await get('/before')).to.equal('here');
    await listening.present('stranger');
    expect(await get('/meanwhile')).to.equal('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    await listening.present('own');
    expect(await get('/after')).to.equal('here');
    expect(requests).to.deep.equal(['/before', '/after']);
  });

  it('say in the stranger’s certificate what their own says', async () => {
    await listen();
    const seen = async () => {
      const socket = await careless();
      const certificate = socket.getPeerX509Certificate()!;
      socket.destroy();
      return certificate;
    };
    const own = await seen();
    await listening.present('stranger');
    const stranger = await seen();
    expect(stranger.subjectAltName).to.equal(own.subjectAltName);
    expect(stranger.subject).to.equal(own.subject);
    expect(stranger.issuer).to.equal(own.issuer);
    expect(stranger.publicKey.equals(own.publicKey)).to.equal(false);
  });

  it('end the connections from before, answers that do not end too', async () => {
    await listen((_request, response) => response.write('event: 1\n\n'));
    const stream = (await client.fetch(listening.url)).body!.getReader();
    await stream.read();
    await listening.present('stranger');
    const end = await stream.read().then(
      ({ done }) => `done: ${done}`,
      (error: Error) => error.message,
    );
    expect(end).to.equal('terminated');
  });

  it('wait for nobody for ever who does not let go of a connection', async () => {
    // Nor does the bound on requests come first.
    await listen(undefined, { requestTimeout: 600_000 });
    const holdingOn = await careless({ allowHalfOpen: true });
    await listening.present('stranger');
    holdingOn.destroy();
    expect(await get()).to.equal('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  it('ask for a certificate of their clients under a stranger’s all the same', async () => {
    await listen((request, response) => response.end(String((request.socket as TLSSocket).authorized)), {
      clientCertificate: 'required',
    });
    await listening.present('stranger');
    const socket = await careless();
    const refusal = once(socket, 'error').then(([error]) => String((error as { code?: string }).code));
    socket.write('GET / HTTP/1.1\r\nHost: kms\r\n\r\n');
    expect(await refusal).to.match(/ALERT|ECONNRESET|EPIPE/);
    expect(requests).to.deep.equal([]);
    await listening.present('own');
    expect(await get()).to.equal('true');
  });

  it('know no other certificate', async () => {
    await listen();
    expect(() => shownCertificate('of a friend')).to.throw(UnknownCertificate, 'own, stranger');
    expect(() => shownCertificate(undefined)).to.throw(UnknownCertificate);
  });
});
