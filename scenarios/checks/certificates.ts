/** Servers that show the certificate of a CA that nobody knows, and what has come to them all the same (HTTP1-1). */
import type { StepContext } from '../../sim/scenario/scenario.ts';
import type { MessageRecord } from '../../sim/trace/record.ts';
import { startLine } from './sip.ts';

type HttpsServer = 'idm' | 'kms' | 'mcptt-as';

/** Meanwhile somebody poses as the server: its own certificate's names under a CA that nobody trusts, on new connections only. */
export async function whileSomebodyPosesAs<T>(t: StepContext, server: HttpsServer, run: () => Promise<T>): Promise<T> {
  const shows = (of: 'own' | 'stranger'): Promise<unknown> =>
    t.precondition(`${server} shows a certificate of ${of === 'own' ? 'its' : 'a stranger’s'} CA`, () =>
      t.actor(server).do('presentCertificate', { of }),
    );
  await shows('stranger');
  try {
    return await run();
  } finally {
    await shows('own');
  }
}

/** First lines of the requests that a server has had from a client in this step. */
export async function requestsTo(
  t: StepContext,
  server: HttpsServer,
  client: MessageRecord['peer'],
): Promise<string[]> {
  // With an answer of its own, all records that the server has made so far are here.
  await t.actor(server).read('health');
  return t
    .records({ actor: server, peer: client, direction: 'received', where: (r) => r.protocol === 'http' })
    .map(startLine)
    .filter((line) => !line.startsWith('HTTP/'));
}

/** The user's tokens are under a key of the IdM that nobody has fetched yet. */
export const newlySigned = (t: StepContext, user: string): Promise<void> =>
  t.precondition(`${user} has tokens under a new key of the IdM`, async () => {
    await t.actor('idm').do('rotateKeys');
    await t.actor('ue').do('logIn', { user });
  });
