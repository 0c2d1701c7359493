import { expect } from 'chai';
import { buildMcpttInfo } from '../../../actors/messages/mcptt-info.ts';
import { type MimeEntity, mimeEntity } from '../../../actors/messages/mime.ts';
import { buildMultipart } from '../../../actors/messages/multipart.ts';
import { warningText } from '../../../actors/messages/sip-headers.ts';
import { startWorld, type World } from '../mcptt-as/world.ts';

const ALICE = 'sip:alice@mcptt.example';

for (const profile of ['kek', 'kek+sign'] as const) {
  describe(`what the UE takes from the MCPTT server under profile ${profile} (MIME-1, MIME-2)`, () => {
    let world: World;
    before(async () => {
      world = await startWorld({ profile });
      await world.bind(world.ues[0], 'alice');
    });
    after(() => world?.close());

    const inner = (text: string): MimeEntity =>
      buildMultipart([
        buildMcpttInfo({ 'mcptt-request-uri': ALICE, 'mcptt-calling-user-id': 'sip:bob@mcptt.example' }),
        mimeEntity('text/plain', text),
      ]);
    const key = () => world.server.ceks.sealing({ userUri: ALICE, sipSession: world.ues[0].sipSession });
    const send = async (
      body: MimeEntity | undefined,
      method = 'MESSAGE',
    ): Promise<{ status: number; warning: string | undefined }> => {
      const headers = method === 'INVITE' ? { Contact: '<sip:x@127.0.0.1>' } : {};
      const answer = await world.server.sip.request({ method, uri: world.ues[0].impu, headers, body });
      return { status: answer.status, warning: warningText(answer.header('Warning')) };
    };
    const inbox = () => world.ues[0].clientOf('alice').inbox.map(({ text }) => text);

    it('takes a message under its key', async () => {
      expect(await send(await world.protection.protect(inner('good'), key()))).to.include({ status: 200 });
      expect(inbox()).to.deep.equal(['good']);
    });

    it('refuses a body in clear (403), a missing one and a malformed one (400)', async () => {
      expect((await send(inner('clear'))).status).to.equal(403);
      expect((await send(undefined)).status).to.equal(400);
      expect((await send(await world.protection.protect(mimeEntity('text/plain', 'no info'), key()))).status).to.equal(
        400,
      );
      const noCms = mimeEntity('application/pkcs7-mime', 'no CMS', [['Content-Transfer-Encoding', 'base64']]);
      expect(await send(noCms)).to.deep.equal({
        status: 493,
        warning: 'Undecipherable, Key ID none: cannot be opened',
      });
      expect(inbox()).to.deep.equal(['good']);
    });

    it('names the Key ID of a body that it cannot open (493), and why', async () => {
      const { keyId, ...rest } = key();
      const changed = await world.protection.protect(inner('changed'), key(), {
        cms: (cms) => cms.map((octet, i) => (i === cms.length - 1 ? octet ^ 1 : octet)),
      });
      expect(await send(changed)).to.deep.equal({
        status: 493,
        warning: `Undecipherable, Key ID ${keyId}: cannot be opened`,
      });
      const next = world.rekey(world.ues[0], 'alice');
      expect((await send(await world.protection.protect(inner('new key'), key()))).status).to.equal(200);
      world.keysOf(world.ues[0], 'alice').end({ keyId: next }, 'expired');
      const retired = await world.protection.protect(inner('retired'), { ...rest, keyId: next, key: key().key });
      expect(await send(retired)).to.deep.equal({ status: 493, warning: `Undecipherable, Key ID ${next}: retired` });
      expect(inbox()).to.deep.equal(['good', 'new key']);
      await world.ues[0].requestKey('alice', []);
    });

    it('refuses an INVITE in the same ways, and rings for nobody', async () => {
      expect((await send(inner('clear'), 'INVITE')).status).to.equal(403);
      expect((await send(await world.protection.protect(inner('no SDP'), key()), 'INVITE')).status).to.equal(400);
      expect(world.ues[0].calls.list()).to.deep.equal([]);
    });

    if (profile === 'kek+sign') {
      it('refuses a body that another identity than the server signed, and one that nobody signed (IBC-1)', async () => {
        const { keyId } = key();
        const refused = { status: 493, warning: `Undecipherable, Key ID ${keyId}: cannot be opened` };
        expect(
          await send(await world.protectionAs('sip:bob@mcptt.example').protect(inner('from Bob'), key())),
        ).to.deep.equal(refused);
        expect(await send(await world.protectionAs(undefined).protect(inner('from nobody'), key()))).to.deep.equal(
          refused,
        );
      });
    }
  });
}
