import { expect } from 'chai';
import { createTestCa } from '../../../actors/security/ca.ts';
import type { Actor, ActorKind } from '../../../sim/control/actor.ts';
import { RemoteControl } from '../../../sim/control/remote.ts';
import { ControlServer } from '../../../sim/control/server.ts';
import { RUNNER_URI } from '../../../sim/control/wire.ts';
import { ManualClock } from '../../../sim/engine/clock.ts';
import type { MessageRecord, Report } from '../../../sim/trace/record.ts';
import { createRecorder } from '../../../sim/trace/recorder.ts';
import { Trace } from '../../../sim/trace/trace.ts';

/** An actor that reports a message when told to: `{direction, peer, correlation}`. */
function teller(kind: ActorKind, report: Report): Actor {
  return {
    name: kind,
    kind,
    start: () => Promise.resolve({}),
    connect: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    verbs: {
      tell: ({ direction, peer, correlation }) => {
        report({
          direction: direction as 'sent' | 'received',
          interface: 'HTTP-1',
          peer: peer as string,
          protocol: 'http',
          bytes: Buffer.from(`POST /${correlation as string} HTTP/1.1\r\n\r\n`),
          correlation: correlation as string,
        });
        return Promise.resolve(null);
      },
    },
    readings: { health: () => ({ ok: true }) },
  };
}

describe('records of remote actors', () => {
  it('merge into one causal order, though one machine’s clock is a minute behind and its records come first', async () => {
    const ca = await createTestCa();
    const runner = await ca.issue({ commonName: 'runner', uri: [RUNNER_URI] });
    const trace = new Trace();
    const stops: (() => Promise<void>)[] = [];
    const remote = async (kind: ActorKind, now: number): Promise<RemoteControl> => {
      let deliver: (record: MessageRecord) => void = () => {};
      const report = createRecorder({ actor: kind, clock: new ManualClock(now), sink: (record) => deliver(record) });
      const tls = await ca.issue({ commonName: kind, ip: ['127.0.0.1'] });
      const actor = teller(kind, report);
      const server = new ControlServer({ actor, tls, host: '127.0.0.1', port: 0, waitingFor: () => [] });
      deliver = server.sink;
      const port = await server.start();
      const control = new RemoteControl({ name: kind, kind, url: `https://127.0.0.1:${port}`, tls: runner });
      await control.open();
      control.onRecord((record) => trace.add(record));
      stops.push(
        () => control.close(),
        () => server.stop(),
      );
      return control;
    };
    try {
      const ue = await remote('ue', 100_000);
      const kms = await remote('kms', 40_000);
      const tell = (who: RemoteControl, direction: string, peer: string, correlation: string): Promise<unknown> =>
        who.do('tell', { direction, peer, correlation });
      await tell(kms, 'received', 'ue', 'question');
      await tell(kms, 'sent', 'ue', 'answer');
      await tell(ue, 'sent', 'kms', 'question');
      await tell(ue, 'received', 'kms', 'answer');
      await tell(ue, 'sent', 'kms', 'thanks');
      const arrows = trace.arrows();
      expect(arrows.map(({ summary }) => summary)).to.deep.equal(['POST /question', 'POST /answer', 'POST /thanks']);
      expect(arrows.map(({ from, to }) => `${from} ${to}`)).to.deep.equal(['ue kms', 'kms ue', 'ue kms']);
      expect(arrows.slice(0, 2).every(({ sent, received }) => sent !== undefined && received !== undefined)).to.equal(
        true,
      );
    } finally {
      for (const stop of stops) await stop();
    }
  });
});
