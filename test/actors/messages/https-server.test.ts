import { expect } from 'chai';
import { closeHttps, listenHttps } from '../../../actors/messages/https-server.ts';
import { httpsClient, IDLE_TIMEOUT } from '../../../actors/messages/kms/https.ts';
import { createTestCa } from '../../../actors/security/ca.ts';

describe('https endpoints (RFC 9112 9.3)', () => {
  it('keep an idle connection far longer than clients do, so that no request meets its end', async () => {
    const tls = await (await createTestCa()).issue({ commonName: 'kms', ip: ['127.0.0.1'] });
    const { server, url } = await listenHttps((_request, response) => response.end('here'), tls, {
      host: '127.0.0.1',
      port: 0,
      clientCertificate: 'asked',
    });
    const client = httpsClient(tls);
    try {
      const answer = await client.fetch(url);
      expect(await answer.text()).to.equal('here');
      const seconds = Number(/timeout=(\d+)/.exec(answer.headers.get('keep-alive') ?? '')?.[1]);
      expect(seconds * 1000).to.be.at.least(5 * IDLE_TIMEOUT);
    } finally {
      await client.close();
      await closeHttps(server);
    }
  });
});
