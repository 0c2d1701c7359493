/** A KMS in a process of its own, for tests that kill it. Told what it needs by one message, answers with its address. */
import { once } from 'node:events';
import { createKms } from '../../../actors/kms/kms.ts';
import type { PolicyChange } from '../../../actors/kms/policy.ts';
import { createArithmetic } from '../../../actors/security/ibc/backend.ts';
import { LocalSakkeEngine } from '../../../actors/security/ibc/engine.ts';
import type { TlsIdentity } from '../../../sim/control/actor.ts';
import { systemClock } from '../../../sim/engine/clock.ts';
import { KMS_URI, SERVER_ID, silentLog } from './harness.ts';

interface Told {
  readonly tls: TlsIdentity;
  readonly stateFolder: string;
  readonly issuer: string;
  readonly mcpttServer: string;
  readonly policy: PolicyChange;
}

// Whoever started it is gone: so is it.
process.once('disconnect', () => process.exit(1));
const [told] = (await once(process, 'message')) as [Told];
const kms = createKms(
  { kmsUri: KMS_URI, mcpttServerId: SERVER_ID, policy: told.policy },
  {
    name: 'kms',
    report: () => undefined,
    clock: systemClock,
    log: silentLog,
    tls: told.tls,
    host: '127.0.0.1',
    stateFolder: told.stateFolder,
  },
  { engine: new LocalSakkeEngine(createArithmetic()) },
);
const { https: url } = await kms.start();
await kms.connect({ idm: { issuer: told.issuer }, 'mcptt-as': { https: told.mcpttServer } });
process.send!({ url });
