import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CaError, createTestCa, type IssuedIdentity, loadTestCa, type TestCa } from '../../../actors/security/ca.ts';

const identity = (id: IssuedIdentity): { cert: string; key: string; ca: string } => ({
  cert: id.certificate,
  key: id.privateKey,
  ca: id.ca,
});

/** One GET to a mutual-TLS server at 127.0.0.1; gives the client's subject alternative names as the server saw them. */
async function exchange(server: IssuedIdentity, client: IssuedIdentity): Promise<string> {
  const listener = createServer({ ...identity(server), requestCert: true, rejectUnauthorized: true }, (req, res) => {
    const peer = (req.socket as import('node:tls').TLSSocket).getPeerX509Certificate();
    res.end(peer?.subjectAltName);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = listener.address() as AddressInfo;
    return await new Promise<string>((resolve, reject) => {
      request({ host: '127.0.0.1', port, agent: false, ...identity(client) }, (res) => {
        let text = '';
        res.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        res.on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
}

const failure = async (promise: Promise<unknown>): Promise<CaError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).instanceOf(CaError);
  return error as CaError;
};

describe('test CA', () => {
  let ca: TestCa;
  before(async () => {
    ca = await createTestCa();
  });

  it('issues P-256 certificates for TLS servers and clients with the names asked for', async () => {
    const issued = await ca.issue({
      commonName: 'kms, "the" one',
      dns: ['kms.mcptt.example'],
      ip: ['10.1.2.3'],
      uri: ['sip:mcptt-server@mcptt.example'],
    });
    const certificate = new X509Certificate(issued.certificate);
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).equal('prime256v1');
    expect(certificate.keyUsage).deep.equal(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(certificate.subject).equal('CN=kms\\, \\"the\\" one');
    for (const ip of ['127.0.0.1', '::1', '10.1.2.3']) expect(certificate.checkIP(ip), ip).equal(ip);
    for (const host of ['localhost', 'kms.mcptt.example']) expect(certificate.checkHost(host), host).equal(host);
    expect(certificate.checkHost('idm.mcptt.example')).equal(undefined);
    expect(certificate.subjectAltName).contain('URI:sip:mcptt-server@mcptt.example');
    expect(certificate.verify(new X509Certificate(ca.certificate).publicKey)).equal(true);
    expect(certificate.ca).equal(false);
  });

  it('serves mutual TLS between two of its certificates', async () => {
    const seen = await exchange(
      await ca.issue({ commonName: 'server' }),
      await ca.issue({ commonName: 'client', uri: ['sip:mcptt-server@mcptt.example'] }),
    );
    expect(seen).contain('URI:sip:mcptt-server@mcptt.example');
  });

  it('is not trusted by those who trust another CA', async () => {
    const other = await createTestCa();
    const ours = await ca.issue({ commonName: 'server' });
    const theirs = await other.issue({ commonName: 'client' });
    const error: unknown = await exchange(ours, theirs).catch((reason: unknown) => reason);
    expect(error).instanceOf(Error);
    // Same names, other key: the client finds that the signature does not fit.
    expect((error as NodeJS.ErrnoException).code).match(/CERT|SELF_SIGNED|ISSUER/);
  });

  describe('in a folder', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'test-ca-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    it('comes back the same, its key readable by the owner only', async () => {
      await ca.save(join(folder, 'ca'));
      expect((await stat(join(folder, 'ca', 'ca.key'))).mode & 0o777).equal(0o600);
      const again = await loadTestCa(join(folder, 'ca'));
      expect(again.certificate).equal(ca.certificate);
      await exchange(await ca.issue({ commonName: 'server' }), await again.issue({ commonName: 'client' }));
    });

    it('is refused when others may read the key, when it is missing, and never overwritten', async () => {
      expect((await failure(loadTestCa(folder))).code).equal('CA_MISSING');
      await ca.save(folder);
      expect((await failure(ca.save(folder))).code).equal('CA_EXISTS');
      await chmod(join(folder, 'ca.key'), 0o640);
      expect((await failure(loadTestCa(folder))).code).equal('CA_KEY_READABLE');
    });
  });
});
