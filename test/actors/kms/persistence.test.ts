/** CEK-2 over restarts, STEP-3bP when the KMS is killed between issue and push, secrets at rest and their file. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Audit } from '../../../actors/kms/audit.ts';
import { identityOf } from '../../../actors/kms/identity.ts';
import { IdentityKeys } from '../../../actors/kms/identity-keys.ts';
import { createKms } from '../../../actors/kms/kms.ts';
import { openLibsqlStore } from '../../../actors/kms/libsql-store.ts';
import { formatSecrets, loadOrCreateSecrets, parseSecrets, zeroSecrets } from '../../../actors/kms/master-secrets.ts';
import { Vault } from '../../../actors/kms/vault.ts';
import { KMS_PATHS } from '../../../actors/messages/kms/namespaces.ts';
import type { SakkeEngine } from '../../../actors/security/ibc/engine.ts';
import type { JsonObject } from '../../../sim/control/actor.ts';
import { systemClock } from '../../../sim/engine/clock.ts';
import {
  ALICE,
  createSetting,
  forkKms,
  KMS_URI,
  killed,
  post,
  SERVER_ID,
  SESSION,
  type Setting,
  silentLog,
  startKms,
  until,
} from './harness.ts';

const secrets = (octet: number) => ({
  zT: new Uint8Array(128).fill(octet),
  ksak: new Uint8Array(32).fill(octet),
  storeKey: new Uint8Array(32).fill(octet),
});

describe('KMS: what outlives a process', () => {
  let setting: Setting;
  let folder: string;
  const children: ChildProcess[] = [];

  before(async () => {
    setting = await createSetting();
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await setting.stop();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kms-'));
    setting.server.pushed.length = 0;
    setting.server.answer = (news) => news.map((item) => ('cek' in item ? item.cek.keyId : (item.end.keyId ?? '')));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const ask = async (url: string) => {
    const token = await setting.idm.sign(setting.idm.claims(Date.now()));
    const answer = await post(setting.asUe, `${url}${KMS_PATHS.keyProv}`, {
      token,
      request: { cekRequests: [{ sipSession: SESSION }] },
    });
    if (answer.response.message?.type !== 'key-prov') throw new Error(`status ${answer.status}`);
    return answer.response.message;
  };

  it('a KMS that restarts has the same identity keys, CEKs and Key IDs', async () => {
    const first = await startKms(setting, { stateFolder: folder });
    const before = await ask(first.url);
    const listed = (await first.kms.readings.ceks!({})) as JsonObject[];
    await first.kms.stop();
    const second = await startKms(setting, { stateFolder: folder });
    const after = await ask(second.url);
    expect(after.ceks[0]!.keyId).to.equal(before.ceks[0]!.keyId);
    expect(Buffer.from(after.keySets[0]!.userDecryptKey).equals(before.keySets[0]!.userDecryptKey)).to.equal(true);
    expect(await second.kms.readings.ceks!({})).to.deep.equal(listed);
    await second.kms.stop();
  });

  it('nothing secret lies in the state folder but under the store key, and that in a file of mode 0600', async () => {
    const { kms, url } = await startKms(setting, { stateFolder: folder });
    const { keySets } = await ask(url);
    await kms.stop();
    const master = join(folder, 'master-secrets.json');
    expect((await stat(master)).mode & 0o777).to.equal(0o600);
    expect((await stat(join(folder, 'audit.jsonl'))).mode & 0o777, 'it names users').to.equal(0o600);
    const { zT, ksak } = parseSecrets(await readFile(master, 'utf8'), master);
    const hidden = [zT, ksak, keySets[0]!.userDecryptKey, keySets[0]!.userSigningKeySsk];
    for (const name of await readdir(folder)) {
      if (name === 'master-secrets.json') continue;
      const octets = await readFile(join(folder, name));
      for (const secret of hidden) {
        expect(octets.includes(Buffer.from(secret)), name).to.equal(false);
        expect(octets.toString('latin1').toLowerCase(), name).to.not.contain(Buffer.from(secret).toString('hex'));
      }
    }
    expect(
      (await readFile(join(folder, 'audit.jsonl'), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    )
      .to.be.an('array')
      .with.length.greaterThan(1);
  });

  it('a user whom the operator has revoked is refused over a restart too, until policy allows it again', async () => {
    const refusedAt = (url: string) =>
      ask(url).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    const policy = { deniedMcpttIds: ['sip:mallory@mcptt.example'] };
    const first = await startKms(setting, { stateFolder: folder, config: { policy } });
    await ask(first.url);
    await first.kms.verbs.cekRevoke!({ user: ALICE });
    await first.kms.stop();

    const second = await startKms(setting, { stateFolder: folder, config: { policy } });
    expect(await refusedAt(second.url)).to.equal('status 403');
    expect(await second.kms.readings.policy!({})).to.have.deep.property('deniedMcpttIds', [
      ...policy.deniedMcpttIds,
      ALICE,
    ]);
    await second.kms.verbs.resetPolicy!({});
    expect(await refusedAt(second.url)).to.equal('accepted');
    await second.kms.stop();

    // What the configuration denied is the configuration's to allow again.
    const third = await startKms(setting, { stateFolder: folder });
    expect(await third.kms.readings.policy!({})).to.have.deep.property('deniedMcpttIds', []);
    await third.kms.stop();
  });

  it('a store that belongs to other master secrets is refused, not misread', async () => {
    const file = join(folder, 'kms.db');
    const record = {
      keyId: 'f0000001',
      userUri: ALICE,
      clientId: 'c',
      sipSession: SESSION,
      state: 'pending-ack' as const,
      notBefore: 0,
      notAfter: 1,
      messages: 0,
    };
    const store = openLibsqlStore(file, new Vault(secrets(1).storeKey));
    await store.insertCek(record, new Uint8Array(32).fill(9), {});
    await store.close();
    for (const name of await readdir(folder)) {
      expect((await readFile(join(folder, name))).includes(Buffer.alloc(32, 9)), `${name} has the CEK`).to.equal(false);
    }
    const other = openLibsqlStore(file, new Vault(secrets(2).storeKey));
    const error = await other.cekOctets('f0000001').catch((caught: { code: string }) => caught);
    expect(error).to.have.property('code', 'KMS_STORE_KEY');
    expect((await other.cek('f0000001'))?.keyId).to.equal('f0000001');
    expect(await other.insertCek({ ...record, sipSession: 'sip:2' }, new Uint8Array(32), {})).to.equal('key-id-taken');
    await other.close();
  });

  it('a secret in the store is sealed anew each time, opens for its own record alone, and unchanged (AES-256-GCM)', () => {
    const vault = new Vault(secrets(1).storeKey);
    const secret = new Uint8Array(32).fill(9);
    const sealed = [vault.seal(secret, 'f0000001'), vault.seal(secret, 'f0000001')] as const;
    expect(Buffer.from(sealed[0].subarray(0, 12)).equals(sealed[1].subarray(0, 12)), 'one nonce twice').to.equal(false);
    expect(Buffer.from(vault.open(sealed[0], 'f0000001')).equals(secret)).to.equal(true);
    const changed = Uint8Array.from(sealed[0]);
    changed[20]! ^= 1;
    expect(() => vault.open(changed, 'f0000001'))
      .to.throw()
      .with.property('code', 'KMS_STORE_KEY');
    for (const length of [0, 11, 12, 27, 28, sealed[0].length - 1]) {
      expect(() => vault.open(sealed[0].subarray(0, length), 'f0000001'))
        .to.throw()
        .with.property('code', 'KMS_STORE_KEY');
    }
    expect(() => vault.open(sealed[0], 'f0000002'))
      .to.throw()
      .with.property('code', 'KMS_STORE_KEY');
  });

  it('master secrets: made once with mode 0600, read again, refused when others may read them', async () => {
    const file = join(folder, 'a', 'master-secrets.json');
    expect(await loadOrCreateSecrets(file, () => secrets(1))).to.deep.equal(secrets(1));
    expect((await stat(file)).mode & 0o777).to.equal(0o600);
    expect(await loadOrCreateSecrets(file, () => secrets(2)), 'made only once').to.deep.equal(secrets(1));
    for (const mode of [0o640, 0o604, 0o660]) {
      await chmod(file, mode);
      const error = await loadOrCreateSecrets(file, () => secrets(2)).catch((caught: Error) => caught);
      expect(error).to.have.property('code', 'KMS_SECRETS_PERMISSIONS');
      expect((error as Error).message).to.contain('chmod 600');
    }
  });

  it('master secrets: many that start at once agree on one set, and leave nothing else behind', async () => {
    const file = join(folder, 'b', 'master-secrets.json');
    const made = await Promise.all([1, 2, 3, 4, 5, 6].map((octet) => loadOrCreateSecrets(file, () => secrets(octet))));
    for (const one of made) expect(one).to.deep.equal(made[0]);
    expect(await readdir(join(folder, 'b'))).to.deep.equal(['master-secrets.json']);
  });

  it('master secrets: a path that cannot be one is said so', async () => {
    const file = join(folder, 'c');
    await writeFile(file, '');
    for (const path of [join(file, 'master-secrets.json'), folder]) {
      const error = (await loadOrCreateSecrets(path, () => secrets(1)).catch((caught: Error) => caught)) as Error;
      expect(error).to.have.property('code', 'KMS_SECRETS_UNUSABLE');
    }
  });

  it('a state folder that cannot be worked with is said so, whichever file it is', async () => {
    for (const [name, make] of [
      ['kms.db', (path: string) => mkdir(path)],
      ['kms.db', (path: string) => writeFile(path, 'x'.repeat(5_000))],
      ['audit.jsonl', (path: string) => mkdir(path)],
    ] as const) {
      const stateFolder = await mkdtemp(join(folder, 'state-'));
      await make(join(stateFolder, name));
      // Without an engine of the test's: a pool of its own that stayed behind would keep this process from ending.
      const kms = createKms(
        { kmsUri: KMS_URI, mcpttServerId: SERVER_ID },
        {
          name: 'kms',
          report: () => undefined,
          clock: systemClock,
          log: silentLog,
          tls: setting.tls,
          host: '127.0.0.1',
          stateFolder,
        },
      );
      const error = (await kms.start().catch((caught: Error) => caught)) as Error;
      expect(error).to.have.property('code', 'KMS_STATE_UNUSABLE');
      expect(error.message).to.contain(join(stateFolder, name));
    }
  });

  it('an entry after the audit log was closed goes into no file, and it may be closed twice', async () => {
    const audit = new Audit(systemClock, join(folder, 'audit.jsonl'));
    await audit.close();
    // The next file that is opened gets the number of the one that was closed.
    const other = join(folder, 'of-somebody-else');
    const handle = await open(other, 'w');
    try {
      audit.write('refused', {});
      await audit.close();
      await handle.write('still open');
    } finally {
      await handle.close();
    }
    expect(await readFile(other, 'utf8')).to.equal('still open');
  });

  it('while the disk is full nothing is issued, and the KMS lives', async function () {
    if (!existsSync('/dev/full')) {
      console.log('      skipped: this system has no /dev/full');
      this.skip();
    }
    await symlink('/dev/full', join(folder, 'audit.jsonl'));
    const running = await startKms(setting, { stateFolder: folder, idm: false });
    const refused = await post(setting.asUe, `${running.url}${KMS_PATHS.keyProv}`, {});
    expect([refused.status, refused.response.error?.code], 'a refusal that is not written is a refusal').to.deep.equal([
      401, 2001,
    ]);
    await running.kms.connect({ idm: { issuer: setting.idm.issuer } });
    const token = await setting.idm.sign(setting.idm.claims(Date.now()));
    const request = { cekRequests: [{ sipSession: SESSION }] };
    for (let i = 0; i < 2; i += 1) {
      const answer = await post(setting.asUe, `${running.url}${KMS_PATHS.keyProv}`, { token, request });
      expect([answer.status, answer.response.error?.code]).to.deep.equal([503, 4002]);
      expect(answer.headers.get('retry-after')).to.equal('30');
    }
    expect(await running.kms.readings.ceks!({})).to.deep.equal([]);
    await running.kms.stop();
  });

  it('master secrets of another form are refused without being quoted', async () => {
    const file = join(folder, 'master-secrets.json');
    for (const text of [
      '',
      '{}',
      formatSecrets(secrets(1)).replace('01', 'zz'),
      formatSecrets(secrets(1)).replace('"version": 1', '"version": 2'),
    ]) {
      await writeFile(file, text, { mode: 0o600 });
      const error = (await loadOrCreateSecrets(file, () => secrets(2)).catch((caught: Error) => caught)) as Error;
      expect(error).to.have.property('code', 'KMS_SECRETS_MALFORMED');
      expect(error.message).to.not.match(/01{8}|zz/);
    }
  });

  it('master secrets are zeroed when the KMS stops', async () => {
    const seen: Uint8Array[] = [];
    const { engine: real } = setting;
    const engine = new Proxy(real, {
      get: (_, name: keyof SakkeEngine) => {
        const value = real[name];
        if (typeof value !== 'function') return value;
        return (...args: Uint8Array[]): unknown => {
          if (name === 'extractRsk') seen.push(args[0]!);
          return Reflect.apply(value, real, args);
        };
      },
    });
    const { kms, url } = await startKms({ ...setting, engine });
    await ask(url);
    expect(seen.at(-1)).to.satisfy((zT: Uint8Array) => zT.some((octet) => octet !== 0));
    await kms.stop();
    expect(seen.at(-1)).to.deep.equal(new Uint8Array(128));
    const all = secrets(1);
    zeroSecrets(all);
    expect(all).to.deep.equal(secrets(0));
  });

  it('a key set that comes out of the store leaves no second copy', async () => {
    const { secrets: own, certificate } = await identityOf(
      { kmsUri: KMS_URI, masterSecrets: formatSecrets(secrets(1)) },
      undefined,
    );
    const store = openLibsqlStore(undefined, new Vault(own.storeKey));
    const given: Uint8Array[] = [];
    const keySet = store.keySet.bind(store);
    store.keySet = async (userUri, period) => {
      const octets = await keySet(userUri, period);
      if (octets !== undefined) given.push(octets);
      return octets;
    };
    const keys = new IdentityKeys({ engine: setting.engine, secrets: own, certificate, store, clock: systemClock });
    const first = await keys.keySet(ALICE, keys.periodAt());
    const second = await keys.keySet(ALICE, keys.periodAt());
    expect(second).to.deep.equal(first);
    expect(given).to.have.length(2);
    for (const octets of given) expect(Buffer.from(octets).equals(Buffer.alloc(octets.length))).to.equal(true);
    await store.close();
  });

  it('a KMS with a master secret outside 2..q-1 does not start', async () => {
    const bad = formatSecrets({ ...secrets(1), zT: new Uint8Array(128) });
    const error = await startKms(setting, { config: { masterSecrets: bad } }).catch((caught: Error) => caught);
    expect(error).to.have.property('code', 'bad-scalar');
  });

  it('STEP-3bP: killed between issue and push, it loses nothing', async function () {
    this.timeout(30_000);
    setting.server.answer = () => undefined;
    const { child, url } = await forkKms(setting, {
      stateFolder: folder,
      mcpttServer: setting.server.url,
      policy: { pushWait: 100 },
    });
    children.push(child);
    const { ceks } = await ask(url);
    expect(ceks[0]!.state).to.equal('pending-ack');
    await killed(child);
    expect(setting.server.pushed).to.deep.equal([]);

    setting.server.answer = (news) => news.map((item) => ('cek' in item ? item.cek.keyId : (item.end.keyId ?? '')));
    const again = await startKms(setting, { stateFolder: folder });
    await until('the push', () => setting.server.pushed.length > 0);
    const [pushed] = setting.server.pushed;
    expect(pushed).to.have.nested.property('cek.keyId', ceks[0]!.keyId);
    await until(
      'the acknowledgement',
      async () => ((await again.kms.readings.ceks!({})) as JsonObject[])[0]?.state === 'active',
    );
    expect((await ask(again.url)).ceks[0]).to.include({ keyId: ceks[0]!.keyId, state: 'active' });
    await again.kms.stop();
  });
});
