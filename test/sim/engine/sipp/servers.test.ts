import { expect } from 'chai';
import type { SrfRequest } from '../support/srf.ts';
import { until } from '../transport/support.ts';
import { Application, needs, type SippRun, sipp } from './support.ts';

const CALLS = 30;

/**
 * SIPp as an independent server, called by a drachtio-srf application through the engine.
 *
 * ```
 *   drachtio-srf ──control port──► engine ──SIP──► SIPp
 * ```
 */
describe('SIPp as server', function () {
  this.timeout(60_000);
  let application: Application;
  before(async function () {
    needs(this, 'sipp', '-v');
    application = await Application.start(['udp', 'tcp']);
  });
  after(() => application?.stop());

  /** Runs a server scenario while `call` is made so many times, all at once. */
  async function serve(
    scenario: string,
    transport: 'udp' | 'tcp',
    lost: number,
    call: (uri: string) => Promise<unknown>,
  ): Promise<void> {
    const run: SippRun = await sipp(scenario, { calls: CALLS, transport, lost });
    try {
      const uri = `sip:sipp@127.0.0.1:${run.port};transport=${transport}`;
      await Promise.all(Array.from({ length: CALLS }, () => call(uri)));
      const result = await run.done;
      expect(result, result.errors).to.include({ successful: CALLS, failed: 0 });
      await until('the end of all dialogs', () => application.engine.figures.dialogs === 0);
    } finally {
      run.stop();
    }
  }

  const callAndEnd = async (uri: string): Promise<void> => {
    const dialog = await application.srf.createUAC(uri, { localSdp: 'v=0\r\n', headers: { Supported: '100rel' } });
    await dialog.destroy();
  };
  const cancel = (uri: string): Promise<void> =>
    new Promise((resolve, reject) => {
      let request: SrfRequest;
      application.srf
        .createUAC(
          uri,
          { localSdp: 'v=0\r\n' },
          { cbRequest: (_error: unknown, sent: SrfRequest) => (request = sent), cbProvisional: () => request.cancel() },
        )
        .then(
          () => reject(new Error('the call was answered')),
          (error: { status?: number }) => (error.status === 487 ? resolve() : reject(error as Error)),
        );
    });
  const message = (uri: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const options = { method: 'MESSAGE', headers: { 'Content-Type': 'text/plain' }, body: 'a message to SIPp' };
      application.srf
        .request(uri, options)
        .then((request) =>
          request.on('response', ({ status }: { status: number }) =>
            status === 200 ? resolve() : reject(new Error(`MESSAGE: ${status}`)),
          ),
        )
        .catch(reject);
    });

  const runs: [string, (uri: string) => Promise<void>][] = [
    ['uas-message', message],
    ['uas-invite', callAndEnd],
    ['uas-prack', callAndEnd],
    ['uas-cancelled', cancel],
  ];
  for (const transport of ['udp', 'tcp'] as const) {
    for (const [scenario, call] of runs) {
      it(`${scenario} over ${transport}: ${CALLS} calls, none failed`, () => serve(scenario, transport, 0, call));
    }
  }
  for (const [scenario, call] of runs.slice(0, 2)) {
    it(`${scenario} over udp, 10 % of the packets lost: ${CALLS} calls, none failed`, () =>
      serve(scenario, 'udp', 10, call));
  }
});
