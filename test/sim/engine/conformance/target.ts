import { Engine } from '../../../../sim/engine/index.ts';
import { RawApp } from '../support/app.ts';
import { Peer, type Where } from '../support/peer.ts';

/**
 * The server under test: the embedded engine, or whatever listens at `DRACHTIO=host:port` (control port; the secret in
 * `DRACHTIO_SECRET`, else `cymru`). Of a real server the SIP addresses are learnt from its answer to `authenticate`.
 */
export class Target {
  readonly control: Where;
  readonly secret: string;
  readonly udp: Where;
  readonly tcp: Where;
  readonly #engine: Engine | undefined;
  readonly #open: { close(): Promise<void> }[] = [];

  private constructor(control: Where, secret: string, hostports: string, engine: Engine | undefined) {
    this.control = control;
    this.secret = secret;
    this.udp = find(hostports, 'udp');
    this.tcp = find(hostports, 'tcp');
    this.#engine = engine;
  }

  static async start(): Promise<Target> {
    const external = process.env.DRACHTIO;
    const secret = process.env.DRACHTIO_SECRET ?? 'cymru';
    if (external === undefined) {
      const engine = new Engine({
        listen: [
          { protocol: 'udp', host: '127.0.0.1', port: 0 },
          { protocol: 'tcp', host: '127.0.0.1', port: 0 },
        ],
        control: { host: '127.0.0.1', port: 0, secret },
      });
      const { control, listen } = await engine.start();
      const hostports = listen.map((point) => `${point.protocol}/${point.host}:${point.port}`).join(',');
      return new Target(control, secret, hostports, engine);
    }
    const at = external.lastIndexOf(':');
    const control = { host: external.slice(0, at), port: Number(external.slice(at + 1)) };
    const app = await RawApp.open(control);
    const { tokens } = await app.ask(`authenticate|${secret}|`);
    await app.close();
    return new Target(control, secret, tokens[4] ?? '', undefined);
  }

  /** An application that has authenticated and serves these verbs. */
  async app(...verbs: readonly string[]): Promise<RawApp> {
    const app = await RawApp.connect(this.control, this.secret);
    this.#open.push(app);
    await app.route(...verbs);
    return app;
  }

  /** A connection to the control port that has said nothing yet. */
  async stranger(): Promise<RawApp> {
    const app = await RawApp.open(this.control);
    this.#open.push(app);
    return app;
  }

  async peer(): Promise<Peer> {
    const peer = await Peer.udp(this.udp);
    this.#open.push(peer);
    return peer;
  }

  async tcpPeer(): Promise<Peer> {
    const peer = await Peer.tcp(this.tcp);
    this.#open.push(peer);
    return peer;
  }

  /** Closes what a test opened. */
  async closeAll(): Promise<void> {
    for (const item of this.#open.splice(0)) await item.close();
  }

  async stop(): Promise<void> {
    await this.closeAll();
    await this.#engine?.stop();
  }
}

function find(hostports: string, protocol: string): Where {
  const match = new RegExp(`(?:^|,)${protocol}/([^,]+):(\\d+)`).exec(hostports);
  if (match === null) throw new Error(`the server under test listens on no ${protocol}: "${hostports}"`);
  return { host: match[1]!, port: Number(match[2]) };
}

/** HH:MM:SS.uuuuuu */
export const TIME = /^\d\d:\d\d:\d\d\.\d{6}$/;
export const NOT_EMPTY = /./;
export const NUMBER = /^\d+$/;
