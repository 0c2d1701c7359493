import { expect } from 'chai';
import { until } from '../transport/support.ts';
import { Application, needs, sipp } from './support.ts';

/**
 * SIPp as an independent client, towards a drachtio-srf application on the engine.
 *
 * ```
 *   SIPp ──SIP──► engine ──control port──► drachtio-srf
 * ```
 */
describe('SIPp as client', function () {
  this.timeout(60_000);
  let application: Application;
  before(async function () {
    needs(this, 'sipp', '-v');
    application = await Application.start(['udp', 'tcp']);
  });
  after(() => application?.stop());

  /**
   * Scenario, transport, calls, packets lost in a hundred, and what the application must have seen of each call. (Where an
   * ACK is lost, BYE may come before it, and drachtio-srf has no dialog yet to report it on.)
   */
  const runs: [string, 'udp' | 'tcp', number, number, string[]][] = [
    ['register', 'udp', 100, 0, ['register']],
    ['register', 'tcp', 100, 0, ['register']],
    ['register', 'udp', 50, 10, ['register']],
    ['message', 'udp', 100, 0, ['message']],
    ['message', 'tcp', 100, 0, ['message']],
    ['message', 'udp', 50, 10, ['message']],
    ['invite', 'udp', 100, 0, ['invite', 'bye']],
    ['invite', 'tcp', 100, 0, ['invite', 'bye']],
    ['invite', 'udp', 50, 10, ['invite']],
    ['cancel', 'udp', 100, 0, ['invite', 'cancel']],
    ['cancel', 'tcp', 100, 0, ['invite', 'cancel']],
    ['prack', 'udp', 100, 0, ['invite', 'prack', 'bye']],
    ['prack', 'tcp', 100, 0, ['invite', 'prack', 'bye']],
    ['prack', 'udp', 50, 10, ['invite', 'prack']],
  ];
  for (const [scenario, transport, calls, lost, methods] of runs) {
    const loss = lost > 0 ? `, ${lost} % of the packets lost` : '';
    it(`${scenario} over ${transport}${loss}: ${calls} calls, none failed, each seen once`, async () => {
      const before = { ...application.seen };
      const run = await sipp(scenario, { calls, transport, lost, remote: application.port(transport) });
      try {
        const result = await run.done;
        expect(result, result.errors).to.include({ successful: calls, failed: 0 });
        if (lost > 0) expect(result.retransmissions).to.be.greaterThan(0);
      } finally {
        run.stop();
      }
      const seen = (method: string): number => (application.seen[method] ?? 0) - (before[method] ?? 0);
      await until('the last of the calls', () => methods.every((method) => seen(method) >= calls));
      expect(methods.map(seen)).to.deep.equal(methods.map(() => calls));
    });
  }
});
