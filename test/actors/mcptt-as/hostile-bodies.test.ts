import { expect } from 'chai';
import fc from 'fast-check';
import { refusal, startWorld, type World } from './world.ts';

describe('bodies that nobody should send', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ profile: 'kek+sign' });
    await world.bind(world.ues[0], 'alice');
    await world.bind(world.ues[1], 'bob');
  });
  after(() => world?.close());

  it('every body gets a 4xx and never harms the server', async () => {
    const [ue] = world.ues;
    const type = fc.constantFrom(
      'application/pkcs7-mime; smime-type=authEnveloped-data; name="smime.p7m"',
      'application/pkcs7-mime',
      'multipart/mixed; boundary=x',
      'multipart/mixed',
      'text/plain',
      'application/sdp',
    );
    const body = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 300 }).map((octets) => Buffer.from(octets).toString('base64')),
      fc.string({ minLength: 1, maxLength: 200 }),
      fc
        .array(
          fc.constantFrom('--x', '--x--', '\r\n', 'Content-Type: application/vnd.3gpp.mcptt-info+xml', '<a>', '&b;'),
          { minLength: 1 },
        )
        .map((parts) => parts.join('')),
    );
    await fc.assert(
      fc.asyncProperty(type, body, fc.boolean(), async (contentType, text, publish) => {
        const wrong = [
          { at: 'sip', op: 'set', path: 'Content-Type', value: contentType } as const,
          { at: 'sip', op: 'set', path: 'body', value: text } as const,
        ];
        const sent = publish
          ? ue.publish('alice', wrong)
          : ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x', wrong);
        expect((await refusal(sent)).status).to.be.within(400, 499);
      }),
      { numRuns: 60 },
    );
    expect(await ue.sendMessage('alice', 'sip:bob@mcptt.example', 'still here', [])).to.deep.equal({ status: 200 });
  });

  it('any single wrong octet of a protected body is refused', async () => {
    const [ue] = world.ues;
    const inboxBefore = world.ues[1].clientOf('bob').inbox.length;
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 1200 }), async (offset) => {
        const flipped = [{ at: 'cms', op: 'flip', path: String(-1 - offset) } as const];
        const { status } = await refusal(ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x'.repeat(400), flipped));
        expect(status).to.be.within(400, 499);
      }),
      { numRuns: 60 },
    );
    expect(world.ues[1].clientOf('bob').inbox).to.have.length(inboxBefore);
  });

  it('a body above the limit of a drachtio-server is refused by the engine, and the server goes on', async () => {
    const [ue] = world.ues;
    const long = await refusal(ue.sendMessage('alice', 'sip:bob@mcptt.example', 'x'.repeat(9000), []));
    expect(long.status).to.be.within(400, 499);
    expect(await ue.sendMessage('alice', 'sip:bob@mcptt.example', 'short', [])).to.deep.equal({ status: 200 });
  });
});
