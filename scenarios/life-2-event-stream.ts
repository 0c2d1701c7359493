import { expect } from 'chai';
import type { Scenario } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { cameOn } from './checks/exchange.ts';
import { mcpttId, sharedKey } from './checks/keys.ts';
import { header } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { isEventOf, replaced } from './steps/life-2.ts';

/**
 * LIFE-2 (pCR 7.x.3): the client's event stream is lost while the KMS changes the key; it resumes and has missed nothing.
 *
 * ```
 * UE                                   KMS                    MCPTT server
 *  │◀── event stream ──────────────────┤                        │
 *  ├──╳ lost                           ├── push: new CEK ──────▶│
 *  ├── GET events, Last-Event-ID: n ──▶│                        │
 *  │◀── event n+1: new CEK ────────────┤                        │
 * ```
 */
export const life2EventStream: Scenario = {
  id: 'life-2-event-stream',
  title: 'A lost event stream resumes with Last-Event-ID and has missed nothing',
  requirements: ['LIFE-2', 'INT-2'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('bound'),
    {
      number: '5',
      title: 'The key changes while the stream is down; the UE comes back with Last-Event-ID and learns the new key',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 15_000,
      run: async (t) => {
        const event = { interface: 'HTTP-1', actor: 'ue', direction: 'received' } as const;
        await t.expect(
          'the first event',
          { ...event, where: (r) => /^id: \d+\nevent: cek\n/.test(text(r.bytes)) },
          { span: 'all' },
        );
        const old = await sharedKey(t, 'alice');
        await t.actor('ue').do('dropEvents', { user: 'alice' });
        await t.actor('kms').do('cekRotate', { user: mcpttId(t, 'alice') });
        t.hold('ue', 'pCR 7.x.3');
        const again = await t.expect('the stream opened again', {
          interface: 'HTTP-1',
          actor: 'ue',
          direction: 'sent',
          method: 'GET',
          where: (r) => text(r.bytes).includes('/keymanagement/cek/v1/events'),
        });
        const last = Number(header(again, 'Last-Event-ID'));
        const now = await replaced(t, old);
        t.hold('kms', 'pCR 7.x.3');
        // Not the first event: on a slow machine that comes as late as in this step.
        const missed = await t.expect('the event that was missed', { ...event, where: isEventOf(now.keyId) });
        const id = idOf(t.about(missed));
        expect(id, 'id of the event after the last one').to.be.greaterThan(last);
        for (const one of t.records({ ...event, where: (r) => cameOn(r, again) }))
          if (/^id: /.test(text(one.bytes)))
            expect(idOf(t.about(one)), 'id of an event on the resumed stream').to.be.greaterThan(last);
        t.show('Resumed', `Last-Event-ID ${last}, then event ${id} with ${now.keyId}`);
        await t.actor('ue').do('publish', { user: 'alice' });
      },
    },
  ],
};

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const idOf = ({ bytes }: MessageRecord): number => Number(/^id: (\d+)/.exec(text(bytes))?.[1]);
