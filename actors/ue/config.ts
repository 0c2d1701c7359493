import type { ServiceProtection } from '../messages/service-protection.ts';
import type { UsimCard } from './usim.ts';

/** An MCPTT user of this UE, and what the person types at the IdM. */
export interface UeUser {
  readonly user: string;
  readonly password: string;
  /** `urn:uuid:`; drawn when absent, and kept for the life of the UE. */
  readonly clientId?: string;
}

/** Plain JSON. */
export interface UeConfig {
  readonly usim: UsimCard;
  readonly homeDomain: string;
  /** Public service identity of the participating MCPTT function. */
  readonly participatingPsi: string;
  readonly users: readonly UeUser[];
  /** Client id at the IdM. */
  readonly oauthClientId: string;
  readonly kmsUri: string;
  /** The MCPTT server's identity, whose signature the UE expects. */
  readonly mcpttServerId: string;
  readonly protectionProfile: 'kek' | 'kek+sign' | 'direct';
  /** Which services of the MCPTT server are protected (POL-1); all unless given. */
  readonly protection?: ServiceProtection;
  /** `urn:uuid:` of the device; drawn when absent. */
  readonly instanceId?: string;
  /** What REGISTER asks for, seconds; default 600000 (TS 24.229 5.1.1.2.1). */
  readonly expires?: number;
  /** Whether the UE refreshes its registration by itself; default true. */
  readonly autoRefresh?: boolean;
}
