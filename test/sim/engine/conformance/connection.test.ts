import { expect } from 'chai';
import { until } from '../support/wait.ts';
import { Target } from './target.ts';

describe('control protocol, sections 1 to 3: framing, set-up, routes', () => {
  let target: Target;
  before(async () => {
    target = await Target.start();
  });
  afterEach(() => target.closeAll());
  after(() => target.stop());

  it('authenticate: OK, hostports, version, local hostports', async () => {
    const app = await target.stranger();
    app.sendMessage(`c0295787|authenticate|${target.secret}|`);
    const { tokens, sip } = await app.reply('c0295787');
    expect(tokens.slice(1, 4)).to.deep.equal(['response', 'c0295787', 'OK']);
    expect(tokens[4]).to.match(/^(\w+\/[^,]+:\d+)(,\w+\/[^,]+:\d+)*$/);
    expect(tokens[5]).to.match(/^v(\d+)\.(\d+)\.(\d+)/);
    expect(tokens[6]).to.match(/^(\w+\/[^,]+:\d+)(,\w+\/[^,]+:\d+)*$/);
    expect(tokens).to.have.length(7);
    expect(sip).to.equal(undefined);
  });

  it('authenticate with tags', async () => {
    const app = await target.stranger();
    const { tokens } = await app.ask(`authenticate|${target.secret}|tagA,tagB`);
    expect(tokens[3]).to.equal('OK');
  });

  it('a wrong secret: NO|incorrect secret, then the connection closes', async () => {
    const app = await target.stranger();
    const { tokens } = await app.ask('authenticate|wrong|');
    expect(tokens.slice(3)).to.deep.equal(['NO', 'incorrect secret']);
    await until('the server to close', () => app.closed);
  });

  it('ping: OK|pong, even before authenticate', async () => {
    const app = await target.stranger();
    expect((await app.ask('ping')).tokens.slice(3)).to.deep.equal(['OK', 'pong']);
  });

  it('route: OK; the same verb again: OK', async () => {
    const app = await target.app();
    expect((await app.ask('route|register')).tokens.slice(3)).to.deep.equal(['OK']);
    expect((await app.ask('route|register')).tokens.slice(3)).to.deep.equal(['OK']);
  });

  it('every message id of the server is a fresh one', async () => {
    const app = await target.app();
    const ids = [await app.ask('ping'), await app.ask('ping')].map((frame) => frame.id);
    expect(ids[0]).to.match(/^[0-9a-f-]{36}$/);
    expect(ids[0]).to.not.equal(ids[1]);
  });

  it('several frames in one write are all answered', async () => {
    const app = await target.app();
    app.socket.write('7#p1|ping7#p2|ping7#p3|ping');
    for (const id of ['p1', 'p2', 'p3']) expect((await app.reply(id)).tokens[4]).to.equal('pong');
  });

  it('a frame in pieces is put together', async () => {
    const app = await target.app();
    const other = await target.app();
    for (const piece of ['7#p1|', 'pi', 'ng']) {
      app.socket.write(piece);
      // A round trip on another connection: time enough for the piece to be read by itself.
      await other.ask('ping');
    }
    expect((await app.reply('p1')).tokens[4]).to.equal('pong');
  });

  for (const [what, octets] of [
    ['a LENGTH of six digits', '123456#x'],
    ['a LENGTH that is no number', 'hello'],
    ['no LENGTH at all', '#p|ping'],
  ] as const) {
    it(`${what} ends the connection, and that connection only`, async () => {
      const other = await target.app();
      const app = await target.app();
      app.socket.write(octets);
      await until('the server to close', () => app.closed);
      expect((await other.ask('ping')).tokens[4]).to.equal('pong');
    });
  }
});
