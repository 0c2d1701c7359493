/** The catalogue, in the order in which `list` and `run all` take it. */
import type { Scenario } from '../sim/scenario/scenario.ts';
import { auth1 } from './auth-1.ts';
import { auth2 } from './auth-2.ts';
import { auth3 } from './auth-3.ts';
import { cek2 } from './cek-2.ts';
import { conf1 } from './conf-1.ts';
import { figure } from './figure-7.x.2-1.ts';
import { http11 } from './http1-1.ts';
import { http11Kms } from './http1-1-kms.ts';
import { http11McpttServer } from './http1-1-mcptt-server.ts';
import { http11Ue } from './http1-1-ue.ts';
import { ibc1ClientSignature } from './ibc-1-client-signature.ts';
import { ibc1KeyPeriod } from './ibc-1-key-period.ts';
import { ibc1ServerSignature } from './ibc-1-server-signature.ts';
import { int3 } from './int-3.ts';
import { life1ConnectionLost } from './life-1-connection-lost.ts';
import { life1Deregistration } from './life-1-deregistration.ts';
import { life1Lifetime } from './life-1-lifetime.ts';
import { life1LogOff } from './life-1-log-off.ts';
import { life1NetworkDeregistration } from './life-1-network-deregistration.ts';
import { life1OperatorRevokes } from './life-1-operator-revokes.ts';
import { life1RegistrationExpires } from './life-1-registration-expires.ts';
import { life1TokenExpiry, life1TokenExpiryServer } from './life-1-token-expiry.ts';
import { life2Age } from './life-2-age.ts';
import { life2EventStream } from './life-2-event-stream.ts';
import { life2Messages } from './life-2-messages.ts';
import { life2Operator } from './life-2-operator.ts';
import { life2Traffic } from './life-2-traffic.ts';
import { life2TwoUpdates } from './life-2-two-updates.ts';
import { life3 } from './life-3.ts';
import { life4ServerAsks } from './life-4-server-asks.ts';
import { life4ServerRestarts } from './life-4-server-restarts.ts';
import { life4UeRestarts } from './life-4-ue-restarts.ts';
import { message } from './message.ts';
import { mime1Profiles } from './mime-1-profiles.ts';
import { mime1Tampered } from './mime-1-tampered.ts';
import { mime2 } from './mime-2.ts';
import { multi1AfterStep4 } from './multi-1-after-step-4.ts';
import { multi1AtOnce } from './multi-1-at-once.ts';
import { multi1ForeignToken } from './multi-1-foreign-token.ts';
import { multi1InTurn } from './multi-1-in-turn.ts';
import { multi1TwoClients } from './multi-1-two-clients.ts';
import { order1 } from './order-1.ts';
import { pol1Off } from './pol-1-off.ts';
import { pol1On } from './pol-1-on.ts';
import { pol1PerService } from './pol-1-per-service.ts';
import { pol1Switched } from './pol-1-switched.ts';
import { privateCall } from './private-call.ts';
import { step0FalseNetwork } from './step-0-false-network.ts';
import { step0FalseUe } from './step-0-false-ue.ts';
import { step0Resynchronisation } from './step-0-resynchronisation.ts';
import { step1Refusals } from './step-1-refusals.ts';
import { step1N } from './step-1n.ts';
import { step2S } from './step-2s.ts';
import { step3aRefusals } from './step-3a.ts';
import { step3bPush } from './step-3b-push.ts';
import { step3bPushRetry } from './step-3b-push-retry.ts';
import { step3bUnverified } from './step-3b-unverified.ts';
import { step4Refusals } from './step-4-refusals.ts';

export const scenarios: readonly Scenario[] = [
  figure,
  order1,
  step0FalseNetwork,
  step0FalseUe,
  step0Resynchronisation,
  step1Refusals,
  step1N,
  step2S,
  step3aRefusals,
  step3bPush,
  step3bPushRetry,
  step3bUnverified,
  step4Refusals,
  pol1Off,
  pol1On,
  pol1PerService,
  pol1Switched,
  multi1AfterStep4,
  multi1AtOnce,
  multi1ForeignToken,
  multi1InTurn,
  multi1TwoClients,
  int3,
  auth1,
  auth2,
  auth3,
  http11,
  http11Ue,
  http11McpttServer,
  http11Kms,
  cek2,
  mime1Profiles,
  mime1Tampered,
  mime2,
  ibc1ClientSignature,
  ibc1KeyPeriod,
  ibc1ServerSignature,
  message,
  privateCall,
  conf1,
  life1ConnectionLost,
  life1Deregistration,
  life1Lifetime,
  life1LogOff,
  life1NetworkDeregistration,
  life1OperatorRevokes,
  life1RegistrationExpires,
  life1TokenExpiry,
  life1TokenExpiryServer,
  life2Age,
  life2EventStream,
  life2Messages,
  life2Operator,
  life2Traffic,
  life2TwoUpdates,
  life3,
  life4ServerAsks,
  life4ServerRestarts,
  life4UeRestarts,
];
