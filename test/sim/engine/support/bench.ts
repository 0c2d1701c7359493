import { Engine, type EngineAddresses, type EngineOptions, ManualClock } from '../../../../sim/engine/index.ts';
import { RawApp } from './app.ts';
import { testCertificate } from './certificate.ts';
import { Peer, type Where } from './peer.ts';

/** An engine on loopback with its applications and peers, all closed together. */
export class Bench {
  readonly engine: Engine;
  readonly clock: ManualClock;
  readonly log: string[] = [];
  addresses!: EngineAddresses;
  readonly #open: { close(): Promise<void> }[] = [];

  private constructor(engine: Engine, clock: ManualClock, log: string[]) {
    this.engine = engine;
    this.clock = clock;
    this.log = log;
  }

  /** Listens on UDP, TCP and WSS; time is a ManualClock's. */
  static async start(options: Partial<EngineOptions> = {}): Promise<Bench> {
    const clock = new ManualClock();
    const log: string[] = [];
    const engine = new Engine({
      listen: [
        { protocol: 'udp', host: '127.0.0.1', port: 0 },
        { protocol: 'tcp', host: '127.0.0.1', port: 0 },
        { protocol: 'wss', host: '127.0.0.1', port: 0 },
      ],
      control: { host: '127.0.0.1', port: 0, secret: 'cymru' },
      tls: await testCertificate(),
      clock,
      log: (level, text) => log.push(`${level}: ${text}`),
      ...options,
    });
    const bench = new Bench(engine, clock, log);
    bench.addresses = await engine.start();
    return bench;
  }

  at(protocol: 'udp' | 'tcp' | 'wss'): Where {
    return this.addresses.listen.find((point) => point.protocol === protocol)!;
  }

  async app(...verbs: readonly string[]): Promise<RawApp> {
    const app = await RawApp.connect(this.addresses.control);
    this.#open.push(app);
    await app.route(...verbs);
    return app;
  }

  async peer(protocol: 'udp' | 'tcp' | 'wss' = 'udp'): Promise<Peer> {
    const peer = await Peer[protocol](this.at(protocol));
    this.#open.push(peer);
    return peer;
  }

  async stop(): Promise<void> {
    for (const item of this.#open) await item.close();
    await this.engine.stop();
  }
}
