import type { Scenario } from '../sim/scenario/scenario.ts';
import { CHOICES } from './choices.ts';
import { step0 } from './steps/step-0.ts';
import { step1 } from './steps/step-1.ts';
import { step2 } from './steps/step-2.ts';
import { step3a } from './steps/step-3a.ts';
import { step3b } from './steps/step-3b.ts';
import { step4 } from './steps/step-4.ts';

/**
 * Figure 7.x.2-1: message sequence for the authorization and distribution of a KMS managed CEK. Each step's own ladder stands
 * in its file in `steps/`.
 *
 * ```
 *    UE            network      SIP core     MCPTT server      IdM            KMS
 *    │                │             │             │             │              │
 * 0  ├◀── EPS AKA ───▶┤             │             │             │              │   LTE
 * 1  ├◀──────── IMS AKA over WSS ──▶┤             │             │              │   SIP-1
 * 2  │                │             ├── 3rd-party REGISTER ─▶   │              │   SIP-2
 * 3a ├◀──────────────── OpenID Connect, two tokens ────────────▶┤              │   CSC-1
 * 3b ├◀──────────────── KMS token; key material, CEK, Key ID ─────────────────▶┤   HTTP-1
 *    │                │             │             │◀── push: CEK, Key ID ──────┤   HTTP-1
 * 4  ├── PUBLISH, S/MIME under the CEK ──────────▶│             │              │   SIP-1, SIP-2
 *    │◀────────────── 200, profile, S/MIME under the CEK ───────┤              │
 * ```
 */
export const figure: Scenario = {
  id: 'figure-7.x.2-1',
  title: 'Figure 7.x.2-1: authorization and distribution of a KMS managed CEK',
  requirements: [
    'INT-1',
    'S1-3',
    'CONF-1',
    'MIME-1',
    'CEK-1',
    'HTTP1-1',
    'STEP-0',
    'STEP-1',
    'STEP-2',
    'STEP-3a',
    'STEP-3b',
    'STEP-3bP',
    'STEP-4',
    'IBC-1',
  ],
  actors: ['ue', 'access-network', 'sip-core', 'mcptt-as', 'idm', 'kms'],
  users: ['alice'],
  steps: [step0(), step1(), step2(), step3a(), step3b(), step4()],
  choices: [CHOICES.cms, CHOICES.tokens, CHOICES.push, CHOICES.profile, CHOICES.ibc, CHOICES.session, CHOICES.eps],
};
