import { createIdm, type IdmConfig } from '../../../actors/idm/index.ts';
import { createTestCa, type TestCa } from '../../../actors/security/ca.ts';
import { createIdmClient, type IdmClient, type IdmClientOptions } from '../../../actors/ue/idm-client.ts';
import type { Actor, ActorContext, Log } from '../../../sim/control/actor.ts';
import { systemClock } from '../../../sim/engine/clock.ts';
import type { ReportedMessage } from '../../../sim/trace/record.ts';

export const ALICE = { userName: 'alice', password: 'alice-wonderland-1865', mcpttId: 'sip:alice@mcptt.example' };
export const BOB = { userName: 'bob', password: 'bob-the-builder-1998', mcpttId: 'sip:bob@mcptt.example' };

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** An IdM that runs, its CA, and the clients and records that a test makes with it. */
export interface IdmUnderTest {
  readonly ca: TestCa;
  readonly idm: Actor;
  readonly issuer: string;
  /** What the IdM reported. */
  readonly records: ReportedMessage[];
  client(options?: Partial<IdmClientOptions>): IdmClient;
  stop(): Promise<void>;
}

export async function startIdm(
  config: Partial<IdmConfig> = {},
  context: Partial<ActorContext> = {},
): Promise<IdmUnderTest> {
  const ca = await createTestCa();
  const records: ReportedMessage[] = [];
  const idm = createIdm(
    { users: [ALICE, BOB], clientId: 'mcptt-client', ...config },
    {
      name: 'idm',
      report: (message) => void records.push(message),
      clock: systemClock,
      log: silent,
      tls: await ca.issue({ commonName: 'idm' }),
      host: '127.0.0.1',
      ...context,
    },
  );
  const { https: issuer } = (await idm.start()) as { https: string };
  await idm.connect({});
  const clients: IdmClient[] = [];
  return {
    ca,
    idm,
    issuer,
    records,
    client: (options) => {
      const client = createIdmClient({
        issuer,
        clientId: 'mcptt-client',
        ca: ca.certificate,
        report: () => {},
        ...options,
      });
      clients.push(client);
      return client;
    },
    stop: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await idm.stop();
    },
  };
}
