import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { attempt } from './checks/attempt.ts';
import { client, expectForgotten, expectRetired, heldByUe, sharedKey } from './checks/keys.ts';
import { body, header } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';
import { ends, oldKeyIdIsRefused } from './steps/life-1.ts';

const logins = async (t: StepContext): Promise<number> =>
  (await t.actor('idm').read<{ user: string }[]>('sessions')).filter(({ user }) => user === 'alice').length;

/** A token and nothing to be granted for it (RFC 7009 2.1), wherever the IdM takes it. */
const isRevocation = (record: MessageRecord): boolean => {
  const form = new URLSearchParams(body(record));
  return form.has('token') && !form.has('grant_type');
};

/**
 * LIFE-1 (pCR 7.x.3): the user logs off (TS 24.379 7.2.1A, RFC 7009).
 *
 * ```
 * UE                                     MCPTT server            IdM            KMS
 *  ├── PUBLISH, Expires 0, under the CEK ───▶│ binding, key end     │              │
 *  │                                         ├── CekEnd ───────────────────────────▶│
 *  ├── CekEnd ─────────────────────────────────────────────────────────────────────▶│ key ends
 *  ├── POST revocation ────────────────────────────────────────────▶│ tokens end    │
 * ```
 */
export const life1LogOff: Scenario = {
  id: 'life-1-log-off',
  title: 'The user logs off: PUBLISH with Expires 0, token revocation, and the CEK ends everywhere',
  requirements: ['LIFE-1'],
  actors: withUes('ue'),
  users: ['alice', 'bob'],
  steps: [
    bringUp('bound'),
    ends(
      'The user logs off, and the CEK ends at UE, server and KMS',
      /logged-off/,
      async (t) => {
        const before = await logins(t);
        const sip = { interface: 'SIP-1', actor: 'ue', method: 'PUBLISH' } as const;
        const published = t.records({ ...sip, direction: 'received', status: 200 }, 'all').at(-1)!;
        const loggingOff = await attempt(t, t.actor('ue').do('logOff', { user: 'alice' }));
        // Asked at once: later the KMS tells the UE too.
        t.hold('ue', 'pCR 7.x.3');
        if (!loggingOff.failed) expect(await heldByUe(t, 'alice'), 'keys of alice at the UE').to.deep.equal([]);
        t.hold('ue', 'TS 24.379 7.2.1A, RFC 3903 4.5, RFC 7009 2.1');
        const publish = await t.expect('the PUBLISH', { ...sip, direction: 'sent' });
        expect(header(publish, 'Expires'), 'Expires').to.equal('0');
        expect(header(publish, 'SIP-If-Match'), 'SIP-If-Match').to.equal(header(published, 'SIP-ETag'));
        expect(header(publish, 'Content-Type'), 'body').to.match(/pkcs7-mime/);
        t.hold('mcptt-as', 'TS 24.379 7.3.5');
        await t.expect('its 200', { ...sip, direction: 'received', status: 200 });
        t.hold('ue', 'TS 24.379 7.2.1A, RFC 7009 2.1');
        await loggingOff.seen('the revocation at the IdM', {
          interface: 'CSC-1',
          actor: 'ue',
          direction: 'sent',
          method: 'POST',
          where: isRevocation,
        });
        expect((await client(t, 'alice')).loggedIn, 'logged in').to.equal(false);
        t.hold('idm', 'RFC 7009 2.1');
        loggingOff.outcome();
        expect(await logins(t), 'logins of alice at the IdM').to.equal(before - 1);
      },
      'mcptt-as',
      { ueFirst: true },
    ),
    oldKeyIdIsRefused,
    {
      number: '7',
      title:
        'A user logs off who was never authorized for the service: the UE tells the KMS, and the key ends everywhere',
      clause: 'pCR 7.x.3',
      responsible: 'kms',
      guard: 20_000,
      run: async (t) => {
        await t.precondition('bob has a key', async () => {
          await t.actor('ue').do('logIn', { user: 'bob' });
          await t.actor('ue').do('requestKey', { user: 'bob' });
        });
        const { keyId } = await sharedKey(t, 'bob');
        await t.actor('ue').do('logOff', { user: 'bob' });
        await expectForgotten(t, keyId, { user: 'bob', reason: /logged-off/, by: 'ue', ueFirst: true });
        t.hold('mcptt-as', 'pCR 7.x.3');
        await expectRetired(t, keyId);
      },
    },
  ],
};
