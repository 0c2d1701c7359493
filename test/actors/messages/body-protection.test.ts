/** What a body names as its key and what becomes of it, at the seam between CMS and the key store. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { type BodyProtection, kekProtection } from '../../../actors/messages/body-protection.ts';
import { mimeEntity } from '../../../actors/messages/mime.ts';
import { CekError } from '../../../actors/security/cek/errors.ts';
import type { UsableCek } from '../../../actors/security/cek/key-store.ts';
import { seal } from '../../../actors/security/smime/profiles.ts';
import { withReceiver } from '../security/smime/helpers.ts';

const cekOf = (keyId: string): UsableCek => ({
  keyId,
  key: Uint8Array.from(randomBytes(32)),
  userUri: 'sip:alice@mcptt.example',
  clientId: 'urn:uuid:1',
  sipSession: 'sip:s@ue',
  state: 'current',
});
const entity = mimeEntity('text/plain', Buffer.from('alice is here'));
const protection: BodyProtection = kekProtection();

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'opened',
    (error: { code?: string }) => error.code ?? 'no code',
  );

describe('Opening a protected body', () => {
  it('any Key ID of four octets is looked for, whatever its purpose tag: so a 493 can name it', async () => {
    for (const keyId of ['00000001', '2deadbee', 'ffffffff']) {
      const asked: string[] = [];
      const body = mimeEntity(
        'application/pkcs7-mime; smime-type=authEnveloped-data',
        seal(Buffer.from('x'), { keyId: Buffer.from(keyId, 'hex'), cek: randomBytes(32) }),
      );
      const opening = protection.open(body, (id) => {
        asked.push(id);
        throw new CekError('CEK_UNKNOWN', 'never held');
      });
      expect(await codeOf(opening)).to.equal('CEK_UNKNOWN');
      expect(asked).to.deep.equal([keyId]);
    }
  });

  it('of several receivers, those before ours may be unknown or retired; when ours is not there, the first says why', async () => {
    const ours = cekOf('f0000001');
    const sealed = await protection.protect(entity, ours);
    const body = mimeEntity('application/pkcs7-mime', withReceiver(sealed.content, 'f0000002'));
    const find =
      (...held: UsableCek[]) =>
      (id: string): UsableCek => {
        const found = held.find(({ keyId }) => keyId === id);
        if (found !== undefined) return found;
        throw new CekError(id === 'f0000002' ? 'CEK_RETIRED' : 'CEK_UNKNOWN', `no ${id}`);
      };
    const opened = await protection.open(body, find(ours));
    expect(opened.cek.keyId).to.equal('f0000001');
    expect(Buffer.from(opened.entity.content).toString()).to.equal('alice is here');
    expect(await codeOf(protection.open(body, find()))).to.equal('CEK_RETIRED');
    expect(await codeOf(protection.open(body, find(cekOf('f0000002'))))).to.equal('SMIME_UNDECIPHERABLE');
  });

  it('what is thrown besides a CekError comes through at once', async () => {
    const body = await protection.protect(entity, cekOf('f0000001'));
    const refused = new RangeError('no');
    const error: unknown = await protection
      .open(body, () => {
        throw refused;
      })
      .catch((caught: unknown) => caught);
    expect(error).to.equal(refused);
  });
});
