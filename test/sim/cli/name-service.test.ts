import { createSocket, type Socket } from 'node:dgram';
import dns from 'node:dns';
import { lookup as promised } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { askEveryNameServer, isInHostsFile, quickestAddress } from '../../../sim/cli/name-service.ts';

/** A name server on a port of its own. `answer` gives the address that it says a name has, NXDOMAIN, or silence. */
class NameServer {
  readonly asked: string[] = [];
  readonly #socket: Socket = createSocket('udp4');
  readonly #answer: (name: string) => string;

  constructor(answer: (name: string) => string) {
    this.#answer = answer;
    this.#socket.on('message', (query, from) => {
      // RFC 1035 4.1: header of 12 octets, then the labels of the one question, its type and its class.
      const labels: string[] = [];
      let at = 12;
      for (; query[at] !== 0; at += query[at]! + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
      const question = query.subarray(12, at + 5);
      this.asked.push(labels.join('.'));
      const says = this.#answer(labels.join('.'));
      if (says === 'silence') return;
      const found = says !== 'NXDOMAIN';
      const head = Buffer.from([query[0]!, query[1]!, 0x81, found ? 0x80 : 0x83, 0, 1, 0, found ? 1 : 0, 0, 0, 0, 0]);
      const record = found ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...says.split('.').map(Number)] : [];
      this.#socket.send(Buffer.concat([head, question, Buffer.from(record)]), from.port, from.address);
    });
  }

  async open(): Promise<string> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }
}

describe('host names where one of several name servers is silent', () => {
  const servers: NameServer[] = [];
  const serve = (answer: (name: string) => string): Promise<string> => {
    const server = new NameServer(answer);
    servers.push(server);
    return server.open();
  };
  const before = dns.getServers();

  afterEach(() => {
    dns.setServers(before);
    for (const server of servers.splice(0)) server.close();
  });

  it('takes the answer of another than the first', async () => {
    const all = [await serve(() => 'silence'), await serve(() => 'NXDOMAIN'), await serve(() => '127.0.0.7')];
    expect(await quickestAddress('kms', all)).to.equal('127.0.0.7');
    expect(servers.map(({ asked }) => asked)).to.deep.equal([['kms'], ['kms'], ['kms']]);
  });

  it('ends with an error when none knows the name or none answers', async () => {
    const all = [await serve(() => 'silence'), await serve(() => 'NXDOMAIN')];
    const failure = await quickestAddress('kms', all).catch((cause: unknown) => cause);
    expect(failure).to.be.instanceOf(AggregateError);
    expect((failure as AggregateError).errors.map(({ code }: { code: string }) => code)).to.deep.equal([
      'ETIMEOUT',
      'ENOTFOUND',
    ]);
  });

  it('asks again where none says anything, as while all of them start anew', async () => {
    let left = 2;
    const all = [await serve(() => 'silence'), await serve(() => (left-- > 0 ? 'silence' : '127.0.0.7'))];
    expect(await quickestAddress('kms', all)).to.equal('127.0.0.7');
    expect(servers.map(({ asked }) => asked.length)).to.deep.equal([3, 3]);
  });

  it('gives up on servers that say nothing', async () => {
    const failure = await quickestAddress('kms', [await serve(() => 'silence')]).catch((cause: unknown) => cause);
    expect((failure as AggregateError).errors.map(({ code }: { code: string }) => code)).to.deep.equal(['ETIMEOUT']);
    expect(servers[0]!.asked).to.have.lengthOf(6);
  });

  it('leaves names of the hosts file to the system', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hosts-'));
    const file = join(folder, 'hosts');
    await writeFile(file, '127.0.0.1 localhost\n# 10.0.0.9 idm\n10.0.0.7\tKMS.example  kms # the KMS\n');
    const names = ['localhost', 'kms', 'kms.example', 'idm', '10.0.0.7', 'the', 'mcptt-as'];
    expect(names.filter((name) => isInHostsFile(name, file))).to.deep.equal(['localhost', 'kms', 'kms.example']);
    expect(isInHostsFile('kms', join(folder, 'none'))).to.equal(false);
    await rm(folder, { recursive: true });
  });

  describe('of a whole process', () => {
    let takeBack: () => void;
    beforeEach(() => {
      takeBack = askEveryNameServer();
    });
    afterEach(() => takeBack());

    it('connects sockets by it, through every form of look-up', async () => {
      dns.setServers([await serve(() => 'silence'), await serve(() => '127.0.0.1')]);
      const listener = createServer((socket) => socket.end('here'));
      listener.listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const socket = connect((listener.address() as { port: number }).port, 'mcptt-as');
      const [said] = (await once(socket, 'data')) as [Buffer];
      expect(said.toString()).to.equal('here');
      socket.destroy();
      listener.close();
      expect(await promised('mcptt-as')).to.deep.equal({ address: '127.0.0.1', family: 4 });
      expect(await promised('mcptt-as', { all: true })).to.deep.equal([{ address: '127.0.0.1', family: 4 }]);
      const found = await new Promise((resolve) =>
        dns.lookup('mcptt-as', (error, address, family) => resolve({ error, address, family })),
      );
      expect(found).to.deep.equal({ error: null, address: '127.0.0.1', family: 4 });
    });

    it('leaves to the system what no name server is asked for, or knows', async () => {
      dns.setServers([await serve(() => 'NXDOMAIN')]);
      expect((await promised('localhost')).address).to.be.oneOf(['127.0.0.1', '::1']);
      expect(await promised('192.0.2.1')).to.deep.equal({ address: '192.0.2.1', family: 4 });
      expect(servers[0]!.asked).to.deep.equal([]);
      const unknown = await promised('no-such-host.invalid').catch(({ code }: { code: string }) => code);
      expect(unknown).to.be.oneOf(['ENOTFOUND', 'EAI_AGAIN']);
      expect(servers[0]!.asked).to.deep.equal(['no-such-host.invalid']);
    });

    it('does not have the system wait for a server that is silent', async () => {
      dns.setServers([await serve(() => 'silence'), await serve(() => 'NXDOMAIN')]);
      const failure = await promised('no-such-host.invalid').catch((cause: NodeJS.ErrnoException) => cause);
      expect(failure).to.include({ code: 'EAI_AGAIN' });
      expect((failure as Error).message).to.equal(
        'no name server knows no-such-host.invalid, and one of them is silent',
      );
    });

    it('can be taken back', async () => {
      takeBack();
      dns.setServers([await serve(() => '127.0.0.1')]);
      const known = await promised('mcptt-as').then(
        () => true,
        () => false,
      );
      expect(known).to.equal(false);
      expect(servers[0]!.asked).to.deep.equal([]);
    });
  });
});
