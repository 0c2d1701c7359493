import { expect } from 'chai';
import { ControlError } from '../sim/control/actor.ts';
import type { Scenario } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { cekElements } from './checks/cek-element.ts';
import { answers } from './checks/exchange.ts';
import { bindings, mcpttId, serverKeys, sharedKey } from './checks/keys.ts';
import { body, startLine } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * LIFE-4 (pCR 7.x.3): a server that restarted asks the KMS for the CEKs of its sessions and goes on.
 *
 * ```
 * UE A, UE B                 KMS                           MCPTT server
 *  │                          │                               ╳ restarts, all keys forgotten
 *  │                          │◀──── CekRequest* (sessions) ──┤
 *  │                          ├──── Cek* ────────────────────▶│
 *  ├── MESSAGE under the same keys ··························▶│ goes on
 * ```
 */
export const life4ServerRestarts: Scenario = {
  id: 'life-4-server-restarts',
  title: 'The MCPTT server restarts, fetches the CEKs of its sessions and goes on',
  requirements: ['LIFE-4', 'INT-2'],
  actors: withUes('ue', 'ue-b'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound', { ue: ['alice'], 'ue-b': ['bob'] }),
    {
      number: '5',
      title: 'The restarted server holds the same keys again, and messages go on under them',
      clause: 'pCR 7.x.3',
      responsible: 'mcptt-as',
      guard: 15_000,
      run: async (t) => {
        const [a, b] = [await sharedKey(t, 'alice'), await sharedKey(t, 'bob', 'ue-b')];
        const [{ keyIds }, during] = await Promise.all([
          t.actor('mcptt-as').do<{ keyIds: string[] }>('restart'),
          statusOf(
            t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'are you restarting?' }),
          ),
        ]);
        const isRequest = (r: MessageRecord): boolean => startLine(r).includes('/keymanagement/cek/v1/sessions');
        const requests = t.records({ interface: 'HTTP-1', where: isRequest });
        const given = t.records({ interface: 'HTTP-1', where: (r) => requests.some((one) => answers(r, one)) }).at(-1);
        if (given !== undefined) {
          t.hold('kms', 'pCR 7.x.3');
          expect(
            cekElements(body(t.about(given))).map((cek) => cek.keyId),
            'CEKs of its sessions that the KMS gave the server',
          ).to.include.members([a.keyId, b.keyId]);
          t.hold('mcptt-as', 'pCR 7.x.3');
        }
        // It may wait or say that it cannot serve now, but not that a key of a kept session is unknown, or its user.
        expect([403, 404, 493], 'answers to a MESSAGE that came during the restart').not.to.include(during);
        expect(keyIds, 'Key IDs that the server fetched').to.include.members([a.keyId, b.keyId]);
        const request = await t.expect('the request for the CEKs of its sessions', {
          interface: 'HTTP-1',
          actor: 'mcptt-as',
          direction: 'sent',
          method: 'POST',
          where: (r) => Buffer.from(r.bytes).includes('/keymanagement/cek/v1/sessions'),
        });
        t.about(request);
        expect(await sharedKey(t, 'alice'), 'alice’s key').to.deep.equal(a);
        expect(await sharedKey(t, 'bob', 'ue-b'), 'bob’s key').to.deep.equal(b);
        expect((await serverKeys(t)).length, 'keys at the server').to.be.at.least(2);
        await t.actor('ue').do('sendMessage', { user: 'alice', to: mcpttId(t, 'bob'), text: 'still there?' });
        await t.actor('ue-b').do('sendMessage', { user: 'bob', to: mcpttId(t, 'alice'), text: 'still here' });
        const inbox = await t.actor('ue').read<{ text: string }[]>('messages', { user: 'alice' });
        expect(
          inbox.map(({ text }) => text),
          'alice’s messages',
        ).to.deep.equal(['still here']);
        expect(
          (await bindings(t)).map((x) => x.mcpttId),
          'bindings',
        ).to.have.members([mcpttId(t, 'alice'), mcpttId(t, 'bob')]);
      },
    },
  ],
};

/** The status by which a request was answered, whether it was carried or refused. */
async function statusOf(doing: Promise<unknown>): Promise<unknown> {
  try {
    return ((await doing) as { status: number }).status;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return error.detail.status;
  }
}
