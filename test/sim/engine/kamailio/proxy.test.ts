import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { missing } from '../sipp/support.ts';
import { Bench } from '../support/bench.ts';
import {
  connectSrf,
  newSrf,
  responseTo,
  type Srf,
  type SrfDialog,
  type SrfRequest,
  type SrfResponse,
} from '../support/srf.ts';
import { until } from '../support/wait.ts';
import { Kamailio } from './support.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

/** An application on an engine of its own: one user agent. */
class Agent {
  readonly bench: Bench;
  readonly srf: Srf = newSrf();
  readonly heard: string[] = [];
  dialog: SrfDialog | undefined;

  private constructor(bench: Bench) {
    this.bench = bench;
  }

  /** @param serve sets the application's handlers. */
  static async start(serve: (agent: Agent) => void): Promise<Agent> {
    const agent = new Agent(await Bench.start());
    serve(agent);
    await connectSrf(agent.srf, agent.bench.addresses.control);
    return agent;
  }

  async stop(): Promise<void> {
    this.srf.disconnect();
    await this.bench.stop();
  }

  contact(user: string, transport: 'udp' | 'tcp'): string {
    return `<sip:${user}@127.0.0.1:${this.bench.at(transport).port}${transport === 'udp' ? '' : ';transport=tcp'}>`;
  }

  /** Registers at kamailio, which challenges; @returns the status in the end. */
  async register(kamailio: Kamailio, user: string, transport: 'udp' | 'tcp', expires = 60, password = 'kamailio') {
    const address = `<sip:${user}@testbed>`;
    const request = await this.srf.request('sip:testbed', {
      method: 'REGISTER',
      proxy: kamailio.uri(user, transport),
      headers: { To: address, From: address, Contact: `${this.contact(user, transport)};expires=${expires}` },
      auth: { username: user, password },
    });
    return responseTo(request);
  }

  /** Rings, then answers with `status`; 0: rings until it is cancelled. */
  ring(status: number): void {
    this.srf.invite((request, response) => {
      this.heard.push('INVITE');
      request.on('cancel', () => this.heard.push('CANCEL'));
      response.send(180);
      if (status === 200) void this.#answer(request, response);
      else if (status > 0) response.send(status);
    });
  }

  async #answer(request: SrfRequest, response: SrfResponse): Promise<void> {
    this.dialog = await this.srf.createUAS(request, response, { localSdp: SDP });
    this.dialog.on('destroy', () => this.heard.push('BYE'));
    this.dialog.on('modify', (_request: SrfRequest, answer: SrfResponse) => answer.send(200, { body: SDP }));
  }
}

