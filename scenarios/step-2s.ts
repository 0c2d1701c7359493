import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import { mcpttId } from './checks/keys.ts';
import { refusedBySip } from './checks/refusal.ts';
import { startLine } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * STEP-2S (step 2 of the pCR): after the third-party registration the server offers default service, which policy names, and
 * nothing else.
 *
 * ```
 * UE                          MCPTT server, policy
 *  ├── OPTIONS ──────────────────▶│ [OPTIONS]            200      MESSAGE 403
 *  ├── OPTIONS ──────────────────▶│ []                   403
 *  ├── MESSAGE ──────────────────▶│ [OPTIONS, MESSAGE]   200
 * ```
 */
export const step2S: Scenario = {
  id: 'step-2s',
  title: 'After step 2 the server serves what its default service names and refuses the rest',
  requirements: ['STEP-2S', 'STEP-2'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('logged-in'),
    {
      number: '2',
      title: 'The default service is answered, everything else is not; policy moves the border',
      clause: 'pCR 7.x.2, step 2',
      responsible: 'mcptt-as',
      guard: 20_000,
      run: async (t) => {
        const ue = t.actor('ue');
        const server = t.actor('mcptt-as');
        const deviate = [{ at: 'cms', op: 'set', path: 'protection', value: 'none' }];
        const message = (): Promise<unknown> =>
          ue.do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'hello', deviate });
        expect(await ue.do('options'), 'OPTIONS').to.include({ status: 200 });
        await refusedBySip(t, 'MESSAGE', message(), 403);
        await server.do('setPolicy', { defaultServices: [] });
        await refusedBySip(t, 'OPTIONS that policy does not name', ue.do('options'), 403);
        await server.do('setPolicy', { defaultServices: ['OPTIONS', 'MESSAGE'] });
        expect(await message(), 'MESSAGE that policy names').to.include({ status: 200 });
        t.show('Default service', 'OPTIONS by default; what policy names and nothing more');
      },
    },
    {
      number: '2-bis',
      title: 'Without a registration there is no default service either',
      clause: 'pCR 7.x.2, step 2',
      responsible: 'mcptt-as',
      guard: 10_000,
      run: async (t) => {
        const impu = (await t.actor('ue').read<{ impu: string }>('registration')).impu;
        await t.actor('sip-core').do('deregisterSubscriber', { impu });
        await refusedBySip(t, 'OPTIONS after de-registration', t.actor('ue').do('options'), 403);
        t.hold('sip-core', 'TS 24.229 5.2.6.3.2');
        const passed = t.records({ interface: 'SIP-2', where: (r) => startLine(r).startsWith('OPTIONS ') });
        expect(passed, 'requests of a UE that is not registered, passed on by the core').to.deep.equal([]);
      },
    },
  ],
};
