import { expect } from 'chai';
import type { Scenario, StepContext } from '../sim/scenario/scenario.ts';
import type { MessageRecord } from '../sim/trace/record.ts';
import { requestsTo, whileSomebodyPosesAs } from './checks/certificates.ts';
import { heldByUe, sharedKey } from './checks/keys.ts';
import { refused } from './checks/refusal.ts';
import { startLine, wholeText } from './checks/sip.ts';
import { bringUp, withUes } from './steps/bring-up.ts';

/**
 * HTTP1-1 at the UE (pCR 7.x.2): neither password nor KMS token leaves it for somebody whose certificate is not of its CA.
 *
 * ```
 * UE                       somebody as the IdM, as the KMS
 *  ├── TLS ─────────────────────────▶│ a certificate of a CA that nobody knows
 *  │ says nothing, and leaves        │
 *  :                                IdM, KMS
 *  ├── TLS ─────────────────────────▶│ their own certificate
 *  ├── password, KMS token ─────────▶│
 * ```
 */
export const http11Ue: Scenario = {
  id: 'http1-1-ue',
  title: 'The UE gives no password and no KMS token to a server whose certificate is of a CA that it does not know',
  requirements: ['HTTP1-1', 'STEP-3a', 'STEP-3b'],
  actors: withUes('ue'),
  users: ['alice'],
  steps: [
    bringUp('registered', { ue: [] }),
    {
      number: '3a',
      title: 'Nobody logs in at an IdM with a stranger’s certificate; with its own the login passes',
      clause: 'pCR 7.x.2 step 3a, RFC 9110 4.3.4',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const logIn = (): Promise<unknown> => t.actor('ue').do('logIn', { user: 'alice' });
        await whileSomebodyPosesAs(t, 'idm', async () => {
          const { message } = await refused('an IdM with a stranger’s certificate', logIn());
          expect(await requestsTo(t, 'idm', 'ue'), 'requests that it has had from the UE').to.deep.equal([]);
          const passwords = t.records({ actor: 'ue', direction: 'sent', where: saysPassword });
          expect(passwords.map(startLine), 'requests of the UE with the password').to.deep.equal([]);
          t.show('Not logged in', message);
        });
        await logIn();
      },
    },
    {
      number: '3b',
      title: 'No key is asked for at a KMS with a stranger’s certificate; with its own the UE gets one',
      clause: 'pCR 7.x.2 step 3b, RFC 9110 4.3.4',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        const requestKey = (): Promise<unknown> => t.actor('ue').do('requestKey', { user: 'alice' });
        await whileSomebodyPosesAs(t, 'kms', async () => {
          const { message } = await refused('a KMS with a stranger’s certificate', requestKey());
          expect(await requestsTo(t, 'kms', 'ue'), 'requests that it has had from the UE').to.deep.equal([]);
          expect(await heldByUe(t, 'alice'), 'keys that the UE holds').to.deep.equal([]);
          t.show('No key asked for', message);
        });
        await requestKey();
        await sharedKey(t, 'alice');
        await t.until('the UE has opened its event stream', () => attempts(t, 'kms').length > 0);
      },
    },
    {
      number: '5',
      title: 'The event stream, once lost, is not opened there either, and comes back to the KMS itself',
      clause: 'pCR 7.x.3, RFC 9110 4.3.4',
      responsible: 'ue',
      guard: 15_000,
      run: async (t) => {
        await whileSomebodyPosesAs(t, 'kms', async () => {
          // A second attempt says that the first has failed.
          const had = await t.until('the UE tries twice to open its event stream again', async () => {
            const requests = await requestsTo(t, 'kms', 'ue');
            return (attempts(t, 'ue').length >= 2 || requests.length > 0) && requests;
          });
          expect(had, 'requests that it has had from the UE').to.deep.equal([]);
        });
        await t.until('the UE opens its event stream again', () => attempts(t, 'kms').length > 0);
      },
    },
  ],
};

const saysPassword = (r: MessageRecord): boolean =>
  r.redacted.includes('password') || wholeText(r).includes('[password]');

/** Requests for the event stream, as the UE or the KMS has recorded them. */
const attempts = (t: StepContext, actor: 'ue' | 'kms'): MessageRecord[] =>
  t.records({
    interface: 'HTTP-1',
    actor,
    method: 'GET',
    where: (r) => startLine(r).includes('/keymanagement/cek/v1/events'),
  });