describe('kamailio as registrar and proxy between applications', function () {
  this.timeout(30_000);
  let kamailio: Kamailio | undefined;
  const agents: Agent[] = [];

  before(async function () {
    if (spawnSync('kamailio', ['-v'], { stdio: 'ignore' }).error !== undefined) {
      missing(this, 'kamailio is not installed (Debian: kamailio)');
    }
    kamailio = await Kamailio.start();
  });
  afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.stop())));
  after(() => kamailio?.stop());

  const start = async (serve: (agent: Agent) => void = () => undefined): Promise<Agent> => {
    const agent = await Agent.start(serve);
    agents.push(agent);
    return agent;
  };

  it('REGISTER: challenged, granted, refused with a wrong password, and undone', async () => {
    const agent = await start();
    const granted = await agent.register(kamailio!, 'digest', 'udp');
    expect(granted.status).to.equal(200);
    expect(granted.get('contact')).to.include(agent.contact('digest', 'udp'));
    expect((await agent.register(kamailio!, 'digest', 'udp', 60, 'wrong')).status).to.equal(401);
    const undone = await agent.register(kamailio!, 'digest', 'tcp', 0);
    expect(undone.status).to.equal(200);
  });

  for (const transport of ['udp', 'tcp'] as const) {
    it(`a forked INVITE over ${transport}: one answers, the other is cancelled; re-INVITE and BYE along Record-Route`, async () => {
      const user = `fork-${transport}`;
      const caller = await start();
      const busy = await start((agent) => agent.ring(0));
      const willing = await start((agent) => agent.ring(200));
      for (const agent of [busy, willing]) await agent.register(kamailio!, user, transport);
      const dialog = await caller.srf.createUAC(kamailio!.uri(user, transport), { localSdp: SDP });
      await until('the CANCEL', () => busy.heard.includes('CANCEL'));
      await until('the dialog of the callee', () => willing.dialog !== undefined);
      dialog.on('modify', (_request: SrfRequest, answer: SrfResponse) => answer.send(200, { body: SDP }));
      expect(await dialog.modify(SDP)).to.equal(SDP);
      expect(await willing.dialog!.modify(SDP)).to.equal(SDP);
      await dialog.destroy();
      await until('the BYE', () => willing.heard.includes('BYE'));
      for (const agent of [caller, busy, willing]) expect(agent.bench.engine.figures.dialogs).to.equal(0);
    });
  }

  it('a forked INVITE that all refuse: the best response comes back, and is acknowledged', async () => {
    const caller = await start();
    for (const status of [486, 603]) {
      await (await start((agent) => agent.ring(status))).register(kamailio!, 'refusing', 'udp');
    }
    const failure: unknown = await caller.srf.createUAC(kamailio!.uri('refusing'), { localSdp: SDP }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).to.have.property('status', 603);
  });

  it('a caller that gives up: CANCEL reaches every branch, 487 comes back', async () => {
    const caller = await start();
    const rings = [await start((agent) => agent.ring(0)), await start((agent) => agent.ring(0))];
    for (const agent of rings) await agent.register(kamailio!, 'ringing', 'udp');
    let invite: SrfRequest | undefined;
    let cancelled = false;
    const failure: unknown = await caller.srf
      .createUAC(
        kamailio!.uri('ringing'),
        { localSdp: SDP },
        {
          cbRequest: (_error: unknown, request: SrfRequest) => {
            invite = request;
          },
          cbProvisional: () => {
            if (cancelled || !rings.every((agent) => agent.heard.includes('INVITE'))) return;
            cancelled = true;
            invite!.cancel();
          },
        },
      )
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(failure).to.have.property('status', 487);
    for (const agent of rings) await until('CANCEL', () => agent.heard.includes('CANCEL'));
  });

  it('an application as proxy before kamailio: both stay in the path of the dialog, UDP on one side and TCP on the other', async () => {
    const caller = await start();
    const callee = await start((agent) => agent.ring(200));
    await callee.register(kamailio!, 'behind', 'tcp');
    const front = await start((agent) => {
      agent.srf.invite((request) => {
        void request.proxy({ remainInDialog: true, destination: kamailio!.uri('behind', 'tcp') });
      });
    });
    const dialog = await caller.srf.createUAC(`sip:behind@127.0.0.1:${front.bench.at('udp').port}`, { localSdp: SDP });
    await until('the dialog of the callee', () => callee.dialog !== undefined);
    expect(await dialog.modify(SDP)).to.equal(SDP);
    const ended = new Promise((resolve) => dialog.once('destroy', resolve));
    await callee.dialog!.destroy();
    await ended;
    expect(front.bench.engine.figures.dialogs).to.equal(0);
  });

  it('MESSAGE to a user that is not there: 404; to one that is: its answer', async () => {
    const sender = await start();
    const receiver = await start((agent) =>
      agent.srf.message((request, response) => {
        agent.heard.push(request.body);
        response.send(202);
      }),
    );
    await receiver.register(kamailio!, 'reader', 'udp');
    const message = { method: 'MESSAGE', headers: { 'Content-Type': 'text/plain' }, body: 'grüße' };
    const statuses = [];
    for (const user of ['nobody', 'reader']) {
      statuses.push((await responseTo(await sender.srf.request(kamailio!.uri(user, 'tcp'), message))).status);
    }
    expect(statuses).to.deep.equal([404, 202]);
    expect(receiver.heard).to.deep.equal(['grüße']);
  });
});
