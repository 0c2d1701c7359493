import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Binding } from '../../../actors/mcptt-as/bindings.ts';
import { fileStores } from '../../../actors/mcptt-as/file-stores.ts';

const session = (name: string) => ({
  sipSession: `sip:${name}@x.invalid`,
  impus: ['sip:ue-1@ims.example', 'tel:+15550101'],
  expiresAt: 5,
});
const binding = (user: string, etag: string): Binding => ({
  mcpttId: `sip:${user}@mcptt.example`,
  clientId: 'urn:uuid:1',
  sipSession: 'sip:a@x.invalid',
  impu: 'sip:ue-1@ims.example',
  state: 'bound',
  etag,
  boundAt: 1,
  tokenExpiresAt: 2,
  answerMode: 'automatic',
});

describe('sessions and bindings that outlive the server', () => {
  let folder: string;
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'mcptt-as-')), 'state');
  });
  afterEach(() => rm(join(folder, '..'), { recursive: true }));

  it('come back as they were left', async () => {
    const first = fileStores(folder);
    await Promise.all([
      first.sessions.put(session('a')),
      first.sessions.put(session('b')),
      first.bindings.put(binding('alice', 'e1')),
    ]);
    await first.sessions.delete(session('b').sipSession);
    await first.bindings.put(binding('alice', 'e2'));

    const again = fileStores(folder);
    expect(await again.sessions.all()).to.deep.equal([session('a')]);
    expect(await again.sessions.byImpu('TEL:+15550101')).to.deep.equal([session('a')]);
    expect(await again.bindings.byEtag('e2')).to.deep.equal(binding('alice', 'e2'));
    expect(await again.bindings.byEtag('e1')).to.equal(undefined);
    await again.bindings.delete(binding('alice', 'e2'));
    expect(await fileStores(folder).bindings.all()).to.deep.equal([]);
  });

  it('are whole files, readable by their owner only', async () => {
    const stores = fileStores(folder);
    await Promise.all(Array.from({ length: 20 }, (_, i) => stores.sessions.put(session(`s${i}`))));
    expect(await readdir(folder)).to.deep.equal(['sip-sessions.json']);
    const file = join(folder, 'sip-sessions.json');
    expect((await stat(file)).mode & 0o077).to.equal(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).to.have.length(20);
  });
});
