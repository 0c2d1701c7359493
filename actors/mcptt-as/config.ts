import type { ServiceProtection } from '../messages/service-protection.ts';
import type { UserProfile } from '../messages/user-profile.ts';
import type { Profile } from '../security/smime/profiles.ts';
import type { EngineAddress } from './drachtio.ts';

/** What the MCPTT service provider has decided. */
export interface McpttPolicy {
  /** POL-1: whether, and for which services, SIP MIME bodies between client and server must be protected under a CEK. */
  readonly protection: ServiceProtection & { readonly profile: Profile };
  /** STEP-2S: methods that a registered, not yet authorized UE may use. */
  readonly defaultServices: readonly string[];
  /** Whether a binding ends when the access token that made it expires. */
  readonly tokenExpiryEndsBinding: boolean;
}

/** Plain JSON. */
export interface McpttAsConfig {
  /** drachtio's control port of the SIP engine (or drachtio-server) that the server uses. */
  readonly engine: EngineAddress;
  /** Public service identity of the participating MCPTT function: From of what the server sends. */
  readonly psi: string;
  /** The server's own identity towards the KMS and in signatures. */
  readonly serverId: string;
  readonly kmsUri: string;
  /** Users of the service by their MCPTT IDs, with what they may do. */
  readonly users: readonly UserProfile[];
  readonly policy: McpttPolicy;
  /** `iss` of access tokens; the IdM's `issuer` endpoint unless given. */
  readonly issuer?: string;
  /** `aud` and scope that an access token must have. */
  readonly audience: string;
  readonly scope: string;
  /** Port of the https endpoint that the KMS pushes to; 0 = ephemeral. */
  readonly httpsPort: number;
  /** Name under which the KMS reaches that endpoint; the listening address unless given. */
  readonly httpsHost?: string;
  /** Addresses whose SIP requests are the SIP core's; those of the `sip-core` peer unless given. */
  readonly trustedAddresses?: readonly string[];
}
