import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * HTTP1-1 (pCR 7.x.2): CEK, Key ID and KMS token travel under TLS, and under nothing else.
 *
 * ```
 * anybody                              KMS, MCPTT server, IdM
 *  ├── HTTP in clear ─────────────────────▶│ no HTTP answer
 *  ├── TLS 1.1 ───────────────────────────▶│ refused
 *  ├── TLS, trusts public CAs only ───────▶│ its certificate is not trusted: the caller leaves
 *  ├── TLS 1.2 or 1.3 ────────────────────▶│ spoken
 * ```
 */
export const http11: Scenario = {
  id: 'http1-1',
  title: 'KMS, MCPTT server and IdM speak TLS 1.2 or newer only; who does not trust their CA does not talk to them',
  requirements: ['HTTP1-1'],
  actors: withUes('ue'),
  users: [],
  steps: [
    bringUp('attached', { ue: [] }),
    {
      number: '3b',
      title: 'Plain HTTP and old TLS are refused, and a certificate of an unknown CA is not taken',
      clause: 'pCR 7.x.2, TS 33.180 5.1',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        for (const name of ['kms', 'mcptt-as', 'idm'] as const) {
          t.hold(name, 'pCR 7.x.2, TS 33.180 5.1');
          const { hostname, port } = new URL((await t.actor(name).read<{ https: string }>('endpoints')).https);
          const at = { host: hostname, port: Number(port) };
          const plain = await answerTo(at, 'GET /keymanagement/identity/v1/init HTTP/1.1\r\nHost: kms\r\n\r\n');
          expect(plain, `what ${name} answers to HTTP in clear`).not.to.match(/^HTTP\/1\.\d 2/);
          expect(
            await handshake({ ...at, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }),
            `TLS 1.1 at ${name}`,
          ).not.to.match(/^TLS/);
          expect(
            await handshake({ ...at, rejectUnauthorized: true }),
            `${name} for who trusts public CAs only`,
          ).to.match(/CERT|ISSUER|SELF_SIGNED|VERIFY/);
          const spoken = await handshake({ ...at, rejectUnauthorized: false });
          expect(spoken, `TLS at ${name}`).to.match(/^TLSv1\.[23]$/);
          t.show(name, `${spoken}; in clear: ${plain === '' ? 'closed' : plain.split('\r\n', 1)[0]!}`);
        }
      },
    },
  ],
};

/** What comes back over a bare TCP connection until its end. */
async function answerTo({ host, port }: { host: string; port: number }, text: string): Promise<string> {
  const socket = connect({ host, port });
  let answer = '';
  socket.setTimeout(5_000, () => socket.destroy());
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

/** The protocol version that a handshake ends with, or the code of its error. */
async function handshake(options: import('node:tls').ConnectionOptions): Promise<string> {
  const socket = connectTls(options);
  socket.setTimeout(5_000, () => socket.destroy(new Error('TIMEOUT')));
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol() ?? '';
  } catch (error) {
    return String((error as { code?: string }).code);
  } finally {
    socket.destroy();
  }
}
