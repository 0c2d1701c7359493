import { expect } from 'chai';
import { Engine, type Protocol } from '../../../sim/engine/index.ts';
import { connectSrf, newSrf, responseTo, type Srf, type SrfDialog, type SrfRequest } from './support/srf.ts';
import { until } from './support/wait.ts';
import { makeCertificate } from './transport/support.ts';

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp', 'tls', 'ws', 'wss'];

/** An engine with one application, that listens on one protocol and address alone. */
class Side {
  readonly engine: Engine;
  readonly srf: Srf = newSrf();
  /** Of the last dialog that a call opened here. */
  dialog: SrfDialog | undefined;
  ended = 0;
  uri = '';

  private constructor(engine: Engine) {
    this.engine = engine;
  }

  static async start(protocol: Protocol, host: string, tls: { key: string; cert: string }): Promise<Side> {
    const side = new Side(
      new Engine({
        listen: [{ protocol, host, port: 0 }],
        control: { host, port: 0, secret: 'cymru' },
        tls: { privateKey: tls.key, certificate: tls.cert, ca: tls.cert },
      }),
    );
    const { control, listen } = await side.engine.start();
    const written = host.includes(':') ? `[${host}]` : host;
    side.uri = `sip:side@${written}:${listen[0]!.port};transport=${protocol}`;
    side.srf.message((request, response) => {
      response.send(200, { headers: { 'X-Source': `${request.protocol} ${request.source_address}` } });
    });
    side.srf.invite((request, response) => {
      void side.srf.createUAS(request, response, { localSdp: SDP }).then((dialog) => side.#hold(dialog));
    });
    await connectSrf(side.srf, control);
    await until('the routes', () => side.engine.figures.routes === 2);
    return side;
  }

  async call(to: Side): Promise<SrfDialog> {
    return this.#hold(await this.srf.createUAC(to.uri, { localSdp: SDP }));
  }

  #hold(dialog: SrfDialog): SrfDialog {
    this.dialog = dialog;
    dialog.on('modify', (_request: SrfRequest, response: { send(status: number, options: object): void }) =>
      response.send(200, { body: SDP }),
    );
    dialog.on('destroy', () => this.ended++);
    return dialog;
  }

  async stop(): Promise<void> {
    this.srf.disconnect();
    await this.engine.stop();
  }
}

describe('sim/engine: applications on every transport, IPv4 and IPv6', () => {
  let tls: { key: string; cert: string };
  before(async () => {
    tls = await makeCertificate();
  });

  for (const protocol of PROTOCOLS) {
    for (const host of ['127.0.0.1', '::1']) {
      it(`${protocol} on ${host}: MESSAGE both ways; a call, re-INVITE from either end, BYE from either end`, async () => {
        const sides = [await Side.start(protocol, host, tls), await Side.start(protocol, host, tls)] as const;
        const [a, b] = sides;
        try {
          for (const [from, to] of [
            [a, b],
            [b, a],
          ] as const) {
            const request = await from.srf.request(to.uri, {
              method: 'MESSAGE',
              headers: { 'Content-Type': 'text/plain' },
              body: 'hello',
            });
            const response = await responseTo(request);
            expect(response.status).to.equal(200);
            // WebSocket shows as tcp (contract, section 4).
            expect(response.get('x-source')).to.equal(`${protocol.startsWith('ws') ? 'tcp' : protocol} ${host}`);
          }
          for (const hangUp of sides) {
            const ended = a.ended + b.ended;
            b.dialog = undefined;
            const dialog = await a.call(b);
            await until('the dialog of the callee', () => b.dialog !== undefined);
            expect(await dialog.modify(SDP)).to.equal(SDP);
            expect(await b.dialog!.modify(SDP)).to.equal(SDP);
            await hangUp.dialog!.destroy();
            await until('the BYE', () => a.ended + b.ended === ended + 1);
          }
          for (const { engine } of sides) expect(engine.figures.dialogs).to.equal(0);
        } finally {
          for (const side of sides) await side.stop();
        }
      });
    }
  }
});
